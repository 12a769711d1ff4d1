use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::error::{BundleStoreError, io_error};
use super::hashed_copy::hash;
use super::temporary::move_durably;
use crate::inventory::BundleFile;
use crate::machine::Sha256Digest;

const LAYOUT_FILE: &str = "oci-layout";
pub(super) const INDEX_FILE: &str = "index.json";
/// The largest `index.json` or `oci-layout` that is read, in bytes: the same as for a manifest.
pub(super) const SMALL_LIMIT: u64 = 4 << 20;
/// The directory of files without a name yet; other readers of a layout ignore it.
const PARTIAL_DIRECTORY: &str = ".partial";

/// An OCI image layout with the blobs of bundles.
///
/// Every file under its name is complete: blobs and the index are written to temporary files, made
/// durable, and renamed. Any number of processes can read and add blobs at the same time.
#[derive(Clone, Debug)]
pub struct BundleStore {
    root: PathBuf,
}

impl BundleStore {
    /// Opens the layout at `root`.
    ///
    /// # Errors
    /// [`BundleStoreError::Absent`] when the path does not exist, [`BundleStoreError::NotALayout`] when it
    /// has something else.
    pub fn open(root: &Path) -> Result<Self, BundleStoreError> {
        if !root.exists() {
            return Err(BundleStoreError::Absent(root.to_owned()));
        }
        let invalid = |reason: String| BundleStoreError::NotALayout {
            path: root.to_owned(),
            reason,
        };
        let text = read_small(&root.join(LAYOUT_FILE))
            .map_err(|error| invalid(format!("`{LAYOUT_FILE}`: {error}")))?;
        let layout: Value =
            serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        match layout["imageLayoutVersion"].as_str() {
            Some("1.0.0") if !root.join(INDEX_FILE).is_file() => {
                Err(invalid(format!("no `{INDEX_FILE}`")))
            }
            Some("1.0.0") => Ok(Self {
                root: root.to_owned(),
            }),
            Some(version) => Err(invalid(format!("version `{version}`, expected `1.0.0`"))),
            None => Err(invalid(format!("`{LAYOUT_FILE}` has no version"))),
        }
    }

    /// Opens the layout at `root`, or creates an empty one.
    ///
    /// # Errors
    /// As [`BundleStore::open`], and when the disk fails. A directory with other files is not changed.
    pub fn open_or_create(root: &Path) -> Result<Self, BundleStoreError> {
        let store = Self {
            root: root.to_owned(),
        };
        if root.join(LAYOUT_FILE).exists() {
            return Self::open(root);
        }
        if let Ok(entries) = fs::read_dir(root) {
            let foreign = entries.flatten().map(|entry| entry.file_name()).find(|it| {
                let name = it.to_string_lossy();
                let is_of_layout = ["blobs", INDEX_FILE, "lost+found"].contains(&&*name);
                !is_of_layout && !name.starts_with('.')
            });
            if let Some(name) = foreign {
                return Err(BundleStoreError::NotALayout {
                    path: root.to_owned(),
                    reason: format!("no `{LAYOUT_FILE}`, but `{}`", name.display()),
                });
            }
        }
        let blobs = store.blobs();
        fs::create_dir_all(&blobs).map_err(|source| io_error(&blobs, source))?;
        // If two processes create it at once, the second one finds the files of the first.
        let lock = File::open(root).map_err(|source| io_error(root, source))?;
        lock.lock().map_err(|source| io_error(root, source))?;
        if !root.join(INDEX_FILE).exists() {
            let empty = json!({"schemaVersion": 2, "manifests": []});
            store.replace(INDEX_FILE, &empty.to_string().into_bytes())?;
        }
        // It comes last: a layout with this file is complete.
        if !root.join(LAYOUT_FILE).exists() {
            store.replace(LAYOUT_FILE, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        Self::open(root)
    }

    /// Returns the path of the layout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the blob with a digest, whether it exists or not.
    pub fn blob_path(&self, digest: &Sha256Digest) -> PathBuf {
        self.blobs().join(digest.to_string())
    }

    /// Returns the size in bytes of the blob with a digest, if it exists.
    pub fn blob_size(&self, digest: &Sha256Digest) -> Option<u64> {
        let metadata = fs::metadata(self.blob_path(digest)).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Opens the blob of a bundle's file, and checks its size. [`super::Verifier`] checks its digest.
    ///
    /// # Errors
    /// When the blob is missing, has another size, or cannot be read.
    pub fn open_blob(&self, file: &BundleFile) -> Result<File, BundleStoreError> {
        let path = self.blob_path(&file.sha256);
        let opened = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BundleStoreError::MissingBlob {
                file: file.path.clone(),
                path: path.clone(),
            },
            _ => io_error(&path, source),
        })?;
        let metadata = opened
            .metadata()
            .map_err(|source| io_error(&path, source))?;
        if !metadata.is_file() || metadata.len() != file.size {
            let (found, expected) = (metadata.len(), file.size);
            return Err(BundleStoreError::WrongSize {
                file: file.path.clone(),
                path,
                found,
                expected,
            });
        }
        Ok(opened)
    }

    /// Reports whether the store has an intact copy of a bundle's file. Hashes it, so that a damaged copy
    /// is replaced.
    pub fn has_intact(&self, file: &BundleFile) -> bool {
        let opened = self.open_blob(file).ok();
        opened.is_some_and(|opened| hash(opened).is_ok_and(|found| found == file.sha256))
    }

    /// Checks that the store's file system has `need` bytes available.
    ///
    /// # Errors
    /// [`BundleStoreError::Full`] when it has less.
    pub fn reserve(&self, need: u64) -> Result<(), BundleStoreError> {
        let file_system =
            rustix::fs::statvfs(&self.root).map_err(|errno| io_error(&self.root, errno.into()))?;
        let have = file_system.f_bavail.saturating_mul(file_system.f_frsize);
        if need <= have {
            return Ok(());
        }
        Err(BundleStoreError::Full {
            path: self.root.clone(),
            need,
            have,
        })
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    /// Returns the directory of files without a name yet, and creates it.
    pub(in crate::bundle) fn partial(&self) -> Result<PathBuf, BundleStoreError> {
        let path = self.root.join(PARTIAL_DIRECTORY);
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(io_error(&path, source)),
        }
    }

    /// Locks the index against other writers while the returned file is open.
    pub(super) fn lock_index(&self) -> Result<File, BundleStoreError> {
        let path = self.root.join(LAYOUT_FILE);
        let failed = |source| io_error(&path, source);
        let lock = File::open(&path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(lock)
    }

    /// Replaces a file of the layout atomically: readers see the old or the new content. The caller holds
    /// a lock against other writers.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> Result<(), BundleStoreError> {
        // The name is always the same, so the leftover of a killed writer is overwritten.
        let path = self.root.join(format!(".{name}.new"));
        let mut file = File::create(&path).map_err(|source| io_error(&path, source))?;
        file.write_all(content)
            .map_err(|source| io_error(&path, source))?;
        move_durably(&file, &path, &self.root.join(name))
    }
}

/// Reads a small file of a layout, which another program may have written.
///
/// # Errors
/// When it is not a regular file, is larger than [`SMALL_LIMIT`], or cannot be read.
pub(super) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    // Checked before it is opened: opening a pipe may block forever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut content = Vec::new();
    let read = File::open(path)?
        .take(SMALL_LIMIT + 1)
        .read_to_end(&mut content)?;
    if read as u64 > SMALL_LIMIT {
        return Err(io::Error::other("the file exceeds 4 MiB"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_paths_are_not_layouts() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            BundleStore::open(directory.path()),
            Err(BundleStoreError::NotALayout { .. })
        ));
        let absent = directory.path().join("absent");
        assert!(matches!(
            BundleStore::open(&absent),
            Err(BundleStoreError::Absent(_))
        ));
    }

