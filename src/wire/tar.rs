//! Tar archives: reading from front to back, and writing headers.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar's
//! extensions for long names, large sizes and sparse files.
//!
//! The memory that an archive can make a reader use is bounded: by [`NAME_LIMIT`] for names, and by
//! [`TEXT_LIMIT`] for the attributes of one entry.

mod attributes;
mod error;
mod write;

pub use error::{NAME_LIMIT, TarError};
pub use write::{END, header, padding};

use std::io::{self, Read, Seek};

use attributes::Attributes;
use error::SIZE_LIMIT;

/// The size of a block in bytes.
pub const BLOCK: usize = 512;
/// The longest set of extended attributes that is read, in bytes.
pub const TEXT_LIMIT: u64 = 1 << 20;
/// One entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarEntry {
    /// The path as it is in the archive: it may be absolute, or contain `..`.
    pub path: String,
    /// The kind of entry.
    pub kind: TarKind,
    /// The size of its content in bytes.
    pub size: u64,
    /// The offset of the content in the archive, in bytes.
    pub start: u64,
}

impl TarEntry {
    /// Reports whether it is a regular file whose whole content is in the archive.
    pub fn is_file(&self) -> bool {
        self.kind == TarKind::File
    }
}

/// The kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TarKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Another name of an earlier file, with that file's path in the archive.
    HardLink(String),
    /// A symbolic link, with its target as it is in the archive.
    SymbolicLink(String),
    /// A sparse file, whose format in the archive is not supported.
    Sparse,
    /// A device, a pipe or another kind, by its type letter.
    Other(u8),
}

/// Reads an archive entry by entry.
pub struct Tar<R> {
    input: R,
    /// The number of content bytes of the current entry that are left.
    content: u64,
    /// The number of padding bytes after it.
    padding: u64,
    /// The number of bytes read from the archive.
    at: u64,
    /// Whether the end of the archive may be missing.
    may_lack_end: bool,
}

impl<R: Read> Tar<R> {
    /// Creates a reader.
    pub fn new(input: R) -> Self {
        Self {
            input,
            content: 0,
            padding: 0,
            at: 0,
            may_lack_end: false,
        }
    }

    /// Creates a reader of an archive that may end right after the content of its last file: without
    /// padding, and without the end blocks. umoci 0.4 writes such layers (`umoci insert`).
    pub fn without_end(input: R) -> Self {
        Self {
            may_lack_end: true,
            ..Self::new(input)
        }
    }

    /// Reads the next entry; `None` at the end.
    ///
    /// # Errors
    /// When the archive is damaged, cut short, or cannot be read.
    pub fn entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        let (mut long_name, mut long_link) = (None, None);
        let mut attributes = Attributes::default();
        loop {
            self.finish_entry()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = size_of(&header)?;
            match header[156] {
                b'L' => long_name = Some(self.long_text(size)?),
                b'K' => long_link = Some(self.long_text(size)?),
                b'x' => {
                    let bytes = self.all(size, TEXT_LIMIT)?;
                    attributes.read(&bytes)?;
                }
                // Attributes of the whole archive: dates, comments.
                b'g' => self.begin(size),
                letter => {
                    let path = attributes.path.or(long_name);
                    let link = attributes.link.or(long_link);
                    let link = link.unwrap_or_else(|| text_of(&header[157..257]));
                    let kind = match letter {
                        b'0' | 0 | b'7' if attributes.is_sparse => TarKind::Sparse,
                        b'0' | 0 | b'7' => TarKind::File,
                        b'1' => TarKind::HardLink(link),
                        b'2' => TarKind::SymbolicLink(link),
                        b'5' => TarKind::Directory,
                        b'S' => TarKind::Sparse,
                        other => TarKind::Other(other),
                    };
                    if letter == b'S' {
                        self.sparse_map(&header)?;
                    }
                    // Links, devices and directories have no content, whatever their headers say.
                    let size = match letter {
                        b'1'..=b'6' => 0,
                        _ => attributes.size.unwrap_or(size),
                    };
                    self.begin(size);
                    return Ok(Some(TarEntry {
                        path: path.unwrap_or_else(|| name_of(&header)),
                        kind,
                        size,
                        start: self.at,
                    }));
                }
            }
        }
    }

    /// Reads a header; `None` at the end.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut header = [0; BLOCK];
        match self.fill(&mut header)? {
            BLOCK => {}
            0 if self.may_lack_end => return Ok(None),
            _ => return Err(TarError::Truncated),
        }
        // The first block of zeros ends the archive; the second is not read.
        let is_end = header.iter().all(|byte| *byte == 0);
        Ok((!is_end).then_some(header))
    }

    fn begin(&mut self, size: u64) {
        self.content = size;
        self.padding = padding_of(size);
    }

    /// Skips the rest of the current entry.
    fn finish_entry(&mut self) -> Result<(), TarError> {
        let (content, padding) = (self.content, self.padding);
        let skipped = io::copy(
            &mut (&mut self.input).take(content + padding),
            &mut io::sink(),
        );
        let skipped = skipped.map_err(TarError::Io)?;
        self.at += skipped;
        (self.content, self.padding) = (0, 0);
        if skipped < content || (skipped < content + padding && !self.may_lack_end) {
            return Err(TarError::Truncated);
        }
        Ok(())
    }

    fn long_text(&mut self, size: u64) -> Result<String, TarError> {
        // GNU tar ends a name with a NUL.
        let bytes = self.all(size, NAME_LIMIT as u64 + 1)?;
        Ok(text_of(&bytes))
    }

    fn all(&mut self, size: u64, limit: u64) -> Result<Vec<u8>, TarError> {
        if size > limit {
            return Err(match limit {
                TEXT_LIMIT => TarError::Damaged("extended attributes of more than 1 MiB"),
                _ => attributes::TOO_LONG,
            });
        }
        self.begin(size);
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => TarError::Truncated,
                _ => TarError::Io(error),
            })?;
        Ok(bytes)
    }

    /// Skips the map of holes that GNU tar writes after a header.
    fn sparse_map(&mut self, header: &[u8; BLOCK]) -> Result<(), TarError> {
        let mut block = [0; BLOCK];
        let mut continues = header[482] != 0;
        while continues {
            if self.fill(&mut block)? < BLOCK {
                return Err(TarError::Truncated);
            }
            continues = block[504] != 0;
        }
        Ok(())
    }

    /// Reads until the buffer is full or the archive ends. Returns the number of bytes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::Io(error)),
            }
        }
        self.at += filled as u64;
        Ok(filled)
    }
}

