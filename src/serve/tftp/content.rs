//! Reads the content of a transfer.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use rustix::fs::{Advice, fadvise};

use super::files::{OpenError, TftpContent};
use crate::respond::tftp::{TftpRefusal, netascii};
use crate::wire::tftp::ErrorCode;

/// Bytes that one read of a file requests: enough for the next dozens of blocks.
const READ_AHEAD: usize = 64 * 1024;

/// Limit of the size of a file in netascii mode, which is encoded as a whole: text, not kernels.
const LARGEST_NETASCII: u64 = 64 * 1024;

/// Random access to the content of one transfer.
#[derive(Debug)]
pub(super) struct ContentReader {
    size: u64,
    bytes: ContentBytes,
}

#[derive(Debug)]
enum ContentBytes {
    Memory(Bytes),
    File {
        file: std::fs::File,
        /// The bytes of the last read.
        window: Vec<u8>,
        /// Their offset in the file.
        start: u64,
    },
}

/// Reason why content cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentError {
    #[error("too large for netascii mode, use octet mode")]
    TooLargeForNetascii,
    #[error("the file became shorter during the transfer")]
    Shrunk,
    #[error("cannot read the file: {0}")]
    Io(#[from] io::Error),
}

impl ContentReader {
    /// Opens the content of one transfer. The refusal is sent to the peer.
    pub(super) fn of(
        open: impl FnOnce() -> Result<TftpContent, OpenError>,
        netascii: bool,
    ) -> Result<Self, TftpRefusal> {
        let content = open().map_err(|OpenError { code, message }| TftpRefusal {
            code,
            reason: message,
        })?;
        Self::new(content, netascii).map_err(|error| TftpRefusal {
            code: ErrorCode::NotDefined,
            reason: error.to_string(),
        })
    }

    fn new(content: TftpContent, netascii: bool) -> Result<Self, ContentError> {
        let mut source = Self::bytes(content);
        if netascii {
            if source.size > LARGEST_NETASCII {
                return Err(ContentError::TooLargeForNetascii);
            }
            let encoded = netascii::encode(source.read(0..source.size)?);
            source = Self::bytes(TftpContent::Bytes(encoded.into()));
        }
        Ok(source)
    }

    fn bytes(content: TftpContent) -> Self {
        match content {
            TftpContent::Bytes(bytes) => Self {
                size: bytes.len() as u64,
                bytes: ContentBytes::Memory(bytes),
            },
            TftpContent::File { file, size } => {
                // The kernel then reads further ahead. It may refuse the advice.
                let _ = fadvise(&file, 0, None, Advice::Sequential);
                Self {
                    size,
                    bytes: ContentBytes::File {
                        file,
                        window: Vec::new(),
                        start: 0,
                    },
                }
            }
        }
    }

    /// Returns the size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the bytes of a range, which must lie within the size.
    pub(super) fn read(&mut self, range: Range<u64>) -> Result<&[u8], ContentError> {
        let (bytes, start) = match &mut self.bytes {
            ContentBytes::Memory(bytes) => (&bytes[..], 0),
            ContentBytes::File {
                file,
                window,
                start,
            } => {
                let end = *start + window.len() as u64;
                if range.start < *start || range.end > end {
                    let rest = usize::try_from(self.size - range.start).unwrap_or(usize::MAX);
                    let needed = (range.end - range.start) as usize;
                    // A client that requests more than the first block probably reads on.
                    let ahead = if range.start == 0 { 0 } else { READ_AHEAD };
                    window.resize(rest.min(ahead.max(needed)), 0);
                    *start = range.start;
                    read_fully(file, window, range.start)?;
                }
                (window.as_slice(), *start)
            }
        };
        let in_window = (range.start - start) as usize..(range.end - start) as usize;
        bytes.get(in_window).ok_or(ContentError::Shrunk)
    }
}

fn read_fully(file: &std::fs::File, buffer: &mut Vec<u8>, offset: u64) -> Result<(), ContentError> {
    let read = file.read_exact_at(buffer, offset);
    if read.is_err() {
        // The content of the buffer is now unknown.
        buffer.clear();
    }
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ContentError::Shrunk,
        _ => ContentError::Io(error),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> (std::fs::File, ContentReader) {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("a write");
        let content = TftpContent::File {
            file: file.try_clone().expect("a descriptor"),
            size: bytes.len() as u64,
        };
        (file, ContentReader::new(content, false).expect("a source"))
    }

    #[test]
    fn file_and_memory_return_the_same_bytes_for_any_range() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n / 7) as u8).collect();
        let (_file, mut from_file) = file(&bytes);
        let mut from_memory =
            ContentReader::new(TftpContent::Bytes(bytes.clone().into()), false).expect("a source");
        for range in [
            0..512,
            512..1024,
            60_000..130_000,
            100..100,
            199_999..200_000,
            0..200_000,
        ] {
            let expected = &bytes[range.start as usize..range.end as usize];
            assert_eq!(from_file.read(range.clone()).ok(), Some(expected));
            assert_eq!(from_memory.read(range).ok(), Some(expected));
        }
    }

    #[test]
    fn shortened_file_is_detected() {
        let (file, mut source) = file(&[7; 200_000]);
        assert!(source.read(0..512).is_ok());
        file.set_len(100_000).expect("a cut");
        assert!(matches!(
            source.read(99_000..101_000),
            Err(ContentError::Shrunk)
        ));
    }

    #[test]
    fn netascii_is_encoded_as_a_whole_and_only_for_small_files() {
        let mut source = ContentReader::new(TftpContent::Bytes(Bytes::from_static(b"a\nb")), true)
            .expect("a source");
        assert_eq!(source.size(), 4);
        assert_eq!(source.read(0..4).ok(), Some(&b"a\r\nb"[..]));
        let large = Bytes::from(vec![0; 64 * 1024 + 1]);
        assert!(matches!(
            ContentReader::new(TftpContent::Bytes(large), true),
            Err(ContentError::TooLargeForNetascii)
        ));
    }
}
