use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;

use super::database::{LOCK_POLL, LOCK_POLLS};
use super::error::StoreFault;

/// Where the writers of a database wait for their turn, across processes.
///
/// A writer that waits for SQLite's write lock holds the turnstile. So a writer that has just released the
/// lock cannot take it again before the waiting writer. Without the turnstile, on a slow disk, the lock is
/// free for so short a time that waiting writers rarely get it.
pub(super) struct Turnstile(File);

/// Standing in the turnstile, until dropped.
pub(super) struct Turn<'t>(&'t File);

impl Turnstile {
    /// Opens the turnstile of a state directory that exists.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreFault> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(".turnstile"))?;
        Ok(Self(file))
    }

    /// Waits until the turnstile is free. A hung process makes this fail, never hang.
    pub(super) fn enter(&self) -> Result<Turn<'_>, StoreFault> {
        for _ in 0..LOCK_POLLS {
            match self.0.try_lock() {
                Ok(()) => return Ok(Turn(&self.0)),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_POLL),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        Err(StoreFault::Busy)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // An unlock of a lock that we hold cannot fail, and the process's end is one too.
        let _ = self.0.unlock();
    }
}
