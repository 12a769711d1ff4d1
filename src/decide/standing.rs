//! Whether anything destructive may be served now, for any host.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::machine::{ClockReading, Session};

/// How far the wall clock may be behind the latest time in the store, for example after a correction by
/// NTP, before destructive responses stop.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// The state of the server at one moment, for all hosts: the time for decisions, and what stops all
/// destructive responses.
///
/// The decision time only moves forward: it is the later of the wall clock and the latest time in the
/// store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    clock: ClockReading,
    now: Timestamp,
    impediment: Option<Impediment>,
}

/// Why nothing destructive is served to any host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Impediment {
    /// The wall clock is behind the latest time that the store has seen.
    ClockBehind {
        /// The time of the wall clock.
        wall: Timestamp,
        /// The latest time that the store has seen.
        latest: Timestamp,
    },
    /// The store's path does not lead to the file that this process opened.
    StoreReplaced {
        /// The path.
        path: String,
    },
    /// The witness file does not vouch for the store: it was restored, copied or moved.
    StoreUnconfirmed(StoreDoubt),
}

/// Why the witness file does not vouch for a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreDoubt {
    /// There is no witness file of the store.
    NoWitness {
        /// The expected path.
        path: String,
    },
    /// The witness file cannot be read.
    UnreadableWitness {
        /// The file.
        path: String,
        /// Why.
        error: String,
    },
    /// The witness file vouches for another file, of which this one is a copy.
    Copied,
    /// The witness file vouches for a store at another path.
    Moved {
        /// That path.
        from: String,
    },
    /// The store was made from a backup.
    Restored,
    /// The store was made by `pxectl store copy`.
    CopyOf {
        /// The state directory of the original.
        original: String,
    },
    /// The store has the latest generation but other open sessions: some of its pages are old.
    Sessions,
    /// The store has another generation: an older copy was restored.
    Generation {
        /// The generation of the store.
        store: u64,
        /// The generation of the witness file.
        witness: u64,
    },
}

impl Standing {
    /// Computes the standing. `latest` is the latest time in the store, `store` the result of its identity
    /// check.
    pub fn new(clock: ClockReading, latest: Timestamp, store: Result<(), Impediment>) -> Self {
        let behind = latest.duration_since(clock.wall);
        let is_behind = behind.unsigned_abs() > CLOCK_TOLERANCE && behind.is_positive();
        let impediment = store.err().or_else(|| {
            is_behind.then_some(Impediment::ClockBehind {
                wall: clock.wall,
                latest,
            })
        });
        Self {
            now: clock.wall.max(latest),
            clock,
            impediment,
        }
    }

    /// Returns the standing of a sound store at the time `wall`, for tests and timelines.
    pub fn at(wall: Timestamp) -> Self {
        Self::new(ClockReading::at(wall), wall, Ok(()))
    }

    /// Returns the time by which decisions are made.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the reading of the system's clocks.
    pub fn clock(&self) -> &ClockReading {
        &self.clock
    }

    /// Returns the reason why nothing destructive is served to any host, if there is one.
    pub fn impediment(&self) -> Option<&Impediment> {
        self.impediment.as_ref()
    }

    /// Reports whether a session's deadline has passed: by the wall clock or, within the boot in
    /// which the session was opened, by the time since boot, whichever is first.
    pub fn is_past_deadline(&self, session: &Session) -> bool {
        let by_boot = session.boot_deadline.as_ref();
        self.now >= session.deadline
            || by_boot.and_then(|deadline| self.clock.boot.has_reached(deadline)) == Some(true)
    }

    /// Reports whether a callback comes no later than `grace` after a session's deadline.
    ///
    /// Within the boot in which the session was opened, only the time since boot counts: a step of
    /// the wall clock cannot reject the report of an installer.
    pub fn is_within_grace(&self, session: &Session, grace: Duration) -> bool {
        let by_boot = session.boot_deadline.as_ref().and_then(|deadline| {
            let end = deadline.after(grace);
            self.clock.boot.has_reached(&end)
        });
        match by_boot {
            Some(is_over) => !is_over,
            None => {
                let end = session.deadline.saturating_add(grace);
                self.now < end.unwrap_or(Timestamp::MAX)
            }
        }
    }
}

