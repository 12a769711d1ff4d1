use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An Ethernet address, six bytes in transmission order.
///
/// Parses `52:54:00:12:34:56`, `52-54-00-12-34-56` and `525400123456` in either case; prints lower
/// case with colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// Wraps six bytes in transmission order.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// Returns the six bytes in transmission order.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Reports whether one interface can own the address: neither a group address nor all zeros.
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }

    /// Prints the address with hyphens, as PXELINUX, `BOOTIF` and our URLs write it.
    pub fn hyphenated(self) -> String {
        self.to_string().replace(':', "-")
    }
}

/// The text is not an Ethernet address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a MAC address such as `52:54:00:12:34:56`")]
pub struct ParseMacError {
    seen: String,
}

impl FromStr for MacAddress {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        parse_octets(text).map(Self).ok_or_else(|| ParseMacError {
            seen: text.chars().take(64).collect(),
        })
    }
}

fn parse_octets(text: &str) -> Option<[u8; 6]> {
    let bytes = text.as_bytes();
    let stride = match bytes.len() {
        17 => 3,
        12 => 2,
        _ => return None,
    };
    if stride == 3 {
        let separator = bytes[2];
        if !matches!(separator, b':' | b'-') || (2..17).step_by(3).any(|at| bytes[at] != separator)
        {
            return None;
        }
    }
    let mut octets = [0; 6];
    for (index, octet) in octets.iter_mut().enumerate() {
        let digit = |at: usize| char::from(bytes[at]).to_digit(16);
        *octet = (digit(index * stride)? * 16 + digit(index * stride + 1)?) as u8;
    }
    Some(octets)
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for MacAddress {
    type Error = ParseMacError;

    fn try_from(text: String) -> Result<Self, ParseMacError> {
        text.parse()
    }
}

/// The value of a DHCP client's `chaddr`: up to sixteen bytes, of which Ethernet uses six.
///
/// edk2 puts a GUID of sixteen bytes there if it has no Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HardwareAddress {
    length: u8,
    octets: [u8; 16],
}

impl HardwareAddress {
    /// Takes the first `length` bytes of a `chaddr` field; a longer length is cut to sixteen.
    pub fn new(length: u8, octets: [u8; 16]) -> Self {
        Self {
            length: length.min(16),
            octets,
        }
    }

    /// Returns the bytes in use.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// Returns all sixteen bytes of the field.
    pub fn field(&self) -> [u8; 16] {
        self.octets
    }

    /// Returns the Ethernet address, where the field holds exactly one.
    pub fn mac(&self) -> Option<MacAddress> {
        <[u8; 6]>::try_from(self.octets()).ok().map(MacAddress)
    }
}

impl From<MacAddress> for HardwareAddress {
    fn from(mac: MacAddress) -> Self {
        let mut octets = [0; 16];
        octets[..6].copy_from_slice(&mac.0);
        Self { length: 6, octets }
    }
}

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.octets().iter().enumerate() {
            write!(f, "{}{octet:02x}", if index > 0 { ":" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_spelling_parses_to_the_same_address() {
        let expected = MacAddress::new([0x52, 0x54, 0, 0x12, 0xab, 0xcd]);
        for text in [
            "52:54:00:12:ab:cd",
            "52-54-00-12-AB-CD",
            "52540012abcd",
            "52:54:00:12:AB:CD",
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!(expected.to_string(), "52:54:00:12:ab:cd");
        assert_eq!(expected.hyphenated(), "52-54-00-12-ab-cd");
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "52:54:00:12:ab",
            "52:54:00:12:ab:cg",
            "52-54:00:12:ab:cd",
            "5254.0012.abcd",
            "é2:54:00:12:ab:c",
        ] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_guid_in_chaddr_is_not_a_mac() {
        assert_eq!(HardwareAddress::new(16, [7; 16]).mac(), None);
        assert_eq!(HardwareAddress::new(255, [7; 16]).octets().len(), 16);
        assert_eq!(
            HardwareAddress::new(6, [7; 16]).mac(),
            Some(MacAddress::new([7; 6]))
        );
    }
}
