//! Large bodies of requests: read, hashed and written by one thread, in pieces that are worth it. (The
//! blocking client takes 8 KiB at a time through a channel to another thread.)

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

/// How many octets are read and written at once.
const PIECE: usize = 128 << 10;
/// How many octets of the answer are kept.
const ANSWER_LIMIT: usize = 16 << 10;

/// Sends a request with a body of so many octets, and waits for the answer.
pub fn send(
    request: RequestBuilder,
    content: Box<dyn Read + Send>,
    octets: u64,
) -> io::Result<reqwest::Result<Response>> {
    let body = reqwest::Body::wrap(Pieces {
        content: Mutex::new(content),
        left: octets,
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let response = request.body(body).send().await?;
        whole(response).await
    }))
}

/// Reads an answer to its end, or as much of it as anybody wants to know.
async fn whole(mut response: reqwest::Response) -> reqwest::Result<Response> {
    let mut content = Vec::new();
    while let Some(piece) = response.chunk().await? {
        let room = ANSWER_LIMIT - content.len();
        content.extend_from_slice(&piece[..piece.len().min(room)]);
        if content.len() == ANSWER_LIMIT {
            break;
        }
    }
    let mut answer = http::Response::new(content);
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    Ok(answer.into())
}

/// A body that is read piece by piece, as the other side takes it.
struct Pieces {
    /// Nobody else has it: the lock is for the compiler.
    content: Mutex<Box<dyn Read + Send>>,
    left: u64,
}

impl Body for Pieces {
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