impl Impediment {
    /// Returns the help text.
    pub fn help(&self) -> &'static str {
        match self {
            Self::ClockBehind { .. } => {
                "set the clock; if the clock is right and was wrong before, run \
                 `pxectl store accept-clock`, which closes every open session first"
            }
            Self::StoreReplaced { .. } => {
                "restart `pxectl serve`; if the store was deleted, restore a backup with \
                 `pxectl store restore` first"
            }
            Self::StoreUnconfirmed(StoreDoubt::UnreadableWitness { .. }) => {
                "make the witness directory readable and writable for the server, then restart \
                 `pxectl serve`"
            }
            Self::StoreUnconfirmed(_) => {
                "the running server, or the next `pxectl serve`, suspends the open sessions; then run \
                 `pxectl host provision` to arm hosts again"
            }
        }
    }
}

impl fmt::Display for Impediment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockBehind { wall, latest } => write!(
                f,
                "the server's clock shows {wall:.0}, but the store has already recorded \
                 {latest:.0}"
            ),
            Self::StoreReplaced { path } => write!(
                f,
                "`{path}` is not the store that this server opened: it was deleted or replaced"
            ),
            Self::StoreUnconfirmed(doubt) => fmt::Display::fmt(doubt, f),
        }
    }
}

impl fmt::Display for StoreDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWitness { path } => {
                write!(f, "the store has no witness file `{path}`")
            }
            Self::UnreadableWitness { path, error } => {
                write!(f, "cannot read the witness file `{path}`: {error}")
            }
            Self::Copied => {
                f.write_str("the store is a copy: its witness file names another database file")
            }
            Self::Moved { from } => write!(f, "the store was moved here from `{from}`"),
            Self::Restored => f.write_str("the store was restored from a backup"),
            Self::CopyOf { original } => write!(f, "the store is a copy of `{original}`"),
            Self::Sessions => f.write_str(
                "the store was restored: its open sessions differ from those in its witness file",
            ),
            Self::Generation { store, witness } => write!(
                f,
                "the store was restored: its generation is {store}, but its witness file has {witness}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{BootId, BootTime, SessionId};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn reading(wall: i64, boot: &str, since_boot: u64) -> ClockReading {
        ClockReading {
            wall: at(wall),
            boot: BootTime {
                boot_id: BootId::new(boot),
                since_boot: Duration::from_secs(since_boot),
            },
        }
    }

    #[test]
    fn a_clock_within_the_tolerance_stands_still_and_one_further_behind_stops_everything() {
        for (wall, now, is_impeded) in [(1000, 1000, false), (970, 1000, false), (969, 1000, true)]
        {
            let standing = Standing::new(reading(wall, "a", 5), at(1000), Ok(()));
            assert_eq!(standing.now(), at(now), "{wall}");
            assert_eq!(standing.impediment().is_some(), is_impeded, "{wall}");
        }
        let ahead = Standing::new(reading(5000, "a", 5), at(1000), Ok(()));
        assert_eq!((ahead.now(), ahead.impediment()), (at(5000), None));
    }

    #[test]
    fn a_deadline_passes_when_either_clock_reaches_it_and_callbacks_follow_the_boot() {
        let session = Session::open(
            SessionId::new(1),
            &reading(1000, "a", 50),
            Duration::from_secs(100),
        )
        .unwrap();
        let minute = Duration::from_secs(60);
        for (wall, boot, since_boot, is_past, is_within) in [
            (1050, "a", 100, false, true),
            // NTP moved the wall clock a day ahead.
            (87_400, "a", 100, true, true),
            // The wall clock was set back.
            (900, "a", 150, true, true),
            (900, "a", 210, true, false),
            // After a reboot only the wall clock is left.
            (1099, "b", 9, false, true),
            (1100, "b", 9, true, true),
            (1160, "b", 9, true, false),
        ] {
            let standing = Standing::new(reading(wall, boot, since_boot), at(0), Ok(()));
            let row = format!("{wall} {boot} {since_boot}");
            assert_eq!(standing.is_past_deadline(&session), is_past, "{row}");
            assert_eq!(
                standing.is_within_grace(&session, minute),
                is_within,
                "{row}"
            );
        }
    }
}
