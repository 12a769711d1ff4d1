use std::collections::HashMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::machine::ObservedMachine;
use crate::inventory::Inventory;
use crate::machine::{HardwareAddress, MacAddress, SystemUuid};

/// The most machines that are followed at once.
const MACHINES: usize = 4096;
/// The most entries in all timelines.
const ENTRIES: usize = 50_000;
/// The most keys of all machines.
const KEYS: usize = 4 * MACHINES;
/// The most Ethernet addresses that are listed for one machine.
const MACS: usize = 16;

/// Identifies a machine while the observer follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MachineId(u64);

/// A property that identifies a machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum MachineKey {
    /// Its name in the inventory, for any of its network cards.
    Host(String),
    Hardware(HardwareAddress),
    /// Option 97, in either byte order.
    Uuid(SystemUuid),
    /// Its current or last IP address.
    Address(Ipv4Addr),
}

/// The machines of a capture.
#[derive(Debug)]
pub(super) struct Machines<'i> {
    inventory: Option<&'i Inventory>,
    machines: HashMap<MachineId, ObservedMachine>,
    keys: HashMap<MachineKey, MachineId>,
    /// How many identifiers were assigned.
    count: u64,
    /// An upper bound of the entries in all timelines.
    entries: usize,
    evicted: u64,
}

impl<'i> Machines<'i> {
    pub fn new(inventory: Option<&'i Inventory>) -> Self {
        Self {
            inventory,
            machines: HashMap::new(),
            keys: HashMap::new(),
            count: 0,
            entries: 0,
            evicted: 0,
        }
    }

