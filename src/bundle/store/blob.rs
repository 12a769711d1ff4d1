use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::{BundleStoreError, io_error};
use super::hashed_copy::{CopyError, copy_hashed};
use super::layout::BundleStore;
use super::lock::Writing;
use super::temporary::Temporary;
use crate::machine::Sha256Digest;

/// A blob that is being written. It is hashed on the way, and gets its name when it is whole and
/// durable; dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    temporary: Temporary,
    blobs: PathBuf,
    hasher: Sha256,
    size: u64,
    _writing: Writing,
}

impl BlobWriter {
    fn new(temporary: Temporary, blobs: PathBuf, writing: Writing) -> Self {
        Self {
            temporary,
            blobs,
            hasher: Sha256::new(),
            size: 0,
            _writing: writing,
        }
    }

    /// Adds octets at the end.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, octets: &[u8]) -> Result<(), BundleStoreError> {
        self.hasher.update(octets);
        self.temporary.write(octets)?;
        self.size += octets.len() as u64;
        Ok(())
    }

    /// Adds all that a reader gives; it is hashed while the next of it is read.
    ///
    /// # Errors
    /// [`BundleStoreError::Content`] when it cannot be read, or when the disk refuses. The blob is
    /// to be dropped then.
    pub fn copy(&mut self, content: &mut dyn Read) -> Result<(), BundleStoreError> {
        let mut file = self.temporary.file();
        let copied = copy_hashed(content, &mut self.hasher, &mut |it| file.write_all(it));
        self.size += copied.map_err(|error| match error {
            CopyError::Reading(error) => BundleStoreError::Content(error),
            CopyError::Writing(error) => io_error(self.temporary.path(), error),
        })?;
        Ok(())
    }

    /// Returns where it is written: what is there is not yet a blob.
    pub(in crate::bundle) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Returns the digest of what was added so far.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::new(self.hasher.clone().finalize().into())
    }

    /// Puts the blob in its place, and returns its digest and size in octets.
    ///
    /// A blob that was there is replaced by the same content: one that had gone bad is mended.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(Sha256Digest, u64), BundleStoreError> {
        let digest = Sha256Digest::new(self.hasher.finalize().into());
        self.temporary
            .rename(&self.blobs.join(digest.to_string()))?;
        Ok((digest, self.size))
    }

    /// Puts the blob in its place if it has a digest, and a size where one is given. `what` names it
    /// in the error.
    ///
    /// # Errors
    /// [`BundleStoreError::Unexpected`] when it has another, or when the disk refuses; nothing is
    /// left behind then.
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
}

impl Write for BlobWriter {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.append(octets).map_err(|error| match error {
            BundleStoreError::Io { source, .. } => source,
            other => io::Error::other(other),
        })?;
        Ok(octets.len())
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
        let of = |path: &str| match fs::read_dir(store.root().join(path)) {
            Ok(entries) => entries.count(),
            Err(_) => 0,
        };
        of("blobs/sha256") + of(".partial")
    }

    #[test]
    fn nothing_is_left_of_a_blob_that_breaks_off_or_is_not_what_was_promised() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let mut broken = (&b"begin"[..]).chain(Broken);
        let refused = store.add_blob(&mut broken).unwrap_err();
        assert!(matches!(refused, BundleStoreError::Content(_)), "{refused}");
        let kernel = Sha256Digest::of(b"kernel");
        let mut given = &b"kernal"[..];
        let refused = store.add_blob_as(&kernel, None, &mut given, "`linux`");
        assert!(
            matches!(refused, Err(BundleStoreError::Unexpected { .. })),
            "{refused:?}"
        );
        let mut given = &b"kernel"[..];
        let refused = store.add_blob_as(&kernel, Some(7), &mut given, "`linux`");
        assert!(refused.is_err());
        assert_eq!(files(&store), 0);
        let mut given = &b"kernel"[..];
        let size = store.add_blob_as(&kernel, Some(6), &mut given, "`linux`");
        assert_eq!((size.unwrap(), files(&store)), (6, 1));
    }

    #[test]
    fn many_may_add_the_same_blob_at_once() {
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
