use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::TransferError;
use crate::bundle::{Descriptor, Index, MANIFEST_LIMIT};
use crate::machine::Sha256Digest;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

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
        let mut archive = tar::Archive::new(&mut file);
        let found = archive
            .entries_with_seek()
            .map_err(|error| refused(error.to_string()))?;
        for entry in found {
            let entry =
                entry.map_err(|error| refused(format!("it is no whole tar file: {error}")))?;
            let kind = entry.header().entry_type();
            if !kind.is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = name.trim_start_matches("./").to_owned();
            let (start, size) = (entry.raw_file_position(), entry.size());
            if start.checked_add(size).is_none_or(|end| end > length) {
                return Err(refused(format!("it ends in the middle of `{name}`")));
            }
            entries.insert(name, (start, size));
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

/// A tar file that is being written; it gets its name when it is whole, and is removed otherwise.
/// What a file of this name held before is kept in it.
pub struct ArchiveWriter {
    path: PathBuf,
    partial: PathBuf,
    tar: Option<tar::Builder<File>>,
    there: BTreeMap<String, ()>,
    /// The index of what was there before.
    pub index: Index,
}

impl ArchiveWriter {
    /// Begins a tar file, with all that is in the one that has this name.
    ///
    /// # Errors
    /// When the one that is there is no layout, and when the disk refuses.
    pub fn begin(path: &Path) -> Result<Self, TransferError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", std::process::id()));
        let partial = PathBuf::from(partial);
        let before = match path.exists() {
            true => Some(ArchiveReader::open(path)?),
            false => None,
        };
        let index = match &before {
            Some(before) => before.index()?,
            None => Index {
                schema_version: 2,
                manifests: Vec::new(),
                other: BTreeMap::new(),
            },
        };
        let file = File::create(&partial).map_err(|source| TransferError::Io {
            path: partial.clone(),
            source,
        })?;
        let mut writer = Self {
            path: path.to_owned(),
            partial,
            tar: Some(tar::Builder::new(file)),
            there: BTreeMap::new(),
            index,
        };
        writer.put("oci-layout", LAYOUT.len() as u64, &mut &LAYOUT[..])?;
        if let Some(before) = before {
            let blobs = before.entries.iter();
            for (name, &(start, size)) in blobs.filter(|(name, _)| name.starts_with("blobs/")) {
                writer.put(name, size, &mut before.at(start, size)?)?;
            }
        }
        Ok(writer)
    }

    /// Reports whether a blob is in it.
    pub fn has(&self, digest: &Sha256Digest) -> bool {
        self.there.contains_key(&format!("blobs/sha256/{digest}"))
    }

    /// Adds a blob of so many octets.
    ///
    /// # Errors
    /// When it cannot be read, is shorter, or the disk refuses.
    pub fn put_blob(
        &mut self,
        digest: &Sha256Digest,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), TransferError> {
        self.put(&format!("blobs/sha256/{digest}"), size, content)
    }

    /// Writes the index, and gives the file its name.
    ///
    /// # Errors
    /// When the disk refuses; the file that was there is there still.
    pub fn finish(mut self) -> Result<(), TransferError> {
        let text = serde_json::to_vec(&self.index).map_err(|error| self.failed(error.into()))?;
        self.put("index.json", text.len() as u64, &mut text.as_slice())?;
        let tar = self.tar.take();
        let written = tar.map_or(Ok(()), |tar| {
            let file = tar.into_inner()?;
            file.sync_all()?;
            fs::rename(&self.partial, &self.path)?;
            let directory = self.path.parent().filter(|it| !it.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        });
        written.map_err(|source| self.failed(source))
    }

    fn put(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<(), TransferError> {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        let mut exact = Exact {
            content,
            left: size,
        };
        let added = match &mut self.tar {
            Some(tar) => tar.append_data(&mut header, name, &mut exact),
            None => Ok(()),
        };
        added.map_err(|source| self.failed(source))?;
        self.there.insert(name.to_owned(), ());
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
        let _ = self
            .tar
            .take()
            .map(|tar| tar.into_inner().map(|mut file| file.flush()));
        let _ = fs::remove_file(&self.partial);
    }
}

/// Fails where a content ends before it should, since the header has promised its size.
struct Exact<'c> {
    content: &'c mut dyn Read,
    left: u64,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        match self.content.read(&mut buffer[..most])? {
            0 if self.left > 0 && most > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}
