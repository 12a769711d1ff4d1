//! Which servers answer on which wire, and which of them does not belong there.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::inventory::{DhcpMode, Inventory, Network};
use crate::wire::packet::VlanTags;

/// How many wires are told apart.
const WIRES: usize = 1024;

/// One wire that machines boot on: its VLAN, and the relay, where one stands between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::conversation) struct Wire {
    pub vlans: VlanTags,
    pub relay: Ipv4Addr,
}

/// What one server does on a wire.
#[derive(Clone, Copy, Debug)]
pub(in crate::conversation) struct Answer {
    /// The server: option 54, else where it came from.
    pub server: Ipv4Addr,
    /// The address that it gives; `None` for a proxy.
    pub address: Option<Ipv4Addr>,
}

/// The servers that were seen.
#[derive(Debug, Default)]
pub(in crate::conversation) struct Servers {
    /// Those that belong here; empty where nobody said which.
    ours: Vec<Ipv4Addr>,
    /// Who was first to give addresses, and to say what to boot.
    first: HashMap<Wire, [Option<Ipv4Addr>; 2]>,
    /// Any server has answered anything.
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

    /// Takes an answer into account; says why its server does not belong there, if it does not.
    pub fn judge(
        &mut self,
        inventory: Option<&Inventory>,
        wire: Wire,
        answer: Answer,
    ) -> Option<String> {
        self.seen_any = true;
        let Answer { server, address } = answer;
        if self.ours.contains(&server) {
            *self.first_on(wire, address) = Some(server);
            return None;
        }
        // A relay that names itself as the server (82.11) hides which one it is.
        if server == wire.relay {
            return None;
        }
        let does = match address {
            Some(address) => format!("gives {address}"),
            None => "says what to boot".to_owned(),
        };
        let network = |address| inventory.and_then(|it| it.site.network_of(address));
        let left_to_another = address
            .and_then(network)
            .is_some_and(|network| network.mode == DhcpMode::Proxy);
        // A trunk and a server of several sites see wires that the inventory knows nothing of.
        let is_foreign = inventory.is_some()
            && network(address.unwrap_or(server)).is_none()
            && match wire.relay.is_unspecified() {
                true => !wire.vlans.is_empty(),
                false => network(wire.relay).is_none(),
            };
        let is_known_here = !left_to_another
            && !is_foreign
            && network(server).is_none_or(|network| self.is_known_on(network));
        if !self.ours.is_empty() && is_known_here {
            let ours: Vec<_> = self.ours.iter().map(ToString::to_string).collect();
            return Some(format!(
                "{server} {does} too: the server here is {}",
                ours.join(" or ")
            ));
        }
        let first = self.first_on(wire, address);
        match *first {
            Some(first) if first != server => {
                Some(format!("{server} {does} too: {first} was there first"))
            }
            _ => {
                *first = Some(server);
                None
            }
        }
    }

    /// Returns who was first on a wire to give addresses, or to say what to boot.
    fn first_on(&mut self, wire: Wire, address: Option<Ipv4Addr>) -> &mut Option<Ipv4Addr> {
        if self.first.len() >= WIRES && !self.first.contains_key(&wire) {
            self.first.clear();
        }
        &mut self.first.entry(wire).or_default()[usize::from(address.is_none())]
    }

    /// Reports whether it is known by which address our server answers on a network: on one of its
    /// interfaces it goes by the address of that interface, which the inventory does not say.
    fn is_known_on(&self, network: &Network) -> bool {
        network.interface.is_none() || self.ours.iter().any(|it| network.subnet.contains(*it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: Wire = Wire {
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
    fn one_server_of_addresses_and_one_proxy_belong_on_a_wire() {
        let mut servers = Servers::default();
        let mut judge = |answer| servers.judge(None, WIRE, answer);
        assert_eq!(judge(answer(1, Some(50))), None);
        assert_eq!(judge(answer(2, None)), None);
        assert_eq!(judge(answer(1, Some(51))), None);
        let second = judge(answer(3, Some(52))).unwrap();
        assert_eq!(
            second,
            "10.20.0.3 gives 10.20.0.52 too: 10.20.0.1 was there first"
        );
        assert!(judge(answer(1, None)).is_some());
    }

    #[test]
    fn wires_are_told_apart_by_vlan_and_relay() {
        let mut servers = Servers::default();
        assert_eq!(servers.judge(None, WIRE, answer(1, Some(50))), None);
        for wire in [
            Wire {
                vlans: VlanTags::new(Some(20), None),
                ..WIRE
            },
            Wire {
                relay: ip(254),
                ..WIRE
            },
        ] {
            assert_eq!(servers.judge(None, wire, answer(2, Some(50))), None);
        }
    }

    #[test]
    fn where_the_servers_are_named_every_other_is_rogue() {
        let mut servers = Servers::new(None, &[ip(1)]);
        assert_eq!(servers.judge(None, WIRE, answer(1, Some(50))), None);
        let other = servers.judge(None, WIRE, answer(2, Some(50))).unwrap();
        assert_eq!(
            other,
            "10.20.0.2 gives 10.20.0.50 too: the server here is 10.20.0.1"
        );
    }
}