    #[test]
    fn huge_and_special_files_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let store = BundleStore::open_or_create(root).unwrap();
        let refused = |store: Result<BundleStore, BundleStoreError>| {
            let read = store.and_then(|store| store.index());
            read.unwrap_err().to_string()
        };
        // A sparse file, larger than any memory.
        let index = File::create(root.join(INDEX_FILE)).unwrap();
        index.set_len(1 << 40).unwrap();
        let error = refused(Ok(store.clone()));
        assert!(error.contains("the file exceeds 4 MiB"), "{error}");
        let layout = root.join(LAYOUT_FILE);
        File::create(&layout).unwrap().set_len(1 << 40).unwrap();
        let error = refused(BundleStore::open(root));
        assert!(error.contains("the file exceeds 4 MiB"), "{error}");
        for special in ["/dev/zero", "/dev/tty"] {
            fs::remove_file(&layout).unwrap();
            std::os::unix::fs::symlink(special, &layout).unwrap();
            let error = refused(BundleStore::open(root));
            assert!(error.contains("not a regular file"), "{error}");
        }
    }

    #[test]
    fn an_index_that_is_too_large_to_read_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let before = store.index().unwrap();
        let grown = store.edit_index(|index| {
            let long = "x".repeat(5 << 20);
            index.other.insert("annotations".to_owned(), json!(long));
            Ok::<(), BundleStoreError>(())
        });
        assert!(grown.unwrap_err().to_string().contains("exceed 4 MiB"));
        assert_eq!(store.index().unwrap(), before);
    }

    #[test]
    fn a_directory_with_other_files_does_not_become_a_store() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("site.yaml"), "kind: Site\n").unwrap();
        let refused = BundleStore::open_or_create(directory.path()).unwrap_err();
        assert!(refused.to_string().contains("site.yaml"), "{refused}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_store_whose_creation_was_interrupted_is_completed() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("blobs/sha256")).unwrap();
        fs::create_dir_all(directory.path().join(PARTIAL_DIRECTORY)).unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        store.add_blob(&mut &b"kernel"[..]).unwrap();
    }

    #[test]
    fn content_that_does_not_fit_is_refused_before_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        store.reserve(1).unwrap();
        let refused = store.reserve(u64::MAX).unwrap_err();
        assert!(matches!(
            refused,
            BundleStoreError::Full { need: u64::MAX, .. }
        ));
    }
}
