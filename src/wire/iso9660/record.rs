use std::io;

/// The size of a sector in bytes, in which volume descriptors and directories are counted.
pub(super) const SECTOR: u64 = 2048;

/// Why an image, or a file in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Iso9660Error {
    /// The image has no primary volume descriptor.
    #[error("not an ISO 9660 image")]
    NotAnImage,
    /// The image contradicts the standard.
    #[error("the image is damaged: {0}")]
    Damaged(&'static str),
    /// The image ends too early.
    #[error("the image is truncated: `{path}` needs {need} bytes, the image has {have}")]
    Truncated {
        /// The path that is not complete.
        path: String,
        /// The required length of the image, in bytes.
        need: u64,
        /// The length of the image, in bytes.
        have: u64,
    },
    /// The path does not exist.
    #[error("the image has no `{0}`")]
    NotFound(String),
    /// The path is a directory.
    #[error("`{0}` in the image is not a file")]
    NotAFile(String),
    /// A parent in the path is a file.
    #[error("`{0}` in the image is not a directory")]
    NotADirectory(String),
    /// The path is not among the names that are supported, but may be among the UDF names.
    #[error(
        "the image has no `{0}` in its ISO 9660 file system, and its UDF file system is not supported: \
         extract the file, and name the file itself"
    )]
    MaybeInUdf(String),
    /// The file is compressed in the image.
    #[error(
        "`{0}` in the image is compressed with zisofs, which is not supported: extract the file, and name \
         the file itself"
    )]
    Zisofs(String),
    /// The file is stored without its holes.
    #[error(
        "`{0}` in the image is stored as a sparse file, which is not supported: extract the file, and name \
         the file itself"
    )]
    Sparse(String),
    /// The record of the file has only the low 32 bits of its size.
    #[error(
        "`{0}` in the image is larger than its directory record states: extract the file with a program \
         that reads UDF, and name the file itself"
    )]
    CutSize(String),
    /// The path is a symbolic link.
    #[error("`{0}` in the image is a symbolic link; name the file itself")]
    IsALink(String),
    /// The image cannot be read.
    #[error("cannot read the image: {0}")]
    Io(#[from] io::Error),
}

/// A descriptor at the beginning of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// The volume with the ISO 9660 names, and with Rock Ridge names if the image has them.
    Primary(Volume),
    /// The volume with the Joliet names.
    Joliet(Volume),
    /// The end of the ISO 9660 descriptors; other file systems may have descriptors after it.
    Terminator,
    /// The mark of a UDF file system.
    Udf,
    /// Another one, which does not matter here.
    Other,
}

/// The data of a volume descriptor.
///
/// Source: ECMA-119 §8.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// The size of a logical block in bytes.
    pub block_size: u64,
    /// The size of the volume in bytes.
    pub size: u64,
    pub root: Root,
}

/// The offset and size of the root directory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    pub place: u64,
    pub size: u64,
}

impl Descriptor {
    /// Parses a descriptor; `None` if the sector has none.
    ///
    /// Source: ECMA-119 §8.1; ECMA-167 §2/9.1 for UDF; Joliet Specification 1.0, "SVD Escape Sequences Field".
    pub fn parse(sector: &[u8]) -> Result<Option<Self>, Iso9660Error> {
        let (Some(&kind), Some(identifier)) = (sector.first(), sector.get(1..6)) else {
            return Ok(None);
        };
        Ok(Some(match (identifier, kind) {
            (b"CD001", 1) => Self::Primary(Volume::parse(sector)?),
            (b"CD001", 2) if matches!(sector.get(88..91), Some(b"%/@" | b"%/C" | b"%/E")) => {
                Self::Joliet(Volume::parse(sector)?)
            }
            (b"CD001", 255) => Self::Terminator,
            (b"NSR02" | b"NSR03", _) => Self::Udf,
            (b"CD001" | b"BEA01" | b"BOOT2" | b"TEA01" | b"CDW02", _) => Self::Other,
            _ => return Ok(None),
        }))
    }
}

impl Volume {
    fn parse(sector: &[u8]) -> Result<Self, Iso9660Error> {
        let sector: &[u8; SECTOR as usize] = sector.first_chunk().ok_or(Iso9660Error::Damaged(
            "a volume descriptor that is too short",
        ))?;
        let block_size = u64::from(u16::from_le_bytes([sector[128], sector[129]]));
        if !block_size.is_power_of_two() || !(512..=SECTOR).contains(&block_size) {
            return Err(Iso9660Error::Damaged("logical blocks of an odd size"));
        }
        let blocks = u32::from_le_bytes([sector[80], sector[81], sector[82], sector[83]]);
        let root = Record::parse(&sector[156..190], block_size)?;
        Ok(Self {
            block_size,
            size: u64::from(blocks) * block_size,
            root: Root {
                place: root.place,
                size: root.size,
            },
        })
    }
}

/// One record of a directory.
///
/// Source: ECMA-119 §9.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'d> {
    /// The offset of its extent, in bytes.
    pub place: u64,
    /// The size of its extent in bytes.
    pub size: u64,
    pub is_directory: bool,
    /// Whether it is an associated file: a resource fork with the name of the file that follows.
    pub is_associated: bool,
    /// Whether the next record belongs to the same file.
    pub continues: bool,
    identifier: &'d [u8],
    pub system_use: &'d [u8],
}

