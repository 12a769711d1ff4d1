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
/// The largest `index.json` or `oci-layout` that is read, in octets: as much as of a manifest.
pub(super) const SMALL_LIMIT: u64 = 4 << 20;
/// Where files are written before they get their names; other readers of a layout pass it over.
const PARTIAL_DIRECTORY: &str = ".partial";

/// An OCI image layout that holds the blobs of bundles.
///
/// Whatever lies under its name is whole: blobs and the index are written beside the layout, made
/// durable, and renamed. Any number of processes may read and add at once.
#[derive(Clone, Debug)]
pub struct BundleStore {
    root: PathBuf,
}

impl BundleStore {
    /// Opens the layout at `root`.
    ///
    /// # Errors
    /// [`BundleStoreError::Absent`] when nothing is there, [`BundleStoreError::NotALayout`] when
    /// something else is.
    pub fn open(root: &Path) -> Result<Self, BundleStoreError> {
        if !root.exists() {
            return Err(BundleStoreError::Absent(root.to_owned()));
        }
        let refused = |reason: String| BundleStoreError::NotALayout {
            path: root.to_owned(),
            reason,
        };
        let text = read_small(&root.join(LAYOUT_FILE))
            .map_err(|error| refused(format!("`{LAYOUT_FILE}`: {error}")))?;
        let layout: Value =
            serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
        match layout["imageLayoutVersion"].as_str() {
            Some("1.0.0") if !root.join(INDEX_FILE).is_file() => {
                Err(refused(format!("it has no `{INDEX_FILE}`")))
            }
            Some("1.0.0") => Ok(Self {
                root: root.to_owned(),
            }),
            other => Err(refused(format!("its version is {other:?}, not 1.0.0"))),
        }
    }

