//! When a request is made again, and how long after.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest that is waited, whatever a server asks for.
const LONGEST: Duration = Duration::from_secs(120);
const FIRST: Duration = Duration::from_millis(500);

/// Reports whether a status may be another one the next time.
///
/// Source: RFC 9110 §15.5.9, §15.6; RFC 6585 §4.
pub fn is_passing(status: u16) -> bool {
    status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505)
}

/// Says how long to wait before the try after `tries` have failed: as long as the server asks, else
/// twice as long each time.
pub fn delay(tries: u32, asked: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16));
    asked.unwrap_or(doubled).min(LONGEST)
}

/// Reads how long a server asks to wait; none where it does not say, or not so that it can be read.
///
/// Source: RFC 9110 §10.2.3.
pub fn asked(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    read(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// Reads seconds or a date.
fn read(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| {
        let at = DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_given_the_time_that_it_asks_for() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (tries, asked, millis) in [
            (1, None, 500),
            (2, None, 1_000),
            (4, None, 4_000),
            (40, None, 120_000),
            (1, Some("0"), 0),
            (3, Some("7"), 7_000),
            (1, Some("86400"), 120_000),
            (1, Some("Thu, 01 Jan 2026 00:00:30 GMT"), 30_000),
            (1, Some("Wed, 31 Dec 2025 00:00:00 GMT"), 0),
            (2, Some("soon"), 1_000),
            (1, Some("-3"), 500),
        ] {
            let found = delay(tries, asked.and_then(|text| read(text, now)));
            assert_eq!(found, Duration::from_millis(millis), "{tries} {asked:?}");
        }
    }

    #[test]
    fn what_the_server_means_for_good_is_not_asked_again() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_passing(status), "{status}");
        }
        for status in [200, 301, 400, 401, 403, 404, 405, 413, 501] {
            assert!(!is_passing(status), "{status}");
        }
    }
}
