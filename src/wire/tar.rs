//! Tar archives, read from front to back.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar's
//! extensions for long names and large sizes.

use std::io::{self, Read};

/// The size of a block in octets.
const BLOCK: usize = 512;
/// The longest name, or set of extended attributes, that is read.
const TEXT_LIMIT: u64 = 1 << 20;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// A header contradicts the format.
    #[error("the archive is damaged: {0}")]
    Damaged(&'static str),
    /// It ends in the middle.
    #[error("the archive is cut short")]
    Truncated,
    /// It cannot be read.
    #[error("the archive cannot be read: {0}")]
    Io(io::Error),
}

/// One entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarEntry {
    /// Its path, as the archive says it: it may be absolute, or climb.
    pub path: String,
    /// Its size in octets.
    pub size: u64,
    /// Whether it is a regular file.
    pub is_file: bool,
}

/// Reads an archive entry by entry.
pub struct Tar<R> {
    input: R,
    /// How much of the current entry, its padding included, has not been read.
    left: u64,
    /// How much of that is content.
    content: u64,
}

impl<R: Read> Tar<R> {
    /// Begins to read.
    pub fn new(input: R) -> Self {
        Self {
            input,
            left: 0,
            content: 0,
        }
    }

    /// Goes on to the next entry; none is the end.
    ///
    /// # Errors
    /// When the archive is damaged, cut short, or cannot be read.
    pub fn entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        let (mut long_name, mut attributes) = (None, Attributes::default());
        loop {
            let rest = self.left;
            let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink());
            if skipped.map_err(TarError::Io)? < rest {
                return Err(TarError::Truncated);
            }
            (self.left, self.content) = (0, 0);
            let mut header = [0; BLOCK];
            match self.input.read_exact(&mut header) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(TarError::Truncated);
                }
                Err(error) => return Err(TarError::Io(error)),
            }
            // One block of zeros is the end; the second is not waited for.
            if header.iter().all(|octet| *octet == 0) {
                return Ok(None);
            }
            let size = size_of(&header)?;
            self.begin(size);
            match header[156] {
                b'L' => long_name = Some(text_of(&self.all(size)?)),
                b'x' => attributes.read(&self.all(size)?)?,
                b'g' => {
                    self.all(size)?;
                }
                kind => {
                    let size = match attributes.size {
                        Some(larger) => {
                            self.begin(larger);
                            larger
                        }
                        None => size,
                    };
                    return Ok(Some(TarEntry {
                        path: attributes
                            .path
                            .or(long_name)
                            .unwrap_or_else(|| name_of(&header)),
                        size,
                        is_file: matches!(kind, b'0' | 0 | b'7'),
                    }));
                }
            }
        }
    }

    fn begin(&mut self, size: u64) {
        self.content = size;
        self.left = size.saturating_add((BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64);
    }

    fn all(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > TEXT_LIMIT {
            return Err(TarError::Damaged("a name or attribute of more than 1 MiB"));
        }
        let mut octets = Vec::new();
        self.read_to_end(&mut octets)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => TarError::Truncated,
                _ => TarError::Io(error),
            })?;
        Ok(octets)
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
        self.left -= read as u64;
        Ok(read)
    }
}

/// What a pax header says that matters here.
#[derive(Default)]
struct Attributes {
    path: Option<String>,
    size: Option<u64>,
}

impl Attributes {
    /// Reads `length key=value` lines, where the length is that of the whole line.
    fn read(&mut self, mut octets: &[u8]) -> Result<(), TarError> {
        const FAULT: TarError = TarError::Damaged("an extended attribute that makes no sense");
        while !octets.is_empty() {
            let blank = octets
                .iter()
                .position(|octet| *octet == b' ')
                .ok_or(FAULT)?;
            let length: usize = str::from_utf8(&octets[..blank])
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(FAULT)?;
            let (line, rest) = octets.split_at_checked(length).ok_or(FAULT)?;
            let line = line
                .get(blank + 1..)
                .and_then(|line| line.strip_suffix(b"\n"));
            let line = String::from_utf8_lossy(line.ok_or(FAULT)?).into_owned();
            match line.split_once('=').ok_or(FAULT)? {
                ("path", path) => self.path = Some(path.to_owned()),
                ("size", size) => self.size = Some(size.parse().map_err(|_| FAULT)?),
                _ => {}
            }
            octets = rest;
        }
        Ok(())
    }
}

