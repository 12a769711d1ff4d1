//! Connections: each emulated BMC has its own port, and one thread serves them all.

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

use super::fault::FaultResponse;
use super::responses::{EmulatorRequest, EmulatorResponse, answer};
use super::{LoggedRequest, Shared};

/// The most bytes to send of an endless body.
const ENDLESS: usize = 256 << 20;

/// Serves one port until the runtime ends.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let acceptor = TlsAcceptor::from(shared.certificate.config());
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
        shared.refused_handshakes.fetch_add(1, Ordering::SeqCst);
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

async fn respond(
    incoming: Request<Incoming>,
    number: usize,
    shared: &Shared,
) -> Response<ResponseBody> {
    let header = |name: HeaderName| {
        let value = incoming.headers().get(name)?;
        Some(value.to_str().unwrap_or_default().to_owned())
    };
    let mut request = EmulatorRequest {
        method: incoming.method().to_string(),
        path: incoming.uri().path().to_owned(),
        query: incoming.uri().query().unwrap_or_default().to_owned(),
        authorization: header(AUTHORIZATION),
        token: header(HeaderName::from_static("x-auth-token")),
        if_match: header(IF_MATCH),
        body: Value::Null,
    };
    let bytes = incoming.into_body().collect().await;
    let bytes = bytes.map(|it| it.to_bytes()).unwrap_or_default();
    request.body = serde_json::from_slice(&bytes).unwrap_or_default();

    let busy = Busy::begin(&shared.busy, &shared.busiest);
    let latency = shared.faults.lock().expect("faults").latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    drop(busy);

    let (fault_response, ignores_changes, rotates) = {
        let mut faults = shared.faults.lock().expect("faults");
        let rotates = match &mut faults.rotates_after {
            Some(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            None => false,
        };
        if rotates {
            faults.rotates_after = None;
        }
        (
            faults.fault_response(&request),
            faults.ignores_changes,
            rotates,
        )
    };
    let mut noted = LoggedRequest {
        connection: number,
        status: 0,
        request: request.clone(),
    };
    let mut response = match fault_response {
        Some(FaultResponse::Response(reply)) => reply_with(reply),
        Some(FaultResponse::Endless) => Response::new(ResponseBody::endless()),
        Some(FaultResponse::Cut) => Response::new(ResponseBody::cut()),
        None => {
            let mut controller = shared.controller.lock().expect("the controller");
            reply_with(answer(&mut controller, &request, ignores_changes))
        }
    };
    if rotates {
        shared.rotate();
        let close = hyper::header::HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    noted.status = response.status().as_u16();
    shared.requests.lock().expect("the log").push(noted);
    response
}

fn reply_with(reply: EmulatorResponse) -> Response<ResponseBody> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    let body = ResponseBody::whole(reply.body);
    builder.body(body).expect("a response")
}

/// Counts the requests in progress, and their maximum.
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

/// A response body: a part, how often it is repeated, and whether the connection then breaks.
struct ResponseBody {
    part: Bytes,
    left: usize,
    breaks: bool,
}

impl ResponseBody {
    fn whole(bytes: Vec<u8>) -> Self {
        let left = usize::from(!bytes.is_empty());
        Self {
            part: bytes.into(),
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

impl Body for ResponseBody {
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
