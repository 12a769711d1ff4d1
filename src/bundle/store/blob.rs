use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::{BundleStoreError, io_error};
use super::hashed_copy::{CopyError, copy_hashed};
use super::layout::BundleStore;
use super::lock::SharedLock;
use super::temporary::Temporary;
use super::writeback::Writeback;
use crate::machine::Sha256Digest;

/// A blob that is being written. It is hashed while it is written, and gets its name when it is complete
/// and durable. Dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    temporary: Temporary,
    blobs: PathBuf,
    hasher: Sha256,
    size: u64,
    _lock: SharedLock,
}

impl BlobWriter {
    fn new(temporary: Temporary, blobs: PathBuf, lock: SharedLock) -> Self {
        Self {
            temporary,
            blobs,
            hasher: Sha256::new(),
            size: 0,
            _lock: lock,
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), BundleStoreError> {
        self.hasher.update(bytes);
        self.temporary.write(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Appends everything that a reader returns; hashes it while the next part is read.
    ///
    /// # Errors
    /// [`BundleStoreError::Content`] when the reader fails, or when the disk fails. The blob must be
    /// dropped then.
    pub fn copy(&mut self, content: &mut dyn Read) -> Result<(), BundleStoreError> {
        let mut file = self.temporary.file();
        let mut writeback = Writeback::from(self.size);
        let mut write = |bytes: &[u8]| {
            file.write_all(bytes)?;
            writeback.advance(file, bytes.len());
            Ok(())
        };
        let copied = copy_hashed(content, &mut self.hasher, &mut write);
        self.size += copied.map_err(|error| match error {
            CopyError::Reading(error) => BundleStoreError::Content(error),
            CopyError::Writing(error) => io_error(self.temporary.path(), error),
        })?;
        Ok(())
    }

    /// Returns the temporary path of the blob.
    pub(in crate::bundle) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Returns the digest of the content so far.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::new(self.hasher.clone().finalize().into())
    }

    /// Gives the blob its name, and returns its digest and size in bytes.
    ///
    /// It replaces a blob with the same name, which repairs a damaged one.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(self) -> Result<(Sha256Digest, u64), BundleStoreError> {
        let digest = Sha256Digest::new(self.hasher.finalize().into());
        self.temporary
            .rename(&self.blobs.join(digest.to_string()))?;
        Ok((digest, self.size))
    }

    /// Gives the blob its name if it has the expected digest, and the expected size if there is one.
    /// `what` names the content in the error.
    ///
    /// # Errors
    /// [`BundleStoreError::Unexpected`] when the digest or the size differs, or when the disk fails;
    /// leaves nothing behind then.
    pub fn finish_as(
        self,
        expected: &Sha256Digest,
        size: Option<u64>,
        what: &str,
    ) -> Result<u64, BundleStoreError> {
        let found = self.digest();
        if found != *expected || size.is_some_and(|size| size != self.size) {
            return Err(BundleStoreError::Unexpected {
                what: what.to_owned(),
                found,
                found_size: self.size,
                expected: *expected,
                expected_size: size,
            });
        }
        self.finish().map(|(_, size)| size)
    }
}

impl BundleStore {
    /// Begins a blob that is written in pieces.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin_blob(&self) -> Result<BlobWriter, BundleStoreError> {
        let blobs = self.blobs();
        fs::create_dir_all(&blobs).map_err(|source| io_error(&blobs, source))?;
        // The lock comes first: without it, another process may remove the file as a leftover.
        let lock = self.lock_shared()?;
        let temporary = Temporary::create(&self.partial()?)?;
        Ok(BlobWriter::new(temporary, blobs, lock))
    }

    /// Adds a blob, and returns its digest and size in bytes.
    ///
    /// # Errors
    /// When the content cannot be read or the disk fails; leaves nothing behind then.
    pub fn add_blob(
        &self,
        content: &mut dyn io::Read,
    ) -> Result<(Sha256Digest, u64), BundleStoreError> {
        let mut blob = self.begin_blob()?;
        blob.copy(content)?;
        blob.finish()
    }

    /// Adds a blob with an expected digest, and returns its size in bytes. `what` names the content in
    /// errors.
    ///
    /// # Errors
    /// As [`BundleStore::add_blob`], and [`BundleStoreError::Unexpected`] when the digest or the size
    /// differs.
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
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(|error| match error {
            BundleStoreError::Io { source, .. } => source,
            other => io::Error::other(other),
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    fn files(store: &BundleStore) -> usize {
        let count =
            |path: &str| fs::read_dir(store.root().join(path)).map_or(0, |entries| entries.count());
        count("blobs/sha256") + count(".partial")
    }

    #[test]
    fn a_blob_that_breaks_off_or_has_another_digest_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let mut broken = (&b"begin"[..]).chain(Broken);
        let refused = store.add_blob(&mut broken).unwrap_err();
        assert!(matches!(refused, BundleStoreError::Content(_)), "{refused}");
        let kernel = Sha256Digest::of(b"kernel");
        let mut content = &b"kernal"[..];
        let refused = store.add_blob_as(&kernel, None, &mut content, "`linux`");
        assert!(
            matches!(refused, Err(BundleStoreError::Unexpected { .. })),
            "{refused:?}"
        );
        let mut content = &b"kernel"[..];
        let refused = store.add_blob_as(&kernel, Some(7), &mut content, "`linux`");
        assert!(refused.is_err());
        assert_eq!(files(&store), 0);
        let mut content = &b"kernel"[..];
        let size = store.add_blob_as(&kernel, Some(6), &mut content, "`linux`");
        assert_eq!((size.unwrap(), files(&store)), (6, 1));
    }

    #[test]
    fn many_threads_can_add_the_same_blob_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let content: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| store.add_blob(&mut content.as_slice()).unwrap());
            }
        });
        assert_eq!(files(&store), 1);
        let path = store.blob_path(&Sha256Digest::of(&content));
        assert_eq!(fs::read(path).unwrap(), content);
    }
}
