use std::net::Ipv4Addr;
use std::time::Duration;

use crate::inventory::{DhcpMode, Network, Nic, Site};
use crate::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode};

/// How long its leases last.
const LEASE_TIME: Duration = Duration::from_secs(1800);
/// The room for an answer of its own, which has a dozen options, in octets.
const ROOM: usize = 1500;

/// The DHCP server that owns the addresses of a network with `mode: proxy`. A rehearsal has none
/// beside it, and plays it: it gives one machine its address, and nothing to boot.
pub struct OtherServer<'a> {
    network: &'a Network,
    address: Ipv4Addr,
    gives: Ipv4Addr,
}

impl<'a> OtherServer<'a> {
    /// Makes the one for a network card, where its network has one.
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
        let gives = nic.ip.or_else(|| {
            let mut free = hosts().rev();
            free.find(|it| ![ours, address].contains(it))
        })?;
        Some(Self {
            network,
            address,
            gives,
        })
    }

    /// Returns its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Answers a DISCOVER.
    pub fn offer(&self, discover: &DhcpMessage) -> DhcpMessage {
        self.answer(discover, MessageType::Offer)
    }

    /// Answers a REQUEST; also with the octets of the answer.
    pub fn acknowledge(&self, request: &DhcpMessage) -> (DhcpMessage, Vec<u8>) {
        let answer = self.answer(request, MessageType::Ack);
        let octets = answer.write(ROOM).unwrap_or_default();
        (answer, octets)
    }

    fn answer(&self, message: &DhcpMessage, kind: MessageType) -> DhcpMessage {
        let mut answer = message.clone();
        answer.operation = Operation::Reply;
        answer.your_address = self.gives;
        answer.options = Default::default();
        let options = &mut answer.options;
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
        answer
    }
}
