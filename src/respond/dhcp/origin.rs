use std::net::Ipv4Addr;

use super::filter;
use super::ignore_reason::IgnoreReason;
use super::link::{Ingress, link};
use crate::inventory::{DhcpMode, Host, Inventory, Network, Nic};
use crate::machine::{MacAddress, PortGuid};
use crate::wire::dhcp::{DhcpMessage, Operation};

/// The sender of a request, and the network that the request is for.
#[derive(Clone, Copy, Debug)]
pub struct RequestOrigin<'a> {
    /// The client's Ethernet address; where `chaddr` holds a GUID, that of the host's boot interface.
    pub mac: MacAddress,
    /// The host and interface with this Ethernet address, on any network.
    pub known: Option<(&'a Host, &'a Nic)>,
    /// The client's network.
    pub network: &'a Network,
    /// The address by which the client knows this server.
    pub server: Ipv4Addr,
}

impl<'a> RequestOrigin<'a> {
    /// Determines the Ethernet address and the network of a message whose sender is `known`, as
    /// [`known_sender`] finds it.
    ///
    /// # Errors
    /// Fails when the message must not be answered.
    pub fn find(
        inventory: &'a Inventory,
        ingress: Ingress<'_>,
        message: &DhcpMessage,
        known: Option<(&'a Host, &'a Nic)>,
    ) -> Result<Self, IgnoreReason> {
        if message.operation != Operation::Request {
            return Err(IgnoreReason::NotARequest);
        }
        let mac = mac_of(message, known)
            .filter(|mac| mac.is_unicast())
            .ok_or_else(|| no_address(message))?;
        let link = link(&inventory.site, ingress, message)?;
        let network = link.network;
        // Source: RFC 5107 §4: the relay may name an address by which the client knows us. A proxy
        // gets its requests on port 4011, where no relay listens.
        let server = link
            .server_override
            .filter(|_| network.mode == DhcpMode::Authoritative)
            .unwrap_or(ingress.address);
        Ok(Self {
            mac,
            known,
            network,
            server,
        })
    }

    /// Checks the filters of the site and the network.
    ///
    /// # Errors
    /// Fails when a filter refuses the client.
    pub fn check_filters(
        &self,
        inventory: &Inventory,
        message: &DhcpMessage,
    ) -> Result<(), IgnoreReason> {
        let mut filters = [&inventory.site.filter, &self.network.filter].into_iter();
        match filters.find_map(|it| filter::refuses(it, self.mac, &message.options)) {
            Some(why) => Err(IgnoreReason::Filtered(why)),
            None => Ok(()),
        }
    }
}

fn no_address(message: &DhcpMessage) -> IgnoreReason {
    if !message.is_infiniband() {
        return IgnoreReason::HardwareAddress(message.hardware_address.to_string());
    }
    let identifier = message.options.client_identifier();
    IgnoreReason::NoPortGuid(identifier.map(|bytes| {
        let shown = &bytes[..bytes.len().min(40)];
        data_encoding::HEXLOWER.encode(shown)
    }))
}

/// Finds the host and interface that sent a message: an InfiniBand port by its GUID, another interface by its
/// Ethernet address. If firmware put the machine's GUID into `chaddr`, the interface is the boot NIC.
pub fn known_sender<'a>(
    inventory: &'a Inventory,
    message: &DhcpMessage,
) -> Option<(&'a Host, &'a Nic)> {
    let guid = message.port_guid();
    if let Some(found) = guid.and_then(|guid| inventory.nic_by_guid(guid)) {
        return Some(found);
    }
    let host = inventory.host_by_hardware(message.hardware_address)?;
    let nic = match message.hardware_address.mac() {
        Some(mac) => host.nic(mac),
        None => host.nics.iter().find(|nic| nic.boot),
    };
    // The Ethernet address that stands for a port is shorter than its GUID, so another port may have it.
    let nic = nic.filter(|nic| nic.guid.is_none() || guid.is_none() || nic.guid == guid);
    Some((host, nic?))
}

/// Returns the Ethernet address of the sender: that of its known interface, else that in `chaddr`, else the one
/// that stands for its InfiniBand port.
pub fn mac_of(message: &DhcpMessage, known: Option<(&Host, &Nic)>) -> Option<MacAddress> {
    known
        .map(|(_, nic)| nic.mac)
        .or_else(|| message.hardware_address.mac())
        .or_else(|| message.port_guid().map(PortGuid::ethernet_address))
}
