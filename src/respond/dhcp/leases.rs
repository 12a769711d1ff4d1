use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::probes::{LOOK_AHEAD, Probes};
use crate::inventory::AddressRange;
use crate::machine::{Lease, MacAddress};

/// How long to wait before searching an exhausted pool again.
const EXHAUSTED_TIME: Duration = Duration::from_secs(1);
/// How long an offered address is held for its client.
const OFFER_TIME: Duration = Duration::from_secs(60);
/// How long an address that another machine uses is set aside.
const DECLINED_TIME: Duration = Duration::from_secs(3600);

/// The number of latest addresses above which those of clients that never returned are removed.
const ADDRESSES_KEPT: usize = 4096;

/// The leases, and the offers that may become leases.
#[derive(Debug, Default)]
pub struct LeaseTable {
    leases: BTreeMap<Ipv4Addr, Lease>,
    /// The latest address of each client on each network, even after its lease has expired.
    addresses: HashMap<(MacAddress, String), Ipv4Addr>,
    offers: HashMap<Ipv4Addr, (MacAddress, Timestamp)>,
    /// Exhausted pools, and when to search each again: the cost of a search grows with the pool, and
    /// anyone can cause one.
    exhausted: HashMap<Ipv4Addr, Timestamp>,
    /// For each pool, the next addresses to try; each is checked before it is offered.
    queues: HashMap<Ipv4Addr, (AddressRange, VecDeque<Ipv4Addr>)>,
    probes: Probes,
    /// How many latest addresses were still current at the last cleanup.
    kept: usize,
}

impl LeaseTable {
    /// Starts with the leases that the store holds.
    pub fn new(leases: impl IntoIterator<Item = Lease>) -> Self {
        let mut table = Self::default();
        for lease in leases {
            table.hold(lease);
        }
        table
    }

    /// Lists the active leases.
    pub fn active(&self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.leases
            .values()
            .filter(move |lease| lease.is_active(now))
    }

    /// Returns the holder of an address, even after the lease has expired.
    pub fn holder(&self, address: Ipv4Addr) -> Option<MacAddress> {
        self.leases.get(&address).and_then(|lease| lease.holder)
    }

    /// Reports whether a client may have an address: no other client holds it or has an offer of it.
    pub fn is_free_for(&self, address: Ipv4Addr, mac: MacAddress, now: Timestamp) -> bool {
        let held = self
            .leases
            .get(&address)
            .filter(|lease| lease.is_active(now));
        let offered = self.offers.get(&address).filter(|(_, until)| now < *until);
        held.is_none_or(|lease| lease.holder == Some(mac))
            && offered.is_none_or(|(to, _)| *to == mac)
    }

    /// Chooses an address of the pool: the client's latest address, the requested address, or any free one.
    pub fn choose(
        &mut self,
        pool: &AddressRange,
        mac: MacAddress,
        network: &str,
        requested: Option<Ipv4Addr>,
        now: Timestamp,
    ) -> Option<Ipv4Addr> {
        let latest = self.addresses.get(&(mac, network.to_owned())).copied();
        let preferred = [latest, requested].into_iter().flatten();
        for address in preferred {
            if pool.contains(address) && self.is_free_for(address, mac, now) {
                return Some(address);
            }
        }
        self.next_free(pool, mac, now)
    }

    /// Walks through the pool at most once. An address stays unused as long as possible before another
    /// client gets it.
    fn next_free(
        &mut self,
        pool: &AddressRange,
        mac: MacAddress,
        now: Timestamp,
    ) -> Option<Ipv4Addr> {
        let exhausted = self.exhausted.get(&pool.first());
        if exhausted.is_some_and(|until| now < *until) {
            return None;
        }
        let mut queue = self.take_queue(pool);
        // Prefer a probed address near the front; a client never waits for a probe.
        let mut upcoming = queue.iter().take(LOOK_AHEAD);
        let probed = upcoming.position(|address| {
            self.probes.is_free(*address, now) && self.is_free_for(*address, mac, now)
        });
        let found = match probed {
            Some(at) => queue.remove(at),
            None => {
                let mut all = queue.iter();
                let at = all.position(|address| self.is_free_for(*address, mac, now));
                // Addresses in use go to the end, so that the next search does not walk past them.
                queue.rotate_left(at.unwrap_or(0));
                at.and_then(|_| queue.pop_front())
            }
        };
        queue.extend(found);
        self.put_queue(pool, queue);
        if found.is_none() {
            self.exhausted.insert(pool.first(), now + EXHAUSTED_TIME);
        }
        found
    }

