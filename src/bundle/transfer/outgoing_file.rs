use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::error::TransferError;
use super::progress::FileProgress;
use crate::bundle::parallel::StopSignal;
use crate::bundle::registry::{RegistryError, UploadContent};
use crate::bundle::store::{BundleStore, BundleStoreError};
use crate::inventory::BundleFile;
use crate::machine::Sha256Digest;

/// A file of a bundle that is uploaded from the store. It is hashed while it is read, and its last bytes
/// are only released if the whole file has the right digest. So a damaged file never arrives complete.
pub struct OutgoingFile<'p> {
    pub store: &'p BundleStore,
    pub file: &'p BundleFile,
    pub progress: Arc<dyn FileProgress>,
    pub stop: Arc<StopSignal>,
    failure: Arc<Mutex<Option<ReadFailure>>>,
}

/// Why the file cannot be read to its end.
enum ReadFailure {
    Stopped,
    Unreadable(io::Error),
    /// The digest of the damaged content.
    Damaged(Sha256Digest),
}

impl<'p> OutgoingFile<'p> {
    pub fn new(
        store: &'p BundleStore,
        file: &'p BundleFile,
        progress: Arc<dyn FileProgress>,
        stop: Arc<StopSignal>,
    ) -> Self {
        Self {
            store,
            file,
            progress,
            stop,
            failure: Arc::default(),
        }
    }
}

impl UploadContent for OutgoingFile<'_> {
    type Error = TransferError;

    fn open(&self) -> Result<Box<dyn Read + Send>, TransferError> {
        let content = self.store.open_blob(self.file)?;
        Ok(Box::new(CheckedReader {
            content,
            hasher: Sha256::new(),
            position: 0,
            size: self.file.size,
            expected: self.file.sha256,
            progress: Arc::clone(&self.progress),
            stop: Arc::clone(&self.stop),
            failure: Arc::clone(&self.failure),
        }))
    }

    fn failure(&self) -> Option<TransferError> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let path = || self.store.blob_path(&self.file.sha256);
        Some(match failure.take()? {
            ReadFailure::Stopped => RegistryError::Stopped.into(),
            ReadFailure::Unreadable(source) => BundleStoreError::Io {
                path: path(),
                source,
            }
            .into(),
            ReadFailure::Damaged(found) => BundleStoreError::WrongDigest {
                file: self.file.path.clone(),
                path: path(),
                found,
            }
            .into(),
        })
    }
}

struct CheckedReader {
    content: File,
    hasher: Sha256,
    position: u64,
    size: u64,
    expected: Sha256Digest,
    progress: Arc<dyn FileProgress>,
    stop: Arc<StopSignal>,
    failure: Arc<Mutex<Option<ReadFailure>>>,
}

impl CheckedReader {
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, ReadFailure> {
        if self.stop.is_stopped() {
            return Err(ReadFailure::Stopped);
        }
        let read = match self.content.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            read => read.map_err(ReadFailure::Unreadable)?,
        };
        self.hasher.update(&buffer[..read]);
        self.position += read as u64;
        let is_at_end = read == 0 && !buffer.is_empty();
        if self.position >= self.size || is_at_end {
            let found = Sha256Digest::new(self.hasher.clone().finalize().into());
            if found != self.expected {
                return Err(ReadFailure::Damaged(found));
            }
        }
        self.progress.set_position(self.position);
        Ok(read)
    }
}

impl Read for CheckedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|failure| {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            io::Error::other("the file cannot be read to its end")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::store::SampleStore;

    struct NoProgress;

    impl FileProgress for NoProgress {
        fn set_position(&self, _: u64) {}
    }

    #[test]
    fn the_end_of_a_damaged_file_is_never_released() {
        let content = vec![7; 100_000];
        let SampleStore { store, file, .. } = &SampleStore::with(&content);
        let outgoing = OutgoingFile::new(store, file, Arc::new(NoProgress), Arc::default());
        let mut read = Vec::new();
        outgoing.open().unwrap().read_to_end(&mut read).unwrap();
        assert!(read == content && outgoing.failure().is_none());

        let mut damaged = content.clone();
        damaged[3] = 8;
        std::fs::write(store.blob_path(&file.sha256), &damaged).unwrap();
        let mut read = Vec::new();
        outgoing.open().unwrap().read_to_end(&mut read).unwrap_err();
        assert!(read.len() < content.len());
        let failure = outgoing.failure().unwrap().to_string();
        assert!(
            failure.contains("the blob of `linux` hashes to"),
            "{failure}"
        );

        outgoing.stop.stop();
        outgoing.open().unwrap().read_to_end(&mut read).unwrap_err();
        assert!(matches!(
            outgoing.failure(),
            Some(TransferError::Registry(RegistryError::Stopped))
        ));
    }
}
