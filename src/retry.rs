//! Which failed requests to repeat, and how long to wait first.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest wait, whatever a server requests.
const LONGEST: Duration = Duration::from_secs(120);
const FIRST: Duration = Duration::from_millis(500);

/// Reports whether a repeated request may get another status.
///
/// Source: RFC 9110 §15.5.9, §15.6; RFC 6585 §4.
pub fn is_transient(status: u16) -> bool {
    status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505)
}

/// Returns how long to wait after so many failures: as long as the server requests, else twice as long
/// each time.
pub fn delay(failures: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    retry_after.unwrap_or(doubled).min(LONGEST)
}

/// Returns how long a server requests to wait; `None` without a valid `Retry-After` header.
///
/// Source: RFC 9110 §10.2.3.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    parse(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// Parses seconds or a date.
fn parse(text: &str, now: Timestamp) -> Option<Duration> {
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
    fn a_server_gets_the_time_that_it_requests() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (failures, header, millis) in [
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
            let found = delay(failures, header.and_then(|text| parse(text, now)));
            assert_eq!(
                found,
                Duration::from_millis(millis),
                "{failures} {header:?}"
            );
        }
    }

    #[test]
    fn permanent_statuses_are_not_retried() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_transient(status), "{status}");
        }
        for status in [200, 301, 400, 401, 403, 404, 405, 413, 501] {
            assert!(!is_transient(status), "{status}");
        }
    }
}
