//! Reads and writes durations of the command line.

use std::time::Duration;

use jiff::SignedDuration;

use crate::inventory::SHORTEST_DEADLINE;

/// Parses a duration such as `45m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|value| Duration::try_from(value).ok());
    parsed
        .filter(|value| !value.is_zero())
        .ok_or_else(|| "write a time such as `45m` or `2h`".to_owned())
}

/// Parses the deadline of an arming, which must leave time for an install to begin.
pub fn parse_deadline(text: &str) -> Result<Duration, String> {
    let deadline = parse_duration(text)?;
    if deadline < SHORTEST_DEADLINE {
        return Err(format!(
            "the shortest deadline is {}; use the time that an install takes, such as `45m`",
            duration_text(SHORTEST_DEADLINE)
        ));
    }
    Ok(deadline)
}

/// Formats a duration: `45m`, `1h 30m`.
pub fn duration_text(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(
        |_| format!("{duration:?}"),
        |duration| format!("{duration:#}"),
    )
}
