use std::fs::File;
use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::stream::{Raw, decompressed};
use super::{CaptureError, FrameSink, FrameSource, SourceStatus};
use crate::shutdown::Shutdown;
use crate::wire::capture_file::{CaptureFile, CaptureStep};

/// How many bytes are read at once.
const PORTION: usize = 1 << 20;

/// Reads a capture file once, from front to back, in bounded memory.
pub struct CaptureReader {
    path: PathBuf,
    stream: Box<dyn Read + Send>,
    shutdown: Shutdown,
    file: CaptureFile,
    buffer: Vec<u8>,
    /// The range of the buffer that is read and not consumed.
    start: usize,
    end: usize,
    is_last: bool,
}

impl CaptureReader {
    /// Opens a file, or standard input for `-`; a shutdown ends it like the end of the file.
    ///
    /// # Errors
    /// When it cannot be read, or is not a capture file.
    pub fn open(path: &Path, shutdown: Shutdown) -> Result<Self, CaptureError> {
        let unreadable = |source| CaptureError::Read {
            path: path.to_owned(),
            source,
        };
        let raw = if path == Path::new("-") {
            Raw::stdin(shutdown.clone())
        } else {
            let file = File::open(path).map_err(unreadable)?;
            Raw::file(file, shutdown.clone())
        };
        let mut stream = decompressed(raw).map_err(unreadable)?;
        let mut buffer = vec![0; PORTION];
        let mut end = 0;
        let mut is_last = false;
        while end < CaptureFile::HEAD && !is_last {
            let count = match read(&mut stream, &mut buffer[end..]) {
                Err(error) if is_decompression_error(&error) => {
                    let (path, why) = (path.to_owned(), error.to_string());
                    return Err(CaptureError::Compression { path, why });
                }
                other => other.map_err(unreadable)?,
            };
            is_last = count == 0;
            end += count;
        }
        if end == 0 && !shutdown.is_requested() {
            return Err(CaptureError::Empty(path.to_owned()));
        }
        let head = &buffer[..end.min(CaptureFile::HEAD)];
        let (file, start) = CaptureFile::start(head).map_err(|fault| CaptureError::NoCapture {
            path: path.to_owned(),
            fault,
        })?;
        Ok(Self {
            path: path.to_owned(),
            stream,
            shutdown,
            file,
            buffer,
            start,
            end,
            is_last,
        })
    }

    /// Makes room for so many bytes at once, and reads more.
    fn refill(&mut self, need: usize) -> Result<Result<(), String>, CaptureError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // The format bounds how many bytes a step needs. Reading a whole portion more avoids moving the
        // same bytes again and again.
        let wanted = need.max(self.end) + PORTION;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        } else if self.buffer.len() > 2 * wanted {
            self.buffer.truncate(wanted);
            self.buffer.shrink_to_fit();
        }
        match read(&mut self.stream, &mut self.buffer[self.end..]) {
            Ok(count) => {
                self.is_last = count == 0;
                self.end += count;
                Ok(Ok(()))
            }
            Err(error) if is_decompression_error(&error) => {
                self.is_last = true;
                Ok(Err(format!(
                    "cannot decompress the rest: {}",
                    error.to_string().to_lowercase()
                )))
            }
            Err(source) => Err(CaptureError::Read {
                path: self.path.clone(),
                source,
            }),
        }
    }
}

impl FrameSource for CaptureReader {
    fn pump(&mut self, sink: &mut dyn FrameSink) -> Result<SourceStatus, CaptureError> {
        if self.shutdown.is_requested() {
            return Ok(SourceStatus::End);
        }
        let mut need = 0;
        while self.start < self.end {
            let bytes = &self.buffer[self.start..self.end];
            match self.file.step(bytes, self.is_last) {
                CaptureStep::Need(more) => {
                    need = more;
                    break;
                }
                CaptureStep::Passed(length) => self.start += length,
                CaptureStep::Missed(length, count) => {
                    self.start += length;
                    sink.missed(count);
                }
                CaptureStep::Damaged(length, fault) => {
                    self.start += length;
                    sink.fault(fault.to_string());
                }
                CaptureStep::Frame(length, frame) => {
                    let name = self.file.interface_name(frame.interface);
                    let flow = sink.frame(&frame, name);
                    self.start += length;
                    if flow == ControlFlow::Break(()) {
                        return Ok(SourceStatus::End);
                    }
                }
            }
        }
        if self.is_last && self.start == self.end {
            return Ok(SourceStatus::End);
        }
        let refilled = self.refill(need)?;
        if let Err(fault) = refilled
            && !self.shutdown.is_requested()
        {
            sink.fault(fault);
        }
        Ok(SourceStatus::More)
    }
}

/// Reads once, and retries after an interruption.
fn read(stream: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Reports whether an error is about the compressed bytes, not about the system.
fn is_decompression_error(error: &std::io::Error) -> bool {
    error.raw_os_error().is_none()
}
