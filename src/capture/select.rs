use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use crate::machine::MacAddress;
use crate::respond::dhcp::{BOOT_SERVER_PORT, CLIENT_PORT, SERVER_PORT};
use crate::wire::dhcp::{DhcpMessage, MessageType, TransactionId};
use crate::wire::packet::{Ipv4Datagram, Packet, Transport};

/// The most addresses that are remembered as those of machines that are asked for.
const MOST_ADDRESSES: usize = 65_536;

/// Which packets are wanted: by machine, by transaction, and by time. Of each kind that is asked for,
/// a packet must meet one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The machines, by their Ethernet addresses.
    pub macs: BTreeSet<MacAddress>,
    /// Addresses of these machines: those of the inventory, and those that a server acknowledges.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// Transactions of DHCP; nothing else then counts.
    pub transactions: BTreeSet<TransactionId>,
    /// Nothing from before.
    pub since: Option<Timestamp>,
    /// Nothing from after.
    pub until: Option<Timestamp>,
}

impl Selection {
    /// Reports whether all packets are wanted, whatever they are.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Reports whether a time is wanted.
    pub fn wants_time(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at <= until)
    }

    /// Reports whether a frame of a wanted time may stay that holds no packet we follow.
    pub fn wants_others(&self) -> bool {
        self.macs.is_empty() && self.transactions.is_empty()
    }

    /// Reports whether a fragment may belong to a packet that is wanted.
    pub fn may_want(&self, fragment: &Ipv4Datagram<'_>) -> bool {
        !self.transactions.is_empty() || self.wants_fragment(fragment)
    }

    /// Reports whether a fragment belongs to a machine that is asked for; which transaction it belongs
    /// to, nobody can say before it is whole.
    pub fn wants_fragment(&self, fragment: &Ipv4Datagram<'_>) -> bool {
        let macs = [fragment.source_mac, fragment.destination_mac];
        self.wants_others()
            || self.transactions.is_empty()
                && (macs.iter().any(|mac| self.macs.contains(mac))
                    || [fragment.source, fragment.destination]
                        .iter()
                        .any(|address| self.addresses.contains(address)))
    }

    /// Reports whether a packet of a wanted time is wanted; learns the addresses of machines.
    pub fn wants(&mut self, packet: &Packet<'_>) -> bool {
        if self.wants_others() {
            return true;
        }
        let message = dhcp(packet);
        if !self.transactions.is_empty() {
            let transaction = message.as_ref().map(|it| it.transaction_id);
            if transaction.is_none_or(|it| !self.transactions.contains(&it)) {
                return false;
            }
        }
        self.macs.is_empty() || self.is_of_machine(packet, message.as_ref())
    }

    fn is_of_machine(&mut self, packet: &Packet<'_>, message: Option<&DhcpMessage>) -> bool {
        let macs = [packet.source_mac, packet.destination_mac];
        if let Some(message) = message {
            // A relay or a server sends it, but it is about one machine and no other. Where firmware
            // put a GUID in place of its address, the frame has it.
            let is_wanted = match message.hardware_address.mac() {
                Some(mac) => self.macs.contains(&mac),
                None => macs.iter().any(|mac| self.macs.contains(mac)),
            };
            let is_acknowledged = message.options.message_type() == Some(MessageType::Ack);
            let given = is_acknowledged.then_some(message.your_address);
            for address in given.into_iter().chain([message.client_address]) {
                if is_wanted && !address.is_unspecified() && self.addresses.len() < MOST_ADDRESSES {
                    self.addresses.insert(address);
                } else if !is_wanted && given == Some(address) {
                    // Another machine has it now.
                    self.addresses.remove(&address);
                }
            }
            return is_wanted;
        }
        let has = |address: &Ipv4Addr| self.addresses.contains(address);
        macs.iter().any(|mac| self.macs.contains(mac))
            || has(packet.source.ip())
            || has(packet.destination.ip())
            || match &packet.transport {
                Transport::Unreachable {
                    source,
                    destination,
                    ..
                } => has(source.ip()) || has(destination.ip()),
                _ => false,
            }
    }
}

fn dhcp(packet: &Packet<'_>) -> Option<DhcpMessage> {
    let ports = [packet.source.port(), packet.destination.port()];
    let is_dhcp = |port| matches!(port, SERVER_PORT | CLIENT_PORT | BOOT_SERVER_PORT);
    match packet.transport {
        Transport::Udp(payload) if ports.into_iter().any(is_dhcp) => {
            DhcpMessage::parse(payload).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use super::*;
    use crate::machine::HardwareAddress;
    use crate::wire::dhcp::Operation;
    use crate::wire::packet::VlanTags;

    const OURS: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_message_with_a_guid_in_place_of_an_address_is_of_the_card_that_sent_it() {
        let mut selection = Selection {
            macs: BTreeSet::from([OURS]),
            ..Selection::default()
        };
        let mut message = DhcpMessage::new(Operation::Request, OTHER, TransactionId(1));
        let mut wants = |message: &DhcpMessage| {
            let bytes = message.write(1500).unwrap();
            selection.wants(&Packet {
                source_mac: OURS,
                destination_mac: MacAddress::new([0xff; 6]),
                vlans: VlanTags::NONE,
                source: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT),
                destination: SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT),
                transport: Transport::Udp(&bytes),
                length: bytes.len(),
                fragmented: false,
                cut: false,
            })
        };
        assert!(!wants(&message));
        message.hardware_address = HardwareAddress::new(16, [7; 16]);
        assert!(wants(&message));
    }
}
