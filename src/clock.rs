//! The wall clock, as a time that every part of the program can hold.

use std::time::SystemTime;

use jiff::Timestamp;

/// The latest time that is ever returned, in the year 9979: 20 years before the latest timestamp. The
/// inventory accepts durations up to ten years, so a time plus a lease or a deadline is a timestamp too.
const LATEST: Timestamp = Timestamp::constant(252_771_055_200, 0);

/// Returns the time of the wall clock.
///
/// The system's clock can show times that a [`Timestamp`] cannot hold, such as the year 10000, for which
/// [`Timestamp::now`] panics. This function returns [`LATEST`] instead, and 1970 for times before 1970.
pub fn wall_time() -> Timestamp {
    limited(SystemTime::now())
}

fn limited(time: SystemTime) -> Timestamp {
    if time < SystemTime::UNIX_EPOCH {
        return Timestamp::UNIX_EPOCH;
    }
    Timestamp::try_from(time).map_or(LATEST, |time| time.min(LATEST))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_past_the_year_9999_shows_a_time_to_which_ten_years_can_be_added() {
        let year = Duration::from_secs(31_556_952);
        let at = |years| limited(SystemTime::UNIX_EPOCH + year * years);
        assert!(at(8_000) < LATEST);
        for years in [8_020, 8_100, 1_000_000] {
            assert_eq!(at(years), LATEST, "{years}");
        }
        assert!(LATEST.checked_add(year * 10).is_ok());
        let before = SystemTime::UNIX_EPOCH - year * 20_000;
        assert_eq!(limited(before), Timestamp::UNIX_EPOCH);
    }
}
