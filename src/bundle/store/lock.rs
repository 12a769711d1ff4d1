//! Locks of a store: any number of processes can write or hold blobs, or one can collect garbage.

use std::fs::{File, TryLockError};
use std::io;

use super::error::{BundleStoreError, io_error};
use super::layout::BundleStore;
use super::temporary::clean;

/// Protects all blobs of a store from garbage collection until it is dropped, also those without a name.
#[derive(Debug)]
pub struct SharedLock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Keeps all other processes from writing to a store until it is dropped.
#[derive(Debug)]
pub struct ExclusiveLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl BundleStore {
    /// Locks the store for adding blobs: garbage collection waits until every such lock is dropped. The
    /// first writer removes the leftovers of writers that were killed.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn lock_shared(&self) -> Result<SharedLock, BundleStoreError> {
        let directory = self.partial()?;
        let failed = |source| io_error(&directory, source);
        let lock = File::open(&directory).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => clean(&directory).map_err(failed)?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        lock.lock_shared().map_err(failed)?;
        Ok(SharedLock(lock))
    }

    /// Protects the present blobs from garbage collection until the returned lock is dropped, while a new
    /// user of them is recorded. Returns `None` for a store that is read-only, where nothing is collected.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn hold(&self) -> Result<Option<SharedLock>, BundleStoreError> {
        let directory = match self.partial() {
            Ok(directory) => directory,
            Err(BundleStoreError::Io { source, .. }) if is_read_only(&source) => return Ok(None),
            Err(error) => return Err(error),
        };
        let failed = |source| io_error(&directory, source);
        let lock = File::open(&directory).map_err(failed)?;
        lock.lock_shared().map_err(failed)?;
        Ok(Some(SharedLock(lock)))
    }

    /// Waits until no other process adds or holds blobs, and locks all of them out, for garbage
    /// collection.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn lock_exclusive(&self) -> Result<ExclusiveLock, BundleStoreError> {
        let directory = self.partial()?;
        let failed = |source| io_error(&directory, source);
        let lock = File::open(&directory).map_err(failed)?;
        lock.lock().map_err(failed)?;
        clean(&directory).map_err(failed)?;
        Ok(ExclusiveLock(lock))
    }
}

fn is_read_only(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    [PermissionDenied, ReadOnlyFilesystem].contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_next_writer_that_is_alone_removes_the_leftovers_of_killed_writers() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let partial = store.partial().unwrap();
        let (dead, download) = (partial.join("1-0.partial"), partial.join("abc.download"));
        fs::write(&dead, "half a blob").unwrap();
        fs::write(&download, "half a download").unwrap();
        let mut blob = {
            let _other = store.lock_shared().unwrap();
            assert!(!dead.exists());
            fs::write(&dead, "another writer's").unwrap();
            store.begin_blob().unwrap()
        };
        // Neither another writer's file nor a partial download is a leftover.
        store.lock_shared().unwrap();
        assert!(dead.exists() && download.exists());
        blob.copy(&mut &b"kernel"[..]).unwrap();
        blob.finish().unwrap();
        store.lock_shared().unwrap();
        assert!(!dead.exists() && download.exists());
    }

    #[test]
    fn garbage_collection_and_writers_lock_each_other_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let other = File::open(store.partial().unwrap()).unwrap();
        let writer = store.lock_shared().unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(writer);
        let collector = store.lock_exclusive().unwrap();
        let writer = other.try_lock_shared();
        assert!(matches!(writer, Err(TryLockError::WouldBlock)));
        drop(collector);
        other.try_lock_shared().unwrap();
    }
}
