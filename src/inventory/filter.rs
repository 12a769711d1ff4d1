use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::reader::Reader;
use super::tree::Node;
use crate::machine::MacAddress;

/// The clients that DHCP does not answer, even if they are in the inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Clients that match one of these patterns are ignored.
    pub ignore: ClientPatterns,
    /// Only clients that match a pattern of each non-empty list are answered.
    pub only: ClientPatterns,
}

/// Patterns for the values that clients send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPatterns {
    /// Prefixes of the vendor class (option 60).
    pub vendor_classes: Vec<String>,
    /// Prefixes of the Ethernet address.
    pub ouis: Vec<Oui>,
}

/// The first three bytes of an Ethernet address, which identify the manufacturer.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Oui([u8; 3]);

impl Oui {
    /// Reports whether an Ethernet address starts with this OUI.
    pub fn made(self, mac: MacAddress) -> bool {
        mac.octets().starts_with(&self.0)
    }
}

/// The error of a text that is not an OUI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not the first three bytes of an Ethernet address")]
pub struct ParseOuiError {
    seen: String,
}

impl FromStr for Oui {
    type Err = ParseOuiError;

    fn from_str(text: &str) -> Result<Self, ParseOuiError> {
        let octet = |text: &str| {
            let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
            (text.len() == 2 && is_hexadecimal).then(|| u8::from_str_radix(text, 16).ok())?
        };
        let octets: Option<Vec<u8>> = text.split([':', '-']).map(octet).collect();
        octets
            .and_then(|octets| octets.try_into().ok())
            .map(Self)
            .ok_or_else(|| ParseOuiError {
                seen: text.chars().take(40).collect(),
            })
    }
}

impl fmt::Display for Oui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}")
    }
}

impl fmt::Debug for Oui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Oui> for String {
    fn from(oui: Oui) -> Self {
        oui.to_string()
    }
}

impl TryFrom<String> for Oui {
    type Error = ParseOuiError;

    fn try_from(text: String) -> Result<Self, ParseOuiError> {
        text.parse()
    }
}

/// Reads `filter`.
pub(super) fn read_filter(reader: &mut Reader, node: &Node) -> Option<Filter> {
    let mut fields = reader.fields(node, "`filter`")?;
    let ignore = fields.optional(reader, "ignore", read_patterns);
    let only = fields.optional(reader, "only", read_patterns);
    fields.finish(reader);
    Some(Filter {
        ignore: ignore.unwrap_or_default(),
        only: only.unwrap_or_default(),
    })
}

fn read_patterns(reader: &mut Reader, node: &Node) -> Option<ClientPatterns> {
    let mut fields = reader.fields(node, "these clients")?;
    let classes = fields.optional(reader, "vendor_classes", |reader, node| {
        reader.items(node, |reader, node| {
            let text = reader.text(node)?;
            if !text.is_empty() {
                return Some(text);
            }
            let message = "an empty vendor class matches every client";
            let help = "write the start of the class, such as `PXEClient`";
            reader.refuse("wrong-value", node.span, message, help)
        })
    });
    let ouis = fields.optional(reader, "ouis", |reader, node| {
        reader.items(node, |r, n| {
            r.parsed(n, "three bytes in quotes: `\"52:54:00\"`")
        })
    });
    fields.finish(reader);
    Some(ClientPatterns {
        vendor_classes: classes.unwrap_or_default(),
        ouis: ouis.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tree;

    #[test]
    fn an_oui_has_three_bytes() {
        let oui: Oui = "52:54:0A".parse().unwrap();
        assert_eq!(oui.to_string(), "52:54:0a");
        assert!(oui.made(MacAddress::new([0x52, 0x54, 0x0a, 1, 2, 3])));
        assert!(!oui.made(MacAddress::new([0x52, 0x54, 0, 0x0a, 2, 3])));
        for text in [
            "52:54",
            "52:54:00:01",
            "52:54:0",
            "52:54:zz",
            "525400",
            "+1:54:00",
            "",
        ] {
            assert!(text.parse::<Oui>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_error_of_a_filter_is_reported() {
        let text = "{ignore: {vendor_classes: [MSFT, ''], ouis: ['52:54:00', 5]}, onyl: {}}";
        let mut diagnostics = Vec::new();
        let node = tree::parse(0, text, &mut diagnostics).remove(0);
        let mut reader = Reader { diagnostics };
        let filter = read_filter(&mut reader, &node).unwrap();
        assert_eq!(filter.ignore.vendor_classes, ["MSFT"]);
        assert_eq!(filter.ignore.ouis, ["52:54:00".parse().unwrap()]);
        let seen: Vec<_> = reader
            .diagnostics
            .iter()
            .map(|found| {
                (
                    found.message.as_str(),
                    found.help.as_deref().unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (
                    "an empty vendor class matches every client",
                    "write the start of the class, such as `PXEClient`"
                ),
                (
                    "`5` is not the first three bytes of an Ethernet address",
                    "write three bytes in quotes: `\"52:54:00\"`"
                ),
                ("unknown key `onyl` in `filter`", "did you mean `only`?"),
            ]
        );
    }
}
