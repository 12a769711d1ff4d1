use std::fmt;
use std::net::Ipv4Addr;

use crate::respond::access::AccessRefusal;
use crate::wire::dhcp::MessageType;

/// Why a DHCP message gets no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IgnoreReason {
    /// A server sent the message.
    NotARequest,
    /// The message is BOOTP, not DHCP, or has a type that only servers send.
    MessageType(Option<MessageType>),
    /// `chaddr` does not contain a unicast Ethernet address.
    HardwareAddress(String),
    /// An InfiniBand client sends no port GUID in its client identifier, whose bytes these are.
    NoPortGuid(Option<String>),
    /// The message did not come from a network of the inventory.
    NoNetwork(Option<Ipv4Addr>),
    /// A relay that no network lists uses an option that only a listed relay may use.
    UnlistedRelay {
        /// Its `giaddr`.
        relay: Ipv4Addr,
        /// The option that it uses.
        claim: RelayClaim,
    },
    /// The network does not accept requests of the relay.
    RelayNotAccepted {
        /// Its `giaddr`.
        relay: Ipv4Addr,
        /// The network.
        network: String,
    },
    /// Several networks list the relay, and the relay does not select a network.
    AmbiguousRelay {
        /// Its `giaddr`.
        relay: Ipv4Addr,
        /// Two of the networks.
        networks: [String; 2],
    },
    /// The reply would go to an address that is not served.
    Source(AccessRefusal),
    /// A filter of the site or the network refuses the client, for this reason.
    Filtered(String),
    /// The site does not answer machines outside the inventory.
    UnknownMachine,
    /// The network has no pool.
    NoPool(String),
    /// The pool has no free address.
    PoolExhausted(String),
    /// The message is meant for another server.
    OtherServer(Ipv4Addr),
    /// Messages of this type are never answered: RELEASE and DECLINE.
    NeverAnswered,
    /// The message is about an address, and another server owns the addresses of the network.
    AddressesElsewhere(String),
    /// Another server owns the addresses of the network, and the client does not boot from it.
    NoNetworkBoot(String),
    /// This server owns the addresses of the network, so port 4011 is not needed.
    NoProxy(String),
    /// Another server owns the addresses, and there is nothing to boot for the client, for this reason.
    NothingToBoot(String),
}

/// An option that only a relay listed in the inventory may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayClaim {
    /// The subnet of the client, RFC 3527.
    LinkSelection,
    /// The subnet to choose an address from, RFC 3011.
    SubnetSelection,
    /// The address by which the client knows the server, RFC 5107.
    ServerOverride,
}

impl fmt::Display for IgnoreReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARequest => f.write_str("the message is from a server"),
            Self::MessageType(None) => {
                f.write_str("the message is BOOTP, without a DHCP message type")
            }
            Self::MessageType(Some(other)) => write!(f, "clients do not send {other:?}"),
            Self::HardwareAddress(address) => {
                write!(f, "`chaddr` is `{address}`, not a unicast Ethernet address")
            }
            Self::NoPortGuid(None) => f.write_str(
                "the client is on an InfiniBand network, and sends no client identifier (61)",
            ),
            Self::NoPortGuid(Some(identifier)) => write!(
                f,
                "the client is on an InfiniBand network, and its client identifier (61) `{identifier}` \
                 contains no port GUID"
            ),
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

impl fmt::Display for RelayClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkSelection => "link selection (82.5)",
            Self::SubnetSelection => "subnet selection (118)",
            Self::ServerOverride => "a server identifier override (82.11)",
        })
    }
}
