use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Phase;

/// What the store remembers of one host.
///
/// A host without a record is [`Phase::New`] and was never armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostRecord {
    /// The host's name in the inventory.
    pub host: String,
    /// Where the host stands.
    pub phase: Phase,
    /// Why it stands there, for people.
    pub reason: Option<String>,
    /// When the phase was last changed.
    pub changed_at: Timestamp,
    /// The highest `install` number ever seen for the host. Nothing sets it yet: it is kept for
    /// arming from git, which only a higher number will do.
    pub install_seen: Option<u64>,
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
            install_seen: None,
            session: None,
        }
    }

    /// Returns the open session, while the host is provisioning.
    pub fn open_session(&self) -> Option<&Session> {
        self.session
            .as_ref()
            .filter(|session| self.phase == Phase::Provisioning && session.ended_at.is_none())
    }

    /// Returns the open session of which an attempt was begun: an installer may be at work, up to
    /// the deadline.
    pub fn install_under_way(&self, now: Timestamp) -> Option<&Session> {
        self.open_session()
            .filter(|open| open.attempts > 0 && now < open.deadline)
    }
}

/// One arming of a host: from `host provision` to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// The name under which logs speak of the session.
    pub id: SessionId,
    /// When the host was armed.
    pub created_at: Timestamp,
    /// The moment after which nothing destructive is served any more.
    pub deadline: Timestamp,
    /// How many attempts were begun: a kernel or a seed was fetched.
    pub attempts: u32,
    /// When the session ended, by a callback, an operator or a newer session.
    pub ended_at: Option<Timestamp>,
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

/// The text is no session's name.
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
