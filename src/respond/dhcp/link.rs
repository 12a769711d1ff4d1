//! Which network a request is for, and whether its relay may select that network.

use std::net::Ipv4Addr;

use super::ignore_reason::{IgnoreReason, RelayClaim};
use crate::inventory::{Network, Site};
use crate::wire::dhcp::DhcpMessage;

/// The interface on which a message arrived.
#[derive(Clone, Copy, Debug)]
pub struct Ingress<'a> {
    /// The network of the interface; `None` if the message came through a router or a relay.
    pub network: Option<&'a str>,
    /// The address by which machines on the network know this server.
    pub address: Ipv4Addr,
}

/// Where a client is.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The network.
    pub network: &'a Network,
    /// The server address that the relay wants the client to use (82.11).
    pub server_override: Option<Ipv4Addr>,
}

/// Decides which network a request is for.
///
/// The address of the relay is `giaddr`, because the reply goes there: a sender that writes another
/// relay's address gets no reply. The source address of the datagram does not count.
///
/// # Errors
/// When there is no such network, or the network does not accept the relay or its options.
pub fn link<'a>(
    site: &'a Site,
    ingress: Ingress<'_>,
    message: &DhcpMessage,
) -> Result<Link<'a>, IgnoreReason> {
    if !message.relay_address.is_unspecified() {
        return relayed(site, message);
    }
    // A message that came through a router is a renewal: its client address shows the network.
    // Source: RFC 2131 §4.3.2, RENEWING.
    let network = match ingress.network {
        Some(name) => site.network(name),
        None => site.network_of(message.client_address),
    };
    Ok(Link {
        network: network.ok_or(IgnoreReason::NoNetwork(None))?,
        server_override: None,
    })
}

/// Decides which network a relayed request is for: by its link selection (82.5), else by its subnet
/// selection (118), else by `giaddr`.
///
/// Source: RFC 3527 §3; RFC 3011 §2; RFC 5107 §4.
fn relayed<'a>(site: &'a Site, message: &DhcpMessage) -> Result<Link<'a>, IgnoreReason> {
    let (relay, options) = (message.relay_address, &message.options);
    let server_override = options.server_identifier_override();
    let link = options.link_selection();
    // Deviation: RFC 3011 lets any client select a subnet; only relayed messages may.
    let subnet = options.subnet_selection();
    let claims = [
        (RelayClaim::LinkSelection, link),
        (RelayClaim::SubnetSelection, subnet),
        (RelayClaim::ServerOverride, server_override),
    ];
    let claim = claims.iter().find(|(_, value)| value.is_some());
    let is_listed = site.networks.iter().any(|it| it.lists_relay(relay));
    if let (Some((claim, _)), false) = (claim, is_listed) {
        return Err(IgnoreReason::UnlistedRelay {
            relay,
            claim: *claim,
        });
    }
    let network = match link.or(subnet) {
        Some(selected) => site
            .network_of(selected)
            .ok_or(IgnoreReason::NoNetwork(Some(selected)))?,
        None => network_of_relay(site, relay)?,
    };
    if !network.accepts_relay(relay) {
        return Err(IgnoreReason::RelayNotAccepted {
            relay,
            network: network.name.clone(),
        });
    }
    Ok(Link {
        network,
        server_override,
    })
}

/// Finds the network of a relay that does not select one: the network that contains its address, else the
/// only network that lists it.
fn network_of_relay(site: &Site, relay: Ipv4Addr) -> Result<&Network, IgnoreReason> {
    if let Some(network) = site.network_of(relay) {
        return Ok(network);
    }
    let mut listing = site.networks.iter().filter(|it| it.lists_relay(relay));
    match (listing.next(), listing.next()) {
        (Some(network), None) => Ok(network),
        (Some(first), Some(second)) => Err(IgnoreReason::AmbiguousRelay {
            relay,
            networks: [first.name.clone(), second.name.clone()],
        }),
        (None, _) => Err(IgnoreReason::NoNetwork(Some(relay))),
    }
}
