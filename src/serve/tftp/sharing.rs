//! The slots of all workers, and how a worker hears that it has lost one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use rustix::event::{EventfdFlags, eventfd};

use crate::respond::tftp::{Claim, Slot, Slots};

/// The slots of all workers; the owner of a [`Claim`] is a worker's number.
pub(super) struct SharedSlots {
    slots: Mutex<Slots>,
    mailboxes: Vec<Mailbox>,
}

/// What a worker has lost. Its descriptor is readable when there is something.
pub(super) struct Mailbox {
    lost: Mutex<Vec<(Slot, Claim)>>,
    event: OwnedFd,
}

impl SharedSlots {
    pub(super) fn new(slots: Slots, workers: usize) -> anyhow::Result<Self> {
        let mailboxes = (0..workers).map(|_| {
            let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
            let event = event.context("cannot make an eventfd")?;
            let lost = Mutex::default();
            Ok(Mailbox { lost, event })
        });
        Ok(Self {
            slots: Mutex::new(slots),
            mailboxes: mailboxes.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Takes a slot, be it that of another transfer; `None` when there is no room.
    pub(super) fn take(&self, claim: Claim) -> Option<Slot> {
        let (slot, displaced) = lock(&self.slots).take(claim)?;
        if let Some((lost, claim)) = displaced
            && let Some(mailbox) = self.mailboxes.get(claim.owner)
        {
            let mut mail = lock(&mailbox.lost);
            let sleeps = mail.is_empty();
            mail.push((lost, claim));
            drop(mail);
            if sleeps {
                // A counter that is full wakes it as well.
                let _ = rustix::io::write(&mailbox.event, &1u64.to_ne_bytes());
            }
        }
        Some(slot)
    }

    pub(super) fn answered(&self, slot: Slot, claim: Claim) {
        lock(&self.slots).answered(slot, claim);
    }

    /// Gives a slot back; one that was lost already stays with its new owner.
    pub(super) fn free(&self, slot: Slot) {
        lock(&self.slots).free(slot);
    }

    pub(super) fn mailbox(&self, worker: usize) -> &Mailbox {
        &self.mailboxes[worker]
    }

    /// Returns the slots that a worker has lost since the last call.
    pub(super) fn lost(&self, worker: usize) -> Vec<(Slot, Claim)> {
        let mailbox = self.mailbox(worker);
        let _ = rustix::io::read(&mailbox.event, &mut [0; 8]);
        let mut lost = std::mem::take(&mut *lock(&mailbox.lost));
        // One whose client has responded meanwhile has its slot again.
        let slots = lock(&self.slots);
        lost.retain(|(slot, _)| !slots.holds(*slot));
        lost
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
