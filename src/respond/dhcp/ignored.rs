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
            Self::NotARequest => f.write_str("it is a server's message"),
            Self::MessageType(None) => f.write_str("it is BOOTP without a DHCP message type"),
            Self::MessageType(Some(other)) => write!(f, "clients do not send {other:?}"),
            Self::HardwareAddress(seen) => {
                write!(f, "`chaddr` holds `{seen}`, which is no Ethernet address")
            }
            Self::NoNetwork(None) => f.write_str("its interface has no network in the inventory"),
            Self::NoNetwork(Some(link)) => write!(
                f,
                "the relay's `{link}` lies in no network of the inventory"
            ),
            Self::UnlistedRelay { relay, claim } => write!(
                f,
                "relay `{relay}` uses {claim}, and no network lists it; if it is your relay, add it \
                 to `relays` of its networks"
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
                "relay `{relay}` is listed by `{first}` and `{second}`, and selects neither by option \
                 82.5 or 118"
            ),
            Self::Source(why) => why.fmt(f),
            Self::UnknownMachine => f.write_str(
                "the machine is not in the inventory, and the site says `unknown: ignore`",
            ),
            Self::NoPool(network) => {
                write!(
                    f,
                    "no address is reserved for it on `{network}`, which has no pool"
                )
            }
            Self::PoolExhausted(network) => {
                write!(f, "every address of the pool of `{network}` is taken")
            }
            Self::OtherServer(server) => write!(f, "it chose the server {server}"),
            Self::NeverAnswered => f.write_str("such a message gets no answer"),
            Self::AddressesElsewhere(network) => {
                write!(f, "another server owns the addresses of `{network}`")
            }
            Self::NoNetworkBoot(network) => write!(
                f,
                "another server owns the addresses of `{network}`, and it does not boot from the network"
            ),
            Self::NoProxy(network) => write!(
                f,
                "port 4011 serves `mode: proxy` only, and we own the addresses of `{network}`"
            ),
            Self::NothingToBoot(why) | Self::Filtered(why) => f.write_str(why),
        }
    }
}
