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
use super::progress::{Progress, Step};
use super::web::{Fault, Web, accepted, broken, unsent, without_credentials};
use crate::bundle::store::{BundleStore, BundleStoreError, io_error, move_durably};
use crate::machine::Sha256Digest;

/// How many octets are read, hashed and written at once.
const PIECE: usize = 256 << 10;

/// A file that has come whole, and has not got its name in the store. Dropped, it is removed.
pub struct Download {
    pub path: PathBuf,
    pub digest: Sha256Digest,
    pub size: u64,
    /// Whether an earlier run brought the beginning of it.
    pub resumed: bool,
    file: File,
    kept: bool,
}

impl Download {
    /// Opens it for reading.
    pub fn open(&self) -> Result<File, BuildError> {
        File::open(&self.path).map_err(|source| io_error(&self.path, source).into())
    }

    /// Leaves it for another run, which need not fetch it again.
    pub fn leave(mut self) {
        self.kept = true;
    }

    /// Makes it a blob of the store.
    pub fn keep(mut self, store: &BundleStore) -> Result<(), BuildError> {
        move_durably(&self.file, &self.path, &store.blob_path(&self.digest))?;
        let _ = fs::remove_file(about(&self.path));
        self.kept = true;
        Ok(())
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(about(&self.path));
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Web {
    /// Downloads a file into the store, where the beginning of it stays if it breaks off, and goes
    /// on there if the server still has the same file. No more than `most` octets are taken, where it
    /// is known how many there are.
    ///
    /// # Errors
    /// When the server refuses or fails again and again, has more than that, or the disk refuses.
    pub fn download(
        &self,
        store: &BundleStore,
        url: &str,
        most: Option<u64>,
        step: &dyn Step,
        progress: &dyn Progress,
    ) -> Result<Download, BuildError> {
        let mut partial = Partial::open(store, url)?;
        let resumed = partial.size > 0;
        let came = self.again(url, progress, || {
            self.attempt(store, url, most, &mut partial, step)
        });
        if let Err(error) = came {
            partial.leave();
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
        most: Option<u64>,
        partial: &mut Partial,
        step: &dyn Step,
    ) -> Result<(), Fault> {
        let check = |octets: u64, partial: &mut Partial| match most.filter(|most| octets > *most) {
            None => Ok(()),
            Some(limit) => {
                // Nobody is to go on with it.
                partial.restart(Known::default())?;
                let what = without_credentials(url);
                Err(Fault::Final(BuildError::TooLarge { what, limit }))
            }
        };
        if most.is_some_and(|most| partial.size > most) {
            partial.restart(Known::default())?;
        }
        let mut request = self.client.get(url);
        let validator = partial.known.validator.clone().filter(|_| partial.size > 0);
        if let Some(validator) = validator {
            // Source: RFC 9110 §13.1.5: the whole file comes if it is not the same any more.
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
                partial.restart(Known::default())?;
                return Err(again("it no longer has what was begun"));
            }
            _ => accepted(url, response)?,
        };
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = ContentRange::of(response.headers());
            if range.is_none_or(|range| range.first != Some(partial.size)) {
                partial.restart(Known::default())?;
                return Err(again("it answers with another part than was asked for"));
            }
        } else {
            partial.restart(Known::of(url, &response))?;
        }
        let total = partial.known.total;
        if let Some(total) = total {
            check(total, partial)?;
            step.total(total);
            store.reserve(total.saturating_sub(partial.size))?;
        }
        let furthest = partial.furthest;
        let mut buffer = vec![0; PIECE];
        loop {
            if self.stop.is_stopped() {
                return Err(Fault::Final(BuildError::Stopped));
            }
            match response.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    check(partial.size + read as u64, partial)?;
                    partial.append(&buffer[..read])?;
                }
                Err(error) => return Err(broken(&error, partial.size > furthest)),
            }
            step.at(partial.size);
        }
        match total {
            Some(total) if total != partial.size => Err(Fault::Passing {
                reason: format!("{} octets came, not {total}", partial.size),
                after: None,
                progress: partial.size > furthest && partial.size < total,
            }),
            _ => Ok(()),
        }
    }
}

