use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::wire::dhcp::TransactionId;

/// Parses a transaction ID in the form of captures and logs.
pub fn transaction(text: &str) -> Result<TransactionId, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u32::from_str_radix(digits, 16)
        .map(TransactionId)
        .map_err(|_| "expected a hexadecimal number such as `0x1a2b3c4d`".to_owned())
}

/// Parses a point in time.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let parsed = text.parse();
    parsed.map_err(|_| "expected a time with a zone, such as `2026-05-01T12:00:00Z`".to_owned())
}

/// Parses a duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    parsed
        .and_then(|it| Duration::try_from(it).ok())
        .filter(|it| !it.is_zero())
        .ok_or_else(|| "expected a duration such as `90s` or `5m`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_the_usual_forms() {
        for text in ["0x1a2b3c4d", "1a2b3c4d", "1A2B3C4D"] {
            assert_eq!(transaction(text), Ok(TransactionId(0x1a2b_3c4d)), "{text}");
        }
        for text in ["", "0x", "1a2b3c4d5", "-1", "xyz"] {
            assert!(transaction(text).is_err(), "{text}");
        }
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("PT2M", 120)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "-5s", "0s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(time("2026-05-01T12:00:00Z").is_ok() && time("2026-05-01T14:00:00+02:00").is_ok());
        assert!(time("2026-05-01").is_err() && time("noon").is_err());
    }
}
