//! Following DHCP: who asked, who answered, which answer the client takes, and what it boots.

mod boot;
mod checks;
mod client;
mod close;
mod exchange;
mod option_text;
mod questions;
mod replies;
mod servers;

use std::net::{Ipv4Addr, SocketAddrV4};

pub(super) use boot::Mapping;
pub(super) use exchange::Exchanges;
pub(super) use servers::Servers;

use super::finding::FindingKind;
use super::observer::Observer;
use crate::machine::HardwareAddress;
use crate::wire::dhcp::{DhcpMessage, DhcpParseError, Operation};
use crate::wire::packet::{Packet, VlanTags};

/// The ports of DHCP, and that of boot servers.
pub(super) const SERVER_PORT: u16 = 67;
pub(super) const CLIENT_PORT: u16 = 68;
pub(super) const BOOT_SERVER_PORT: u16 = 4011;

/// A message and how it travelled.
#[derive(Clone, Copy)]
struct ReceivedMessage<'a> {
    message: &'a DhcpMessage,
    payload: &'a [u8],
    /// The bytes of its payload as they were sent.
    length: usize,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    vlans: VlanTags,
}

/// Reports whether a datagram is between ports of DHCP.
pub(super) fn is_dhcp(packet: &Packet<'_>) -> bool {
    let ours = [SERVER_PORT, CLIENT_PORT, BOOT_SERVER_PORT];
    ours.contains(&packet.source.port()) || ours.contains(&packet.destination.port())
}

impl Observer<'_> {
    /// Follows one message.
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
        let seen = ReceivedMessage {
            message: &message,
            payload,
            length: packet.length,
            source: packet.source,
            destination: packet.destination,
            vlans: packet.vlans,
        };
        match message.operation {
            Operation::Request => self.question(id, seen),
            Operation::Reply => self.reply(id, seen),
        }
    }

    /// Counts what cannot be read; a server that sends it is at fault.
    fn unreadable(&mut self, packet: &Packet<'_>, payload: &[u8], error: &DhcpParseError) {
        self.recorder.totals.malformed += 1;
        let is_reply = payload.first() == Some(&2) && packet.source.port() != CLIENT_PORT;
        let Some(hardware) = hardware_address(payload).filter(|_| is_reply && !packet.cut) else {
            return;
        };
        let now = self.recorder.now();
        let id = self.machines.of_message(hardware, None, now);
        if let Some(machine) = self.machines.get_mut(id) {
            let seen = format!("{} sends what cannot be read: {error}", packet.source.ip());
            self.recorder
                .report_finding(machine, FindingKind::MalformedReply, seen);
        }
    }
}

/// Reads `chaddr` of a message that may be broken behind it.
fn hardware_address(payload: &[u8]) -> Option<HardwareAddress> {
    let field: [u8; 16] = *payload.get(28..)?.first_chunk()?;
    Some(HardwareAddress::new(*payload.get(2)?, field))
}

/// Says where from and where to, where that is not plain.
fn travelled(seen: ReceivedMessage<'_>) -> Vec<String> {
    let mut said = Vec::new();
    if !seen.vlans.is_empty() {
        said.push(format!("VLAN {}", seen.vlans));
    }
    let port = match seen.message.operation {
        Operation::Request => seen.destination.port(),
        Operation::Reply => seen.source.port(),
    };
    if port == BOOT_SERVER_PORT {
        said.push("port 4011".to_owned());
    }
    said
}

/// Returns an address unless it is 0.0.0.0.
fn specified(address: Ipv4Addr) -> Option<Ipv4Addr> {
    Some(address).filter(|address| !address.is_unspecified())
}
