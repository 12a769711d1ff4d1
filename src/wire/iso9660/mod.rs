//! ISO 9660 images: finds files by their paths, with Rock Ridge names, and reads them.
//!
//! Source: ECMA-119, 4th edition; SUSP 1.12 and RRIP 1.12 for Rock Ridge.

mod record;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Seek, SeekFrom};

pub use record::Iso9660Error;
use record::{Entry, Record, SECTOR, Volume};

/// The first sector of the volume descriptors.
const FIRST_DESCRIPTOR: u64 = 16;
/// The most volume descriptors that are read.
const DESCRIPTOR_LIMIT: u64 = 64;
/// The largest directory that is read, in bytes.
const DIRECTORY_LIMIT: u64 = 16 << 20;
/// The most continuations of one entry.
const CONTINUATION_LIMIT: usize = 32;

/// An open image.
pub struct Iso9660<R> {
    image: R,
    length: u64,
    volume: Volume,
    /// The number of bytes before Rock Ridge's data in each system use field.
    skip: usize,
}

/// A file inside an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsoFile {
    /// The offset of each part in the image and its length, in bytes.
    parts: Vec<(u64, u64)>,
    /// Its size in bytes.
    pub size: u64,
}

impl<R: Read + Seek> Iso9660<R> {
    /// Reads the volume descriptors of an image.
    ///
    /// # Errors
    /// When it cannot be read, or is not an ISO 9660 image.
    pub fn open(mut image: R) -> Result<Self, Iso9660Error> {
        let length = image.seek(SeekFrom::End(0))?;
        let mut iso = Self {
            image,
            length,
            volume: Volume::default(),
            skip: 0,
        };
        for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + DESCRIPTOR_LIMIT {
            let bytes = iso
                .bytes(sector * SECTOR, SECTOR)
                .map_err(|_| Iso9660Error::NotAnImage)?;
            match Volume::parse(&bytes)? {
                Some(volume) if volume.primary => {
                    iso.volume = volume;
                    iso.skip = iso.system_use_skip()?;
                    return Ok(iso);
                }
                Some(_) => {}
                None => break,
            }
        }
        Err(Iso9660Error::NotAnImage)
    }

    /// Finds a file by its path: by Rock Ridge names if the image has them, else by ISO 9660 names in any
    /// case and without their versions.
    ///
    /// # Errors
    /// When it does not exist or is not a regular file, and when the image is damaged or truncated.
    pub fn find(&mut self, path: &str) -> Result<IsoFile, Iso9660Error> {
        let mut parts = path.split('/').peekable();
        let mut directory = (self.volume.root.place, self.volume.root.size);
        let mut walked = String::new();
        while let Some(part) = parts.next() {
            walked.push_str(part);
            let entry = self.entry(directory, part)?;
            let Some(entry) = entry else {
                return Err(Iso9660Error::NotFound(walked));
            };
            if entry.is_link {
                return Err(Iso9660Error::IsALink(walked));
            }
            match (entry.is_directory, parts.peek()) {
                (true, Some(_)) => directory = entry.parts[0],
                (false, None) => return self.file(entry, walked),
                (true, None) => return Err(Iso9660Error::NotAFile(walked)),
                (false, Some(_)) => return Err(Iso9660Error::NotADirectory(walked)),
            }
            walked.push('/');
        }
        Err(Iso9660Error::NotFound(walked))
    }

