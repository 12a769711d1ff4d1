use jiff::{SignedDuration, Timestamp};

/// How often something may happen: a burst at once, and then once per interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    burst: i32,
    every: SignedDuration,
}

impl Rate {
    /// Allows `burst` at once, and one more after each interval.
    pub const fn new(burst: i32, every: SignedDuration) -> Self {
        Self { burst, every }
    }

    /// Takes one at `now`. `due` is the time that the previous call returned: when the whole burst
    /// is available again. Returns the new such time, or `None` when the rate is exceeded.
    pub fn take(&self, due: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let after = |time: Timestamp, span| time.checked_add(span).unwrap_or(Timestamp::MAX);
        let latest = after(now, self.every * self.burst);
        // No call sets a time beyond `latest`: the clock went back, and must not block for days.
        let due = due.filter(|due| *due <= latest).unwrap_or(now).max(now);
        let due = after(due, self.every);
        (due <= latest).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_one_per_interval() {
        let rate = Rate::new(3, SignedDuration::from_secs(10));
        let mut due = None;
        for (second, expected) in [
            (0, true),
            (0, true),
            (0, true),
            (0, false),
            (9, false),
            (10, true),
            (10, false),
            (1000, true),
            (1000, true),
            (1000, true),
            (1000, false),
            // The clock went back.
            (5, true),
        ] {
            let taken = rate.take(due, Timestamp::from_second(second).unwrap());
            assert_eq!(taken.is_some(), expected, "at {second}");
            due = taken.or(due);
        }
    }

    #[test]
    fn the_last_moment_of_time_is_not_an_error() {
        let rate = Rate::new(3, SignedDuration::from_secs(10));
        assert_eq!(rate.take(None, Timestamp::MAX), Some(Timestamp::MAX));
    }
}
