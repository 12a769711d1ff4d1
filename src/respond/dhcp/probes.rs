use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::DhcpResponder;
use crate::inventory::{DhcpMode, Inventory};
use crate::machine::{LeaseChange, MacAddress};

/// How many addresses of a pool are probed before they are needed.
pub const LOOK_AHEAD: usize = 16;
/// How long nobody's silence on an address is believed.
const FRESH: Duration = Duration::from_secs(60);
/// How many probes are kept before those long past are forgotten.
const PROBES_KEPT: usize = 1024;
/// How long the outcome of a probe is waited for before it is asked for again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which addresses were probed, and when.
#[derive(Debug, Default)]
pub struct Probes {
    latest: HashMap<Ipv4Addr, Probe>,
    /// How many were worth keeping when they were last looked through.
    kept: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    /// When it was last sent.
    sent: Timestamp,
    /// When nobody had answered one.
    free: Option<Timestamp>,
}

impl Probes {
    /// Reports whether nobody answered on an address a short while ago.
    pub fn is_free(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        let free = self.latest.get(&address).and_then(|probe| probe.free);
        free.is_some_and(|at| now < at + FRESH)
    }

    /// Reports whether an address should be probed: early enough that it stays known to be free.
    pub fn is_due(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        self.latest.get(&address).is_none_or(|probe| {
            let is_old = probe.free.is_none_or(|at| now + PATIENCE >= at + FRESH);
            is_old && now >= probe.sent + PATIENCE
        })
    }

    /// Notes that somebody probes these; what is long past is forgotten.
    pub fn ask(&mut self, addresses: &[Ipv4Addr], now: Timestamp) {
        for address in addresses {
            let free = self.latest.get(address).and_then(|probe| probe.free);
            self.latest.insert(*address, Probe { sent: now, free });
        }
        // Only once they have doubled, so that looking through them costs little for each probe.
        if self.latest.len() > PROBES_KEPT.max(2 * self.kept) {
            self.latest.retain(|_, probe| now < probe.sent + FRESH);
            self.kept = self.latest.len();
        }
    }

    /// Notes that nobody answered.
    pub fn found_free(&mut self, address: Ipv4Addr, now: Timestamp) {
        if let Some(probe) = self.latest.get_mut(&address) {
            probe.free = Some(now);
        }
    }
}

impl DhcpResponder {
    /// Lists what should be probed now, so that the next clients of each pool get an address on
    /// which nobody answers: by network, those of networks with an interface of ours.
    ///
    /// A reservation is never probed, and no client ever waits for a probe.
    pub fn probes_due(&mut self, inventory: &Inventory, now: Timestamp) -> Vec<ProbesDue> {
        let mut found = Vec::new();
        for network in &inventory.site.networks {
            let is_ours = network.mode == DhcpMode::Authoritative && network.interface.is_some();
            let Some(pool) = network.pool.as_ref().filter(|_| is_ours) else {
                continue;
            };
            let addresses = self.leases.probes_due(pool, now);
            if !addresses.is_empty() {
                found.push(ProbesDue {
                    network: network.name.clone(),
                    addresses,
                });
            }
        }
        found
    }

    /// Notes what came of a probe: an address on which `answered` answers is set aside like one
    /// that a client declined, unless it was given to a client in the meantime.
    pub fn probed(
        &mut self,
        network: &str,
        address: Ipv4Addr,
        answered: Option<MacAddress>,
        now: Timestamp,
    ) -> Option<LeaseChange> {
        if answered.is_none() {
            self.leases.nobody_has(address, now);
            return None;
        }
        let is_given = self.leases.is_given(address, now);
        (!is_given).then(|| LeaseChange::Hold(self.leases.decline(address, network, now)))
    }
}

/// Addresses to probe on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbesDue {
    /// The network.
    pub network: String,
    /// The addresses.
    pub addresses: Vec<Ipv4Addr>,
}

#[cfg(test)]
mod tests;
