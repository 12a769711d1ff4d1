use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::error::TransferError;
use super::tar_files::TarFiles;
use crate::bundle::oci::{Descriptor, Index};
use crate::machine::Sha256Digest;

pub(super) const BLOBS: &str = "blobs/";

/// An OCI image layout in a tar file.
#[derive(Debug)]
pub struct ArchiveReader {
    pub(super) files: TarFiles,
}

impl ArchiveReader {
    /// Opens a tar file, and lists its entries.
    ///
    /// # Errors
    /// When the file cannot be read, is not a complete tar file, or has no OCI image layout.
    pub fn open(path: &Path) -> Result<Self, TransferError> {
        let files = TarFiles::open(path, |name| {
            ["oci-layout", "index.json"].contains(&name) || name.starts_with(BLOBS)
        })?;
        match files.small("oci-layout")? {
            Some(text) if serde_json::from_slice::<serde_json::Value>(&text).is_ok() => {
                Ok(Self { files })
            }
            _ => Err(files.refused("no OCI image layout in the file")),
        }
    }

    /// Reads the index of the layout.
    ///
    /// # Errors
    /// When the index is missing or invalid.
    pub fn index(&self) -> Result<Index, TransferError> {
        let text = self
            .files
            .small("index.json")?
            .ok_or_else(|| self.files.refused("no `index.json` in the file"))?;
        serde_json::from_slice(&text).map_err(|error| {
            self.files
                .refused(&format!("invalid `index.json`: {error}"))
        })
    }

    /// Reads a manifest, and verifies its digest.
    ///
    /// # Errors
    /// When the manifest is missing or has another digest.
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, TransferError> {
        let content = self.files.small(&blob_name(descriptor)?)?;
        content
            .filter(|content| descriptor.sha256() == Some(Sha256Digest::of(content)))
            .ok_or_else(|| {
                self.files.refused(&format!(
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
        match self.files.find(&blob_name(blob)?) {
            Some((start, size)) if size == blob.size => self.files.at(start, size),
            Some((_, size)) => Err(self.files.refused(&format!(
                "blob {} has {size} bytes, expected {}",
                blob.digest, blob.size
            ))),
            None => Err(self
                .files
                .refused(&format!("no blob {} in the file", blob.digest))),
        }
    }
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
