use std::fmt;
use std::net::Ipv4Addr;

use super::RelayClaim;
use crate::respond::access::AccessRefusal;
use crate::wire::dhcp::MessageType;

/// Why a message gets no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// It is a server's.
    NotARequest,
    /// It is no DHCP message (BOOTP), or of a type that only servers send.
    MessageType(Option<MessageType>),
    /// `chaddr` holds no Ethernet address.
    HardwareAddress(String),
    /// It came in where no network of the inventory is.
    NoNetwork(Option<Ipv4Addr>),
    /// A relay that no network lists says what only a listed one may say.
    UnlistedRelay {
        /// Its `giaddr`.
        relay: Ipv4Addr,
        /// What it says.
        claim: RelayClaim,
    },
    /// The network does not accept requests of the relay.
    RelayNotAccepted {
        /// Its `giaddr`.
        relay: Ipv4Addr,
        /// The network.
        network: String,
    },
    /// Several networks list the relay, and it does not say which one it means.
    AmbiguousRelay {
        /// Its `giaddr`.
        relay: Ipv4Addr,
        /// Two of the networks.
        networks: [String; 2],
    },
    /// Its answer would go to an address that is not served.
    Source(AccessRefusal),
    /// A filter of the site or the network refuses it, because of this.
    Filtered(String),
    /// The site does not answer machines that it does not know.
    UnknownMachine,
    /// The network has no pool.
    NoPool(String),
    /// Every address of the pool is taken.
    PoolExhausted(String),
    /// It answers another server.
    OtherServer(Ipv4Addr),
    /// Such a message is never answered: a RELEASE or a DECLINE.
    NeverAnswered,
    /// It is about an address, and another server owns those of the network.
    AddressesElsewhere(String),
    /// Another server owns the addresses of the network, and the client does not boot from it.
    NoNetworkBoot(String),
    /// We own the addresses of the network, so nobody need ask on port 4011.
    NoProxy(String),
    /// Another server owns the addresses, and we have nothing to boot for it, because of this.
    NothingToBoot(String),
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARequest => f.write_str("the message is from a server"),
            Self::MessageType(None) => {
                f.write_str("the message is BOOTP, without a DHCP message type")
            }
            Self::MessageType(Some(other)) => write!(f, "clients do not send {other:?}"),
            Self::HardwareAddress(seen) => {
                write!(f, "`chaddr` is `{seen}`, not a unicast Ethernet address")
            }
            Self::NoNetwork(None) => {
                f.write_str("the request did not come from a network in the inventory")
            }
            Self::NoNetwork(Some(link)) => write!(
                f,
                "relay address or subnet `{link}` is not in any network of the inventory"
            ),
            Self::UnlistedRelay { relay, claim } => write!(
                f,
                "relay `{relay}` uses {claim}, but no network lists the relay; if it is your relay, \
                 add it to `relays` of its networks"
            ),
            Self::RelayNotAccepted { relay, network } => write!(
                f,
                "network `{network}` does not accept relay `{relay}`; if it is your relay, add it to \
                 `relays` of `{network}`"
            ),
            Self::AmbiguousRelay {
                relay,
                networks: [first, second],
            } => write!(
                f,
                "networks `{first}` and `{second}` both list relay `{relay}`, which selects neither \
                 with option 82.5 or 118"
            ),
            Self::Source(why) => why.fmt(f),
            Self::UnknownMachine => f.write_str(
                "the machine is not in the inventory, and the site has `unknown: ignore`",
            ),
            Self::NoPool(network) => {
                write!(
                    f,
                    "network `{network}` has no pool, and no address is reserved for the machine"
                )
            }
            Self::PoolExhausted(network) => {
                write!(f, "the pool of network `{network}` has no free address")
            }
            Self::OtherServer(server) => write!(f, "the client chose server {server}"),
            Self::NeverAnswered => f.write_str("messages of this type get no reply"),
            Self::AddressesElsewhere(network) => {
                write!(
                    f,
                    "another DHCP server owns the addresses of network `{network}`"
                )
            }
            Self::NoNetworkBoot(network) => write!(
                f,
                "another DHCP server owns the addresses of network `{network}`, and the client does \
                 not boot from the network"
            ),
            Self::NoProxy(network) => write!(
                f,
                "port 4011 serves only networks with `mode: proxy`, and this server owns the addresses \
                 of network `{network}`"
            ),
            Self::NothingToBoot(why) | Self::Filtered(why) => f.write_str(why),
        }
    }
}
