use std::net::Ipv4Addr;
use std::time::Duration;

use crate::inventory::{DhcpMode, Network, Nic, Site};
use crate::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode};

/// The lease time of its addresses.
const LEASE_TIME: Duration = Duration::from_secs(1800);
/// The size limit of a reply, in bytes; its dozen options need far less.
const REPLY_LIMIT: usize = 1500;

/// Plays the other DHCP server of a network with `mode: proxy`, which owns the addresses. It gives one
/// machine its address and nothing to boot.
pub struct ForeignDhcpServer<'a> {
    network: &'a Network,
    address: Ipv4Addr,
    leased_address: Ipv4Addr,
}

impl<'a> ForeignDhcpServer<'a> {
    /// Returns the server of a NIC's network, if that network has `mode: proxy`.
    pub fn of(site: &'a Site, nic: &Nic) -> Option<Self> {
        let network = site.network(&nic.network)?;
        if network.mode != DhcpMode::Proxy {
            return None;
        }
        let ours = site.server.address;
        let (first, last) = (network.subnet.address(), network.subnet.broadcast());
        let hosts = || (first.to_bits() + 1..last.to_bits()).map(Ipv4Addr::from_bits);
        let gateway = network.gateway.filter(|it| *it != ours);
        let address = gateway.or_else(|| hosts().find(|it| *it != ours))?;
        let leased_address = nic.ip.or_else(|| {
            let mut free = hosts().rev();
            free.find(|it| ![ours, address].contains(it))
        })?;
        Some(Self {
            network,
            address,
            leased_address,
        })
    }

    /// Returns the address of the server.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns the OFFER to a DISCOVER.
    pub fn offer(&self, discover: &DhcpMessage) -> DhcpMessage {
        self.reply(discover, MessageType::Offer)
    }

    /// Returns the ACK to a REQUEST, parsed and as bytes.
    pub fn acknowledge(&self, request: &DhcpMessage) -> (DhcpMessage, Vec<u8>) {
        let reply = self.reply(request, MessageType::Ack);
        let bytes = reply.write(REPLY_LIMIT).unwrap_or_default();
        (reply, bytes)
    }

    fn reply(&self, message: &DhcpMessage, kind: MessageType) -> DhcpMessage {
        let mut reply = message.clone();
        reply.operation = Operation::Reply;
        reply.your_address = self.leased_address;
        reply.options = Default::default();
        let options = &mut reply.options;
        options.set_message_type(kind);
        options.set_address(OptionCode::ServerIdentifier, self.address);
        options.set_address(OptionCode::SubnetMask, self.network.subnet.mask());
        options.set_duration(OptionCode::AddressLeaseTime, LEASE_TIME);
        if let Some(gateway) = self.network.gateway {
            options.set_addresses(OptionCode::Router, &[gateway]);
        }
        if let Some(machine) = message.options.raw(OptionCode::ClientMachineIdentifier) {
            options.set_raw(OptionCode::ClientMachineIdentifier, machine);
        }
        reply
    }
}
