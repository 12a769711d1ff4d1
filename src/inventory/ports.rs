use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of UDP ports, both ends included, such as `50000-50999`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PortRange(RangeInclusive<u16>);

impl PortRange {
    /// The minimum number of ports: fewer are too easy to guess.
    pub const FEWEST: u32 = 16;
    /// The lowest port. Lower ports belong to well-known services and require a privilege.
    pub const LOWEST: u16 = 1024;

    /// Returns the first port.
    pub fn first(&self) -> u16 {
        *self.0.start()
    }

    /// Returns the number of ports.
    pub fn count(&self) -> u32 {
        u32::from(*self.0.end()) - u32::from(*self.0.start()) + 1
    }

    /// Reports whether the range contains the port.
    pub fn contains(&self, port: u16) -> bool {
        self.0.contains(&port)
    }
}

/// The error of a text that is not a usable range of ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePortRangeError {
    /// Not of the form `first-last`.
    #[error("`{0}` is not a port range")]
    Form(String),
    /// The last port is lower than the first.
    #[error("the last port of `{0}` is lower than the first")]
    Reversed(String),
    /// It contains ports that are too low.
    #[error("`{seen}` contains ports below {lowest}", lowest = PortRange::LOWEST)]
    Low {
        /// The text.
        seen: String,
    },
    /// It has too few ports.
    #[error("`{seen}` has {count} ports; the minimum is {fewest}", fewest = PortRange::FEWEST)]
    Few {
        /// The text.
        seen: String,
        /// The number of ports.
        count: u32,
    },
}

impl FromStr for PortRange {
    type Err = ParsePortRangeError;

    fn from_str(text: &str) -> Result<Self, ParsePortRangeError> {
        let seen = || text.chars().take(60).collect::<String>();
        let port = |text: &str| text.trim().parse::<u16>().ok();
        let (first, last) = text
            .split_once('-')
            .and_then(|(first, last)| Some((port(first)?, port(last)?)))
            .ok_or_else(|| ParsePortRangeError::Form(seen()))?;
        if last < first {
            return Err(ParsePortRangeError::Reversed(seen()));
        }
        if first < Self::LOWEST {
            return Err(ParsePortRangeError::Low { seen: seen() });
        }
        let range = Self(first..=last);
        match range.count() {
            count if count < Self::FEWEST => Err(ParsePortRangeError::Few {
                seen: seen(),
                count,
            }),
            _ => Ok(range),
        }
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

impl TryFrom<String> for PortRange {
    type Error = ParsePortRangeError;

    fn try_from(text: String) -> Result<Self, ParsePortRangeError> {
        text.parse()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_at_least_16_ports_above_1023() {
        for (text, expected) in [
            ("50000-50999", Ok(1000)),
            ("1024-65535", Ok(64_512)),
            (" 2000 - 2015 ", Ok(16)),
            (
                "2000-2014",
                Err("`2000-2014` has 15 ports; the minimum is 16"),
            ),
            (
                "2015-2000",
                Err("the last port of `2015-2000` is lower than the first"),
            ),
            ("60-100", Err("`60-100` contains ports below 1024")),
            ("2000", Err("`2000` is not a port range")),
            ("2000-", Err("`2000-` is not a port range")),
            ("2000-70000", Err("`2000-70000` is not a port range")),
            ("-2000-3000", Err("`-2000-3000` is not a port range")),
        ] {
            let parsed = text.parse::<PortRange>();
            let seen = parsed.map(|it| it.count()).map_err(|it| it.to_string());
            assert_eq!(seen, expected.map_err(str::to_owned), "{text}");
        }
        let range: PortRange = "2000-2015".parse().expect("a range");
        assert_eq!(
            (range.first(), range.to_string().as_str()),
            (2000, "2000-2015")
        );
        assert!(range.contains(2015) && !range.contains(2016));
    }
}