    /// Lists the next addresses of the pool that were not probed recently, and records that they are being
    /// probed.
    pub fn probes_due(&mut self, pool: &AddressRange, now: Timestamp) -> Vec<Ipv4Addr> {
        let mut queue = self.take_queue(pool);
        // Addresses in use are checked again when their turn comes.
        let taken = queue.iter().take(LOOK_AHEAD).take_while(|address| {
            let lease = self.leases.get(address);
            lease.is_some_and(|lease| lease.is_active(now))
        });
        let taken = taken.count();
        queue.rotate_left(taken);
        let upcoming = queue.iter().take(LOOK_AHEAD).copied();
        let due: Vec<Ipv4Addr> = upcoming
            .filter(|address| !self.is_given(*address, now) && self.probes.is_due(*address, now))
            .collect();
        self.probes.start(&due, now);
        self.put_queue(pool, queue);
        due
    }

    /// Reports whether any client holds an address or has an offer of it.
    pub fn is_given(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        let lease = self.leases.get(&address);
        let offer = self.offers.get(&address);
        lease.is_some_and(|lease| lease.is_active(now))
            || offer.is_some_and(|(_, until)| now < *until)
    }

    /// Records that a probe of an address got no answer.
    pub fn found_free(&mut self, address: Ipv4Addr, now: Timestamp) {
        self.probes.found_free(address, now);
    }

    fn take_queue(&mut self, pool: &AddressRange) -> VecDeque<Ipv4Addr> {
        let entry = self.queues.remove(&pool.first());
        entry
            .filter(|(range, _)| range == pool)
            .map_or_else(|| pool.iter().collect(), |(_, queue)| queue)
    }

    fn put_queue(&mut self, pool: &AddressRange, queue: VecDeque<Ipv4Addr>) {
        self.queues.insert(pool.first(), (pool.clone(), queue));
    }

    /// Records that an address was offered to a client; this replaces an earlier offer to the client.
    pub fn offer(&mut self, mac: MacAddress, network: &str, address: Ipv4Addr, now: Timestamp) {
        self.withdraw(mac, network);
        self.offers.insert(address, (mac, now + OFFER_TIME));
        self.addresses.insert((mac, network.to_owned()), address);
        // Clean up only once the number has doubled, so that the cost for each offer stays small.
        if self.addresses.len() > ADDRESSES_KEPT.max(2 * self.kept) {
            self.forget_old_offers(now);
            self.kept = self.addresses.len();
        }
    }

    /// Returns the number of clients and the number of offers in the table.
    #[cfg(test)]
    pub fn size(&self) -> (usize, usize) {
        (self.addresses.len(), self.offers.len())
    }

    /// Bounds the memory used by clients that send a request and never return.
    fn forget_old_offers(&mut self, now: Timestamp) {
        let Self {
            leases,
            offers,
            addresses,
            ..
        } = self;
        offers.retain(|_, (_, until)| now < *until);
        addresses.retain(|(mac, _), address| {
            leases
                .get(address)
                .is_some_and(|lease| lease.holder == Some(*mac))
                || offers.get(address).is_some_and(|(to, _)| to == mac)
        });
    }

    /// Withdraws the offer to a client.
    pub fn withdraw(&mut self, mac: MacAddress, network: &str) {
        if let Some(address) = self.addresses.get(&(mac, network.to_owned()))
            && self.offers.get(address).is_some_and(|(to, _)| *to == mac)
        {
            self.offers.remove(address);
            self.exhausted.clear();
        }
    }

    /// Records a lease; it replaces the previous lease of its address.
    pub fn hold(&mut self, lease: Lease) {
        self.offers.remove(&lease.address);
        if let Some(mac) = lease.holder {
            self.addresses
                .insert((mac, lease.network.clone()), lease.address);
        }
        self.leases.insert(lease.address, lease);
    }

    /// Sets aside an address that another machine uses.
    pub fn decline(&mut self, address: Ipv4Addr, network: &str, now: Timestamp) -> Lease {
        let lease = Lease {
            address,
            network: network.to_owned(),
            holder: None,
            expires: now + DECLINED_TIME,
        };
        if let Some(mac) = self.holder(address) {
            self.addresses.remove(&(mac, network.to_owned()));
        }
        self.hold(lease.clone());
        lease
    }

    /// Frees an address.
    pub fn release(&mut self, address: Ipv4Addr) {
        self.exhausted.clear();
        self.leases.remove(&address);
    }
}