    /// Opens the layout at `root`, and makes an empty one where nothing is.
    ///
    /// # Errors
    /// As [`BundleStore::open`], and when the disk refuses. A directory with something else in it
    /// is refused as it is.
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
                let ours = ["blobs", INDEX_FILE, "lost+found"].contains(&&*name);
                !ours && !name.starts_with('.')
            });
            if let Some(name) = foreign {
                return Err(BundleStoreError::NotALayout {
                    path: root.to_owned(),
                    reason: format!("it has no `{LAYOUT_FILE}`, and holds `{}`", name.display()),
                });
            }
        }
        let blobs = store.blobs();
        fs::create_dir_all(&blobs).map_err(|source| io_error(&blobs, source))?;
        // Two that make it at once: the second finds what the first has put in.
        let lock = File::open(root).map_err(|source| io_error(root, source))?;
        lock.lock().map_err(|source| io_error(root, source))?;
        if !root.join(INDEX_FILE).exists() {
            let empty = json!({"schemaVersion": 2, "manifests": []});
            store.replace(INDEX_FILE, &empty.to_string().into_bytes())?;
        }
        // The last: a layout that has it has the rest.
        if !root.join(LAYOUT_FILE).exists() {
            store.replace(LAYOUT_FILE, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        Self::open(root)
    }

    /// Returns where the layout lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where the blob of a digest lies, or would lie.
    pub fn blob_path(&self, digest: &Sha256Digest) -> PathBuf {
        self.blobs().join(digest.to_string())
    }

    /// Returns the size in octets of the blob of a digest, if it is there.
    pub fn blob_size(&self, digest: &Sha256Digest) -> Option<u64> {
        let metadata = fs::metadata(self.blob_path(digest)).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Opens the blob of a bundle's file, and checks its size. Its digest is checked by
    /// [`super::Verifier`].
    ///
    /// # Errors
    /// When the blob is missing, of another size, or cannot be read.
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

    /// Reports whether there is a good copy of a bundle's file, by hashing it: one that has gone bad is
    /// to come again.
    pub fn has_good(&self, file: &BundleFile) -> bool {
        let opened = self.open_blob(file).ok();
        opened.is_some_and(|opened| hash(opened).is_ok_and(|found| found == file.sha256))
    }

    /// Makes sure that `need` more octets have room on the store's file system.
    ///
    /// # Errors
    /// [`BundleStoreError::Full`] when they have not.
    pub fn reserve(&self, need: u64) -> Result<(), BundleStoreError> {
        let found = rustix::fs::statvfs(&self.root);
        let found = found.map_err(|errno| io_error(&self.root, errno.into()))?;
        let have = found.f_bavail.saturating_mul(found.f_frsize);
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

    /// Returns the directory in which files are written before they get their names.
    pub(in crate::bundle) fn partial(&self) -> Result<PathBuf, BundleStoreError> {
        let path = self.root.join(PARTIAL_DIRECTORY);
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(io_error(&path, source)),
        }
    }

    /// Locks the index against other writers, as long as the returned file is open.
    pub(super) fn lock_index(&self) -> Result<File, BundleStoreError> {
        let path = self.root.join(LAYOUT_FILE);
        let failed = |source| io_error(&path, source);
        let lock = File::open(&path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(lock)
    }

    /// Replaces a file of the layout at once: readers see the old one or the new one. The caller
    /// holds a lock against others who replace it.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> Result<(), BundleStoreError> {
        // Always the same name: what a writer that was killed has left is overwritten.
        let path = self.root.join(format!(".{name}.new"));
        let mut file = File::create(&path).map_err(|source| io_error(&path, source))?;
        file.write_all(content)
            .map_err(|source| io_error(&path, source))?;
        move_durably(&file, &path, &self.root.join(name))
    }
}

/// Reads a file of a layout that somebody else may have made.
///
/// # Errors
/// When it is none, is larger than [`SMALL_LIMIT`], or cannot be read.
pub(super) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    // Looked at before it is opened, which might never come back from a pipe.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut content = Vec::new();
    let read = File::open(path)?
        .take(SMALL_LIMIT + 1)
        .read_to_end(&mut content)?;
    match read as u64 > SMALL_LIMIT {
        true => Err(io::Error::other("it has more than 4 MiB")),
        false => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_else_is_no_layout() {
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
    fn what_somebody_else_has_made_is_read_only_as_far_as_it_makes_sense() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let store = BundleStore::open_or_create(root).unwrap();
        let refused = |store: Result<BundleStore, BundleStoreError>| {
            let read = store.and_then(|store| store.index());
            read.unwrap_err().to_string()
        };
        // As large as no memory is, and taking no room on the disk.
        let index = File::create(root.join(INDEX_FILE)).unwrap();
        index.set_len(1 << 40).unwrap();
        let said = refused(Ok(store.clone()));
        assert!(said.contains("it has more than 4 MiB"), "{said}");
        let layout = root.join(LAYOUT_FILE);
        File::create(&layout).unwrap().set_len(1 << 40).unwrap();
        let said = refused(BundleStore::open(root));
        assert!(said.contains("it has more than 4 MiB"), "{said}");
        for special in ["/dev/zero", "/dev/tty"] {
            fs::remove_file(&layout).unwrap();
            std::os::unix::fs::symlink(special, &layout).unwrap();
            let said = refused(BundleStore::open(root));
            assert!(said.contains("it is no file"), "{said}");
        }
    }

    #[test]
    fn an_index_that_nobody_could_read_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let before = store.index().unwrap();
        let grown = store.edit_index(|index| {
            let long = "x".repeat(5 << 20);
            index.other.insert("annotations".to_owned(), json!(long));
            Ok::<(), BundleStoreError>(())
        });
        assert!(grown.unwrap_err().to_string().contains("more than 4 MiB"));
        assert_eq!(store.index().unwrap(), before);
    }

    #[test]
    fn a_directory_with_other_things_in_it_is_not_made_a_store() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("site.yaml"), "kind: Site\n").unwrap();
        let refused = BundleStore::open_or_create(directory.path()).unwrap_err();
        assert!(refused.to_string().contains("site.yaml"), "{refused}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_store_whose_making_was_cut_short_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("blobs/sha256")).unwrap();
        fs::create_dir_all(directory.path().join(PARTIAL_DIRECTORY)).unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        store.add_blob(&mut &b"kernel"[..]).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_written() {
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
