use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::decompress::decompress;
use super::error::BuildError;
use super::progress::BuildStep;
use crate::bundle::store::{BundleStore, BundleStoreError};
use crate::machine::Sha256Digest;
use crate::wire::iso9660::Iso9660;
use crate::wire::tar::Tar;

/// The offset of the ISO 9660 magic, in bytes.
const ISO_MAGIC: u64 = 16 * 2048 + 1;

/// A blob from an image: its digest and its size in bytes.
pub type Extracted = (Sha256Digest, u64);

/// Copies files from an ISO image or a tar archive, which may be compressed, into the store. Names in the
/// image are only compared with `members`, and never become paths.
///
/// # Errors
/// When the file is neither, is damaged, or lacks a member.
pub fn extract(
    store: &BundleStore,
    what: &str,
    mut image: File,
    members: &[&str],
    step: &dyn BuildStep,
) -> Result<BTreeMap<String, Extracted>, BuildError> {
    let refused = |reason: String| BuildError::Archive {
        what: what.to_owned(),
        reason,
    };
    let broken = |error: io::Error| refused(error.to_string());
    let start = read_at(&mut image, 0, 512).map_err(broken)?;
    let iso_magic = read_at(&mut image, ISO_MAGIC, 5).map_err(broken)?;
    image.rewind().map_err(broken)?;
    if iso_magic == b"CD001" {
        return from_iso(store, what, image, members, step);
    }
    let input = decompress(image, &start).map_err(refused)?;
    from_tar(store, what, Tar::new(input), members, step)
}

fn from_iso(
    store: &BundleStore,
    what: &str,
    image: File,
    members: &[&str],
    step: &dyn BuildStep,
) -> Result<BTreeMap<String, Extracted>, BuildError> {
    let refused = |error: &dyn std::fmt::Display| BuildError::Archive {
        what: what.to_owned(),
        reason: error.to_string(),
    };
    let mut iso = Iso9660::open(image).map_err(|error| refused(&error))?;
    let mut files = Vec::new();
    for member in members {
        files.push((member, iso.find(member).map_err(|error| refused(&error))?));
    }
    step.set_length(files.iter().map(|(_, file)| file.size).sum());
    let (mut found, mut done) = (BTreeMap::new(), 0);
    for (member, file) in files {
        store.reserve(file.size)?;
        let mut content = StepReader::new(iso.read(&file), step, done);
        let extracted = store
            .add_blob(&mut content)
            .map_err(|error| read_error(what, error))?;
        done += extracted.1;
        found.insert((*member).to_owned(), extracted);
    }
    Ok(found)
}

fn from_tar(
    store: &BundleStore,
    what: &str,
    mut tar: Tar<Box<dyn Read>>,
    members: &[&str],
    step: &dyn BuildStep,
) -> Result<BTreeMap<String, Extracted>, BuildError> {
    let refused = |reason: String| BuildError::Archive {
        what: what.to_owned(),
        reason,
    };
    let (mut found, mut done) = (BTreeMap::new(), 0);
    while found.len() < members.len() {
        let Some(entry) = tar.entry().map_err(|error| refused(error.to_string()))? else {
            break;
        };
        let path = entry.path.strip_prefix("./").unwrap_or(&entry.path);
        let Some(member) = members.iter().find(|member| **member == path) else {
            continue;
        };
        if !entry.is_file() {
            return Err(refused(format!("`{member}` in the archive is not a file")));
        }
        store.reserve(entry.size)?;
        let mut content = StepReader::new(&mut tar, step, done);
        let extracted = store
            .add_blob(&mut content)
            .map_err(|error| read_error(what, error))?;
        done += extracted.1;
        found.insert((*member).to_owned(), extracted);
    }
    match members.iter().find(|member| !found.contains_key(**member)) {
        Some(member) => Err(refused(format!("the archive has no `{member}`"))),
        None => Ok(found),
    }
}

/// Names the image as the cause when its content cannot be read.
fn read_error(what: &str, error: BundleStoreError) -> BuildError {
    match error {
        BundleStoreError::Content(error) => BuildError::Archive {
            what: what.to_owned(),
            reason: error.to_string(),
        },
        other => other.into(),
    }
}

fn read_at(image: &mut File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    image.seek(SeekFrom::Start(offset))?;
    image.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reports how far a reader has got.
pub struct StepReader<'s, R> {
    input: R,
    step: &'s dyn BuildStep,
    position: u64,
}

impl<'s, R: Read> StepReader<'s, R> {
    /// Starts at `position` bytes of the step.
    pub fn new(input: R, step: &'s dyn BuildStep, position: u64) -> Self {
        Self {
            input,
            step,
            position,
        }
    }
}

impl<R: Read> Read for StepReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.position += read as u64;
        self.step.set_position(self.position);
        Ok(read)
    }
}
