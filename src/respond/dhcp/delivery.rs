use std::net::{Ipv4Addr, SocketAddrV4};

use super::ports::{CLIENT_PORT, SERVER_PORT};
use crate::machine::MacAddress;
use crate::wire::dhcp::{DhcpMessage, MessageType};

/// The destination of a reply. Source: RFC 2131 §4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// To the relay that the request came through.
    Relay(SocketAddrV4),
    /// To an address for which the client answers ARP.
    Unicast(SocketAddrV4),
    /// To all machines on the network.
    Broadcast,
    /// To a client whose IP stack is not up: by its hardware address, without ARP.
    Hardware {
        /// The client's Ethernet address.
        mac: MacAddress,
        /// The address that the client just got.
        address: Ipv4Addr,
    },
    /// Back to the address and port that the request came from.
    Sender,
}

/// Chooses the destination of a reply; `is_routed` means that this server has no interface on the network.
///
/// Source: RFC 2131 §4.1.
pub fn delivery(request: &DhcpMessage, reply: &DhcpMessage, is_routed: bool) -> Delivery {
    let is_nak = reply.options.message_type() == Some(MessageType::Nak);
    let client = request.client_address;
    if !request.relay_address.is_unspecified() {
        return Delivery::Relay(SocketAddrV4::new(request.relay_address, SERVER_PORT));
    }
    // Deviation: a NAK is broadcast; through a router, it can only go to the address in question.
    if !client.is_unspecified() && (!is_nak || is_routed) {
        return Delivery::Unicast(SocketAddrV4::new(client, CLIENT_PORT));
    }
    // Nobody can send to an InfiniBand client by its hardware address. Source: RFC 4390 §2.2.
    let needs_broadcast = request.broadcast || request.is_infiniband();
    // A GUID in `chaddr` is not an address to send to.
    match request.hardware_address.mac() {
        Some(mac) if !is_nak && !needs_broadcast && !reply.your_address.is_unspecified() => {
            Delivery::Hardware {
                mac,
                address: reply.your_address,
            }
        }
        _ => Delivery::Broadcast,
    }
}
