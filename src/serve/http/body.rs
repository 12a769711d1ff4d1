//! Bodies of HTTP responses: bytes in memory, or part of a file.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::connections::ConnectionSlot;

/// Bytes that one read of a file requests.
const CHUNK: u64 = 128 << 10;

/// The body of a response: bytes in memory, or part of a file.
pub enum Body {
    /// Pieces in memory.
    Bytes(VecDeque<Bytes>),
    /// Part of a file, read while it is sent.
    File(FileBody),
}

impl Body {
    /// Creates a body of text.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::pieces([text.into()])
    }

    /// Creates a body of consecutive pieces.
    pub fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        Self::Bytes(pieces.collect())
    }

    /// Creates an empty body.
    pub fn empty() -> Self {
        Self::Bytes(VecDeque::new())
    }

    /// Creates a body of part of a file. When the response ends, complete or not, it calls `finished`
    /// with the number of bytes that were handed over.
    pub fn file(
        file: File,
        part: Range<u64>,
        finished: impl FnOnce(u64) + Send + Sync + 'static,
    ) -> Self {
        Self::File(FileBody {
            file: Arc::new(file),
            start: part.start,
            part,
            reading: None,
            finished: Some(Box::new(finished)),
        })
    }
}

/// Part of a file that is being sent.
pub struct FileBody {
    file: Arc<File>,
    start: u64,
    part: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    finished: Option<Box<dyn FnOnce(u64) + Send + Sync>>,
}

impl FileBody {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.part.is_empty() {
            return Poll::Ready(None);
        }
        let (file, part) = (&self.file, &self.part);
        let reading = self.reading.get_or_insert_with(|| read(file, part));
        let done = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let chunk = done.unwrap_or_else(|error| Err(io::Error::other(error)));
        if let Ok(chunk) = &chunk {
            self.part.start += chunk.len() as u64;
            // Read the next chunk while this one is written.
            if !self.part.is_empty() {
                self.reading = Some(read(&self.file, &self.part));
            }
        }
        Poll::Ready(Some(chunk))
    }
}

impl Drop for FileBody {
    fn drop(&mut self) {
        if let Some(finished) = self.finished.take() {
            finished(self.part.start - self.start);
        }
    }
}

/// Reads the next chunk of part of a file. A slow disk must not stop the other connections.
fn read(file: &Arc<File>, part: &Range<u64>) -> JoinHandle<io::Result<Bytes>> {
    let file = Arc::clone(file);
    let (at, length) = (part.start, CHUNK.min(part.end - part.start));
    tokio::task::spawn_blocking(move || {
        let mut chunk = vec![0; length as usize];
        file.read_exact_at(&mut chunk, at)?;
        Ok(Bytes::from(chunk))
    })
}

/// A body that reports its end to the slot of its connection.
pub struct TrackedBody {
    body: Body,
    slot: ConnectionSlot,
}

impl TrackedBody {
    /// Wraps the body of a response that is ready to be sent.
    pub fn new(body: Body, slot: ConnectionSlot) -> Self {
        slot.progress();
        Self { body, slot }
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.slot.ended();
    }
}

impl hyper::body::Body for TrackedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Bytes(pieces) => {
                Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
            }
            Self::File(body) => body
                .poll_chunk(context)
                .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(pieces) => pieces.is_empty(),
            Self::File(body) => body.part.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Bytes(pieces) => pieces.iter().map(|piece| piece.len() as u64).sum(),
            Self::File(body) => body.part.end - body.part.start,
        })
    }
}
