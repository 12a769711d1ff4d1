mod writer;

pub use writer::ArchiveWriter;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::TransferError;
use crate::bundle::{Descriptor, Index, MANIFEST_LIMIT};
use crate::machine::Sha256Digest;
use crate::wire::tar::Tar;

const BLOBS: &str = "blobs/";
/// The longest name that is looked for: the blob of a SHA-512 digest.
const NAME_LIMIT: usize = 160;
/// The most files that a layout in a tar file may have.
const FILES_LIMIT: usize = 1 << 16;

/// An OCI image layout in a tar file. What is asked for is read where it lies; nothing is unpacked.
#[derive(Debug)]
pub struct ArchiveReader {
    path: PathBuf,
    file: File,
    /// Where each regular file lies: its first octet and its size.
    entries: BTreeMap<String, (u64, u64)>,
}

impl ArchiveReader {
    /// Reads what the file holds.
    ///
    /// # Errors
    /// When it cannot be read, is no tar file or ends too soon, or holds no layout.
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
        let broken = |error| refused(format!("it is no whole tar file: {error}"));
        while let Some(entry) = archive.entry().map_err(broken)? {
            archive.skip_content().map_err(broken)?;
            let name = entry.path.trim_start_matches("./");
            let is_ours = ["oci-layout", "index.json"].contains(&name) || name.starts_with(BLOBS);
            if !entry.is_file() || !is_ours || name.len() > NAME_LIMIT {
                continue;
            }
            if entry.start + entry.size > length {
                return Err(refused(format!("it ends in the middle of `{name}`")));
            }
            if entries.len() == FILES_LIMIT {
                return Err(refused(format!("it holds more than {FILES_LIMIT} files")));
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
            _ => Err(refused("it holds no OCI image layout".to_owned())),
        }
    }

    /// Reads the index of the layout.
    ///
    /// # Errors
    /// When it is missing or is none.
    pub fn index(&self) -> Result<Index, TransferError> {
        let text = self.small("index.json")?;
        let text = text.ok_or_else(|| self.refused("it has no `index.json`"))?;
        serde_json::from_slice(&text)
            .map_err(|error| self.refused(&format!("its `index.json`: {error}")))
    }

    /// Reads a manifest, and makes sure that it is the one.
    ///
    /// # Errors
    /// When it is missing or another.
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, TransferError> {
        let content = self.small(&blob_name(descriptor)?)?;
        content
            .filter(|content| descriptor.sha256() == Some(Sha256Digest::of(content)))
            .ok_or_else(|| self.refused(&format!("it has no good manifest {}", descriptor.digest)))
    }

    /// Opens a blob.
    ///
    /// # Errors
    /// When it is missing, or of another size.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<io::Take<File>, TransferError> {
        match self.entries.get(&blob_name(blob)?) {
            Some(&(start, size)) if size == blob.size => self.at(start, size),
            Some((_, size)) => Err(self.refused(&format!(
                "its {} has {size} octets, not {}",
                blob.digest, blob.size
            ))),
            None => Err(self.refused(&format!("it has no {}", blob.digest))),
        }
    }

    fn small(&self, name: &str) -> Result<Option<Vec<u8>>, TransferError> {
        let Some(&(start, size)) = self.entries.get(name) else {
            return Ok(None);
        };
        if size > MANIFEST_LIMIT {
            return Err(self.refused(&format!("`{name}` is too large")));
        }
        let mut content = Vec::new();
        let read = self.at(start, size)?.read_to_end(&mut content);
        read.map_err(|source| self.failed(source))?;
        Ok(Some(content))
    }

    /// Opens the file once more: whoever reads one part does not disturb who reads another.
    fn at(&self, start: u64, size: u64) -> Result<io::Take<File>, TransferError> {
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
            reason: format!("`{}` is no SHA-256 digest", blob.digest),
        }),
    }
}
