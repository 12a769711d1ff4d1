use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::MacAddress;

/// The GUID of an InfiniBand port, eight bytes in transmission order.
///
/// Parses the forms that `ibstat` and `ip link` print: `0x0002c90300001039`, `00:02:c9:03:00:00:10:39` and
/// `0002:c903:0000:1039`; prints the second one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PortGuid([u8; 8]);

impl PortGuid {
    /// Wraps eight bytes in transmission order; `None` if they are all zero.
    pub fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// Returns the Ethernet address that stands for the port where only an Ethernet address fits: the GUID
    /// without its fourth and fifth byte.
    ///
    /// Source: iPXE, `src/drivers/net/ipoib.c`, `ipoib_mlx_eth_addr`.
    pub fn ethernet_address(self) -> MacAddress {
        let [a, b, c, _, _, d, e, f] = self.0;
        MacAddress::new([a, b, c, d, e, f])
    }
}

/// The text is not the GUID of an InfiniBand port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a port GUID such as `0x0002c90300001039`")]
pub struct ParsePortGuidError {
    seen: String,
}

impl FromStr for PortGuid {
    type Err = ParsePortGuidError;

    fn from_str(text: &str) -> Result<Self, ParsePortGuidError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let has_groups = [2, 4].iter().any(|length| {
            let mut groups = digits.split([':', '-']);
            groups.all(|group| group.len() == *length)
        });
        let is_whole = has_groups || !digits.contains([':', '-']);
        let digits: String = digits.chars().filter(|c| !":-".contains(*c)).collect();
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .and_then(Self::new)
            .filter(|_| is_whole)
            .ok_or_else(|| ParsePortGuidError {
                seen: text.chars().take(64).collect(),
            })
    }
}

impl fmt::Display for PortGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<_> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&bytes.join(":"))
    }
}

impl fmt::Debug for PortGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<PortGuid> for String {
    fn from(guid: PortGuid) -> Self {
        guid.to_string()
    }
}

impl TryFrom<String> for PortGuid {
    type Error = ParsePortGuidError;

    fn try_from(text: String) -> Result<Self, ParsePortGuidError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_read_in_the_forms_that_tools_print() {
        for text in [
            "0x0002c90300001039",
            "0002C90300001039",
            "00:02:c9:03:00:00:10:39",
            "00-02-c9-03-00-00-10-39",
            "0002:c903:0000:1039",
        ] {
            let guid: PortGuid = text.parse().unwrap();
            assert_eq!(guid.to_string(), "00:02:c9:03:00:00:10:39", "{text}");
            let expected = "00:02:c9:00:10:39".parse().unwrap();
            assert_eq!(guid.ethernet_address(), expected);
        }
        for text in [
            "",
            "0x",
            "0x0002c903000010",
            "00:02:c9:00:10:39",
            "0000000000000000",
            "00:02c9:0300001039",
            "0002c9030000103g",
        ] {
            assert!(text.parse::<PortGuid>().is_err(), "{text}");
        }
    }
}
