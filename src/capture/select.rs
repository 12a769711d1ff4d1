use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use crate::machine::MacAddress;
use crate::respond::dhcp::{BOOT_SERVER_PORT, CLIENT_PORT, SERVER_PORT};
use crate::wire::dhcp::{DhcpMessage, MessageType, TransactionId};
use crate::wire::packet::{Ipv4Datagram, Packet, Transport};

/// The most addresses that are remembered for the selected machines.
const MOST_ADDRESSES: usize = 65_536;

/// Selects packets by machine, by transaction and by time. A packet must match one value of each kind
/// that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The machines, by their Ethernet addresses.
    pub macs: BTreeSet<MacAddress>,
    /// IP addresses of these machines: from the inventory, and from DHCPACKs.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// DHCP transactions; if there are any, only DHCP is selected.
    pub transactions: BTreeSet<TransactionId>,
    /// The earliest time.
    pub since: Option<Timestamp>,
    /// The latest time.
    pub until: Option<Timestamp>,
}

impl Selection {
    /// Reports whether every packet is selected.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Reports whether a time is selected.
    pub fn selects_time(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at <= until)
    }

    /// Reports whether frames without a supported packet are selected.
    pub fn selects_others(&self) -> bool {
        self.macs.is_empty() && self.transactions.is_empty()
    }

    /// Reports whether a fragment may belong to a selected packet.
    pub fn may_select(&self, fragment: &Ipv4Datagram<'_>) -> bool {
        !self.transactions.is_empty() || self.selects_fragment(fragment)
    }

    /// Reports whether a fragment belongs to a selected machine. Its transaction is not known before
    /// reassembly.
    pub fn selects_fragment(&self, fragment: &Ipv4Datagram<'_>) -> bool {
        let macs = [fragment.source_mac, fragment.destination_mac];
        self.selects_others()
            || self.transactions.is_empty()
                && (macs.iter().any(|mac| self.macs.contains(mac))
                    || [fragment.source, fragment.destination]
                        .iter()
                        .any(|address| self.addresses.contains(address)))
    }

    /// Reports whether a packet of a selected time is selected, and learns the addresses of machines.
    pub fn selects(&mut self, packet: &Packet<'_>) -> bool {
        if self.selects_others() {
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
            // The message is about one machine, even if a relay or a server sends it. If firmware sends a
            // GUID instead of its Ethernet address, the frame has the address.
            let is_selected = match message.hardware_address.mac() {
                Some(mac) => self.macs.contains(&mac),
                None => macs.iter().any(|mac| self.macs.contains(mac)),
            };
            let is_acknowledged = message.options.message_type() == Some(MessageType::Ack);
            let given = is_acknowledged.then_some(message.your_address);
            for address in given.into_iter().chain([message.client_address]) {
                if is_selected && !address.is_unspecified() && self.addresses.len() < MOST_ADDRESSES
                {
                    self.addresses.insert(address);
                } else if !is_selected && given == Some(address) {
                    // Another machine has the address now.
                    self.addresses.remove(&address);
                }
            }
            return is_selected;
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
    fn a_message_with_a_guid_belongs_to_the_sender_of_the_frame() {
        let mut selection = Selection {
            macs: BTreeSet::from([OURS]),
            ..Selection::default()
        };
        let mut message = DhcpMessage::new(Operation::Request, OTHER, TransactionId(1));
        let mut wants = |message: &DhcpMessage| {
            let bytes = message.write(1500).unwrap();
            selection.selects(&Packet {
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
