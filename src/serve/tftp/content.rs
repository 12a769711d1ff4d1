use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use rustix::fs::{Advice, fadvise};

use super::{Content, OpenError};
use crate::respond::tftp::{Refusal, netascii};
use crate::wire::tftp::ErrorCode;

/// Octets that one read of a file fetches: enough for the next dozens of blocks.
const READ_AHEAD: usize = 64 * 1024;

/// The largest file that travels as netascii, which is encoded as a whole: text, not kernels.
const LARGEST_NETASCII: u64 = 64 * 1024;

/// The octets that one transfer sends, by their place in the file.
#[derive(Debug)]
pub(super) struct Source {
    size: u64,
    octets: Octets,
}

#[derive(Debug)]
enum Octets {
    Memory(Bytes),
    File {
        file: std::fs::File,
        /// What was read last, and where in the file it begins.
        window: Vec<u8>,
        start: u64,
    },
}

/// The octets are not to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("too large for netascii, ask for it in octet mode")]
    TooLargeForNetascii,
    #[error("the file became shorter while it was sent")]
    Shrunk,
    #[error("cannot read the file: {0}")]
    Io(#[from] io::Error),
}

impl Source {
    /// Opens what one transfer sends; the refusal is for its peer.
    pub(super) fn of(
        open: impl FnOnce() -> Result<Content, OpenError>,
        netascii: bool,
    ) -> Result<Self, Refusal> {
        let content = open().map_err(|OpenError { code, message }| Refusal {
            code,
            reason: message,
        })?;
        Self::new(content, netascii).map_err(|error| Refusal {
            code: ErrorCode::NotDefined,
            reason: error.to_string(),
        })
    }

    fn new(content: Content, netascii: bool) -> Result<Self, SourceError> {
        let mut source = Self::octets(content);
        if netascii {
            if source.size > LARGEST_NETASCII {
                return Err(SourceError::TooLargeForNetascii);
            }
            let encoded = netascii::encode(source.read(0..source.size)?);
            source = Self::octets(Content::Bytes(encoded.into()));
        }
        Ok(source)
    }

    fn octets(content: Content) -> Self {
        match content {
            Content::Bytes(bytes) => Self {
                size: bytes.len() as u64,
                octets: Octets::Memory(bytes),
            },
            Content::File { file, size } => {
                // The kernel then reads further ahead of us; advice may be refused.
                let _ = fadvise(&file, 0, None, Advice::Sequential);
                Self {
                    size,
                    octets: Octets::File {
                        file,
                        window: Vec::new(),
                        start: 0,
                    },
                }
            }
        }
    }

    /// Returns how many octets there are.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the octets of a range that lies within the size.
    pub(super) fn read(&mut self, range: Range<u64>) -> Result<&[u8], SourceError> {
        let (octets, start) = match &mut self.octets {
            Octets::Memory(bytes) => (&bytes[..], 0),
            Octets::File {
                file,
                window,
                start,
            } => {
                let end = *start + window.len() as u64;
                if range.start < *start || range.end > end {
                    let rest = usize::try_from(self.size - range.start).unwrap_or(usize::MAX);
                    let wanted = (range.end - range.start) as usize;
                    // Who asks for more than the beginning has seen that: it may be worth reading on.
                    let ahead = if range.start == 0 { 0 } else { READ_AHEAD };
                    window.resize(rest.min(ahead.max(wanted)), 0);
                    *start = range.start;
                    read_fully(file, window, range.start)?;
                }
                (window.as_slice(), *start)
            }
        };
        let place = (range.start - start) as usize..(range.end - start) as usize;
        octets.get(place).ok_or(SourceError::Shrunk)
    }
}

fn read_fully(file: &std::fs::File, buffer: &mut Vec<u8>, offset: u64) -> Result<(), SourceError> {
    let read = file.read_exact_at(buffer, offset);
    if read.is_err() {
        // What the buffer holds now is unknown.
        buffer.clear();
    }
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SourceError::Shrunk,
        _ => SourceError::Io(error),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(octets: &[u8]) -> (std::fs::File, Source) {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(octets).expect("a write");
        let content = Content::File {
            file: file.try_clone().expect("a descriptor"),
            size: octets.len() as u64,
        };
        (file, Source::new(content, false).expect("a source"))
    }

    #[test]
    fn any_range_reads_the_same_from_a_file_as_from_memory() {
        let octets: Vec<u8> = (0..200_000u32).map(|n| (n / 7) as u8).collect();
        let (_file, mut from_file) = file(&octets);
        let mut from_memory =
            Source::new(Content::Bytes(octets.clone().into()), false).expect("a source");
        for range in [
            0..512,
            512..1024,
            60_000..130_000,
            100..100,
            199_999..200_000,
            0..200_000,
        ] {
            let expected = &octets[range.start as usize..range.end as usize];
            assert_eq!(from_file.read(range.clone()).ok(), Some(expected));
            assert_eq!(from_memory.read(range).ok(), Some(expected));
        }
    }

    #[test]
    fn a_file_that_became_shorter_is_noticed() {
        let (file, mut source) = file(&[7; 200_000]);
        assert!(source.read(0..512).is_ok());
        file.set_len(100_000).expect("a cut");
        assert!(matches!(
            source.read(99_000..101_000),
            Err(SourceError::Shrunk)
        ));
    }

    #[test]
    fn netascii_is_encoded_as_a_whole_and_only_where_it_is_small() {
        let mut source =
            Source::new(Content::Bytes(Bytes::from_static(b"a\nb")), true).expect("a source");
        assert_eq!(source.size(), 4);
        assert_eq!(source.read(0..4).ok(), Some(&b"a\r\nb"[..]));
        let large = Bytes::from(vec![0; 64 * 1024 + 1]);
        assert!(matches!(
            Source::new(Content::Bytes(large), true),
            Err(SourceError::TooLargeForNetascii)
        ));
    }
}