impl<R: Read + Seek> Tar<R> {
    /// Seeks past the current entry. Does not check that the archive is long enough:
    /// [`TarEntry::start`] and the size give the required length.
    ///
    /// # Errors
    /// When the input cannot seek.
    pub fn skip_content(&mut self) -> Result<(), TarError> {
        let left = self.content + self.padding;
        let distance = i64::try_from(left).map_err(|_| TarError::Truncated)?;
        self.input.seek_relative(distance).map_err(TarError::Io)?;
        self.at += left;
        (self.content, self.padding) = (0, 0);
        Ok(())
    }
}

/// Reads the content of the current entry.
impl<R: Read> Read for Tar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.input.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= read as u64;
        self.at += read as u64;
        Ok(read)
    }
}

/// Returns the number of padding bytes after content of a size, up to a whole block.
fn padding_of(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

fn size_of(header: &[u8; BLOCK]) -> Result<u64, TarError> {
    if octal(&header[148..156]) != Some(checksum(header)) {
        return Err(TarError::Damaged("a header whose checksum is wrong"));
    }
    let field = &header[124..136];
    let size = match field[0] {
        // GNU tar: a binary number in the rest of the field.
        0x80 if field[1..4] == [0; 3] => Some(
            field[4..]
                .iter()
                .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)),
        ),
        // 0xff marks a negative number.
        0x80.. => None,
        _ => octal(field),
    };
    size.filter(|size| *size <= SIZE_LIMIT)
        .ok_or(TarError::Damaged("an invalid file size"))
}

/// Sums up the bytes of a header, with blanks for the checksum field.
fn checksum(header: &[u8; BLOCK]) -> u64 {
    let bytes = header.iter().enumerate();
    bytes
        .map(|(at, byte)| match at {
            148..156 => u64::from(b' '),
            _ => u64::from(*byte),
        })
        .sum()
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = str::from_utf8(field).ok()?;
    let text = text.trim_matches(['\0', ' ']);
    if text.is_empty() {
        return Some(0);
    }
    let plain = text.starts_with(|c: char| c.is_ascii_digit());
    u64::from_str_radix(text, 8).ok().filter(|_| plain)
}

fn name_of(header: &[u8; BLOCK]) -> String {
    let name = text_of(&header[..100]);
    let is_posix = header[257..263] == *b"ustar\0";
    match text_of(&header[345..500]) {
        prefix if is_posix && !prefix.is_empty() => format!("{prefix}/{name}"),
        _ => name,
    }
}

fn text_of(field: &[u8]) -> String {
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
pub(crate) mod tests;
