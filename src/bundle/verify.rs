use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use super::error::{BundleStoreError, io_error};
use super::layout::BundleStore;
use crate::inventory::BundleFile;
use crate::machine::Sha256Digest;

/// Opens blobs that hash to their names, and hashes each one once for as long as it does not change.
#[derive(Debug, Default)]
pub struct Verifier {
    good: Mutex<HashMap<Sha256Digest, Identity>>,
}

/// What changes when a file changes: device, inode, size, and both its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64, u64, [i64; 4]);

impl Verifier {
    /// Opens the blob of a bundle's file, and makes sure that it hashes to its name.
    ///
    /// # Errors
    /// As [`BundleStore::open_blob`], and [`BundleStoreError::WrongDigest`].
    pub fn open(&self, store: &BundleStore, file: &BundleFile) -> Result<File, BundleStoreError> {
        let opened = store.open_blob(file)?;
        let path = store.blob_path(&file.sha256);
        let identity = identity(&opened).map_err(|source| io_error(&path, source))?;
        let known = self
            .good
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(&file.sha256)
            .copied();
        if known != Some(identity) {
            let found = hash(&opened).map_err(|source| io_error(&path, source))?;
            if found != file.sha256 {
                return Err(BundleStoreError::WrongDigest {
                    file: file.path.clone(),
                    path,
                    found,
                });
            }
            self.good
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .insert(file.sha256, identity);
        }
        Ok(opened)
    }
}

fn identity(file: &File) -> io::Result<Identity> {
    let data = file.metadata()?;
    let times = [
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
    ];
    Ok(Identity(data.dev(), data.ino(), data.size(), times))
}

/// Hashes all that a reader gives.
pub fn hash(mut content: impl Read) -> io::Result<Sha256Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(Sha256Digest::new(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_that_does_not_hash_to_its_name_is_never_opened() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let (sha256, size) = store.add_blob(&mut &b"kernel"[..]).unwrap();
        let file = BundleFile {
            path: "linux".into(),
            sha256,
            size,
            source: None,
        };
        let verifier = Verifier::default();
        verifier.open(&store, &file).unwrap();
        verifier.open(&store, &file).unwrap();
        let path = store.blob_path(&sha256);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "kernal").unwrap();
        assert!(matches!(
            verifier.open(&store, &file),
            Err(BundleStoreError::WrongDigest { .. })
        ));
    }
}
