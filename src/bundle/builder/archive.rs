use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::decompress::{FIRST_DESCRIPTOR, decompress};
use super::error::BuildError;
use super::progress::BuildStep;
use crate::bundle::store::{BundleStore, BundleStoreError, Temporary};
use crate::machine::Sha256Digest;
use crate::wire::iso9660::Iso9660;
use crate::wire::tar::{Tar, TarKind};

/// How many bytes of a compressed image are decompressed at a time.
const PIECE: usize = 4 << 20;
/// The longest chain of hard links that is followed: one from each name to the first is usual.
const LINKS_LIMIT: usize = 8;

/// A blob from an image: its digest and its size in bytes.
pub type Extracted = (Sha256Digest, u64);

/// Copies files from an ISO image or a tar archive, each of which may be compressed, into the store. Names in
/// the image are only compared with `members`, and never become paths.
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
    // The image was hashed just before.
    image.rewind().map_err(broken)?;
    let start = read_start(&mut image).map_err(broken)?;
    if is_iso(&start) {
        return from_iso(store, what, image, members, step);
    }
    let mut plain = open_plain(&image, &start).map_err(refused)?;
    if is_iso(&read_start(&mut plain).map_err(broken)?) {
        step.set_length(image.metadata().map_err(broken)?.len());
        let plain = open_plain(StepReader::new(&image, step, 0), &start).map_err(refused)?;
        let expanded = expand(store, what, plain)?;
        let image = File::open(expanded.path()).map_err(broken)?;
        return from_iso(store, what, image, members, step);
    }
    let open = || open_plain(&image, &start).map_err(refused);
    from_tar(store, what, &open, members, step)
}

/// Reads a compressed image or archive from its beginning.
fn open_plain<'i>(
    mut image: impl Read + Seek + 'i,
    start: &[u8],
) -> Result<Box<dyn Read + 'i>, String> {
    image.rewind().map_err(|error| error.to_string())?;
    decompress(image, start)
}

/// Reads the beginning of an image, as far as it tells what the image is.
fn read_start(image: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    image
        .take(FIRST_DESCRIPTOR as u64 + 5)
        .read_to_end(&mut start)?;
    Ok(start)
}

fn is_iso(start: &[u8]) -> bool {
    start.get(FIRST_DESCRIPTOR..) == Some(b"CD001")
}

/// Decompresses an image to a temporary file: its files are read in another order than that of the image.
fn expand(store: &BundleStore, what: &str, mut plain: impl Read) -> Result<Temporary, BuildError> {
    let mut expanded = Temporary::create(&store.partial()?)?;
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        piece.clear();
        let read = plain.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        read.map_err(|error| read_error(what, BundleStoreError::Content(error)))?;
        if piece.is_empty() {
            return Ok(expanded);
        }
        // Nothing else tells how large the image is.
        store.reserve(PIECE as u64)?;
        expanded.write(&piece)?;
    }
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

fn from_tar<'i>(
    store: &BundleStore,
    what: &str,
    open: &dyn Fn() -> Result<Box<dyn Read + 'i>, BuildError>,
    members: &[&str],
    step: &dyn BuildStep,
) -> Result<BTreeMap<String, Extracted>, BuildError> {
    let refused = |reason: String| BuildError::Archive {
        what: what.to_owned(),
        reason,
    };
    // The members by the path at which their content is.
    let mut requested: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for member in members {
        requested.insert((*member).to_owned(), vec![member]);
    }
    let (mut found, mut done) = (BTreeMap::new(), 0);
    for _ in 0..LINKS_LIMIT {
        let mut links: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut by_path: BTreeMap<String, Extracted> = BTreeMap::new();
        let mut tar = Tar::new(open()?);
        while !requested.is_empty() {
            let Some(entry) = tar.entry().map_err(|error| refused(error.to_string()))? else {
                break;
            };
            let path = entry.path.strip_prefix("./").unwrap_or(&entry.path);
            let Some(members) = requested.remove(path) else {
                continue;
            };
            let extracted = match &entry.kind {
                TarKind::File => {
                    store.reserve(entry.size)?;
                    let mut content = StepReader::new(&mut tar, step, done);
                    let added = store.add_blob(&mut content);
                    let extracted = added.map_err(|error| read_error(what, error))?;
                    done += extracted.1;
                    by_path.insert(path.to_owned(), extracted);
                    extracted
                }
                TarKind::HardLink(target) => {
                    let target = target.strip_prefix("./").unwrap_or(target);
                    let Some(extracted) = by_path.get(target) else {
                        // The content was earlier in the archive.
                        links.entry(target.to_owned()).or_default().extend(members);
                        continue;
                    };
                    *extracted
                }
                _ => return Err(refused(format!("`{path}` in the archive is not a file"))),
            };
            found.extend(
                members
                    .iter()
                    .map(|member| ((*member).to_owned(), extracted)),
            );
        }
        if let Some((path, members)) = requested.first_key_value() {
            let member = members.first().copied().unwrap_or(path);
            return Err(refused(if member == path {
                format!("the archive has no `{member}`")
            } else {
                format!("`{member}` in the archive is a link to `{path}`, which the archive lacks")
            }));
        }
        if links.is_empty() {
            return Ok(found);
        }
        requested = links;
    }
    Err(refused(format!(
        "a chain of more than {LINKS_LIMIT} hard links"
    )))
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

impl<R: Seek> Seek for StepReader<'_, R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.position = self.input.seek(position)?;
        Ok(self.position)
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
