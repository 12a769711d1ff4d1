use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::error::TransferError;
use super::progress::Part;
use crate::bundle::parallel::Stop;
use crate::bundle::registry::Content;
use crate::bundle::store::{BundleStore, BundleStoreError};
use crate::inventory::BundleFile;
use crate::machine::Sha256Digest;

/// A file of a bundle on its way out of the store. It is read once, and hashed as it is read: its last
/// octets come only if all of it hashes to its name, so what has gone bad arrives nowhere whole.
pub struct Outgoing<'p> {
    pub store: &'p BundleStore,
    pub file: &'p BundleFile,
    pub part: Arc<dyn Part>,
    pub stop: Arc<Stop>,
    fault: Arc<Mutex<Option<Fault>>>,
}

/// Why it could not be read to its end.
enum Fault {
    Stopped,
    Unreadable(io::Error),
    /// What it hashes to.
    Bad(Sha256Digest),
}

impl<'p> Outgoing<'p> {
    pub fn new(
        store: &'p BundleStore,
        file: &'p BundleFile,
        part: Arc<dyn Part>,
        stop: Arc<Stop>,
    ) -> Self {
        Self {
            store,
            file,
            part,
            stop,
            fault: Arc::default(),
        }
    }
}

impl Content for Outgoing<'_> {
    fn open(&self) -> Result<Box<dyn Read + Send>, TransferError> {
        let content = self.store.open_blob(self.file)?;
        Ok(Box::new(Checked {
            content,
            hasher: Sha256::new(),
            position: 0,
            size: self.file.size,
            expected: self.file.sha256,
            part: Arc::clone(&self.part),
            stop: Arc::clone(&self.stop),
            fault: Arc::clone(&self.fault),
        }))
    }

    fn fault(&self) -> Option<TransferError> {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let path = || self.store.blob_path(&self.file.sha256);
        Some(match fault.take()? {
            Fault::Stopped => TransferError::Stopped,
            Fault::Unreadable(source) => BundleStoreError::Io {
                path: path(),
                source,
            }
            .into(),
            Fault::Bad(found) => BundleStoreError::WrongDigest {
                file: self.file.path.clone(),
                path: path(),
                found,
            }
            .into(),
        })
    }
}

struct Checked {
    content: File,
    hasher: Sha256,
    position: u64,
    size: u64,
    expected: Sha256Digest,
    part: Arc<dyn Part>,
    stop: Arc<Stop>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Checked {
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        if self.stop.is_stopped() {
            return Err(Fault::Stopped);
        }
        let read = match self.content.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            read => read.map_err(Fault::Unreadable)?,
        };
        self.hasher.update(&buffer[..read]);
        self.position += read as u64;
        let is_at_its_end = read == 0 && !buffer.is_empty();
        if self.position >= self.size || is_at_its_end {
            let found = Sha256Digest::new(self.hasher.clone().finalize().into());
            if found != self.expected {
                return Err(Fault::Bad(found));
            }
        }
        self.part.at(self.position);
        Ok(read)
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|fault| {
            let mut known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(fault);
            io::Error::other("the file that is sent cannot be read to its end")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Part for Nobody {
        fn at(&self, _: u64) {}
    }

    #[test]
    fn the_end_of_a_file_that_has_gone_bad_never_comes() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let content = vec![7; 100_000];
        let (sha256, size) = store.add_blob(&mut content.as_slice()).unwrap();
        let file = BundleFile {
            path: "linux".into(),
            sha256,
            size,
            source: None,
        };
        let outgoing = Outgoing::new(&store, &file, Arc::new(Nobody), Arc::default());
        let mut read = Vec::new();
        outgoing.open().unwrap().read_to_end(&mut read).unwrap();
        assert!(read == content && outgoing.fault().is_none());

        let mut bad = content.clone();
        bad[3] = 8;
        std::fs::write(store.blob_path(&sha256), &bad).unwrap();
        let mut read = Vec::new();
        outgoing.open().unwrap().read_to_end(&mut read).unwrap_err();
        assert!(read.len() < content.len());
        let fault = outgoing.fault().unwrap().to_string();
        assert!(fault.contains("the blob of `linux` hashes to"), "{fault}");

        outgoing.stop.stop();
        outgoing.open().unwrap().read_to_end(&mut read).unwrap_err();
        assert!(matches!(outgoing.fault(), Some(TransferError::Stopped)));
    }
}
