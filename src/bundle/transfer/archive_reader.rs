use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::TransferError;
use crate::bundle::oci::{Descriptor, Index, MANIFEST_LIMIT};
use crate::machine::Sha256Digest;
use crate::wire::tar::Tar;

pub(super) const BLOBS: &str = "blobs/";
/// The longest name that is kept, in bytes: that of a blob with a SHA-512 digest.
const NAME_LIMIT: usize = 160;
/// The largest number of files in a layout in a tar file.
const FILES_LIMIT: usize = 1 << 16;

/// An OCI image layout in a tar file. Blobs are read in place; nothing is unpacked.
#[derive(Debug)]
pub struct ArchiveReader {
    path: PathBuf,
    file: File,
    /// The offset and the size of each regular file.
    pub(super) entries: BTreeMap<String, (u64, u64)>,
}

impl ArchiveReader {
    /// Opens a tar file, and lists its entries.
    ///
    /// # Errors
    /// When the file cannot be read, is not a complete tar file, or has no OCI image layout.
    pub fn open(path: &Path) -> Result<Self, TransferError> {
        let failed = |source| TransferError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let refused = |reason: String| TransferError::Archive {
            path: path.to_owned(),
            reason,
        };
        let mut entries = BTreeMap::new();
        let mut archive = Tar::new(&mut file);
        let broken = |error| refused(format!("not a complete tar file: {error}"));
        while let Some(entry) = archive.entry().map_err(broken)? {
            archive.skip_content().map_err(broken)?;
            let name = entry.path.trim_start_matches("./");
            let is_of_layout =
                ["oci-layout", "index.json"].contains(&name) || name.starts_with(BLOBS);
            if !entry.is_file() || !is_of_layout || name.len() > NAME_LIMIT {
                continue;
            }
            if entry.start + entry.size > length {
                return Err(refused(format!("the file ends in the middle of `{name}`")));
            }
            if entries.len() == FILES_LIMIT {
                return Err(refused(format!("more than {FILES_LIMIT} files")));
            }
            entries.insert(name.to_owned(), (entry.start, entry.size));
        }
        let reader = Self {
            path: path.to_owned(),
            file,
            entries,
        };
        match reader.small("oci-layout")? {
            Some(text) if serde_json::from_slice::<serde_json::Value>(&text).is_ok() => Ok(reader),
            _ => Err(refused("no OCI image layout in the file".to_owned())),
        }
    }

    /// Reads the index of the layout.
    ///
    /// # Errors
    /// When the index is missing or invalid.
    pub fn index(&self) -> Result<Index, TransferError> {
        let text = self
            .small("index.json")?
            .ok_or_else(|| self.refused("no `index.json` in the file"))?;
        serde_json::from_slice(&text)
            .map_err(|error| self.refused(&format!("invalid `index.json`: {error}")))
    }

    /// Reads a manifest, and verifies its digest.
    ///
    /// # Errors
    /// When the manifest is missing or has another digest.
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, TransferError> {
        let content = self.small(&blob_name(descriptor)?)?;
        content
            .filter(|content| descriptor.sha256() == Some(Sha256Digest::of(content)))
            .ok_or_else(|| {
                self.refused(&format!(
                    "no intact manifest {} in the file",
                    descriptor.digest
                ))
            })
    }

    /// Opens a blob.
    ///
    /// # Errors
    /// When the blob is missing or has another size.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<io::Take<File>, TransferError> {
        match self.entries.get(&blob_name(blob)?) {
            Some(&(start, size)) if size == blob.size => self.at(start, size),
            Some((_, size)) => Err(self.refused(&format!(
                "blob {} has {size} bytes, expected {}",
                blob.digest, blob.size
            ))),
            None => Err(self.refused(&format!("no blob {} in the file", blob.digest))),
        }
    }

    fn small(&self, name: &str) -> Result<Option<Vec<u8>>, TransferError> {
        let Some(&(start, size)) = self.entries.get(name) else {
            return Ok(None);
        };
        if size > MANIFEST_LIMIT {
            return Err(self.refused(&format!("`{name}` exceeds 4 MiB")));
        }
        let mut content = Vec::new();
        let read = self.at(start, size)?.read_to_end(&mut content);
        read.map_err(|source| self.failed(source))?;
        Ok(Some(content))
    }

    /// Opens the file again, so that each reader has its own position.
    pub(super) fn at(&self, start: u64, size: u64) -> Result<io::Take<File>, TransferError> {
        let opened = File::open(format!("/proc/self/fd/{}", raw(&self.file)));
        let mut file = opened.map_err(|source| self.failed(source))?;
        file.seek(SeekFrom::Start(start))
            .map_err(|source| self.failed(source))?;
        Ok(file.take(size))
    }

    fn refused(&self, reason: &str) -> TransferError {
        TransferError::Archive {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }

    fn failed(&self, source: io::Error) -> TransferError {
        TransferError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

fn raw(file: &File) -> i32 {
    use std::os::fd::AsRawFd;
    file.as_raw_fd()
}

fn blob_name(blob: &Descriptor) -> Result<String, TransferError> {
    match blob.sha256() {
        Some(digest) => Ok(format!("blobs/sha256/{digest}")),
        None => Err(TransferError::Archive {
            path: PathBuf::new(),
            reason: format!("`{}` is not a SHA-256 digest", blob.digest),
        }),
    }
}
