use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::archive_reader::{ArchiveReader, BLOBS};
use super::error::TransferError;
use crate::bundle::oci::Index;
use crate::bundle::store::{BundleStoreError, CopyError, Writeback, copy_hashed, hash};
use crate::machine::Sha256Digest;
use crate::wire::tar::{END, header, padding};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A tar file that is being written. It gets its name when it is complete, and is removed otherwise. It
/// keeps the content of the file that had the name before.
pub struct ArchiveWriter {
    path: PathBuf,
    partial: PathBuf,
    /// Locked while it is written.
    file: File,
    is_done: bool,
    names: BTreeSet<String>,
    /// The index of the previous file.
    pub index: Index,
}

impl ArchiveWriter {
    /// Begins a tar file with the content of the file that has the name now; of the blobs in `verified`,
    /// only intact ones are kept. Overwrites the leftover of a writer that was killed.
    ///
    /// # Errors
    /// When the present file is not an OCI image layout, when another process is writing it, or when the
    /// disk fails.
    pub fn begin(path: &Path, verified: &BTreeSet<Sha256Digest>) -> Result<Self, TransferError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let locked = open_locked(&partial).map_err(|source| TransferError::Io {
            path: partial.clone(),
            source,
        })?;
        let file = locked.ok_or_else(|| TransferError::Busy(path.to_owned()))?;
        // From here on, dropping the writer removes the partial file.
        let mut writer = Self {
            path: path.to_owned(),
            partial,
            file,
            is_done: false,
            names: BTreeSet::new(),
            index: Index {
                schema_version: 2,
                manifests: Vec::new(),
                other: BTreeMap::new(),
            },
        };
        let previous = if path.exists() {
            Some(ArchiveReader::open(path)?)
        } else {
            None
        };
        writer.put("oci-layout", LAYOUT)?;
        if let Some(previous) = previous {
            writer.index = previous.index()?;
            let blobs = previous.files.entries.iter();
            for (name, &(start, size)) in blobs.filter(|(name, _)| name.starts_with(BLOBS)) {
                let digest = verified.iter().find(|it| blob_name(it) == *name);
                if let Some(digest) = digest {
                    let found = hash(previous.files.at(start, size)?);
                    if found.map_err(|source| writer.failed(source))? != *digest {
                        continue;
                    }
                }
                writer.copy_entry(name, size, &mut previous.files.at(start, size)?)?;
            }
        }
        Ok(writer)
    }

    /// Reports whether the file has a blob.
    pub fn has(&self, digest: &Sha256Digest) -> bool {
        self.names.contains(&blob_name(digest))
    }

    /// Adds a blob of so many bytes, and verifies its digest.
    ///
    /// # Errors
    /// When the content cannot be read, has another size or digest, or the disk fails. The tar file cannot
    /// be used then.
    pub fn put_blob(
        &mut self,
        digest: &Sha256Digest,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), TransferError> {
        let mut hasher = Sha256::new();
        // One more byte shows that the content is too long.
        let mut content = content.take(size.saturating_add(1));
        let name = blob_name(digest);
        self.begin_entry(&name, size)?;
        let mut file = &self.file;
        let start = file.stream_position().map_err(|error| self.failed(error))?;
        let mut writeback = Writeback::from(start);
        let mut write = |bytes: &[u8]| {
            file.write_all(bytes)?;
            writeback.advance(file, bytes.len());
            Ok(())
        };
        let copied = copy_hashed(&mut content, &mut hasher, &mut write);
        let copied = copied.map_err(|error| match error {
            CopyError::Reading(error) => TransferError::Store(BundleStoreError::Content(error)),
            CopyError::Writing(error) => self.failed(error),
        })?;
        let found = Sha256Digest::new(hasher.finalize().into());
        if found != *digest || copied != size {
            return Err(TransferError::Store(BundleStoreError::Unexpected {
                what: format!("blob {digest}"),
                found,
                found_size: copied,
                expected: *digest,
                expected_size: Some(size),
            }));
        }
        self.end_entry(name, size)
    }

    /// Writes the index, and gives the file its name.
    ///
    /// # Errors
    /// When the disk fails; the previous file is unchanged then.
    pub fn finish(mut self) -> Result<(), TransferError> {
        let text = serde_json::to_vec(&self.index).map_err(|error| self.failed(error.into()))?;
        self.put("index.json", &text)?;
        let finish = || {
            (&self.file).write_all(&END)?;
            self.file.sync_all()?;
            fs::rename(&self.partial, &self.path)?;
            let directory = self.path.parent().filter(|it| !it.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        };
        finish().map_err(|source| self.failed(source))?;
        self.is_done = true;
        Ok(())
    }

    fn put(&mut self, name: &str, content: &[u8]) -> Result<(), TransferError> {
        let size = content.len() as u64;
        self.begin_entry(name, size)?;
        let written = (&self.file).write_all(content);
        written.map_err(|source| self.failed(source))?;
        self.end_entry(name.to_owned(), size)
    }

    /// Copies an entry of another tar file within the kernel.
    fn copy_entry(
        &mut self,
        name: &str,
        size: u64,
        content: &mut io::Take<File>,
    ) -> Result<(), TransferError> {
        self.begin_entry(name, size)?;
        let copied = match io::copy(content, &mut &self.file) {
            Ok(copied) if copied < size => Err(io::ErrorKind::UnexpectedEof.into()),
            copied => copied,
        };
        copied.map_err(|source| self.failed(source))?;
        self.end_entry(name.to_owned(), size)
    }

    fn begin_entry(&self, name: &str, size: u64) -> Result<(), TransferError> {
        let written = (&self.file).write_all(&header(name, size));
        written.map_err(|source| self.failed(source))
    }

    fn end_entry(&mut self, name: String, size: u64) -> Result<(), TransferError> {
        let written = (&self.file).write_all(padding(size));
        written.map_err(|source| self.failed(source))?;
        self.names.insert(name);
        Ok(())
    }

    fn failed(&self, source: io::Error) -> TransferError {
        TransferError::Io {
            path: self.partial.clone(),
            source,
        }
    }
}

impl Drop for ArchiveWriter {
    fn drop(&mut self) {
        // It is still locked, so no other process uses it.
        if !self.is_done {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn blob_name(digest: &Sha256Digest) -> String {
    format!("{BLOBS}sha256/{digest}")
}

/// Opens and empties a file, with a lock; `None` if another process has the lock.
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    loop {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The process that had the lock before may have renamed or removed the file.
        let of = |data: fs::Metadata| (data.dev(), data.ino());
        if fs::metadata(path).ok().map(of) == Some(of(file.metadata()?)) {
            file.set_len(0)?;
            return Ok(Some(file));
        }
    }
}
