//! Which callbacks of a session are stored, so that a capability cannot fill the disk.

use jiff::{SignedDuration, Timestamp};

use super::rate::Rate;
use super::transition::CallbackKind;

/// How many late callbacks of each kind a session may have stored, ever. A callback of an attempt
/// that a later one made void is late too.
pub const LATE_LIMIT: u64 = 3;
/// How many `progress` callbacks a session may have stored, ever.
pub const PROGRESS_LIMIT: u64 = 500;
/// How many `log` callbacks a session may have stored, ever.
pub const LOG_LIMIT: u64 = 1000;
/// How many `ready` callbacks a session may have stored, ever.
pub const READY_LIMIT: u64 = 20;
/// How fast a session may have `progress` callbacks stored, and how fast `log` callbacks: one flood
/// does not use up the limit before the installer has said what matters.
const RATE: Rate = Rate::new(120, SignedDuration::from_secs(5));

/// The callbacks that share one quota of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackClass {
    /// What was reported.
    pub kind: CallbackKind,
    /// Whether the report came too late to have an effect.
    pub is_late: bool,
}

/// The one table of classes, with the names that the store uses.
const CLASSES: [(CallbackKind, &str, &str); 5] = [
    (CallbackKind::Progress, "progress", "late-progress"),
    (CallbackKind::Installed, "installed", "late-installed"),
    (CallbackKind::Failed, "failed", "late-failed"),
    (CallbackKind::Ready, "ready", "late-ready"),
    (CallbackKind::Log, "log", "late-log"),
];

impl CallbackKind {
    /// Returns the last part of the callback's path.
    pub fn name(self) -> &'static str {
        CLASSES[self as usize].1
    }
}

impl CallbackClass {
    /// Lists every class.
    pub fn all() -> impl Iterator<Item = Self> {
        let both = |kind| [false, true].map(|is_late| Self { kind, is_late });
        CLASSES.into_iter().flat_map(move |row| both(row.0))
    }

    /// Returns the name that the store uses.
    pub fn name(self) -> &'static str {
        let (_, in_time, late) = CLASSES[self.kind as usize];
        if self.is_late { late } else { in_time }
    }

    /// Reads a name that [`CallbackClass::name`] wrote.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|class| class.name() == name)
    }

    /// Returns how many callbacks of the class a session may have stored, ever. `None`: those that
    /// change the phase, of which a session has one by nature.
    pub fn limit(self) -> Option<u64> {
        match self.kind {
            _ if self.is_late => Some(LATE_LIMIT),
            CallbackKind::Installed | CallbackKind::Failed => None,
            CallbackKind::Progress => Some(PROGRESS_LIMIT),
            CallbackKind::Ready => Some(READY_LIMIT),
            CallbackKind::Log => Some(LOG_LIMIT),
        }
    }

    fn rate(self) -> Option<Rate> {
        let is_flooded = matches!(self.kind, CallbackKind::Progress | CallbackKind::Log);
        (is_flooded && !self.is_late).then_some(RATE)
    }
}

/// What the store holds of a session's callbacks of one class. It counts only what was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackTally {
    /// How many were stored.
    pub stored: u64,
    /// When the whole burst of their rate is available again.
    pub due: Timestamp,
    /// The attempt that the latest one was about.
    pub attempt: u32,
    /// The text of the latest one.
    pub message: String,
}

/// The decision about a callback. Every callback is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is stored, and with it this tally, in the same transaction.
    Store(CallbackTally),
    /// It repeats the latest one: the installer did not receive our response.
    Repeated,
    /// It exceeds the rate.
    OverRate,
    /// It exceeds the session's limit.
    OverLimit,
}

