//! Ends connections whose client stops reading.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Instant, Sleep};

use super::connections::ConnectionSlot;

/// Bytes of a response that count as progress.
const PART: usize = 64 << 10;

/// A stream that fails after its peer read nothing for some time while a write was waiting. Reports
/// progress to the slot of its connection.
pub struct StallLimited<S> {
    stream: S,
    slot: ConnectionSlot,
    /// Bytes that the peer accepted since the last reported progress.
    taken: usize,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the last write had to wait; the timer then runs.
    stalled: bool,
}

impl<S> StallLimited<S> {
    /// Wraps a stream.
    pub fn new(stream: S, limit: Duration, slot: ConnectionSlot) -> Self {
        Self {
            stream,
            slot,
            taken: 0,
            limit,
            timer: Box::pin(tokio::time::sleep(limit)),
            stalled: false,
        }
    }

    fn taken(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.taken += bytes;
            if self.taken >= PART {
                self.taken = 0;
                self.slot.progress();
            }
        }
    }

    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = false;
            return written;
        }
        if !self.stalled {
            self.stalled = true;
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        self.timer.as_mut().poll(context).map(|()| {
            let what = format!("the client read nothing for {} s", self.limit.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, what))
        })
    }
}

impl<S: Read + Unpin> Read for StallLimited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: Write + Unpin> Write for StallLimited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.taken(&written);
        self.watched(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing to flush, so this does not show whether a write waits. Hyper flushes
        // after it has written everything.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.slot.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watched(context, ended)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.taken(&written);
        self.watched(context, written)
    }
}

#[cfg(test)]
mod tests {
    use super::super::connections::Connections;
    use super::*;
    use crate::respond::http::admission::ConnectionOrigin;

    #[test]
    fn peer_that_reads_nothing_ends_its_connection() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let error = runtime.block_on(async {
            let (ours, _theirs) = tokio::io::duplex(64);
            let stream = hyper_util::rt::TokioIo::new(ours);
            let connections = Connections::new(16);
            let (slot, _evicted) = connections
                .open([10, 0, 0, 1].into(), ConnectionOrigin::Stranger)
                .unwrap();
            let mut stream = StallLimited::new(stream, Duration::from_millis(10), slot);
            // The first write fits, the second waits for space forever.
            let mut last = Ok(0);
            for _ in 0..2 {
                last = std::future::poll_fn(|context| {
                    Pin::new(&mut stream).poll_write(context, &[0; 64])
                })
                .await;
            }
            last.unwrap_err()
        });
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
