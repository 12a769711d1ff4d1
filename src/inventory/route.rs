use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A route that DHCP hands out in addition to the default route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination.
    pub to: Destination,
    /// The router on the network.
    pub via: Ipv4Addr,
}

/// The destination of a route, with a prefix of 1 to 32 bits. The default route is a network's
/// `gateway`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Destination {
    address: Ipv4Addr,
    prefix: u8,
}

impl Destination {
    /// Returns the first address.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Returns the length of the prefix in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }
}

/// The error of a text that is not the destination of a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDestinationError {
    /// Not of the form `address/prefix`, with a prefix of 1 to 32.
    #[error("`{0}` is not a route destination")]
    Form(String),
    /// The prefix is 0.
    #[error("`{0}` is the default route; use the network's `gateway`")]
    Deerror(String),
    /// Bits beyond the prefix are set.
    #[error("`{seen}` has bits beyond its prefix; the destination is `{meant}`")]
    HostBits {
        /// The text.
        seen: String,
        /// The destination that contains the address.
        meant: Destination,
    },
}

impl FromStr for Destination {
    type Err = ParseDestinationError;

    fn from_str(text: &str) -> Result<Self, ParseDestinationError> {
        let seen = || text.chars().take(40).collect();
        let form = || ParseDestinationError::Form(seen());
        let (address, prefix) = text.split_once('/').ok_or_else(form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| form())?;
        let prefix: u8 = prefix.parse().map_err(|_| form())?;
        let mask = match prefix {
            0 => return Err(ParseDestinationError::Deerror(seen())),
            1..=32 => u32::MAX << (32 - prefix),
            _ => return Err(form()),
        };
        let meant = Self {
            address: Ipv4Addr::from_bits(address.to_bits() & mask),
            prefix,
        };
        if meant.address != address {
            return Err(ParseDestinationError::HostBits {
                seen: seen(),
                meant,
            });
        }
        Ok(meant)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.to_string()
    }
}

impl TryFrom<String> for Destination {
    type Error = ParseDestinationError;

    fn try_from(text: String) -> Result<Self, ParseDestinationError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_whole_subnets_and_never_the_default_route() {
        for text in ["10.40.0.0/16", "192.0.2.7/32", "128.0.0.0/1"] {
            let destination: Destination = text.parse().unwrap();
            assert_eq!(destination.to_string(), text);
        }
        let error = |text: &str| text.parse::<Destination>().unwrap_err().to_string();
        assert_eq!(
            error("0.0.0.0/0"),
            "`0.0.0.0/0` is the default route; use the network's `gateway`"
        );
        assert_eq!(
            error("10.40.1.0/16"),
            "`10.40.1.0/16` has bits beyond its prefix; the destination is `10.40.0.0/16`"
        );
        for text in ["10.40.0.0", "10.40.0.0/33", "x/8", "10.40.0.0/-1"] {
            assert_eq!(error(text), format!("`{text}` is not a route destination"));
        }
    }
}
