//! ISO 9660 images: finds files by their paths, with Rock Ridge and Joliet names, and reads them.
//!
//! A file that can be read only in part is refused: one that zisofs compressed, one whose size does not fit
//! into its record, one that may be in a UDF file system.
//!
//! Source: ECMA-119, 4th edition; SUSP 1.12 and RRIP 1.12 for Rock Ridge; the Joliet Specification 1.0.

mod extents;
mod record;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Seek, SeekFrom};

pub use record::Iso9660Error;
use record::{Descriptor, Entry, Record, Root, SECTOR, Volume};

/// The first sector of the volume descriptors.
const FIRST_DESCRIPTOR: u64 = 16;
/// The most volume descriptors that are read.
const DESCRIPTOR_LIMIT: u64 = 64;
/// The largest directory that is read, in bytes.
const DIRECTORY_LIMIT: u64 = 16 << 20;
/// The most continuations of one entry.
const CONTINUATION_LIMIT: usize = 32;
/// The first bytes of a file that zisofs compressed.
///
/// Source: libisofs' doc/zisofs_format.txt, for both versions of the format.
const ZISOFS_MAGICS: [[u8; 8]; 2] = [
    [0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07],
    [0xef, 0x22, 0x55, 0xa1, 0xbc, 0x1b, 0x95, 0xa0],
];

/// An open image.
pub struct Iso9660<R> {
    image: R,
    length: u64,
    /// The volume with the ISO 9660 names, and with Rock Ridge names if there are any.
    primary: Volume,
    /// The volume with the Joliet names.
    joliet: Option<Volume>,
    has_udf: bool,
    /// The number of bytes before Rock Ridge's data in each system use field, if the image has Rock Ridge.
    skip: Option<usize>,
}

/// A file inside an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsoFile {
    /// The offset of each part in the image and its length, in bytes.
    parts: Vec<(u64, u64)>,
    /// Its size in bytes.
    pub size: u64,
}

