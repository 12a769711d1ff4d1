use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::blob::BlobWriter;
use super::error::{BundleStoreError, io_error};
use super::temporary::{Temporary, clean, move_durably};
use crate::inventory::BundleFile;
use crate::machine::Sha256Digest;

const LAYOUT_FILE: &str = "oci-layout";
pub(super) const INDEX_FILE: &str = "index.json";
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

/// Keeps blobs from being collected that no name leads to yet, or that nobody is known to need yet, as
/// long as it lives.
#[derive(Debug)]
pub struct Writing(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Shows that nobody writes to the store, as long as it lives.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "the open file is the lock")] File);

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
        let text = fs::read_to_string(root.join(LAYOUT_FILE))
            .map_err(|error| refused(format!("`{LAYOUT_FILE}`: {error}")))?;
        let layout: Value =
            serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
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

    /// Begins a blob that is written piece by piece, see [`BlobWriter`].
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin_blob(&self) -> Result<BlobWriter, BundleStoreError> {
        let blobs = self.blobs();
        fs::create_dir_all(&blobs).map_err(|source| io_error(&blobs, source))?;
        // First the lock: without it, the file could be taken for a leftover.
        let writing = self.write()?;
        let temporary = Temporary::create(&self.partial()?)?;
        Ok(BlobWriter::new(temporary, blobs, writing))
    }

    /// Adds a blob, and returns its digest and size in octets.
    ///
    /// # Errors
    /// When the content cannot be read or the disk refuses; nothing is left behind then.
    pub fn add_blob(
        &self,
        content: &mut dyn io::Read,
    ) -> Result<(Sha256Digest, u64), BundleStoreError> {
        let mut blob = self.begin_blob()?;
        blob.copy(content)?;
        blob.finish()
    }

    /// Adds a blob that must have a digest, and returns its size in octets. `what` names it in
    /// errors.
    ///
    /// # Errors
    /// As [`BundleStore::add_blob`], and [`BundleStoreError::Unexpected`] when it is another.
    pub fn add_blob_as(
        &self,
        expected: &Sha256Digest,
        size: Option<u64>,
        content: &mut dyn io::Read,
        what: &str,
    ) -> Result<u64, BundleStoreError> {
        let mut blob = self.begin_blob()?;
        blob.copy(content)?;
        blob.finish_as(expected, size, what)
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

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    /// Returns the directory in which files are written before they get their names.
    pub(super) fn partial(&self) -> Result<PathBuf, BundleStoreError> {
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

fn is_read_only(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    [PermissionDenied, ReadOnlyFilesystem].contains(&error.kind())
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
