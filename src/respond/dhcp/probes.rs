use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

/// How many addresses of a pool are probed before they are needed.
pub const LOOK_AHEAD: usize = 16;
/// How long an unanswered probe of an address stays valid.
const FRESH: Duration = Duration::from_secs(60);
/// How many probes are kept before old ones are removed.
const PROBES_KEPT: usize = 1024;
/// How long to wait for the result of a probe before probing again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which addresses were probed, and when.
#[derive(Debug, Default)]
pub struct Probes {
    latest: HashMap<Ipv4Addr, Probe>,
    /// How many entries were still current at the last cleanup.
    kept: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    /// When the last probe was sent.
    sent: Timestamp,
    /// When a probe last got no answer.
    free: Option<Timestamp>,
}

impl Probes {
    /// Reports whether a recent probe of an address got no answer.
    pub fn is_free(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        let free = self.latest.get(&address).and_then(|probe| probe.free);
        free.is_some_and(|at| now < at + FRESH)
    }

    /// Reports whether to probe an address, early enough that the previous result is still valid.
    pub fn is_due(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        self.latest.get(&address).is_none_or(|probe| {
            let is_old = probe.free.is_none_or(|at| now + PATIENCE >= at + FRESH);
            is_old && now >= probe.sent + PATIENCE
        })
    }

    /// Records that these addresses are being probed, and removes old probes.
    pub fn start(&mut self, addresses: &[Ipv4Addr], now: Timestamp) {
        for address in addresses {
            let free = self.latest.get(address).and_then(|probe| probe.free);
            self.latest.insert(*address, Probe { sent: now, free });
        }
        // Clean up only once the number has doubled, so that the cost for each probe stays small.
        if self.latest.len() > PROBES_KEPT.max(2 * self.kept) {
            self.latest.retain(|_, probe| now < probe.sent + FRESH);
            self.kept = self.latest.len();
        }
    }

    /// Records that a probe got no answer.
    pub fn found_free(&mut self, address: Ipv4Addr, now: Timestamp) {
        if let Some(probe) = self.latest.get_mut(&address) {
            probe.free = Some(now);
        }
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