/// Which names to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameKind {
    /// Rock Ridge names, and ISO 9660 names where there are none.
    Primary,
    Joliet,
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
            primary: Volume::default(),
            joliet: None,
            has_udf: false,
            skip: None,
        };
        let mut primary = None;
        for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + DESCRIPTOR_LIMIT {
            let Ok(bytes) = iso.bytes(sector * SECTOR, SECTOR) else {
                break;
            };
            match Descriptor::parse(&bytes)? {
                Some(Descriptor::Primary(volume)) => primary = primary.or(Some(volume)),
                Some(Descriptor::Joliet(volume)) => iso.joliet = iso.joliet.or(Some(volume)),
                Some(Descriptor::Udf) => iso.has_udf = true,
                Some(Descriptor::Terminator | Descriptor::Other) => {}
                None => break,
            }
        }
        iso.primary = primary.ok_or(Iso9660Error::NotAnImage)?;
        iso.skip = iso.system_use_skip()?;
        Ok(iso)
    }

    /// Finds a file by its path: by Rock Ridge names if the image has them, else by Joliet names, else by ISO
    /// 9660 names in any case and without their versions.
    ///
    /// # Errors
    /// When it does not exist or is not a regular file, when only a part of it could be read, and when the
    /// image is damaged or truncated.
    pub fn find(&mut self, path: &str) -> Result<IsoFile, Iso9660Error> {
        let joliet = self.joliet.map(|volume| (volume, NameKind::Joliet));
        let primary = Some((self.primary, NameKind::Primary));
        // Linux prefers the names in this order, too.
        let volumes = if self.skip.is_some() {
            [primary, joliet]
        } else {
            [joliet, primary]
        };
        let mut not_found = Iso9660Error::NotFound(path.to_owned());
        for (volume, kind) in volumes.into_iter().flatten() {
            match self.find_in(&volume, kind, path) {
                Err(Iso9660Error::NotFound(path)) if self.has_udf => {
                    not_found = Iso9660Error::MaybeInUdf(path);
                }
                Err(Iso9660Error::NotFound(path)) => not_found = Iso9660Error::NotFound(path),
                found => return found,
            }
        }
        Err(not_found)
    }

    fn find_in(
        &mut self,
        volume: &Volume,
        kind: NameKind,
        path: &str,
    ) -> Result<IsoFile, Iso9660Error> {
        let mut parts = path.split('/').peekable();
        let mut directory = (volume.root.place, volume.root.size);
        let mut walked = String::new();
        while let Some(part) = parts.next() {
            walked.push_str(part);
            let entry = self.entry(volume, kind, directory, part)?;
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

    /// Checks that the whole file can be read.
    fn file(&mut self, entry: DirectoryEntry, path: String) -> Result<IsoFile, Iso9660Error> {
        if entry.is_sparse {
            return Err(Iso9660Error::Sparse(path));
        }
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
        // Joliet names have no mark of the compression.
        if entry.is_compressed || self.has_zisofs_magic(&entry.parts)? {
            return Err(Iso9660Error::Zisofs(path));
        }
        if self.may_be_cut(&entry.parts)? {
            return Err(Iso9660Error::CutSize(path));
        }
        Ok(IsoFile {
            parts: entry.parts,
            size,
        })
    }

    fn has_zisofs_magic(&mut self, parts: &[(u64, u64)]) -> Result<bool, Iso9660Error> {
        match parts {
            [(place, size), ..] if *size >= 8 => {
                let start = self.bytes(*place, 8)?;
                Ok(ZISOFS_MAGICS.iter().any(|magic| start == magic))
            }
            _ => Ok(false),
        }
    }

    fn entry(
        &mut self,
        volume: &Volume,
        kind: NameKind,
        directory: (u64, u64),
        name: &str,
    ) -> Result<Option<DirectoryEntry>, Iso9660Error> {
        let bytes = self.directory(directory)?;
        let mut found: Option<DirectoryEntry> = None;
        for record in Record::all(&bytes, volume.block_size) {
            let record = record?;
            if record.is_dot() || record.is_associated {
                continue;
            }
            let rock = match kind {
                NameKind::Primary => self.rock_ridge(record.system_use)?,
                NameKind::Joliet => RockRidge::default(),
            };
            if rock.relocated {
                continue;
            }
            let is_named = match (&rock.name, kind) {
                (Some(rock_name), _) => rock_name.as_slice() == name.as_bytes(),
                (None, NameKind::Primary) => record.is_named(name),
                (None, NameKind::Joliet) => record.is_named_in_joliet(name),
            };
            if !is_named {
                if found.is_some() {
                    break;
                }
                continue;
            }
            let target = match rock.child {
                Some(block) => {
                    let place = u64::from(block) * volume.block_size;
                    (place, self.directory_size(place)?)
                }
                None => (record.place, record.size),
            };
            let entry = found.get_or_insert_with(|| DirectoryEntry {
                parts: Vec::new(),
                is_directory: record.is_directory || rock.child.is_some(),
                is_link: rock.is_link,
                is_compressed: false,
                is_sparse: false,
            });
            entry.is_compressed |= rock.is_compressed;
            entry.is_sparse |= rock.is_sparse;
            entry.parts.push(target);
            if !record.continues {
                return Ok(found);
            }
        }
        match found {
            Some(_) => Err(Iso9660Error::Damaged("a file without its last part")),
            None => Ok(None),
        }
    }

    /// Reads the size of a directory from its own first record.
    fn directory_size(&mut self, place: u64) -> Result<u64, Iso9660Error> {
        let bytes = self.bytes(place, SECTOR)?;
        let first = Record::all(&bytes, self.primary.block_size).next();
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

    /// Returns the number of bytes before Rock Ridge's data in system use fields; `None` without Rock Ridge.
    ///
    /// Source: SUSP 1.12 §5.3, the entry `SP` of the root directory's first record.
    fn system_use_skip(&mut self) -> Result<Option<usize>, Iso9660Error> {
        let Root { place, size } = self.primary.root;
        let bytes = self.bytes(place, size.min(SECTOR))?;
        match Record::all(&bytes, self.primary.block_size).next() {
            Some(Ok(first)) => Ok(record::skip_of(first.system_use)),
            _ => Err(Iso9660Error::Damaged("a root directory without records")),
        }
    }

    /// Collects the Rock Ridge data of one entry, with all its continuations.
    fn rock_ridge(&mut self, system_use: &[u8]) -> Result<RockRidge, Iso9660Error> {
        let skip = self.skip.unwrap_or(0);
        let system_use = system_use.get(skip..).unwrap_or_default();
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
                    Entry::Zisofs => rock.is_compressed = true,
                    Entry::Sparse => rock.is_sparse = true,
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
            let place = u64::from(block) * self.primary.block_size + u64::from(offset);
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
    is_compressed: bool,
    is_sparse: bool,
}

#[derive(Default)]
struct RockRidge {
    name: Option<Vec<u8>>,
    /// The block of a directory that was relocated because it is too deep.
    child: Option<u32>,
    /// Whether this is the new location of such a directory.
    relocated: bool,
    is_link: bool,
    is_compressed: bool,
    is_sparse: bool,
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
