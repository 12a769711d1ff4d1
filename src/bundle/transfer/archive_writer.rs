use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::archive_reader::{ArchiveReader, BLOBS};
use super::error::TransferError;
use crate::bundle::oci::Index;
use crate::bundle::store::{BundleStoreError, CopyError, copy_hashed, hash};
use crate::machine::Sha256Digest;
use crate::wire::tar::{END, header, padding};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A tar file that is being written; it gets its name when it is whole, and is removed otherwise.
/// What a file of this name held before is kept in it.
pub struct ArchiveWriter {
    path: PathBuf,
    partial: PathBuf,
    /// Locked as long as it is written.
    file: File,
    is_done: bool,
    there: BTreeSet<String>,
    /// The index of what was there before.
    pub index: Index,
}

impl ArchiveWriter {
    /// Begins a tar file, with all that is in the one that has this name; but of the blobs that are
    /// `wanted` only those that are good. What a writer that was killed has left of it is written over.
    ///
    /// # Errors
    /// When the one that is there is no layout, when somebody else writes it now, and when the disk
    /// refuses.
    pub fn begin(path: &Path, wanted: &BTreeSet<Sha256Digest>) -> Result<Self, TransferError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let locked = locked(&partial).map_err(|source| TransferError::Io {
            path: partial.clone(),
            source,
        })?;
        let file = locked.ok_or_else(|| TransferError::Busy(path.to_owned()))?;
        // From here on, what it has written goes when it goes.
        let mut writer = Self {
            path: path.to_owned(),
            partial,
            file,
            is_done: false,
            there: BTreeSet::new(),
            index: Index {
                schema_version: 2,
                manifests: Vec::new(),
                other: BTreeMap::new(),
            },
        };
        let before = match path.exists() {
            true => Some(ArchiveReader::open(path)?),
            false => None,
        };
        writer.put("oci-layout", LAYOUT)?;
        if let Some(before) = before {
            writer.index = before.index()?;
            let blobs = before.entries.iter();
            for (name, &(start, size)) in blobs.filter(|(name, _)| name.starts_with(BLOBS)) {
                let digest = wanted.iter().find(|it| blob_name(it) == *name);
                if let Some(digest) = digest {
                    let found = hash(before.at(start, size)?);
                    if found.map_err(|source| writer.failed(source))? != *digest {
                        continue;
                    }
                }
                writer.put_again(name, size, &mut before.at(start, size)?)?;
            }
        }
        Ok(writer)
    }

    /// Reports whether a blob is in it.
    pub fn has(&self, digest: &Sha256Digest) -> bool {
        self.there.contains(&blob_name(digest))
    }

    /// Adds a blob of so many octets, which is hashed on its way.
    ///
    /// # Errors
    /// When it cannot be read, is not so long, hashes to something else, or the disk refuses. Then
    /// the tar file is given up.
    pub fn put_blob(
        &mut self,
        digest: &Sha256Digest,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), TransferError> {
        let mut hasher = Sha256::new();
        // One octet more shows that it is longer.
        let mut content = content.take(size.saturating_add(1));
        let name = blob_name(digest);
        self.begin_entry(&name, size)?;
        let mut file = &self.file;
        let copied = copy_hashed(&mut content, &mut hasher, &mut |it| file.write_all(it));
        let copied = copied.map_err(|error| match error {
            CopyError::Reading(error) => TransferError::Store(BundleStoreError::Content(error)),
            CopyError::Writing(error) => self.failed(error),
        })?;
        let found = Sha256Digest::new(hasher.finalize().into());
        if found != *digest || copied != size {
            return Err(TransferError::Store(BundleStoreError::Unexpected {
                what: format!("the blob {digest}"),
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
    /// When the disk refuses; the file that was there is there still.
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

    /// Copies an entry of another tar file, from file to file: the kernel does it.
    fn put_again(
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
        self.there.insert(name);
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
        // Locked still: it is ours.
        if !self.is_done {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn blob_name(digest: &Sha256Digest) -> String {
    format!("{BLOBS}sha256/{digest}")
}

/// Opens a file that nobody else writes, emptied; none where somebody does.
fn locked(path: &Path) -> io::Result<Option<File>> {
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
        // Whoever had it before us may have given it its name, or removed it.
        let of = |data: fs::Metadata| (data.dev(), data.ino());
        if fs::metadata(path).ok().map(of) == Some(of(file.metadata()?)) {
            file.set_len(0)?;
            return Ok(Some(file));
        }
    }
}