fn again(reason: &str) -> Fault {
    Fault::Passing {
        reason: reason.to_owned(),
        after: None,
        progress: false,
    }
}

/// The beginning of a download. It is locked: of two who want the same file, one waits.
struct Partial {
    path: PathBuf,
    file: File,
    size: u64,
    /// How much there has ever been: whoever only begins anew makes no progress.
    furthest: u64,
    hasher: Sha256,
    known: Known,
}

/// What the server said when the download began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    url: String,
    /// What tells this file from what may take its place there: a strong entity tag, or a time.
    validator: Option<String>,
    /// The size of the whole file in octets.
    total: Option<u64>,
}

impl Known {
    fn of(url: &str, response: &Response) -> Self {
        let text = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        // Source: RFC 9110 §13.1.5: a weak entity tag does not do.
        let tag = text(ETAG).filter(|tag| !tag.starts_with("W/"));
        Self {
            url: url.to_owned(),
            validator: tag.or_else(|| text(LAST_MODIFIED)),
            total: response.content_length(),
        }
    }
}

impl Partial {
    fn open(store: &BundleStore, url: &str) -> Result<Self, BundleStoreError> {
        let name = Sha256Digest::of(url.as_bytes()).to_string();
        let path = store.partial()?.join(format!("{}.download", &name[..32]));
        let failed = |source| io_error(&path, source);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = loop {
            let file = options.open(&path).map_err(failed)?;
            file.lock().map_err(failed)?;
            // Whoever had the lock before may have finished it: then its name is gone.
            let ours = file.metadata().map_err(failed)?.ino();
            match fs::metadata(&path) {
                Ok(data) if data.ino() == ours => break file,
                _ => {}
            }
        };
        let mut partial = Self {
            file,
            size: 0,
            furthest: 0,
            hasher: Sha256::new(),
            known: Known::default(),
            path,
        };
        let known = fs::read(about(&partial.path)).ok();
        let known = known.and_then(|text| serde_json::from_slice::<Known>(&text).ok());
        match known.filter(|known| known.url == url && known.validator.is_some()) {
            Some(known) => {
                partial.known = known;
                partial.take_up()?;
            }
            None => partial.restart(Known::default())?,
        }
        Ok(partial)
    }

    /// Leaves it for another run, unless nothing tells whether what comes then belongs to it.
    fn leave(self) {
        if self.known.validator.is_none() {
            let _ = fs::remove_file(about(&self.path));
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Hashes what is there.
    fn take_up(&mut self) -> Result<(), BundleStoreError> {
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

    fn restart(&mut self, known: Known) -> Result<(), BundleStoreError> {
        let failed = |source| io_error(&self.path, source);
        self.file.set_len(0).map_err(failed)?;
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        (self.size, self.hasher) = (0, Sha256::new());
        self.known = known;
        let path = about(&self.path);
        let text = serde_json::to_vec(&self.known).unwrap_or_default();
        fs::write(&path, text).map_err(|source| io_error(&path, source))
    }

    fn append(&mut self, octets: &[u8]) -> Result<(), BundleStoreError> {
        let written = self.file.write_all(octets);
        if let Err(source) = written {
            // So that what is there stays what was hashed.
            let _ = self.file.set_len(self.size);
            return Err(io_error(&self.path, source));
        }
        self.hasher.update(octets);
        self.size += octets.len() as u64;
        self.furthest = self.furthest.max(self.size);
        Ok(())
    }
}

/// Where it is kept what a beginning is the beginning of.
fn about(path: &Path) -> PathBuf {
    path.with_extension("about")
}

/// What a server says about the part that it sends.
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
    fn content_ranges_are_read() {
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
