//! Who may do what to a store at the same time: any number write or hold, or one collects.

use std::fs::{File, TryLockError};
use std::io;

use super::error::{BundleStoreError, io_error};
use super::layout::BundleStore;
use super::temporary::clean;

/// Keeps blobs from being collected that no name leads to yet, or that nobody is known to need yet, as
/// long as it lives.
#[derive(Debug)]
pub struct Writing(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Shows that nobody writes to the store, as long as it lives.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "the open file is the lock")] File);

impl BundleStore {
    /// Says that blobs are being added; whoever collects garbage waits till all have said that they
    /// are done. The first who writes removes what writers that were killed have left behind.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self) -> Result<Writing, BundleStoreError> {
        let directory = self.partial()?;
        let failed = |source| io_error(&directory, source);
        let lock = File::open(&directory).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => clean(&directory).map_err(failed)?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        lock.lock_shared().map_err(failed)?;
        Ok(Writing(lock))
    }

    /// Keeps what is there from being collected, as long as what is returned lives: for who comes to
    /// need it. There is nothing to keep it from where nobody can have written.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn hold(&self) -> Result<Option<Writing>, BundleStoreError> {
        let directory = match self.partial() {
            Ok(directory) => directory,
            Err(BundleStoreError::Io { source, .. }) if is_read_only(&source) => return Ok(None),
            Err(error) => return Err(error),
        };
        let failed = |source| io_error(&directory, source);
        let lock = File::open(&directory).map_err(failed)?;
        lock.lock_shared().map_err(failed)?;
        Ok(Some(Writing(lock)))
    }

    /// Waits till nobody adds blobs or holds those that are there, and keeps others from it: for the
    /// collection of garbage.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_alone(&self) -> Result<Alone, BundleStoreError> {
        let directory = self.partial()?;
        let failed = |source| io_error(&directory, source);
        let lock = File::open(&directory).map_err(failed)?;
        lock.lock().map_err(failed)?;
        clean(&directory).map_err(failed)?;
        Ok(Alone(lock))
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
    fn leftovers_of_killed_writers_go_when_the_next_one_begins_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let partial = store.partial().unwrap();
        let (dead, download) = (partial.join("1-0.partial"), partial.join("abc.download"));
        fs::write(&dead, "half a blob").unwrap();
        fs::write(&download, "half a download").unwrap();
        let mut blob = {
            let _other = store.write().unwrap();
            assert!(!dead.exists());
            fs::write(&dead, "somebody else's").unwrap();
            store.begin_blob().unwrap()
        };
        // Neither another writer's file nor the beginning of a download is a leftover.
        store.write().unwrap();
        assert!(dead.exists() && download.exists());
        blob.copy(&mut &b"kernel"[..]).unwrap();
        blob.finish().unwrap();
        store.write().unwrap();
        assert!(!dead.exists() && download.exists());
    }

    #[test]
    fn garbage_is_collected_only_when_nobody_writes() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let writing = store.write().unwrap();
        let (say, hear) = std::sync::mpsc::channel();
        let other = store.clone();
        let collector = std::thread::spawn(move || {
            let _alone = other.write_alone().unwrap();
            say.send(()).unwrap();
        });
        assert!(
            hear.recv_timeout(std::time::Duration::from_millis(100))
                .is_err()
        );
        drop(writing);
        hear.recv().unwrap();
        collector.join().unwrap();
    }
}
