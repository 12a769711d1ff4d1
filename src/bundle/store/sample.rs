//! A store with one file, for tests.

use tempfile::TempDir;

use super::layout::BundleStore;
use crate::inventory::BundleFile;

/// A store in a temporary directory, and the bundle's file whose blob it has.
pub struct SampleStore {
    pub store: BundleStore,
    pub file: BundleFile,
    /// Removes the store when it is dropped.
    _directory: TempDir,
}

impl SampleStore {
    /// Creates a store with the blob of a file called `linux`.
    pub fn with(content: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let (sha256, size) = store.add_blob(&mut &*content).unwrap();
        let path = "linux".to_owned();
        let file = BundleFile {
            path,
            sha256,
            size,
            source: None,
        };
        Self {
            store,
            file,
            _directory: directory,
        }
    }
}
