//! Connections: each controller has a port of its own; one thread runs them all.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderName, IF_MATCH};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::answers::{Ask, Reply, answer};
use super::trouble::Instead;
use super::{Asked, Shared};

/// What is sent of a body that has no end, at most.
const ENDLESS: usize = 256 << 20;

/// Answers on one port until the runtime ends.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let acceptor = TlsAcceptor::from(shared.shown.config());
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1;
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move { connection(acceptor, stream, number, shared).await });
    }
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, number: usize, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else {
        shared.handshakes_refused.fetch_add(1, Ordering::SeqCst);
        return;
    };
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(request, number, &shared).await) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(request: Request<Incoming>, number: usize, shared: &Shared) -> Response<Octets> {
    let header = |name: HeaderName| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or_default().to_owned())
    };
    let mut ask = Ask {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        authorization: header(AUTHORIZATION),
        token: header(HeaderName::from_static("x-auth-token")),
        if_match: header(IF_MATCH),
        body: Value::Null,
    };
    let octets = request.into_body().collect().await;
    let octets = octets.map(|it| it.to_bytes()).unwrap_or_default();
    ask.body = serde_json::from_slice(&octets).unwrap_or_default();

    let busy = Busy::begin(&shared.busy, &shared.busiest);
    let latency = shared.trouble.lock().expect("troubles").latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    drop(busy);

    let (instead, lies, rotates) = {
        let mut trouble = shared.trouble.lock().expect("troubles");
        let rotates = match &mut trouble.rotates_after {
            Some(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            None => false,
        };
        if rotates {
            trouble.rotates_after = None;
        }
        (trouble.instead(&ask), trouble.lies, rotates)
    };
    let mut noted = Asked {
        connection: number,
        status: 0,
        ask: ask.clone(),
    };
    let mut response = match instead {
        Some(Instead::Reply(reply)) => reply_with(reply),
        Some(Instead::Endless) => Response::new(Octets::endless()),
        Some(Instead::Cut) => Response::new(Octets::cut()),
        None => {
            let mut controller = shared.controller.lock().expect("the controller");
            reply_with(answer(&mut controller, &ask, lies))
        }
    };
    if rotates {
        shared.rotate();
        let close = hyper::header::HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    noted.status = response.status().as_u16();
    shared.asked.lock().expect("the log").push(noted);
    response
}

fn reply_with(reply: Reply) -> Response<Octets> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    let body = Octets::whole(reply.body);
    builder.body(body).expect("a response")
}

/// Counts what is under way, and the most that ever was.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn begin(busy: &'a AtomicUsize, busiest: &AtomicUsize) -> Self {
        let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
        busiest.fetch_max(now, Ordering::SeqCst);
        Self(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The body of an answer: what is still to come, how often, and whether it then breaks.
struct Octets {
    part: Bytes,
    left: usize,
    breaks: bool,
}

impl Octets {
    fn whole(octets: Vec<u8>) -> Self {
        let left = usize::from(!octets.is_empty());
        Self {
            part: octets.into(),
            left,
            breaks: false,
        }
    }

    fn endless() -> Self {
        let part = Bytes::from(vec![b' '; 64 << 10]);
        Self {
            left: ENDLESS / part.len(),
            part,
            breaks: false,
        }
    }

    fn cut() -> Self {
        Self {
            part: Bytes::from_static(b"{\"Id\":"),
            left: 1,
            breaks: true,
        }
    }
}

impl Body for Octets {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left > 0 {
            self.left -= 1;
            return Poll::Ready(Some(Ok(Frame::data(self.part.clone()))));
        }
        let broken = self.breaks.then(|| Err(io::ErrorKind::BrokenPipe.into()));
        Poll::Ready(broken)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && !self.breaks
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        if self.left <= 1 && !self.breaks {
            return hyper::body::SizeHint::with_exact((self.left * self.part.len()) as u64);
        }
        hyper::body::SizeHint::default()
    }
}
