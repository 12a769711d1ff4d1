use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};

use flate2::bufread::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, poll};

use crate::shutdown::Shutdown;

/// The first bytes of compressed files.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest zstd window, as a power of two: the default limit of `zstd` itself.
const MOST_WINDOW: u32 = 27;
/// How many bytes of compressed data are read at once.
const PORTION: usize = 256 << 10;

/// Opens a stream of bytes, and decompresses gzip and zstd.
///
/// # Errors
/// When it cannot be read.
pub fn decompressed(mut raw: Raw) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    raw.by_ref()
        .take(ZSTD.len() as u64)
        .read_to_end(&mut head)?;
    let (is_gzip, is_zstd) = (head.starts_with(&GZIP), head.starts_with(&ZSTD));
    let whole = io::Cursor::new(head).chain(raw);
    Ok(if is_gzip {
        let portions = BufReader::with_capacity(PORTION, whole);
        Box::new(MultiGzDecoder::new(portions))
    } else if is_zstd {
        let portions = BufReader::with_capacity(PORTION, whole);
        let mut decoder = zstd::Decoder::with_buffer(portions)?;
        decoder.window_log_max(MOST_WINDOW)?;
        Box::new(decoder)
    } else {
        Box::new(whole)
    })
}

/// A file or a pipe that ends on shutdown.
#[derive(Debug)]
pub struct Raw {
    input: Input,
    shutdown: Shutdown,
}

#[derive(Debug)]
enum Input {
    File(File),
    Stdin(io::Stdin),
}

impl Raw {
    /// Reads a file.
    pub fn file(file: File, shutdown: Shutdown) -> Self {
        Self {
            input: Input::File(file),
            shutdown,
        }
    }

    /// Reads standard input.
    pub fn stdin(shutdown: Shutdown) -> Self {
        Self {
            input: Input::Stdin(io::stdin()),
            shutdown,
        }
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::File(file) => file.as_fd(),
            Self::Stdin(stdin) => stdin.as_fd(),
        }
    }
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A pipe may be silent for a long time.
        let mut waits = [
            PollFd::new(&self.input, PollFlags::IN),
            PollFd::new(&self.shutdown, PollFlags::IN),
        ];
        match poll(&mut waits, None) {
            Err(rustix::io::Errno::INTR) => return Err(io::ErrorKind::Interrupted.into()),
            waited => waited?,
        };
        if self.shutdown.is_requested() {
            return Ok(0);
        }
        match &mut self.input {
            Input::File(file) => file.read(buffer),
            // Bypass the buffer of stdin: ours is larger.
            Input::Stdin(stdin) => Ok(rustix::io::read(&*stdin, buffer)?),
        }
    }
}
