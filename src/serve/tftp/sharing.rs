//! The slots of all workers, and the notification of a worker that lost a slot.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use rustix::event::{EventfdFlags, eventfd};

use crate::respond::tftp::{SlotClaim, TransferSlot, TransferSlots};

/// The slots of all workers; the owner of a [`SlotClaim`] is a worker's number.
pub(super) struct SharedSlots {
    slots: Mutex<TransferSlots>,
    mailboxes: Vec<Mailbox>,
}

/// The lost slots of a worker. Its descriptor is readable if there are any.
pub(super) struct Mailbox {
    lost: Mutex<Vec<(TransferSlot, SlotClaim)>>,
    event: OwnedFd,
}

impl SharedSlots {
    pub(super) fn new(slots: TransferSlots, workers: usize) -> anyhow::Result<Self> {
        let mailboxes = (0..workers).map(|_| {
            let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
            let event = event.context("cannot create an eventfd")?;
            let lost = Mutex::default();
            Ok(Mailbox { lost, event })
        });
        Ok(Self {
            slots: Mutex::new(slots),
            mailboxes: mailboxes.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Takes a free slot, or that of a transfer without a response; `None` if there is neither.
    pub(super) fn take(&self, claim: SlotClaim) -> Option<TransferSlot> {
        let (slot, displaced) = lock(&self.slots).take(claim)?;
        if let Some((lost, claim)) = displaced
            && let Some(mailbox) = self.mailboxes.get(claim.owner)
        {
            let mut mail = lock(&mailbox.lost);
            let sleeps = mail.is_empty();
            mail.push((lost, claim));
            drop(mail);
            if sleeps {
                // A full counter also wakes the worker.
                let _ = rustix::io::write(&mailbox.event, &1u64.to_ne_bytes());
            }
        }
        Some(slot)
    }

    pub(super) fn answered(&self, slot: TransferSlot, claim: SlotClaim) {
        lock(&self.slots).answered(slot, claim);
    }

    /// Frees a slot. A slot that was lost before stays with its new owner.
    pub(super) fn free(&self, slot: TransferSlot) {
        lock(&self.slots).free(slot);
    }

    pub(super) fn mailbox(&self, worker: usize) -> &Mailbox {
        &self.mailboxes[worker]
    }

    /// Returns the slots that a worker has lost since the last call.
    pub(super) fn lost(&self, worker: usize) -> Vec<(TransferSlot, SlotClaim)> {
        let mailbox = self.mailbox(worker);
        let _ = rustix::io::read(&mailbox.event, &mut [0; 8]);
        let mut lost = std::mem::take(&mut *lock(&mailbox.lost));
        // A transfer whose client responded meanwhile has its slot again.
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
