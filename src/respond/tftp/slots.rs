//! Decides which transfers may run at once, and which transfer loses its slot to another.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The slot of one transfer. Later slots are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferSlot(u64);

/// A request for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotClaim {
    /// The client.
    pub peer: SocketAddrV4,
    /// The site reserves or leases the client's address.
    pub known: bool,
    /// The worker that serves the client, a number chosen by the caller.
    pub owner: usize,
}

/// The slots of a server.
///
/// A request whose sender never responds may be forged, so another request may take its slot. The network
/// with most such slots loses its oldest slot first. Machines that the site knows take precedence over all
/// others.
pub struct TransferSlots {
    most: usize,
    most_of_one: usize,
    next: u64,
    holders: HashMap<TransferSlot, SlotHolder>,
    addresses: HashMap<Ipv4Addr, BTreeSet<TransferSlot>>,
    waiting_strangers: SlotGroups,
    waiting_known: SlotGroups,
    answered_strangers: SlotGroups,
    answered_known: SlotGroups,
}

#[derive(Clone, Copy)]
struct SlotHolder {
    claim: SlotClaim,
    answered: bool,
}

/// Whether there is a slot for a new request.
enum Room {
    Free,
    Displace(TransferSlot),
    Full,
}

impl TransferSlots {
    /// Creates slots for `most` transfers, and for at most `most_of_one` of one address. Loopback has no
    /// such limit, because its address cannot be forged.
    pub fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            next: 0,
            holders: HashMap::new(),
            addresses: HashMap::new(),
            waiting_strangers: SlotGroups::default(),
            waiting_known: SlotGroups::default(),
            answered_strangers: SlotGroups::default(),
            answered_known: SlotGroups::default(),
        }
    }

    /// Takes a slot; returns it with the claim that lost its slot, if any. `None` if no slot is available.
    pub fn take(
        &mut self,
        claim: SlotClaim,
    ) -> Option<(TransferSlot, Option<(TransferSlot, SlotClaim)>)> {
        let displaced = match self.room_for(&claim) {
            Room::Free => None,
            Room::Displace(slot) => Some((slot, self.free(slot)?)),
            Room::Full => return None,
        };
        let slot = TransferSlot(self.next);
        self.next += 1;
        self.insert(slot, claim, false);
        Some((slot, displaced))
    }

    /// Records that the client has responded. It keeps its slot, even if another client has just taken it.
    pub fn answered(&mut self, slot: TransferSlot, claim: SlotClaim) {
        self.free(slot);
        self.insert(slot, claim, true);
    }

    /// Frees a slot; returns the claim that held it.
    pub fn free(&mut self, slot: TransferSlot) -> Option<SlotClaim> {
        let held = self.holders.remove(&slot)?;
        self.groups(held).remove(SlotGroup::of(&held.claim), slot);
        let address = *held.claim.peer.ip();
        if let Some(of_one) = self.addresses.get_mut(&address) {
            of_one.remove(&slot);
            if of_one.is_empty() {
                self.addresses.remove(&address);
            }
        }
        Some(held.claim)
    }

    /// Reports whether a slot is taken.
    pub fn holds(&self, slot: TransferSlot) -> bool {
        self.holders.contains_key(&slot)
    }

    /// Decides which slot a new request takes:
    ///
    /// 1. If the address has reached its limit, its own oldest slot without a response. So forged requests
    ///    cannot lock a machine out.
    /// 2. A stranger that never responded.
    /// 3. For a known machine only: a known address that never responded, then a stranger that did. For a
    ///    known machine without a slot, also a machine that has several.
    fn room_for(&self, claim: &SlotClaim) -> Room {
        let address = claim.peer.ip();
        let own = self.addresses.get(address);
        if own.is_some_and(|own| own.len() >= self.most_of_one) && !address.is_loopback() {
            let mut own = own.into_iter().flatten();
            let oldest = own.find(|slot| self.holders.get(slot).is_some_and(|held| !held.answered));
            return oldest.map_or(Room::Full, |slot| Room::Displace(*slot));
        }
        if self.holders.len() < self.most {
            return Room::Free;
        }
        let mut yields = self.waiting_strangers.first_of_largest(1);
        if claim.known {
            let hoards = || self.answered_known.first_of_largest(2);
            yields = yields
                .or_else(|| self.waiting_known.first_of_largest(1))
                .or_else(|| self.answered_strangers.first_of_largest(1))
                .or_else(|| hoards().filter(|_| own.is_none()));
        }
        yields.map_or(Room::Full, Room::Displace)
    }

    fn insert(&mut self, slot: TransferSlot, claim: SlotClaim, answered: bool) {
        let held = SlotHolder { claim, answered };
        self.holders.insert(slot, held);
        self.groups(held).insert(SlotGroup::of(&claim), slot);
        let of_one = self.addresses.entry(*claim.peer.ip()).or_default();
        of_one.insert(slot);
    }

    fn groups(&mut self, held: SlotHolder) -> &mut SlotGroups {
        match (held.answered, held.claim.known) {
            (false, false) => &mut self.waiting_strangers,
            (false, true) => &mut self.waiting_known,
            (true, false) => &mut self.answered_strangers,
            (true, true) => &mut self.answered_known,
        }
    }
}

/// Clients that share a quota: each known address alone, strangers by blocks of 256 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct SlotGroup(u32);

impl SlotGroup {
    fn of(claim: &SlotClaim) -> Self {
        let address = claim.peer.ip().to_bits();
        Self(if claim.known { address } else { address >> 8 })
    }
}

/// Slots by group, the largest group first, and in it the oldest slot.
#[derive(Default)]
struct SlotGroups {
    slots: HashMap<SlotGroup, BTreeSet<TransferSlot>>,
    order: BTreeSet<(usize, Reverse<TransferSlot>, SlotGroup)>,
}

impl SlotGroups {
    fn insert(&mut self, group: SlotGroup, slot: TransferSlot) {
        self.change(group, |slots| slots.insert(slot));
    }

    fn remove(&mut self, group: SlotGroup, slot: TransferSlot) {
        self.change(group, |slots| slots.remove(&slot));
    }

    fn change(
        &mut self,
        group: SlotGroup,
        change: impl FnOnce(&mut BTreeSet<TransferSlot>) -> bool,
    ) {
        let rank = |slots: &BTreeSet<TransferSlot>| {
            let oldest = *slots.first()?;
            Some((slots.len(), Reverse(oldest), group))
        };
        let slots = self.slots.entry(group).or_default();
        if let Some(old) = rank(slots) {
            self.order.remove(&old);
        }
        change(slots);
        match rank(slots) {
            Some(new) => {
                self.order.insert(new);
            }
            None => {
                self.slots.remove(&group);
            }
        }
    }

    /// Returns the oldest slot of the largest group, if the group has at least `at_least` slots.
    fn first_of_largest(&self, at_least: usize) -> Option<TransferSlot> {
        let (count, Reverse(oldest), _) = self.order.last()?;
        (*count >= at_least).then_some(*oldest)
    }
}

#[cfg(test)]
mod tests;
