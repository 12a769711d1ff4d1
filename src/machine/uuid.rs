use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// UUIDs of documentation.
///
/// Sources: RFC 9562 §4, §5 and appendices A and B; Wikipedia, "Universally unique identifier";
/// DMTF DSP2043, the mockup `public-rackmount1`; libvirt, "Domain XML format".
const EXAMPLES: [&str; 12] = [
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "c232ab00-9414-11ec-b3c8-9f6bdeced846",
    "919108f7-52d1-4320-9bac-f847db4148a8",
    "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "123e4567-e89b-12d3-a456-426614174000",
    "123e4567-e89b-12d3-a456-426655440000",
    "550e8400-e29b-41d4-a716-446655440000",
    "38947555-7742-3448-3784-823347823834",
    "c7a5fdbd-cdaf-9455-926a-d65c16db1809",
    "4dea22b3-1d52-d8f3-2516-782e98ab3fa0",
    "deadbeef-dead-beef-dead-beefdeadbeef",
];

/// The SMBIOS system UUID, sixteen bytes in printed order.
///
/// On the wire (DHCP option 97) the first three fields are little-endian, and some vendors swap
/// them once more, so two values are compared with [`SystemUuid::same_machine`].
/// Source: SMBIOS 3.6 §7.2.1; RFC 4578 §2.3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SystemUuid([u8; 16]);

impl SystemUuid {
    /// Reads the sixteen bytes of DHCP option 97 after its type byte; the first three fields are
    /// little-endian.
    pub fn from_wire(octets: [u8; 16]) -> Self {
        Self(octets).swapped()
    }

    /// Returns the bytes of DHCP option 97; the first three fields are little-endian.
    pub fn to_wire(self) -> [u8; 16] {
        self.swapped().0
    }

    /// Returns the bytes in printed order.
    pub fn octets(self) -> [u8; 16] {
        self.0
    }

    /// Returns the value with the bytes of its first three fields reversed.
    pub fn swapped(self) -> Self {
        let mut octets = self.0;
        octets[0..4].reverse();
        octets[4..6].reverse();
        octets[6..8].reverse();
        Self(octets)
    }

    /// Reports whether two values name the same machine, in either byte order.
    pub fn same_machine(self, other: Self) -> bool {
        self == other || self.swapped() == other
    }

    /// Returns the lesser of the two byte orders: one key for values that may be swapped.
    pub fn order_free(self) -> Self {
        self.min(self.swapped())
    }

    /// Reports whether the value stands in place of a real one, and so tells no machine from others:
    /// what vendors leave there (all zeros, all ones, or the well-known
    /// `03000200-0400-0500-0006-000700080009`), or an example.
    pub fn is_placeholder(self) -> bool {
        const AMI: SystemUuid = SystemUuid([3, 0, 2, 0, 4, 0, 5, 0, 0, 6, 0, 7, 0, 8, 0, 9]);
        self.is_vendor_default() || self.same_machine(AMI) || self.is_example()
    }

    fn is_vendor_default(self) -> bool {
        self.0 == [0; 16] || self.0 == [0xff; 16]
    }

    /// Reports whether the value is an example, in either byte order: one of documentation that is
    /// copied into inventories and firmware ([`EXAMPLES`]), one that counts up from
    /// `12345678-1234` or `01234567-89ab`, or one whose every byte is a digit written twice, such as
    /// `11111111-2222-3333-4444-555555555555` and `00112233-4455-6677-8899-aabbccddeeff`.
    pub fn is_example(self) -> bool {
        let is_doubled = self.0.iter().all(|byte| byte >> 4 == byte & 0xf);
        let counts_up = [self, self.swapped()].iter().any(|it| {
            let starts = |prefix: &[u8]| it.0.starts_with(prefix);
            starts(&[0x12, 0x34, 0x56, 0x78, 0x12, 0x34])
                || starts(&[0x12, 0x34, 0x56, 0x78, 0x90, 0xab])
                || starts(&[0x01, 0x23, 0x45, 0x67, 0x89, 0xab])
        });
        static KNOWN: LazyLock<Vec<SystemUuid>> =
            LazyLock::new(|| EXAMPLES.iter().filter_map(|it| it.parse().ok()).collect());
        let is_known = || KNOWN.iter().any(|example| example.same_machine(self));
        is_doubled && !self.is_vendor_default() || counts_up || is_known()
    }
}

/// The text is not a UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a UUID such as `4c4c4544-0051-3610-8043-c2c04f4b3135`")]
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
            let uuid: SystemUuid = text.parse().unwrap();
            assert!(uuid.is_placeholder() && !uuid.is_example(), "{text}");
        }
    }

    #[test]
    fn examples_are_placeholders_in_either_order_and_real_values_are_not() {
        for text in EXAMPLES.into_iter().chain([
            "11111111-1111-1111-1111-111111111111",
            "11111111-2222-3333-4444-555555555555",
            "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            TEXT,
            "12345678-1234-1234-1234-123456789abc",
            "12345678-1234-5678-90ab-cddeefaabbcc",
            "12345678-90ab-cdef-1234-567890abcdef",
            "01234567-89AB-CDEF-0123-456789ABCDEF",
        ]) {
            let uuid: SystemUuid = text.parse().unwrap();
            assert!(uuid.is_example() && uuid.is_placeholder(), "{text}");
            assert!(uuid.swapped().is_placeholder(), "{text}");
        }
        for text in [
            "4c4c4544-0051-3610-8043-c2c04f4b3135",
            "564d2f8a-91c3-4be7-a6d0-3f1e8c5b7a29",
            "11111111-2222-3333-4444-555555555556",
            "00000000-0000-0000-0000-525400123456",
        ] {
            assert!(
                !text.parse::<SystemUuid>().unwrap().is_placeholder(),
                "{text}"
            );
        }
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
