use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::diagnostic::Diagnostic;
use super::reader::Reader;
use super::tree::{Node, Value};

/// The shortest prefix of a block that `validate` accepts without a warning.
const SHORTEST_PREFIX: u8 = 8;

/// One IPv4 address, or all addresses of a subnet: an entry of `relays`, `server.allow` and
/// `server.trusted_proxies`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AddressBlock {
    address: Ipv4Addr,
    prefix: u8,
}

impl AddressBlock {
    /// Reports whether the block contains the address.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.address.to_bits()
    }

    /// Returns the number of addresses.
    fn size(self) -> u64 {
        1 << (32 - self.prefix)
    }
}

/// Returns the netmask of a prefix of 0 to 32 bits.
fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

/// The error of a text that is not an address or a subnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAddressBlockError {
    /// Not of the form `address` or `address/prefix`, with a prefix of 0 to 32.
    #[error("`{0}` is not an address or a subnet")]
    Form(String),
    /// Bits beyond the prefix are set.
    #[error("`{seen}` has bits beyond its prefix; the subnet is `{meant}`")]
    HostBits {
        /// The text.
        seen: String,
        /// The subnet that contains the address.
        meant: AddressBlock,
    },
    /// The address is a broadcast or multicast address, or `0.0.0.0`.
    #[error("`{0}` cannot be the address of a machine")]
    NoMachine(Ipv4Addr),
}

impl FromStr for AddressBlock {
    type Err = ParseAddressBlockError;

    fn from_str(text: &str) -> Result<Self, ParseAddressBlockError> {
        let seen = || text.chars().take(40).collect();
        let form = || ParseAddressBlockError::Form(seen());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, prefix.parse().map_err(|_| form())?),
            None => (text, 32),
        };
        let address: Ipv4Addr = address.parse().map_err(|_| form())?;
        if prefix > 32 {
            return Err(form());
        }
        let no_machine =
            address.is_unspecified() || address.is_broadcast() || address.is_multicast();
        if prefix == 32 && no_machine {
            return Err(ParseAddressBlockError::NoMachine(address));
        }
        let meant = Self {
            address: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)),
            prefix,
        };
        if meant.address != address {
            return Err(ParseAddressBlockError::HostBits {
                seen: seen(),
                meant,
            });
        }
        Ok(meant)
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix {
            32 => write!(f, "{}", self.address),
            prefix => write!(f, "{}/{prefix}", self.address),
        }
    }
}

impl fmt::Debug for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<AddressBlock> for String {
    fn from(block: AddressBlock) -> Self {
        block.to_string()
    }
}

impl TryFrom<String> for AddressBlock {
    type Error = ParseAddressBlockError;

    fn try_from(text: String) -> Result<Self, ParseAddressBlockError> {
        text.parse()
    }
}

/// The permission that a list of addresses grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Relay DHCP requests of a network's machines.
    Relay,
    /// Fetch scripts, seeds and files.
    Client,
    /// State the source address of an HTTP request.
    Proxy,
}

