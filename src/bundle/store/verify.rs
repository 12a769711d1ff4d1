use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use super::error::{BundleStoreError, io_error};
use super::hashed_copy::hash;
use super::layout::BundleStore;
use super::named_bundle::Named;
use crate::bundle::parallel::{Stop, at_once};
use crate::inventory::BundleFile;
use crate::machine::Sha256Digest;

/// Is told how many octets more are done.
pub type Advanced = Box<dyn Fn(u64)>;

/// The most files that are hashed at once: a disk does not give more.
const MOST_AT_ONCE: usize = 4;

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
        self.open_watched(store, file, &|_| {})
    }

    /// Like [`Verifier::open`], and tells how many octets more have been hashed.
    ///
    /// # Errors
    /// As [`Verifier::open`].
    pub fn open_watched(
        &self,
        store: &BundleStore,
        file: &BundleFile,
        advanced: &dyn Fn(u64),
    ) -> Result<File, BundleStoreError> {
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
            let watched = Watched(&opened, advanced);
            let found = hash(watched).map_err(|source| io_error(&path, source))?;
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

impl Verifier {
    /// Hashes every file of bundles once, several at a time. What is wrong with one is said by
    /// [`Verifier::open`]; what is good is not hashed again there. Returns how many octets that was.
    ///
    /// It says how many files of how many octets there are, and when one begins, of which bundle; what
    /// `file` returns is told how many octets more of it are done.
    pub fn hash_all(
        &self,
        store: &BundleStore,
        named: &BTreeMap<String, Named>,
        begins: &dyn Fn(usize, u64),
        file: &(dyn Fn(&str, &BundleFile) -> Advanced + Sync),
    ) -> u64 {
        let mut files: BTreeMap<_, (&str, &BundleFile)> = BTreeMap::new();
        for (name, it) in named {
            for file in it.bundle.iter().flat_map(|bundle| bundle.files.values()) {
                let known = files.entry((file.size, file.sha256));
                known.or_insert((name, file));
            }
        }
        let octets = files
            .keys()
            .fold(0, |sum: u64, (size, _)| sum.saturating_add(*size));
        begins(files.len(), octets);
        // The largest first: none is left alone at the end.
        let files: Vec<_> = files.into_values().rev().collect();
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let hash = |(name, it)| {
            let advanced = file(name, it);
            let _ = self.open_watched(store, it, &*advanced);
            Ok::<(), Infallible>(())
        };
        let Ok(_) = at_once(jobs.min(MOST_AT_ONCE), files, &Stop::default(), hash);
        octets
    }
}

/// Tells of what is read through it.
struct Watched<'w>(&'w File, &'w dyn Fn(u64));

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        (self.1)(read as u64);
        Ok(read)
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
