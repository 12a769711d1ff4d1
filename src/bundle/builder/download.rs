use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::BuildError;
use super::progress::{BuildProgress, BuildStep};
use super::web::{AttemptError, WebClient, accepted, broken, unsent, without_credentials};
use crate::bundle::store::{BundleStore, BundleStoreError, Writeback, io_error, move_durably};
use crate::machine::Sha256Digest;

/// How many bytes are read, hashed and written at a time.
const PIECE: usize = 256 << 10;

/// A complete download without a name in the store. Dropping it removes the file.
pub struct Download {
    pub path: PathBuf,
    pub digest: Sha256Digest,
    pub size: u64,
    /// Whether an earlier run downloaded a part of it.
    pub resumed: bool,
    file: File,
    kept: bool,
}

impl Download {
    /// Opens it for reading.
    pub fn open(&self) -> Result<File, BuildError> {
        File::open(&self.path).map_err(|source| io_error(&self.path, source).into())
    }

    /// Keeps the file for another run, which need not download it again.
    pub fn keep_for_later(mut self) {
        self.kept = true;
    }

    /// Makes the file a blob of the store.
    pub fn store(mut self, store: &BundleStore) -> Result<(), BuildError> {
        move_durably(&self.file, &self.path, &store.blob_path(&self.digest))?;
        let _ = fs::remove_file(origin_path(&self.path));
        self.kept = true;
        Ok(())
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(origin_path(&self.path));
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl WebClient {
    /// Downloads a file into the store. If the download breaks off, its part stays there, and the next
    /// attempt resumes if the server still has the same file. `limit` is the expected size in bytes, if
    /// known.
    ///
    /// # Errors
    /// When the server refuses, when every attempt fails, when the file exceeds the limit, or when the disk
    /// fails.
    pub fn download(
        &self,
        store: &BundleStore,
        url: &str,
        limit: Option<u64>,
        step: &dyn BuildStep,
        progress: &dyn BuildProgress,
    ) -> Result<Download, BuildError> {
        let mut partial = PartialDownload::open(store, url)?;
        let resumed = partial.size > 0;
        let result = self.with_retries(url, progress, || {
            self.attempt(store, url, limit, &mut partial, step)
        });
        if let Err(error) = result {
            partial.keep_for_later();
            return Err(error);
        }
        Ok(Download {
            path: partial.path,
            digest: Sha256Digest::new(partial.hasher.finalize().into()),
            size: partial.size,
            resumed,
            file: partial.file,
            kept: false,
        })
    }

    fn attempt(
        &self,
        store: &BundleStore,
        url: &str,
        limit: Option<u64>,
        partial: &mut PartialDownload,
        step: &dyn BuildStep,
    ) -> Result<(), AttemptError> {
        let check_size = |bytes: u64, partial: &mut PartialDownload| {
            let Some(limit) = limit.filter(|limit| bytes > *limit) else {
                return Ok(());
            };
            // No later run must resume it.
            partial.restart(DownloadOrigin::default())?;
            let what = without_credentials(url);
            Err(AttemptError::Final(BuildError::TooLarge { what, limit }))
        };
        if limit.is_some_and(|limit| partial.size > limit) {
            partial.restart(DownloadOrigin::default())?;
        }
        let mut request = self.client.get(url);
        let validator = partial
            .origin
            .validator
            .clone()
            .filter(|_| partial.size > 0);
        if let Some(validator) = validator {
            // Source: RFC 9110 §13.1.5: the server sends the whole file if it has changed.
            let range = format!("bytes={}-", partial.size);
            request = request.header(RANGE, range).header(IF_RANGE, validator);
        }
        let response = request.send().map_err(|error| unsent(url, error))?;
        let mut response = match response.status() {
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let size = ContentRange::of(response.headers()).and_then(|range| range.total);
                if size == Some(partial.size) {
                    return Ok(());
                }
                partial.restart(DownloadOrigin::default())?;
                return Err(retryable("the file has changed on the server"));
            }
            _ => accepted(url, response)?,
        };
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = ContentRange::of(response.headers());
            if range.is_none_or(|range| range.first != Some(partial.size)) {
                partial.restart(DownloadOrigin::default())?;
                return Err(retryable("the server sent another part than requested"));
            }
        } else {
            partial.restart(DownloadOrigin::of(url, &response))?;
        }
        let total = partial.origin.total;
        if let Some(total) = total {
            check_size(total, partial)?;
            step.set_length(total);
            store.reserve(total.saturating_sub(partial.size))?;
        }
        let furthest = partial.furthest;
        let mut buffer = vec![0; PIECE];
        loop {
            if self.stop.is_stopped() {
                return Err(AttemptError::Final(BuildError::Stopped));
            }
            match response.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    check_size(partial.size + read as u64, partial)?;
                    partial.append(&buffer[..read])?;
                }
                Err(error) => return Err(broken(&error, partial.size > furthest)),
            }
            step.set_position(partial.size);
        }
        match total {
            Some(total) if total != partial.size => Err(AttemptError::Retryable {
                reason: format!("received {} of {total} bytes", partial.size),
                retry_after: None,
                made_progress: partial.size > furthest && partial.size < total,
            }),
            _ => Ok(()),
        }
    }
}