    /// Returns a reader of a file's content.
    pub fn read<'i>(&'i mut self, file: &IsoFile) -> impl Read + 'i {
        Content {
            image: &mut self.image,
            parts: file.parts.clone(),
            part: 0,
            at: 0,
        }
    }

    fn file(&self, entry: DirectoryEntry, path: String) -> Result<IsoFile, Iso9660Error> {
        let size = entry.parts.iter().map(|(_, size)| size).sum();
        let end = entry
            .parts
            .iter()
            .map(|(place, size)| place.saturating_add(*size));
        let end = end.max().unwrap_or(0);
        if end > self.length {
            return Err(Iso9660Error::Truncated {
                path,
                need: end,
                have: self.length,
            });
        }
        Ok(IsoFile {
            parts: entry.parts,
            size,
        })
    }

    fn entry(
        &mut self,
        directory: (u64, u64),
        name: &str,
    ) -> Result<Option<DirectoryEntry>, Iso9660Error> {
        let bytes = self.directory(directory)?;
        let mut found: Option<DirectoryEntry> = None;
        for record in Record::all(&bytes, self.volume.block_size) {
            let record = record?;
            if record.is_dot() {
                continue;
            }
            let rock = self.rock_ridge(record.system_use.get(self.skip..).unwrap_or_default())?;
            if rock.relocated {
                continue;
            }
            let named = match &rock.name {
                Some(rock_name) => rock_name.as_slice() == name.as_bytes(),
                None => record.is_named(name),
            };
            if !named {
                continue;
            }
            let target = match rock.child {
                Some(block) => {
                    let place = u64::from(block) * self.volume.block_size;
                    (place, self.directory_size(place)?)
                }
                None => (record.place, record.size),
            };
            let entry = found.get_or_insert_with(|| DirectoryEntry {
                parts: Vec::new(),
                is_directory: record.is_directory || rock.child.is_some(),
                is_link: rock.is_link,
            });
            entry.parts.push(target);
            if !record.continues {
                break;
            }
        }
        Ok(found)
    }

    /// Reads the size of a directory from its own first record.
    fn directory_size(&mut self, place: u64) -> Result<u64, Iso9660Error> {
        let bytes = self.bytes(place, SECTOR)?;
        let first = Record::all(&bytes, self.volume.block_size).next();
        first
            .ok_or(Iso9660Error::Damaged("a directory without records"))?
            .map(|it| it.size)
    }

    fn directory(&mut self, (place, size): (u64, u64)) -> Result<Vec<u8>, Iso9660Error> {
        if size > DIRECTORY_LIMIT {
            return Err(Iso9660Error::Damaged("a directory of more than 16 MiB"));
        }
        self.bytes(place, size)
    }

    /// Returns the number of bytes before Rock Ridge's data in system use fields.
    ///
    /// Source: SUSP 1.12 §5.3, the entry `SP` of the root directory's first record.
    fn system_use_skip(&mut self) -> Result<usize, Iso9660Error> {
        let (place, size) = (self.volume.root.place, self.volume.root.size);
        let bytes = self.bytes(place, size.min(SECTOR))?;
        match Record::all(&bytes, self.volume.block_size).next() {
            Some(Ok(first)) => Ok(record::skip_of(first.system_use)),
            _ => Err(Iso9660Error::Damaged("a root directory without records")),
        }
    }

    /// Collects the Rock Ridge data of one entry, with all its continuations.
    fn rock_ridge(&mut self, system_use: &[u8]) -> Result<RockRidge, Iso9660Error> {
        let mut rock = RockRidge::default();
        let mut area = system_use.to_vec();
        for _ in 0..CONTINUATION_LIMIT {
            let mut next = None;
            for entry in record::entries(&area) {
                match entry {
                    Entry::Name { flags, name } if flags & 0b110 == 0 => {
                        rock.name.get_or_insert_default().extend_from_slice(name);
                    }
                    Entry::Name { .. } => {}
                    Entry::Link => rock.is_link = true,
                    Entry::Child(block) => rock.child = Some(block),
                    Entry::Relocated => rock.relocated = true,
                    Entry::Continuation {
                        block,
                        offset,
                        length,
                    } => next = Some((block, offset, length)),
                }
            }
            let Some((block, offset, length)) = next else {
                return Ok(rock);
            };
            if u64::from(length) > SECTOR {
                return Err(Iso9660Error::Damaged("a continuation longer than a sector"));
            }
            let place = u64::from(block) * self.volume.block_size + u64::from(offset);
            area = self.bytes(place, u64::from(length))?;
        }
        Err(Iso9660Error::Damaged("an entry that never ends"))
    }

    fn bytes(&mut self, place: u64, length: u64) -> Result<Vec<u8>, Iso9660Error> {
        let end = place.saturating_add(length);
        if end > self.length {
            return Err(Iso9660Error::Truncated {
                path: "the image".to_owned(),
                need: end,
                have: self.length,
            });
        }
        self.image.seek(SeekFrom::Start(place))?;
        let mut bytes = vec![0; length as usize];
        self.image.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// A directory entry, with all its parts.
struct DirectoryEntry {
    parts: Vec<(u64, u64)>,
    is_directory: bool,
    is_link: bool,
}

#[derive(Default)]
struct RockRidge {
    name: Option<Vec<u8>>,
    /// The block of a directory that was relocated because it is too deep.
    child: Option<u32>,
    /// Whether this is the new location of such a directory.
    relocated: bool,
    is_link: bool,
}

struct Content<'i, R> {
    image: &'i mut R,
    parts: Vec<(u64, u64)>,
    part: usize,
    /// The number of bytes read from the part.
    at: u64,
}

impl<R: Read + Seek> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(&(place, size)) = self.parts.get(self.part) {
            let left = size - self.at;
            if left == 0 {
                (self.part, self.at) = (self.part + 1, 0);
                continue;
            }
            let most = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            if most == 0 {
                return Ok(0);
            }
            self.image.seek(SeekFrom::Start(place + self.at))?;
            let read = self.image.read(&mut buffer[..most])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.at += read as u64;
            return Ok(read);
        }
        Ok(0)
    }
}
