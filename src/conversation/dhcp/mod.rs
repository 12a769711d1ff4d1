//! Follows DHCP: requests, replies, the offer that the client accepts, and its boot file.

mod boot;
mod checks;
mod client;
mod client_messages;
mod close;
mod exchange;
mod mapping;
mod option_text;
mod ports;
mod server_messages;
mod servers;

use std::net::{Ipv4Addr, SocketAddrV4};

pub(super) use exchange::Exchanges;
pub(super) use mapping::Mapping;
pub(super) use ports::{BOOT_SERVER_PORT, CLIENT_PORT, SERVER_PORT, is_dhcp};
pub(super) use servers::Servers;

use super::finding::FindingKind;
use super::observer::Observer;
use crate::machine::HardwareAddress;
use crate::wire::dhcp::{DhcpMessage, DhcpParseError, Operation};
use crate::wire::packet::{Packet, VlanTags};

/// A captured message with its addresses.
#[derive(Clone, Copy)]
struct ReceivedMessage<'a> {
    message: &'a DhcpMessage,
    payload: &'a [u8],
    /// The length of the payload on the network, in bytes.
    length: usize,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    vlans: VlanTags,
}

impl Observer<'_> {
    /// Processes one message.
    pub(super) fn observe_dhcp(&mut self, packet: &Packet<'_>, payload: &[u8]) {
        let message = match DhcpMessage::parse(payload) {
            Ok(message) => message,
            Err(error) => return self.unreadable(packet, payload, &error),
        };
        self.recorder.totals.dhcp += 1;
        let now = self.recorder.now();
        let uuid = message.options.system_uuid();
        let id = self
            .machines
            .of_message(message.hardware_address, uuid, now);
        let received = ReceivedMessage {
            message: &message,
            payload,
            length: packet.length,
            source: packet.source,
            destination: packet.destination,
            vlans: packet.vlans,
        };
        match message.operation {
            Operation::Request => self.client_message(id, received),
            Operation::Reply => self.server_message(id, received),
        }
    }

    /// Counts a message that cannot be parsed, and records a finding if a server sent it.
    fn unreadable(&mut self, packet: &Packet<'_>, payload: &[u8], error: &DhcpParseError) {
        self.recorder.totals.malformed += 1;
        let is_reply = payload.first() == Some(&2) && packet.source.port() != CLIENT_PORT;
        let Some(hardware) = hardware_address(payload).filter(|_| is_reply && !packet.cut) else {
            return;
        };
        let now = self.recorder.now();
        let id = self.machines.of_message(hardware, None, now);
        if let Some(machine) = self.machines.get_mut(id) {
            let seen = format!(
                "{} sends a reply that cannot be parsed: {error}",
                packet.source.ip()
            );
            self.recorder
                .report_finding(machine, FindingKind::MalformedReply, seen);
        }
    }
}

/// Reads `chaddr` of a message that may be damaged after it.
fn hardware_address(payload: &[u8]) -> Option<HardwareAddress> {
    let field: [u8; 16] = *payload.get(28..)?.first_chunk()?;
    Some(HardwareAddress::new(*payload.get(2)?, field))
}

/// Describes the VLAN and the port of a message, unless they are the usual ones.
fn route_texts(received: ReceivedMessage<'_>) -> Vec<String> {
    let mut texts = Vec::new();
    if !received.vlans.is_empty() {
        texts.push(format!("VLAN {}", received.vlans));
    }
    let port = match received.message.operation {
        Operation::Request => received.destination.port(),
        Operation::Reply => received.source.port(),
    };
    if port == BOOT_SERVER_PORT {
        texts.push("port 4011".to_owned());
    }
    texts
}

/// Returns an address unless it is 0.0.0.0.
fn specified(address: Ipv4Addr) -> Option<Ipv4Addr> {
    Some(address).filter(|address| !address.is_unspecified())
}
