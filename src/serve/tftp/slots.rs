use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The transfers that run, in all and of each address.
pub(super) struct Slots {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    of: HashMap<Ipv4Addr, usize>,
}

impl Slots {
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            taken: Mutex::default(),
        }
    }

    /// Takes a slot for an address, and reports whether there was one.
    pub(super) fn take(&self, address: Ipv4Addr) -> bool {
        let mut taken = self.lock();
        let of_one = taken.of.get(&address).copied().unwrap_or(0);
        if taken.all >= self.most || of_one >= self.most_of_one && !address.is_loopback() {
            return false;
        }
        taken.all += 1;
        taken.of.insert(address, of_one + 1);
        true
    }

    /// Gives a slot of an address back.
    pub(super) fn free(&self, address: Ipv4Addr) {
        let mut taken = self.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(of_one) = taken.of.get_mut(&address) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.of.remove(&address);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_its_share_and_all_together_take_the_whole() {
        let slots = Slots::new(3, 2);
        let [one, other] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
        let taken = [one, one, one, other, other].map(|address| slots.take(address));
        assert_eq!(taken, [true, true, false, true, false]);
        slots.free(one);
        assert!(slots.take(other));
        assert!(!slots.take(one));
        for address in [one, other, other] {
            slots.free(address);
        }
        assert!(slots.lock().of.is_empty());
        assert!([(); 3].iter().all(|()| slots.take(Ipv4Addr::LOCALHOST)));
    }
}
