//! The servers on each segment, and which of them does not belong there.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::inventory::{DhcpMode, Inventory, Network};
use crate::wire::packet::VlanTags;

/// The most segments that are distinguished.
const SEGMENTS: usize = 1024;

/// A network segment on which machines boot: its VLAN, and its relay if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::conversation) struct Segment {
    pub vlans: VlanTags,
    pub relay: Ipv4Addr,
}

/// One reply of a server on a segment.
#[derive(Clone, Copy, Debug)]
pub(in crate::conversation) struct Answer {
    /// The server: option 54, else the source address.
    pub server: Ipv4Addr,
    /// The address that it assigns; `None` for a proxy.
    pub address: Option<Ipv4Addr>,
}

/// The servers in a capture.
#[derive(Debug, Default)]
pub(in crate::conversation) struct Servers {
    /// The servers that belong here; empty if they are not known.
    ours: Vec<Ipv4Addr>,
    /// The first server that assigned addresses, and the first that named a boot file.
    first: HashMap<Segment, [Option<Ipv4Addr>; 2]>,
    /// Whether any server has sent a reply.
    pub seen_any: bool,
}

impl Servers {
    pub fn new(inventory: Option<&Inventory>, named: &[Ipv4Addr]) -> Self {
        let own = inventory.map(|inventory| inventory.site.server.address);
        Self {
            ours: own.into_iter().chain(named.iter().copied()).collect(),
            ..Self::default()
        }
    }

    /// Processes a reply. Returns why its server does not belong there, if it does not.
    pub fn judge(
        &mut self,
        inventory: Option<&Inventory>,
        segment: Segment,
        answer: Answer,
    ) -> Option<String> {
        self.seen_any = true;
        let Answer { server, address } = answer;
        if self.ours.contains(&server) {
            *self.first_on(segment, address) = Some(server);
            return None;
        }
        // A relay that names itself as the server (82.11) hides the server.
        if server == segment.relay {
            return None;
        }
        let action = match address {
            Some(address) => format!("assigns {address}"),
            None => "names a boot file".to_owned(),
        };
        let network = |address| inventory.and_then(|it| it.site.network_of(address));
        let left_to_another = address
            .and_then(network)
            .is_some_and(|network| network.mode == DhcpMode::Proxy);
        // A trunk and a server of several sites carry segments that the inventory does not describe.
        let is_foreign = inventory.is_some()
            && network(address.unwrap_or(server)).is_none()
            && if segment.relay.is_unspecified() {
                !segment.vlans.is_empty()
            } else {
                network(segment.relay).is_none()
            };
        let is_known_here = !left_to_another
            && !is_foreign
            && network(server).is_none_or(|network| self.is_known_on(network));
        if !self.ours.is_empty() && is_known_here {
            let ours: Vec<_> = self.ours.iter().map(ToString::to_string).collect();
            return Some(format!(
                "{server} {action}, but the server here is {}",
                ours.join(" or ")
            ));
        }
        let first = self.first_on(segment, address);
        match *first {
            Some(first) if first != server => {
                Some(format!("{server} {action}, but {first} did so first"))
            }
            _ => {
                *first = Some(server);
                None
            }
        }
    }

    /// Returns the first server on a segment that assigned addresses, or that named a boot file.
    fn first_on(&mut self, segment: Segment, address: Option<Ipv4Addr>) -> &mut Option<Ipv4Addr> {
        if self.first.len() >= SEGMENTS && !self.first.contains_key(&segment) {
            self.first.clear();
        }
        &mut self.first.entry(segment).or_default()[usize::from(address.is_none())]
    }

    /// Reports whether the address of our server on a network is known: on one of its interfaces, it uses
    /// the address of that interface, which the inventory does not contain.
    fn is_known_on(&self, network: &Network) -> bool {
        network.interface.is_none() || self.ours.iter().any(|it| network.subnet.contains(*it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: Segment = Segment {
        vlans: VlanTags::NONE,
        relay: Ipv4Addr::UNSPECIFIED,
    };

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 20, 0, last)
    }

    fn answer(server: u8, address: Option<u8>) -> Answer {
        Answer {
            server: ip(server),
            address: address.map(ip),
        }
    }

    #[test]
    fn one_address_server_and_one_proxy_belong_on_a_segment() {
        let mut servers = Servers::default();
        let mut judge = |answer| servers.judge(None, SEGMENT, answer);
        assert_eq!(judge(answer(1, Some(50))), None);
        assert_eq!(judge(answer(2, None)), None);
        assert_eq!(judge(answer(1, Some(51))), None);
        let second = judge(answer(3, Some(52))).unwrap();
        assert_eq!(
            second,
            "10.20.0.3 assigns 10.20.0.52, but 10.20.0.1 did so first"
        );
        assert!(judge(answer(1, None)).is_some());
    }

    #[test]
    fn segments_differ_by_vlan_and_relay() {
        let mut servers = Servers::default();
        assert_eq!(servers.judge(None, SEGMENT, answer(1, Some(50))), None);
        for segment in [
            Segment {
                vlans: VlanTags::new(Some(20), None),
                ..SEGMENT
            },
            Segment {
                relay: ip(254),
                ..SEGMENT
            },
        ] {
            assert_eq!(servers.judge(None, segment, answer(2, Some(50))), None);
        }
    }

    #[test]
    fn every_server_that_is_not_named_is_rogue() {
        let mut servers = Servers::new(None, &[ip(1)]);
        assert_eq!(servers.judge(None, SEGMENT, answer(1, Some(50))), None);
        let other = servers.judge(None, SEGMENT, answer(2, Some(50))).unwrap();
        assert_eq!(
            other,
            "10.20.0.2 assigns 10.20.0.50, but the server here is 10.20.0.1"
        );
    }
}
