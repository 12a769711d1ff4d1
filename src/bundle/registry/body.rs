//! Large request bodies: one thread reads and sends them in large pieces. (The blocking client passes
//! 8 KiB at a time through a channel to another thread.)

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::http;
use reqwest::RequestBuilder;
use reqwest::blocking::Response;
use tokio::runtime::Builder;

/// How many bytes are read and sent at a time.
const PIECE: usize = 128 << 10;
/// How many bytes of the response are kept.
const RESPONSE_LIMIT: usize = 16 << 10;

/// Sends a request with a body of `size` bytes, and waits for the response.
pub fn send(
    request: RequestBuilder,
    content: Box<dyn Read + Send>,
    size: u64,
) -> io::Result<reqwest::Result<Response>> {
    let body = reqwest::Body::wrap(StreamBody {
        content: Mutex::new(content),
        left: size,
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let response = request.body(body).send().await?;
        collect(response).await
    }))
}

/// Reads a response to its end or to the limit.
async fn collect(mut response: reqwest::Response) -> reqwest::Result<Response> {
    let mut content = Vec::new();
    while let Some(piece) = response.chunk().await? {
        let room = RESPONSE_LIMIT - content.len();
        content.extend_from_slice(&piece[..piece.len().min(room)]);
        if content.len() == RESPONSE_LIMIT {
            break;
        }
    }
    let mut collected = http::Response::new(content);
    *collected.status_mut() = response.status();
    *collected.headers_mut() = response.headers().clone();
    Ok(collected.into())
}

/// A body that is read piece by piece, as fast as the other side accepts it.
struct StreamBody {
    /// Only one thread uses it: the lock makes the type `Sync`.
    content: Mutex<Box<dyn Read + Send>>,
    left: u64,
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut piece = vec![0; self.left.min(PIECE as u64) as usize];
        let content = self.content.get_mut();
        let content = content.unwrap_or_else(PoisonError::into_inner);
        let read = match content.read(&mut piece) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        };
        Poll::Ready(Some(read.map(|read| {
            self.left -= read as u64;
            piece.truncate(read);
            Frame::data(piece.into())
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