impl<'d> Record<'d> {
    /// Lists the records of a directory; a record never crosses a sector boundary.
    pub fn all(
        directory: &'d [u8],
        block_size: u64,
    ) -> impl Iterator<Item = Result<Self, Iso9660Error>> + 'd {
        directory.chunks(SECTOR as usize).flat_map(move |sector| {
            let mut rest = sector;
            std::iter::from_fn(move || {
                let length = usize::from(*rest.first().filter(|length| **length != 0)?);
                let Some((record, after)) = rest.split_at_checked(length) else {
                    rest = &[];
                    return Some(Err(Iso9660Error::Damaged(
                        "a record that crosses its sector",
                    )));
                };
                rest = after;
                Some(Record::parse(record, block_size))
            })
        })
    }

    fn parse(record: &'d [u8], block_size: u64) -> Result<Self, Iso9660Error> {
        const SHORT: Iso9660Error = Iso9660Error::Damaged("a record that is too short");
        let fixed: &[u8; 33] = record.first_chunk().ok_or(SHORT)?;
        let number = |at: usize| {
            u64::from(u32::from_le_bytes([
                fixed[at],
                fixed[at + 1],
                fixed[at + 2],
                fixed[at + 3],
            ]))
        };
        if fixed[26] != 0 || fixed[27] != 0 {
            return Err(Iso9660Error::Damaged("an interleaved file"));
        }
        let length = usize::from(fixed[32]);
        let identifier = record.get(33..33 + length).ok_or(SHORT)?;
        // A byte of padding follows an identifier of even length.
        let system_use = record
            .get(33 + length + (length + 1) % 2..)
            .unwrap_or_default();
        Ok(Self {
            place: (number(2) + u64::from(fixed[1])) * block_size,
            size: number(10),
            is_directory: fixed[25] & 0x02 != 0,
            is_associated: fixed[25] & 0x04 != 0,
            continues: fixed[25] & 0x80 != 0,
            identifier,
            system_use,
        })
    }

    /// Reports whether it is the directory itself or its parent.
    pub fn is_dot(&self) -> bool {
        matches!(self.identifier, [0 | 1])
    }

    /// Reports whether its identifier is a Joliet name, in any version.
    pub fn is_named_in_joliet(&self, name: &str) -> bool {
        let units = self.identifier.chunks_exact(2);
        let units = units.map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let identifier: Vec<u16> = units.collect();
        let version = identifier.iter().rposition(|unit| *unit == u16::from(b';'));
        let end = version.filter(|at| {
            let digits = &identifier[at + 1..];
            digits.iter().all(|unit| (0x30..=0x39).contains(unit))
        });
        let identifier = &identifier[..end.unwrap_or(identifier.len())];
        name.encode_utf16().eq(identifier.iter().copied())
    }

    /// Reports whether its own identifier is a name, in any case and version.
    pub fn is_named(&self, name: &str) -> bool {
        let mut identifier = self.identifier;
        if let Some(at) = identifier.iter().position(|byte| *byte == b';') {
            identifier = &identifier[..at];
        }
        let identifier = identifier.strip_suffix(b".").unwrap_or(identifier);
        identifier.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// One system use entry that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'d> {
    Name {
        flags: u8,
        name: &'d [u8],
    },
    Link,
    Zisofs,
    Sparse,
    Child(u32),
    Relocated,
    Continuation {
        block: u32,
        offset: u32,
        length: u32,
    },
}

/// Lists the entries of a system use field, up to the first invalid one.
pub fn entries(area: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    raw_entries(area).filter_map(|(signature, data)| {
        let number = |at: usize| {
            let bytes = data.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        match signature {
            b"NM" => {
                let (flags, name) = data.split_first()?;
                Some(Entry::Name {
                    flags: *flags,
                    name,
                })
            }
            b"SL" => Some(Entry::Link),
            b"ZF" => Some(Entry::Zisofs),
            b"SF" => Some(Entry::Sparse),
            b"CL" => Some(Entry::Child(number(0)?)),
            b"RE" => Some(Entry::Relocated),
            b"CE" => Some(Entry::Continuation {
                block: number(0)?,
                offset: number(8)?,
                length: number(16)?,
            }),
            _ => None,
        }
    })
}

/// Reads the number of bytes to skip from the root directory's first system use field; `None` if the image has
/// no Rock Ridge data.
pub fn skip_of(area: &[u8]) -> Option<usize> {
    match raw_entries(area).next() {
        Some((b"SP", [0xbe, 0xef, skip, ..])) => Some(usize::from(*skip)),
        _ => None,
    }
}

fn raw_entries(mut area: &[u8]) -> impl Iterator<Item = (&[u8; 2], &[u8])> {
    std::iter::from_fn(move || {
        let [first, second, length, _version] = *area.first_chunk()?;
        let (entry, rest) = area.split_at_checked(usize::from(length))?;
        if entry.len() < 4 || [first, second] == *b"ST" {
            return None;
        }
        area = rest;
        Some((entry.first_chunk()?, &entry[4..]))
    })
}
