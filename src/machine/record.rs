use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BootTime, ClockReading, Phase};

/// What the store remembers about one host.
///
/// A host without a record is [`Phase::New`] and was never armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostRecord {
    /// The host's name in the inventory.
    pub host: String,
    /// The phase of the host.
    pub phase: Phase,
    /// The reason for the phase.
    pub reason: Option<String>,
    /// When the phase was last changed.
    pub changed_at: Timestamp,
    /// The latest session: the open one while provisioning, else the one that ended last.
    pub session: Option<Session>,
}

impl HostRecord {
    /// Returns the record of a host of which nothing is known yet.
    pub fn new(host: impl Into<String>, now: Timestamp) -> Self {
        Self {
            host: host.into(),
            phase: Phase::New,
            reason: None,
            changed_at: now,
            session: None,
        }
    }

    /// Returns the open session, while the host is provisioning.
    pub fn open_session(&self) -> Option<&Session> {
        self.session
            .as_ref()
            .filter(|session| self.phase == Phase::Provisioning && session.ended_at.is_none())
    }
}

/// One arming of a host: from `host provision` to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// The name of the session in logs and events.
    pub id: SessionId,
    /// When the host was armed.
    pub created_at: Timestamp,
    /// The moment from which nothing destructive is served any more, by the wall clock.
    pub deadline: Timestamp,
    /// The same moment as the time since the boot in which the host was armed.
    pub boot_deadline: Option<BootTime>,
    /// How many attempts began: a kernel or a seed was fetched.
    pub attempts: u32,
    /// The phase to which the host returns if no attempt begins before the deadline.
    pub previous_phase: Phase,
    /// When the session ended.
    pub ended_at: Option<Timestamp>,
    /// What ended it.
    pub ended_by: Option<SessionEnd>,
    /// Why nothing destructive is served in the session although it is open: its store was restored,
    /// copied or moved.
    pub suspended: Option<String>,
}

/// What ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionEnd {
    /// The installer reported success or failure.
    Callback,
    /// An operator cancelled it, set the host aside or reset the store.
    Operator,
    /// The host was armed again.
    Replaced,
    /// Its deadline passed.
    Expired,
}

/// The one table of ends, in the order of the enum.
const ENDS: [(SessionEnd, &str); 4] = [
    (SessionEnd::Callback, "callback"),
    (SessionEnd::Operator, "operator"),
    (SessionEnd::Replaced, "replaced"),
    (SessionEnd::Expired, "expired"),
];

impl SessionEnd {
    /// Returns the name that the store uses.
    pub fn name(self) -> &'static str {
        ENDS[self as usize].1
    }
}

/// The text does not name an end of a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a kind of session end")]
pub struct ParseSessionEndError {
    seen: String,
}

impl FromStr for SessionEnd {
    type Err = ParseSessionEndError;

    fn from_str(text: &str) -> Result<Self, ParseSessionEndError> {
        ENDS.iter()
            .find(|row| row.1 == text)
            .map(|row| row.0)
            .ok_or_else(|| ParseSessionEndError {
                seen: text.to_owned(),
            })
    }
}

impl Session {
    /// Opens a session at a moment, until `length` after it; `None` when that lies beyond what a
    /// time can hold. The store's times have microseconds, and so do those of a session.
    pub fn open(id: SessionId, clock: &ClockReading, length: Duration) -> Option<Self> {
        let created_at = Timestamp::from_microsecond(clock.wall.as_microsecond()).ok()?;
        let since_boot = Duration::from_micros(clock.boot.since_boot.as_micros().try_into().ok()?);
        let boot = BootTime {
            boot_id: clock.boot.boot_id.clone(),
            since_boot,
        };
        let deadline = created_at.checked_add(length).ok()?;
        Some(Self {
            id,
            created_at,
            deadline: Timestamp::from_microsecond(deadline.as_microsecond()).ok()?,
            boot_deadline: Some(boot.after(length)),
            attempts: 0,
            previous_phase: Phase::New,
            ended_at: None,
            ended_by: None,
            suspended: None,
        })
    }
}

/// The name of a session: 64 random bits, printed as 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SessionId(u64);

impl SessionId {
    /// Wraps 64 random bits.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the 64 bits.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// The text is not a session ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a session id of 16 hexadecimal digits")]
pub struct ParseSessionIdError {
    seen: String,
}

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    fn from_str(text: &str) -> Result<Self, ParseSessionIdError> {
        let refused = || ParseSessionIdError {
            seen: text.chars().take(32).collect(),
        };
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| refused())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for SessionId {
    type Error = ParseSessionIdError;

    fn try_from(text: String) -> Result<Self, ParseSessionIdError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_end_in_order() {
        for (index, row) in ENDS.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(row.1.parse(), Ok(row.0));
        }
    }
}