    pub fn inventory(&self) -> Option<&'i Inventory> {
        self.inventory
    }

    pub fn get_mut(&mut self, id: MachineId) -> Option<&mut ObservedMachine> {
        self.machines.get_mut(&id)
    }

    pub fn len(&self) -> usize {
        self.machines.len()
    }

    pub fn ids(&self) -> Vec<MachineId> {
        let mut ids: Vec<_> = self.machines.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Returns the machines in the order of their first packets.
    pub fn into_machines(self) -> Vec<ObservedMachine> {
        let mut machines: Vec<_> = self.machines.into_iter().collect();
        machines.sort_unstable_by_key(|(id, _)| *id);
        machines.into_iter().map(|(_, machine)| machine).collect()
    }

    /// Finds the machine that a DHCP message is about, or begins to follow it.
    ///
    /// The key is the host in the inventory, else the hardware address; for a machine that sends no
    /// Ethernet address (edk2 may send a GUID), it is the UUID. Two Ethernet addresses are two machines
    /// unless the inventory says otherwise: vendors ship many boards with the same UUID, and a timeline
    /// of two boots would explain neither.
    pub fn of_message(
        &mut self,
        hardware: HardwareAddress,
        uuid: Option<SystemUuid>,
        now: Timestamp,
    ) -> MachineId {
        let uuid = uuid.filter(|uuid| !uuid.is_placeholder());
        let mac = hardware.mac();
        let host = self.inventory.and_then(|it| it.host_by_hardware(hardware));
        let own = match host {
            Some(host) => MachineKey::Host(host.name.clone()),
            None => MachineKey::Hardware(hardware),
        };
        let by_uuid = uuid.map(|uuid| MachineKey::Uuid(uuid.order_free()));
        let known = self.keys.get(&own).copied();
        let same_uuid = || match (host, mac) {
            (None, None) => by_uuid.as_ref().and_then(|key| self.keys.get(key)).copied(),
            _ => None,
        };
        let id = known.or_else(same_uuid).unwrap_or_else(|| {
            let name = match host {
                Some(host) => host.name.clone(),
                None => hardware.to_string(),
            };
            self.begin(name, now)
        });
        self.learn(own, id);
        if host.is_some() {
            self.learn(MachineKey::Hardware(hardware), id);
        }
        if let Some(key) = by_uuid
            && !self.keys.contains_key(&key)
        {
            self.learn(key, id);
        }
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.last_seen = now;
            machine.uuid = machine.uuid.or(uuid);
            if let Some(mac) = mac {
                add_mac(machine, mac);
            }
        }
        id
    }

    /// Finds the machine that sends requests from an address, or begins to follow it: by the source of
    /// the frame, else by the leased IP address, since a router may be between.
    pub fn of_client(&mut self, mac: MacAddress, address: Ipv4Addr, now: Timestamp) -> MachineId {
        let hardware = HardwareAddress::from(mac);
        let id = self.known_client(mac, address).unwrap_or_else(|| {
            let inventory = self.inventory;
            let host =
                inventory.and_then(|it| it.host_by_mac(mac).or_else(|| it.host_by_ip(address)));
            let name = match host {
                Some(host) => host.name.clone(),
                None if mac.is_unicast() => mac.to_string(),
                None => address.to_string(),
            };
            let id = self.begin(name, now);
            if let Some(host) = host {
                self.learn(MachineKey::Host(host.name.clone()), id);
            } else if mac.is_unicast() {
                // A router forwards packets of many machines, so the IP address takes precedence then.
                self.learn(MachineKey::Hardware(hardware), id);
                if let Some(machine) = self.machines.get_mut(&id) {
                    add_mac(machine, mac);
                }
            }
            self.learn(MachineKey::Address(address), id);
            id
        });
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.last_seen = now;
        }
        id
    }

    /// Finds the machine that sends requests from an address, if it is known.
    pub fn known_client(&self, mac: MacAddress, address: Ipv4Addr) -> Option<MachineId> {
        let by_mac = self
            .keys
            .get(&MachineKey::Hardware(HardwareAddress::from(mac)));
        let known = by_mac.or_else(|| self.keys.get(&MachineKey::Address(address)));
        known.copied()
    }

    /// Remembers the IP address of a machine.
    pub fn lease(&mut self, id: MachineId, address: Ipv4Addr) {
        if !address.is_unspecified() {
            self.learn(MachineKey::Address(address), id);
        }
    }

    /// Finds the machine with an IP address.
    pub fn by_address(&self, address: Ipv4Addr) -> Option<MachineId> {
        self.keys.get(&MachineKey::Address(address)).copied()
    }

    /// Counts written entries, and forgets machines if there are too many.
    pub fn settle_entries(&mut self, written: usize) {
        self.entries += written;
        if self.entries < ENTRIES {
            return;
        }
        let count = |machine: &ObservedMachine| machine.entries.len() + 1;
        let mut all: usize = self.machines.values().map(count).sum();
        while all >= ENTRIES / 2 && self.machines.len() > 1 {
            self.evict();
            all = self.machines.values().map(count).sum();
        }
        self.entries = all;
    }

    fn begin(&mut self, name: String, now: Timestamp) -> MachineId {
        if self.machines.len() >= MACHINES {
            self.evict();
        }
        self.count += 1;
        let id = MachineId(self.count);
        self.machines.insert(id, ObservedMachine::new(name, now));
        id
    }

    fn learn(&mut self, key: MachineKey, id: MachineId) {
        if self.keys.len() >= KEYS && !self.keys.contains_key(&key) {
            // One machine has thousands of addresses: forget the IP addresses and UUIDs.
            let machines = &self.machines;
            let is_address =
                |key: &MachineKey| matches!(key, MachineKey::Address(_) | MachineKey::Uuid(_));
            self.keys
                .retain(|key, id| machines.contains_key(id) && !is_address(key));
            if self.keys.len() >= KEYS {
                self.keys.clear();
            }
        }
        self.keys.insert(key, id);
    }

    /// Forgets the quarter of the machines that have been silent the longest.
    fn evict(&mut self) {
        let count = (self.machines.len() / 4).max(1);
        let mut oldest: Vec<_> = self
            .machines
            .iter()
            .map(|(id, machine)| (machine.last_seen, *id))
            .collect();
        oldest.select_nth_unstable(count - 1);
        for (_, id) in &oldest[..count] {
            self.machines.remove(id);
            self.evicted += 1;
        }
        let machines = &self.machines;
        self.keys.retain(|_, id| machines.contains_key(id));
    }
}

fn add_mac(machine: &mut ObservedMachine, mac: MacAddress) {
    if machine.macs.len() < MACS && !machine.macs.contains(&mac) {
        machine.macs.push(mac);
    }
}
