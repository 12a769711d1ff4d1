use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{MacAddress, SessionId};

/// Something that happened to a machine and is stored.
///
/// Events never hold a secret or a capability: sessions are named by their id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// The host, if the machine is known.
    pub host: Option<String>,
    /// The Ethernet address that was seen.
    pub mac: Option<MacAddress>,
    /// The session it belongs to.
    pub session: Option<SessionId>,
    /// One line for people.
    pub message: String,
}

/// An event with the number that the store gave it; numbers only grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredEvent {
    /// The number, from 1.
    pub id: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// An operator armed the host.
    Armed,
    /// An operator cancelled the arming.
    Cancelled,
    /// An operator set the host aside, or released it.
    Changed,
    /// A machine requested a boot script and got an install.
    Install,
    /// A machine requested a boot script and got its local disk.
    LocalDisk,
    /// A machine requested a boot script and was held.
    Hold,
    /// An attempt began: a kernel or a seed was fetched under the session's capability.
    Attempt,
    /// The installer reported progress.
    Progress,
    /// The installer reported success.
    Installed,
    /// The installer reported failure.
    Failed,
    /// The installed system reported that it is up.
    Ready,
    /// The installer sent a piece of its log.
    Log,
    /// A callback came that no longer had an effect.
    Late,
    /// A command was sent to the management controller, or its certificate was accepted.
    Controller,
    /// A second address fetched a kernel or a seed within one attempt.
    SecondAddress,
    /// The deadline of the host's session passed.
    Expired,
    /// The host's session was suspended: its store was restored, copied or moved.
    Suspended,
    /// The store got a new identity, or an operator accepted its clock.
    Store,
}

/// The one table of kinds, in the order of the enum.
const TABLE: [(EventKind, &str); 18] = [
    (EventKind::Armed, "armed"),
    (EventKind::Cancelled, "cancelled"),
    (EventKind::Changed, "changed"),
    (EventKind::Install, "install"),
    (EventKind::LocalDisk, "local-disk"),
    (EventKind::Hold, "hold"),
    (EventKind::Attempt, "attempt"),
    (EventKind::Progress, "progress"),
    (EventKind::Installed, "installed"),
    (EventKind::Failed, "failed"),
    (EventKind::Ready, "ready"),
    (EventKind::Log, "log"),
    (EventKind::Late, "late"),
    (EventKind::Controller, "bmc"),
    (EventKind::SecondAddress, "second-address"),
    (EventKind::Expired, "expired"),
    (EventKind::Suspended, "suspended"),
    (EventKind::Store, "store"),
];

impl EventKind {
    /// Lists every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// Returns the name that the store and `host show` use.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Reads a name that [`EventKind::name`] wrote.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_kind_in_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(EventKind::from_name(row.1), Some(row.0));
        }
    }
}