fn retryable(reason: &str) -> AttemptError {
    AttemptError::Retryable {
        reason: reason.to_owned(),
        retry_after: None,
        made_progress: false,
    }
}

/// A download that is not complete. Its file is locked: of two processes that download the same file, one
/// waits.
struct PartialDownload {
    path: PathBuf,
    file: File,
    size: u64,
    /// The largest size so far: a download that only starts again makes no progress.
    furthest: u64,
    hasher: Sha256,
    writeback: Writeback,
    origin: DownloadOrigin,
}

/// What the server stated when the download began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct DownloadOrigin {
    url: String,
    /// What identifies this version of the file: a strong entity tag, or a time.
    validator: Option<String>,
    /// The size of the whole file in bytes.
    total: Option<u64>,
}

impl DownloadOrigin {
    fn of(url: &str, response: &Response) -> Self {
        let text = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        // Source: RFC 9110 §13.1.5: a weak entity tag is not allowed.
        let tag = text(ETAG).filter(|tag| !tag.starts_with("W/"));
        Self {
            url: url.to_owned(),
            validator: tag.or_else(|| text(LAST_MODIFIED)),
            total: response.content_length(),
        }
    }
}

impl PartialDownload {
    fn open(store: &BundleStore, url: &str) -> Result<Self, BundleStoreError> {
        let name = Sha256Digest::of(url.as_bytes()).to_string();
        let path = store.partial()?.join(format!("{}.download", &name[..32]));
        let failed = |source| io_error(&path, source);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = loop {
            let file = options.open(&path).map_err(failed)?;
            file.lock().map_err(failed)?;
            // The process that had the lock before may have completed and renamed the file.
            let inode = file.metadata().map_err(failed)?.ino();
            if fs::metadata(&path).is_ok_and(|data| data.ino() == inode) {
                break file;
            }
        };
        let mut partial = Self {
            file,
            size: 0,
            furthest: 0,
            hasher: Sha256::new(),
            writeback: Writeback::from(0),
            origin: DownloadOrigin::default(),
            path,
        };
        let origin = fs::read(origin_path(&partial.path))
            .ok()
            .and_then(|text| serde_json::from_slice::<DownloadOrigin>(&text).ok());
        match origin.filter(|origin| origin.url == url && origin.validator.is_some()) {
            Some(origin) => {
                partial.origin = origin;
                partial.hash_existing()?;
            }
            None => partial.restart(DownloadOrigin::default())?,
        }
        Ok(partial)
    }

    /// Keeps the file for another run, unless that run could not tell whether the server's file is still
    /// the same.
    fn keep_for_later(self) {
        if self.origin.validator.is_none() {
            let _ = fs::remove_file(origin_path(&self.path));
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Hashes the part that an earlier run downloaded.
    fn hash_existing(&mut self) -> Result<(), BundleStoreError> {
        let mut buffer = vec![0; PIECE];
        loop {
            let read = self.file.read(&mut buffer);
            match read.map_err(|source| io_error(&self.path, source))? {
                0 => return Ok(()),
                read => {
                    self.hasher.update(&buffer[..read]);
                    self.size += read as u64;
                    self.furthest = self.size;
                }
            }
        }
    }

    fn restart(&mut self, origin: DownloadOrigin) -> Result<(), BundleStoreError> {
        let failed = |source| io_error(&self.path, source);
        self.file.set_len(0).map_err(failed)?;
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        (self.size, self.hasher) = (0, Sha256::new());
        self.writeback = Writeback::from(0);
        self.origin = origin;
        let path = origin_path(&self.path);
        let text = serde_json::to_vec(&self.origin).unwrap_or_default();
        fs::write(&path, text).map_err(|source| io_error(&path, source))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), BundleStoreError> {
        let written = self.file.write_all(bytes);
        if let Err(source) = written {
            // The file must match the hash.
            let _ = self.file.set_len(self.size);
            return Err(io_error(&self.path, source));
        }
        self.writeback.advance(&self.file, bytes.len());
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.furthest = self.furthest.max(self.size);
        Ok(())
    }
}

/// Returns the path of a partial download's origin.
fn origin_path(path: &Path) -> PathBuf {
    path.with_extension("about")
}

/// The range of a file that a server sends.
///
/// Source: RFC 9110 §14.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContentRange {
    first: Option<u64>,
    total: Option<u64>,
}

impl ContentRange {
    fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(CONTENT_RANGE)?.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let first = match range {
            "*" => None,
            _ => Some(range.split_once('-')?.0.parse().ok()?),
        };
        Some(Self {
            first,
            total: total.parse().ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_parsed() {
        let range = |first, total| Some(ContentRange { first, total });
        for (text, expected) in [
            ("bytes 3-9/10", range(Some(3), Some(10))),
            ("bytes 3-9/*", range(Some(3), None)),
            ("bytes */10", range(None, Some(10))),
            ("bytes 3/10", None),
            ("items 3-9/10", None),
            ("bytes -1-9/10", None),
            ("", None),
        ] {
            assert_eq!(ContentRange::parse(text), expected, "{text}");
        }
    }
}
