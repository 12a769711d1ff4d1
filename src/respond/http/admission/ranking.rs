use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use super::connection::ConnectionId;

/// The network that an address counts for.
///
/// IPv4 counts by /24: racks are numbered in such subnets, and the owner of one address of a subnet can
/// often take the others. IPv6 counts by /56, which is what one site gets from its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressGroup {
    address: IpAddr,
    prefix: u8,
}

impl AddressGroup {
    /// Returns the network of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self {
                address: Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8)).into(),
                prefix: 24,
            },
            IpAddr::V6(address) => Self {
                address: Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 72)).into(),
                prefix: 56,
            },
        }
    }
}

impl fmt::Display for AddressGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The time since which a connection can be evicted, with its ID; older connections are smaller.
pub(super) type Age = (Instant, ConnectionId);

/// Connections that can be evicted, in a fair order.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    groups: HashMap<AddressGroup, GroupConnections>,
    /// The last network has most connections; among equal ones, the last has the oldest connection.
    order: BTreeSet<(usize, Reverse<Age>, AddressGroup)>,
}

/// The connections of one network.
#[derive(Debug, Default)]
struct GroupConnections {
    ages: BTreeSet<Age>,
    addresses: BTreeMap<IpAddr, BTreeSet<Age>>,
}

impl GroupConnections {
    fn key(&self, name: AddressGroup) -> Option<(usize, Reverse<Age>, AddressGroup)> {
        let oldest = self.ages.first()?;
        Some((self.ages.len(), Reverse(*oldest), name))
    }
}

impl Ranking {
    pub(super) fn insert(&mut self, address: IpAddr, age: Age) {
        self.change(address, |group| {
            group.ages.insert(age);
            group.addresses.entry(address).or_default().insert(age);
        });
    }

    pub(super) fn remove(&mut self, address: IpAddr, age: Age) {
        self.change(address, |group| {
            group.ages.remove(&age);
            if let Some(ages) = group.addresses.get_mut(&address) {
                ages.remove(&age);
                if ages.is_empty() {
                    group.addresses.remove(&address);
                }
            }
        });
    }

    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut GroupConnections)) {
        let name = AddressGroup::of(address);
        let group = self.groups.entry(name).or_default();
        if let Some(key) = group.key(name) {
            self.order.remove(&key);
        }
        change(group);
        match group.key(name) {
            Some(key) => {
                self.order.insert(key);
            }
            None => {
                self.groups.remove(&name);
            }
        }
    }

    /// Returns the network with most connections, and their number.
    pub(super) fn largest(&self) -> Option<(AddressGroup, usize)> {
        let (count, _, name) = self.order.last()?;
        Some((*name, *count))
    }

    /// Reports whether the other ranking's largest network must lose a connection before ours.
    pub(super) fn yields_after(&self, other: &Self) -> bool {
        let key = |ranking: &Self| ranking.order.last().map(|(count, age, _)| (*count, *age));
        key(other) > key(self)
    }

    /// Returns the oldest connection of the largest address in the largest network.
    pub(super) fn first(&self) -> Option<ConnectionId> {
        let (_, _, name) = self.order.last()?;
        let addresses = self.groups.get(name)?.addresses.values();
        let ages = addresses.filter_map(|ages| Some((ages.len(), Reverse(*ages.first()?))));
        ages.max().map(|(_, Reverse((_, id)))| id)
    }

    /// Returns the number of connections of an address.
    pub(super) fn count(&self, address: IpAddr) -> usize {
        self.of(address).map_or(0, BTreeSet::len)
    }

    /// Returns the number of connections of the network of an address.
    pub(super) fn count_of_group(&self, address: IpAddr) -> usize {
        let group = self.groups.get(&AddressGroup::of(address));
        group.map_or(0, |group| group.ages.len())
    }

    /// Returns the oldest connection of an address.
    pub(super) fn oldest(&self, address: IpAddr) -> Option<ConnectionId> {
        self.of(address)?.first().map(|(_, id)| *id)
    }

    fn of(&self, address: IpAddr) -> Option<&BTreeSet<Age>> {
        let group = self.groups.get(&AddressGroup::of(address))?;
        group.addresses.get(&address)
    }
}
