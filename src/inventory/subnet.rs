use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 subnet in CIDR notation, such as `10.20.0.0/24`.
///
/// The prefix has 8 to 30 bits: edk2 rejects the mask of a /31, and no machine boots in a /32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    address: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// Returns the network's own address.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Returns the length of the prefix in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Returns the netmask.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX << (32 - self.prefix))
    }

    /// Returns the directed broadcast address.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask().to_bits())
    }

    /// Reports whether the subnet contains the address.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask().to_bits() == self.address.to_bits()
    }

    /// Reports whether a machine can have the address: it is in the subnet, and neither the first nor the
    /// last address.
    pub fn is_host(self, address: Ipv4Addr) -> bool {
        self.contains(address) && address != self.address && address != self.broadcast()
    }
}

/// The error of a text that is not a usable subnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSubnetError {
    /// Not of the form `address/prefix`.
    #[error("`{0}` is not a subnet")]
    Form(String),
    /// Bits beyond the prefix are set.
    #[error("`{seen}` has bits beyond its prefix; the subnet is `{network}`")]
    HostBits {
        /// The text.
        seen: String,
        /// The subnet that contains the address.
        network: Subnet,
    },
    /// The prefix is out of range.
    #[error("the prefix /{0} is not usable: it must be /8 to /30")]
    Prefix(u8),
}

impl FromStr for Subnet {
    type Err = ParseSubnetError;

    fn from_str(text: &str) -> Result<Self, ParseSubnetError> {
        let form = || ParseSubnetError::Form(text.chars().take(40).collect());
        let (address, prefix) = text.split_once('/').ok_or_else(form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| form())?;
        let prefix: u8 = prefix.parse().map_err(|_| form())?;
        if !(8..=30).contains(&prefix) {
            return Err(ParseSubnetError::Prefix(prefix));
        }
        let mask = u32::MAX << (32 - prefix);
        let network = Self {
            address: Ipv4Addr::from_bits(address.to_bits() & mask),
            prefix,
        };
        if network.address != address {
            return Err(ParseSubnetError::HostBits {
                seen: text.to_owned(),
                network,
            });
        }
        Ok(network)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = ParseSubnetError;

    fn try_from(text: String) -> Result<Self, ParseSubnetError> {
        text.parse()
    }
}

/// A range of IPv4 addresses, both ends included, such as `10.20.0.200-10.20.0.250`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AddressRange(RangeInclusive<u32>);

impl AddressRange {
    /// Returns the first address.
    pub fn first(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(*self.0.start())
    }

    /// Returns the last address.
    pub fn last(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(*self.0.end())
    }

    /// Reports whether the range contains the address.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.0.contains(&address.to_bits())
    }

    /// Lists the addresses, from the first to the last.
    pub fn iter(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        self.0.clone().map(Ipv4Addr::from_bits)
    }
}

/// The error of a text that is not an address range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not an address range")]
pub struct ParseAddressRangeError {
    seen: String,
}

impl FromStr for AddressRange {
    type Err = ParseAddressRangeError;

    fn from_str(text: &str) -> Result<Self, ParseAddressRangeError> {
        let address = |text: &str| text.trim().parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
        text.split_once('-')
            .and_then(|(first, last)| Some(address(first)?..=address(last)?))
            .filter(|range| !range.is_empty())
            .map(Self)
            .ok_or_else(|| ParseAddressRangeError {
                seen: text.chars().take(60).collect(),
            })
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        format!("{}-{}", range.first(), range.last())
    }
}

impl TryFrom<String> for AddressRange {
    type Error = ParseAddressRangeError;

    fn try_from(text: String) -> Result<Self, ParseAddressRangeError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::inventory::site_builder::parse_text;

    #[test]
    fn subnets_know_their_mask_and_members() {
        let subnet: Subnet = "10.20.0.0/24".parse().unwrap();
        assert_eq!(subnet.mask(), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(subnet.broadcast(), Ipv4Addr::new(10, 20, 0, 255));
        assert!(subnet.is_host(Ipv4Addr::new(10, 20, 0, 1)));
        for address in ["10.20.0.0", "10.20.0.255", "10.20.1.1"] {
            assert!(!subnet.is_host(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn unusable_subnets_are_refused() {
        assert!(matches!(
            "10.20.0.7/24".parse::<Subnet>(),
            Err(ParseSubnetError::HostBits { .. })
        ));
        for text in [
            "10.20.0.0",
            "10.20.0.0/31",
            "10.20.0.0/0",
            "10.20.0.0/33",
            "x/24",
            "10.20.0.0/-1",
        ] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_include_both_ends() {
        let range: AddressRange = "10.0.0.1-10.0.0.3".parse().unwrap();
        assert_eq!(range.iter().count(), 3);
        assert!("10.0.0.3-10.0.0.1".parse::<AddressRange>().is_err());
        assert!("10.0.0.3".parse::<AddressRange>().is_err());
    }

    /// Returns the warnings about a site with these keys in `server` and its network.
    fn warnings(server: &str, network: &str) -> Vec<String> {
        let text = format!(
            "{{kind: Site, name: s, server: {{address: 10.20.0.10{server}}}, loaders: {{}}, \
             networks: [{{name: prov0, {network}}}]}}"
        );
        let parsed = parse_text(text);
        let found = parsed.diagnostics.iter();
        found
            .map(|found| format!("{}: {}: {}", found.severity, found.code, found.message))
            .collect()
    }

    #[test]
    fn a_network_without_a_route_to_the_server_is_a_warning() {
        let no_route = "warning: no-gateway: machines on network `prov0` have no route to the server: \
                      `10.20.0.10` is not in `10.30.0.0/24`";
        let no_name = "warning: no-dns: machines on network `prov0` have no DNS server, but `base_url` \
                       contains the name `boot.example`";
        let own = "subnet: 10.20.0.0/24";
        let named = ", base_url: 'http://boot.example:8080/x'";
        for (server, network, expected) in [
            ("", own, &[][..]),
            ("", "subnet: 10.30.0.0/24", &[no_route]),
            ("", "subnet: 10.30.0.0/24, gateway: 10.30.0.1", &[]),
            ("", "subnet: 10.30.0.0/24, mode: proxy", &[]),
            (named, own, &[no_name]),
            (named, "subnet: 10.20.0.0/24, dns: [10.20.0.11]", &[]),
            (", base_url: 'http://10.20.0.10:8080/x'", own, &[]),
            (", base_url: 'http://[fd00::1]/x'", own, &[]),
        ] {
            assert_eq!(warnings(server, network), expected, "{server} {network}");
        }
    }

    #[test]
    fn masks_that_firmware_rejects_are_refused() {
        for prefix in [31, 32] {
            let seen = warnings("", &format!("subnet: 10.20.0.10/{prefix}"));
            let expected = "must be /8 to /30";
            assert!(seen.iter().any(|it| it.contains(expected)), "{seen:?}");
        }
    }
}
