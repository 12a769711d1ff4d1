use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use super::error::{BundleStoreError, io_error};
use super::hashed_copy::hash;
use super::layout::BundleStore;
use super::named_bundle::NamedBundle;
use crate::bundle::parallel::{StopSignal, run_parallel};
use crate::inventory::BundleFile;
use crate::machine::Sha256Digest;

/// Receives how many more bytes are done.
pub type OnBytesHashed = Box<dyn Fn(u64)>;

/// How many files are hashed at the same time: more do not make a disk faster.
const MOST_AT_ONCE: usize = 4;

/// Opens blobs whose digest matches their name. Hashes each blob once, and again only if it changes.
#[derive(Debug, Default)]
pub struct Verifier {
    verified: Mutex<HashMap<Sha256Digest, FileIdentity>>,
}

/// What identifies an unchanged file: device, inode, size, and both of its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileIdentity(u64, u64, u64, [i64; 4]);

impl Verifier {
    /// Opens the blob of a bundle's file, and verifies its digest.
    ///
    /// # Errors
    /// As [`BundleStore::open_blob`], and [`BundleStoreError::WrongDigest`].
    pub fn open(&self, store: &BundleStore, file: &BundleFile) -> Result<File, BundleStoreError> {
        self.open_with_progress(store, file, &|_| {})
    }

    /// Like [`Verifier::open`], and reports each time how many more bytes are hashed.
    ///
    /// # Errors
    /// As [`Verifier::open`].
    pub fn open_with_progress(
        &self,
        store: &BundleStore,
        file: &BundleFile,
        advanced: &dyn Fn(u64),
    ) -> Result<File, BundleStoreError> {
        let opened = store.open_blob(file)?;
        let path = store.blob_path(&file.sha256);
        let identity = identity(&opened).map_err(|source| io_error(&path, source))?;
        let known = self
            .verified
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(&file.sha256)
            .copied();
        if known != Some(identity) {
            let watched = HashProgressReader(&opened, advanced);
            let found = hash(watched).map_err(|source| io_error(&path, source))?;
            if found != file.sha256 {
                return Err(BundleStoreError::WrongDigest {
                    file: file.path.clone(),
                    path,
                    found,
                });
            }
            self.verified
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .insert(file.sha256, identity);
        }
        Ok(opened)
    }

    /// Hashes every file of some bundles once, several at a time. [`Verifier::open`] then returns the
    /// errors, and does not hash intact files again. Returns the number of bytes.
    ///
    /// Calls `begin` with the number of files and bytes, and `begin_file` with each file and the name of
    /// its bundle; the function that it returns receives the progress of this file.
    pub fn hash_all(
        &self,
        store: &BundleStore,
        named: &BTreeMap<String, NamedBundle>,
        begin: &dyn Fn(usize, u64),
        begin_file: &(dyn Fn(&str, &BundleFile) -> OnBytesHashed + Sync),
    ) -> u64 {
        let mut files: BTreeMap<_, (&str, &BundleFile)> = BTreeMap::new();
        for (name, it) in named {
            for file in it.bundle.iter().flat_map(|bundle| bundle.files.values()) {
                let known = files.entry((file.size, file.sha256));
                known.or_insert((name, file));
            }
        }
        let bytes = files
            .keys()
            .fold(0, |sum: u64, (size, _)| sum.saturating_add(*size));
        begin(files.len(), bytes);
        // The largest come first, so that the threads end at about the same time.
        let files: Vec<_> = files.into_values().rev().collect();
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let hash = |(name, it)| {
            let advanced = begin_file(name, it);
            let _ = self.open_with_progress(store, it, &*advanced);
            Ok::<(), Infallible>(())
        };
        let Ok(_) = run_parallel(jobs.min(MOST_AT_ONCE), files, &StopSignal::default(), hash);
        bytes
    }
}

/// Reports how many bytes are read through it.
struct HashProgressReader<'w>(&'w File, &'w dyn Fn(u64));

impl Read for HashProgressReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        (self.1)(read as u64);
        Ok(read)
    }
}

fn identity(file: &File) -> io::Result<FileIdentity> {
    let data = file.metadata()?;
    let times = [
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
    ];
    Ok(FileIdentity(data.dev(), data.ino(), data.size(), times))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::store::SampleStore;

    #[test]
    fn a_blob_whose_digest_does_not_match_its_name_is_never_opened() {
        let SampleStore { store, file, .. } = &SampleStore::with(b"kernel");
        let verifier = Verifier::default();
        verifier.open(store, file).unwrap();
        verifier.open(store, file).unwrap();
        let path = store.blob_path(&file.sha256);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "kernal").unwrap();
        assert!(matches!(
            verifier.open(store, file),
            Err(BundleStoreError::WrongDigest { .. })
        ));
    }
}