/// Reads a list of addresses and subnets, and warns of a block that trusts too many addresses.
pub(super) fn read_blocks(
    reader: &mut Reader,
    node: &Node,
    trust: Trust,
) -> Option<Vec<AddressBlock>> {
    if trust == Trust::Relay && matches!(&node.value, Value::Sequence(items) if items.is_empty()) {
        let help = "list the addresses of the relays, or remove this line";
        return reader.refuse("wrong-value", node.span, "`relays` is empty", help);
    }
    reader.items(node, |reader, node| {
        let expected = "an address such as `10.22.0.1` or a subnet such as `10.22.0.0/24`";
        let block: AddressBlock = reader.parsed(node, expected)?;
        if block.prefix < SHORTEST_PREFIX {
            let size = block.size();
            let (code, message, help) = match trust {
                Trust::Relay => (
                    "open-relays",
                    format!("`{block}` accepts any of {size} addresses as a relay"),
                    "list the addresses of your relays, as they appear in `giaddr`",
                ),
                Trust::Client => (
                    "open-access",
                    format!("`{block}` opens scripts, seeds and files to {size} addresses"),
                    "list only the addresses and subnets that need access",
                ),
                Trust::Proxy => (
                    "open-proxies",
                    format!("`{block}` lets any of {size} addresses claim another source address"),
                    "list the addresses of your proxies",
                ),
            };
            reader.report(Diagnostic::warning(code, node.span, message).help(help));
        }
        Some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tree;

    #[test]
    fn blocks_are_one_address_or_a_whole_subnet() {
        for text in ["10.20.0.1", "10.20.0.0/24", "10.20.0.0/31", "0.0.0.0/0"] {
            let block: AddressBlock = text.parse().unwrap();
            assert_eq!(block.to_string(), text);
        }
        let fault = |text: &str| text.parse::<AddressBlock>().unwrap_err().to_string();
        assert_eq!(
            fault("10.20.0.7/24"),
            "`10.20.0.7/24` has bits beyond its prefix; the subnet is `10.20.0.0/24`"
        );
        for text in ["10.20.0", "10.20.0.0/33", "10.20.0.0/", "boot", "fd00::1"] {
            assert_eq!(
                fault(text),
                format!("`{text}` is not an address or a subnet")
            );
        }
        for text in ["0.0.0.0", "255.255.255.255", "224.0.0.1"] {
            let expected = format!("`{text}` cannot be the address of a machine");
            assert_eq!(fault(text), expected);
        }
    }

    #[test]
    fn a_block_contains_exactly_its_subnet() {
        let contains = |block: &str, address: &str| {
            let block: AddressBlock = block.parse().unwrap();
            block.contains(address.parse().unwrap())
        };
        for (block, address, expected) in [
            ("10.20.0.1", "10.20.0.1", true),
            ("10.20.0.1", "10.20.0.2", false),
            ("10.20.0.0/24", "10.20.0.255", true),
            ("10.20.0.0/24", "10.20.1.0", false),
            ("0.0.0.0/0", "192.0.2.1", true),
        ] {
            assert_eq!(contains(block, address), expected, "{block} {address}");
        }
    }

    /// Reads a list, and returns its blocks and diagnostics, as `severity code: message`.
    fn read(text: &str, trust: Trust) -> (Option<Vec<AddressBlock>>, Vec<String>) {
        let mut diagnostics = Vec::new();
        let node = tree::parse(0, text, &mut diagnostics).remove(0);
        let mut reader = Reader { diagnostics };
        let blocks = read_blocks(&mut reader, &node, trust);
        let messages = reader.diagnostics.iter();
        let messages = messages.map(|it| format!("{} {}: {}", it.severity, it.code, it.message));
        (blocks, messages.collect())
    }

    #[test]
    fn every_error_of_a_list_is_reported() {
        let (blocks, seen) = read("[10.22.0.1, boot, 10.22.0.1/24]", Trust::Relay);
        assert_eq!(blocks, Some(vec!["10.22.0.1".parse().unwrap()]));
        let expected = [
            "error wrong-value: `boot` is not an address or a subnet",
            "error wrong-value: `10.22.0.1/24` has bits beyond its prefix; the subnet is `10.22.0.0/24`",
        ];
        assert_eq!(seen, expected);
        let (_, seen) = read("[]", Trust::Relay);
        assert_eq!(seen, ["error wrong-value: `relays` is empty"]);
        assert_eq!(read("[]", Trust::Client), (Some(vec![]), vec![]));
    }

    #[test]
    fn a_block_of_nearly_all_addresses_is_a_warning() {
        for (trust, expected) in [
            (
                Trust::Relay,
                "warning open-relays: `0.0.0.0/0` accepts any of 4294967296 addresses as a relay",
            ),
            (
                Trust::Client,
                "warning open-access: `0.0.0.0/0` opens scripts, seeds and files to 4294967296 \
                 addresses",
            ),
            (
                Trust::Proxy,
                "warning open-proxies: `0.0.0.0/0` lets any of 4294967296 addresses claim another \
                 source address",
            ),
        ] {
            assert_eq!(read("[0.0.0.0/0]", trust).1, [expected]);
            assert_eq!(read("[128.0.0.0/1]", trust).1.len(), 1);
            assert!(read("[10.0.0.0/8, 10.1.0.0/16]", trust).1.is_empty());
        }
    }
}
