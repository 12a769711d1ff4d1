use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The SMBIOS system UUID, sixteen octets in the order in which it is printed.
///
/// On the wire (DHCP option 97) the first three fields are little-endian, and some vendors swap
/// them once more, so two values are compared with [`SystemUuid::same_machine`].
/// Source: SMBIOS 3.6 §7.2.1; RFC 4578 §2.3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SystemUuid([u8; 16]);

impl SystemUuid {
    /// Reads the sixteen octets of DHCP option 97 after its type octet: first three fields
    /// little-endian.
    pub fn from_wire(octets: [u8; 16]) -> Self {
        Self(octets).swapped()
    }

    /// Returns the octets as DHCP option 97 carries them: first three fields little-endian.
    pub fn to_wire(self) -> [u8; 16] {
        self.swapped().0
    }

    /// Returns the octets in printed order.
    pub fn octets(self) -> [u8; 16] {
        self.0
    }

    /// Returns the value with the octets of its first three fields reversed.
    pub fn swapped(self) -> Self {
        let mut octets = self.0;
        octets[0..4].reverse();
        octets[4..6].reverse();
        octets[6..8].reverse();
        Self(octets)
    }

    /// Reports whether two values name the same machine, in either octet order.
    pub fn same_machine(self, other: Self) -> bool {
        self == other || self.swapped() == other
    }

    /// Returns the lesser of the two octet orders: one key for values that may be swapped.
    pub fn order_free(self) -> Self {
        self.min(self.swapped())
    }

    /// Reports whether the value is one that vendors leave in place of a real one: all zeros, all
    /// ones, or the well-known `03000200-0400-0500-0006-000700080009`.
    pub fn is_placeholder(self) -> bool {
        const AMI: SystemUuid = SystemUuid([3, 0, 2, 0, 4, 0, 5, 0, 0, 6, 0, 7, 0, 8, 0, 9]);
        self.0 == [0; 16] || self.0 == [0xff; 16] || self.same_machine(AMI)
    }
}

/// The text is no UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a UUID such as `11111111-2222-3333-4444-555555555555`")]
pub struct ParseUuidError {
    seen: String,
}

impl FromStr for SystemUuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        parse_octets(text).map(Self).ok_or_else(|| ParseUuidError {
            seen: text.chars().take(64).collect(),
        })
    }
}

fn parse_octets(text: &str) -> Option<[u8; 16]> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let bytes = text.as_bytes();
    let hyphenated = match bytes.len() {
        36 if HYPHENS.iter().all(|&at| bytes[at] == b'-') => true,
        32 => false,
        _ => return None,
    };
    let mut octets = [0; 16];
    let mut at = 0;
    for octet in &mut octets {
        if hyphenated && HYPHENS.contains(&at) {
            at += 1;
        }
        let digit = |at: usize| char::from(bytes[at]).to_digit(16);
        *octet = (digit(at)? * 16 + digit(at + 1)?) as u8;
        at += 2;
    }
    Some(octets)
}

impl fmt::Display for SystemUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            let hyphen = if matches!(index, 4 | 6 | 8 | 10) {
                "-"
            } else {
                ""
            };
            write!(f, "{hyphen}{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SystemUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<SystemUuid> for String {
    fn from(uuid: SystemUuid) -> Self {
        uuid.to_string()
    }
}

impl TryFrom<String> for SystemUuid {
    type Error = ParseUuidError;

    fn try_from(text: String) -> Result<Self, ParseUuidError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00112233-4455-6677-8899-aabbccddeeff";

    #[test]
    fn the_wire_order_swaps_the_first_three_fields() {
        let uuid: SystemUuid = TEXT.parse().unwrap();
        assert_eq!(uuid.to_string(), TEXT);
        assert_eq!(
            uuid.to_wire()[..8],
            [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]
        );
        assert_eq!(SystemUuid::from_wire(uuid.to_wire()), uuid);
    }

    #[test]
    fn a_swapped_uuid_is_the_same_machine() {
        let uuid: SystemUuid = TEXT.parse().unwrap();
        assert!(uuid.same_machine(uuid.swapped()));
        assert_eq!(uuid.order_free(), uuid.swapped().order_free());
        assert!(!uuid.same_machine("00112233-4455-6677-8899-aabbccddeefe".parse().unwrap()));
    }

    #[test]
    fn placeholders_are_known_in_either_order() {
        for text in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "00020003-0004-0005-0006-000700080009",
        ] {
            assert!(
                text.parse::<SystemUuid>().unwrap().is_placeholder(),
                "{text}"
            );
        }
        assert!(!TEXT.parse::<SystemUuid>().unwrap().is_placeholder());
    }

    #[test]
    fn malformed_uuids_are_refused() {
        for text in [
            "",
            "0011",
            "00112233-4455-6677-8899-aabbccddeefg",
            "00112233445566-77-8899-aabbccddeeff0",
        ] {
            assert!(text.parse::<SystemUuid>().is_err(), "{text}");
        }
    }
}