fn size_of(header: &[u8; BLOCK]) -> Result<u64, TarError> {
    let field = &header[124..136];
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, octet)| {
            if (148..156).contains(&at) {
                32
            } else {
                u64::from(*octet)
            }
        })
        .sum();
    if octal(&header[148..156]) != Some(sum) {
        return Err(TarError::Damaged("a header whose checksum is wrong"));
    }
    let size = match field[0] {
        // GNU tar: the number itself, in as many octets as there are.
        0x80 if field[1..4] == [0; 3] => field[4..]
            .iter()
            .fold(0, |sum: u64, octet| sum << 8 | u64::from(*octet)),
        _ => octal(field).ok_or(TarError::Damaged("a size that is no number"))?,
    };
    Ok(size.min(u64::MAX >> 1))
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = str::from_utf8(field).ok()?;
    let text = text.trim_matches(['\0', ' ']);
    if text.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(text, 8).ok()
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
        .position(|octet| *octet == 0)
        .unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(name: &str, size: &[u8], kind: u8) -> Vec<u8> {
        let mut header = vec![0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..124 + size.len()].copy_from_slice(size);
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|octet| u32::from(*octet)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        header
    }

    fn padded(mut octets: Vec<u8>) -> Vec<u8> {
        octets.resize(octets.len().next_multiple_of(BLOCK), 0);
        octets
    }

    fn listed(archive: &[u8]) -> Result<Vec<(String, String)>, String> {
        let mut tar = Tar::new(archive);
        let mut found = Vec::new();
        while let Some(entry) = tar.entry().map_err(|error| error.to_string())? {
            let mut text = String::new();
            if entry.is_file {
                tar.read_to_string(&mut text)
                    .map_err(|error| error.to_string())?;
            }
            found.push((entry.path, text));
        }
        Ok(found)
    }

    #[test]
    fn names_short_long_and_extended_are_read() {
        let long = "d/".repeat(90) + "file";
        let pax = "21 path=../\u{e9}tc/passwd\n".to_owned();
        let pax = format!("{}{}", pax.len(), &pax[2..]);
        let archive = [
            header("a", b"00000000003", b'0'),
            padded(b"one".to_vec()),
            header("d", b"00000000000", b'5'),
            header(
                "././@LongLink",
                format!("{:011o}", long.len() + 1).as_bytes(),
                b'L',
            ),
            padded(format!("{long}\0").into_bytes()),
            header("short", b"\x80\0\0\0\0\0\0\0\0\0\0\x02", b'0'),
            padded(b"22".to_vec()),
            header("pax", format!("{:011o}", pax.len()).as_bytes(), b'x'),
            padded(pax.into_bytes()),
            header("c", b"00000000000", b'0'),
            vec![0; 1024],
        ]
        .concat();
        let found = listed(&archive).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("a", "one"),
                ("d", ""),
                (long.as_str(), "22"),
                ("../\u{e9}tc/passwd", "")
            ]
        );
        for length in [100, 514, 600, archive.len() - 1024] {
            assert!(listed(&archive[..length]).is_err(), "{length}");
        }
        let mut wrong = archive.clone();
        wrong[0] = b'b';
        assert!(listed(&wrong).unwrap_err().contains("checksum"));
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let _ = listed(&octets);
        }

        #[test]
        fn arbitrary_attributes_never_panic(
            text in "[0-9]{0,3}[ =a-z\n]{0,20}",
            size in "[0-7 \u{0}]{0,11}",
        ) {
            let _ = Attributes::default().read(text.as_bytes());
            let archive = [header("a", size.as_bytes(), b'x'), padded(text.into_bytes())].concat();
            let _ = listed(&archive);
        }
    }
}