/// Decides whether a callback is stored. No other code decides this.
///
/// `tally` is what the store holds of the same session and class, read in the transaction that
/// stores the callback: neither a restart nor a second server resets a quota, and a write that
/// failed uses up nothing. Each class has a quota of its own, so that a flood of one kind does not
/// use up another. A callback that changes the phase is never refused.
pub fn admit_callback(
    class: CallbackClass,
    tally: Option<&CallbackTally>,
    attempt: u32,
    message: &str,
    now: Timestamp,
) -> Admission {
    let stored = tally.map_or(0, |tally| tally.stored);
    let admitted = |due| {
        Admission::Store(CallbackTally {
            stored: stored + 1,
            due,
            attempt,
            message: message.to_owned(),
        })
    };
    let Some(limit) = class.limit() else {
        return admitted(now);
    };
    if tally.is_some_and(|latest| latest.attempt == attempt && latest.message == message) {
        return Admission::Repeated;
    }
    if stored >= limit {
        return Admission::OverLimit;
    }
    match class.rate() {
        None => admitted(now),
        Some(rate) => match rate.take(tally.map(|tally| tally.due), now) {
            Some(due) => admitted(due),
            None => Admission::OverRate,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn class(kind: CallbackKind, is_late: bool) -> CallbackClass {
        CallbackClass { kind, is_late }
    }

    /// Posts a different text every `every` seconds; returns how many are stored.
    fn flood(class: CallbackClass, posts: i64, every: i64) -> u64 {
        let mut tally: Option<CallbackTally> = None;
        for number in 0..posts {
            let message = number.to_string();
            let now = at(number * every);
            if let Admission::Store(next) = admit_callback(class, tally.as_ref(), 1, &message, now)
            {
                tally = Some(next);
            }
        }
        tally.map_or(0, |tally| tally.stored)
    }

    #[test]
    fn the_table_lists_every_class_in_order() {
        for (index, row) in CLASSES.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(CallbackKind::from_name(row.1), Some(row.0));
        }
        assert_eq!(CallbackClass::all().count(), 10);
        for class in CallbackClass::all() {
            assert_eq!(CallbackClass::from_name(class.name()), Some(class));
        }
    }

    #[test]
    fn each_class_has_a_limit_that_no_patience_exceeds() {
        use CallbackKind::{Failed, Installed, Log, Progress, Ready};
        for (kind, is_late, at_once, ever) in [
            (Progress, false, 120, PROGRESS_LIMIT),
            (Log, false, 120, LOG_LIMIT),
            (Ready, false, READY_LIMIT, READY_LIMIT),
            (Progress, true, LATE_LIMIT, LATE_LIMIT),
            (Log, true, LATE_LIMIT, LATE_LIMIT),
            (Ready, true, LATE_LIMIT, LATE_LIMIT),
            (Installed, true, LATE_LIMIT, LATE_LIMIT),
            (Failed, true, LATE_LIMIT, LATE_LIMIT),
        ] {
            let class = class(kind, is_late);
            assert_eq!(flood(class, 5000, 0), at_once, "{class:?} at once");
            assert_eq!(flood(class, 5000, 60), ever, "{class:?} ever");
        }
    }

    #[test]
    fn a_callback_that_changes_the_phase_is_never_refused() {
        for kind in [CallbackKind::Installed, CallbackKind::Failed] {
            let tally = CallbackTally {
                stored: u64::from(u32::MAX),
                due: at(1_000_000),
                attempt: 1,
                message: "same".into(),
            };
            let admission = admit_callback(class(kind, false), Some(&tally), 1, "same", at(0));
            assert!(matches!(admission, Admission::Store(_)), "{kind:?}");
        }
    }

    #[test]
    fn a_callback_is_repeated_when_attempt_and_text_are_the_latest_ones() {
        for class in CallbackClass::all().filter(|class| class.limit().is_some()) {
            let Admission::Store(tally) = admit_callback(class, None, 1, "half", at(0)) else {
                panic!("{class:?}: the first one is stored");
            };
            for (attempt, message, is_repeated) in
                [(1, "half", true), (1, "more", false), (2, "half", false)]
            {
                let admission = admit_callback(class, Some(&tally), attempt, message, at(0));
                let expected = admission == Admission::Repeated;
                assert_eq!(expected, is_repeated, "{class:?}: {attempt} {message}");
            }
        }
    }
}
