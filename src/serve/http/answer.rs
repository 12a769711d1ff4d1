//! Adapts HTTP to the router: request in, response out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName};
use hyper::{Method, Request, Response, StatusCode};

use super::body::Body;
use super::connections::ConnectionSlot;
use crate::inventory::Inventory;
use crate::respond::access::{self, AccessRefusal, Resource};
use crate::respond::http::{
    Conditions, RangeSelection, Route, RouteError, content_type, route, select,
};
use crate::serve::context::{ServerContext, ServerRequest};
use crate::serve::log::{Level, Log, LogLine};
use crate::serve::request::{
    Protocol, RefusalKind, RequestOptions, RequestRefusal, Requester, RouteAnswer, ServedFile,
};
use crate::serve::router;
use crate::wire::path::shown_path;

/// Limit of the body of a callback, in bytes.
const CALLBACK_LIMIT: usize = 64 << 10;
/// Time limit for the body of a callback.
const CALLBACK_TIME: Duration = Duration::from_secs(30);

/// The content of a response, before the headers of the request select a part of it.
enum ResponseContent {
    /// Bytes in memory, which clients must not cache.
    Memory {
        status: StatusCode,
        content_type: &'static str,
        pieces: Vec<Bytes>,
    },
    /// A file, of which the client may have requested a part.
    File { served: ServedFile, log: Log },
}

impl ResponseContent {
    /// Creates the content of an answer of the router.
    fn of_answer(answer: RouteAnswer, log: &Log) -> Self {
        match answer {
            RouteAnswer::Text(text) => Self::Memory {
                status: StatusCode::OK,
                content_type: "text/plain",
                pieces: vec![text.into()],
            },
            RouteAnswer::File(served) => Self::File {
                served,
                log: log.clone(),
            },
            RouteAnswer::Image { name, pieces } => Self::Memory {
                status: StatusCode::OK,
                content_type: content_type(&name),
                pieces,
            },
            RouteAnswer::Health(Ok(text)) => Self::plain(StatusCode::OK, text),
            RouteAnswer::Health(Err(text)) => Self::plain(StatusCode::SERVICE_UNAVAILABLE, text),
        }
    }

    /// Creates the content of a refusal.
    fn of_refusal(refusal: &RequestRefusal) -> Self {
        let status = StatusCode::from_u16(refusal.kind.status_code());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::plain(status, refusal.text.as_str())
    }

    /// Creates a line of plain text.
    fn plain(status: StatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.push('\n');
        Self::Memory {
            status,
            content_type: "text/plain",
            pieces: vec![text.into()],
        }
    }
}

/// Answers one request.
pub(super) async fn answer(
    context: Arc<ServerContext>,
    peer: SocketAddr,
    slot: &ConnectionSlot,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, incoming) = request.into_parts();
    let target = head.uri.to_string();
    let loaded = context.active.current();
    let client = client(&loaded.inventory, peer, &head.headers);
    let peer = *client.as_ref().unwrap_or(&peer);
    let route = match route(head.method.as_str(), &target) {
        Ok(route) => route,
        Err(error) => {
            let content = no_route(&context, peer, &target, error);
            return respond(&head.method, &head.headers, content);
        }
    };
    let requester = Requester {
        protocol: Protocol::Http,
        peer,
    };
    if let Err(error) = admit(&loaded.inventory, client, &route) {
        let reason = error.to_string();
        let refusal = requester.refuse(RefusalKind::Forbidden, reason.as_str(), &reason);
        context.log.write(&refusal.line);
        return respond(
            &head.method,
            &head.headers,
            ResponseContent::of_refusal(&refusal),
        );
    }
    let posted = match head.method {
        Method::POST => {
            let body = Limited::new(incoming, CALLBACK_LIMIT).collect();
            match tokio::time::timeout(CALLBACK_TIME, body).await {
                Ok(Ok(body)) => body.to_bytes(),
                _ => {
                    let seconds = CALLBACK_TIME.as_secs();
                    let text = format!(
                        "the body exceeds {} KiB, or took more than {seconds} s",
                        CALLBACK_LIMIT >> 10
                    );
                    let content = ResponseContent::plain(StatusCode::PAYLOAD_TOO_LARGE, text);
                    return respond(&head.method, &head.headers, content);
                }
            }
        }
        _ => Bytes::new(),
    };
    if !slot.begin() {
        // The connection is already closed, so this is never sent.
        let content = ResponseContent::plain(StatusCode::SERVICE_UNAVAILABLE, "connection evicted");
        return respond(&head.method, &head.headers, content);
    }
    let reads_only = head.method == Method::HEAD;
    // The store and the disk may block, and must not delay other connections.
    let content = tokio::task::spawn_blocking(move || {
        let options = RequestOptions {
            posted: &posted,
            reads_only,
        };
        let request = ServerRequest {
            context,
            loaded,
            requester,
        };
        let log = &request.context.log;
        match router::answer(&request, route, options) {
            Ok(answer) => ResponseContent::of_answer(answer, log),
            Err(refusal) => {
                log.write(&refusal.line);
                ResponseContent::of_refusal(&refusal)
            }
        }
    });
    let content = content.await.unwrap_or_else(|_| {
        ResponseContent::plain(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    });
    respond(&head.method, &head.headers, content)
}

/// Returns the address of the client: the peer, unless the peer is one of the site's proxies.
fn client(
    inventory: &Inventory,
    peer: SocketAddr,
    headers: &header::HeaderMap,
) -> Result<SocketAddr, AccessRefusal> {
    let forwarded = headers.get_all("x-forwarded-for").iter();
    let proxies = &inventory.site.server.trusted_proxies;
    access::client(peer, forwarded.map(|it| it.as_bytes()), proxies)
}

/// Decides whether the client may request the route.
fn admit(
    inventory: &Inventory,
    client: Result<SocketAddr, AccessRefusal>,
    route: &Route,
) -> Result<(), AccessRefusal> {
    let resource = Resource::of(route);
    // An open resource is served to all clients, even if their address is unreadable.
    if resource.is_open() {
        return Ok(());
    }
    access::admit(client?.ip(), resource, inventory)
}

/// Logs a request without a route, and returns its response.
fn no_route(
    context: &ServerContext,
    peer: SocketAddr,
    target: &str,
    error: RouteError,
) -> ResponseContent {
    let status = match error {
        RouteError::Malformed => StatusCode::BAD_REQUEST,
        RouteError::Traversal => StatusCode::FORBIDDEN,
        RouteError::NotFound => StatusCode::NOT_FOUND,
        RouteError::Method => StatusCode::METHOD_NOT_ALLOWED,
    };
    let shown = shown_path(target);
    let text = format!("sent {} to {peer} for `{shown}`: {error}", status.as_u16());
    context.log.event(Level::Warn, "http", "http-refused", text);
    ResponseContent::plain(status, error.to_string())
}

/// Creates the response. Source: RFC 9110 §15.
fn respond(
    method: &Method,
    headers: &header::HeaderMap,
    content: ResponseContent,
) -> Response<Body> {
    match content {
        ResponseContent::Memory {
            status,
            content_type,
            pieces,
        } => {
            let length = pieces.iter().map(|piece| piece.len() as u64).sum();
            let body = if method == Method::HEAD {
                Body::empty()
            } else {
                Body::pieces(pieces)
            };
            let rest = [
                (header::CONTENT_TYPE, content_type.to_owned()),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ];
            response(status, length, &rest, body)
        }
        ResponseContent::File { served, log } => {
            let ServedFile {
                file,
                size,
                name,
                digest,
                line,
            } = served;
            let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
            let etag = digest.map(|digest| format!("\"{digest}\""));
            let conditions = Conditions {
                range: header(header::RANGE),
                if_range: header(header::IF_RANGE),
                if_none_match: header(header::IF_NONE_MATCH),
            };
            let mut rest = vec![
                (header::CONTENT_TYPE, content_type(&name).to_owned()),
                (header::ACCEPT_RANGES, "bytes".to_owned()),
            ];
            match etag {
                Some(ref etag) => {
                    rest.push((header::ETAG, etag.clone()));
                    // Its URL contains its digest: it never changes.
                    rest.push((
                        header::CACHE_CONTROL,
                        "public, max-age=31536000, immutable".to_owned(),
                    ));
                }
                None => rest.push((header::CACHE_CONTROL, "no-cache".to_owned())),
            }
            let (status, part) = match select(size, etag.as_deref(), conditions) {
                RangeSelection::Whole => (StatusCode::OK, 0..size),
                RangeSelection::Part(part) => {
                    let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
                    rest.push((header::CONTENT_RANGE, range));
                    (StatusCode::PARTIAL_CONTENT, part)
                }
                RangeSelection::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
                RangeSelection::Unsatisfiable => {
                    let text = format!("the range is outside the {size} bytes of the file");
                    log.write(&line.and(&format!("416: {text}")));
                    let range = (header::CONTENT_RANGE, format!("bytes */{size}"));
                    // For an empty body, hyper would write Content-Length last.
                    return text_response(
                        method,
                        StatusCode::RANGE_NOT_SATISFIABLE,
                        text,
                        &[range],
                    );
                }
            };
            let length = part.end - part.start;
            if method == Method::HEAD || length == 0 {
                return response(status, length, &rest, Body::empty());
            }
            response(
                status,
                length,
                &rest,
                Body::file(file, part, report(line, log, length)),
            )
        }
    }
}

/// Creates a response of plain text.
fn text_response(
    method: &Method,
    status: StatusCode,
    text: String,
    rest: &[(HeaderName, String)],
) -> Response<Body> {
    let length = text.len() as u64;
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::text(text)
    };
    let plain = (header::CONTENT_TYPE, "text/plain".to_owned());
    let rest: Vec<_> = std::iter::once(plain).chain(rest.iter().cloned()).collect();
    response(status, length, &rest, body)
}

fn response(
    status: StatusCode,
    length: u64,
    rest: &[(HeaderName, String)],
    body: Body,
) -> Response<Body> {
    // Deviation: shim 16.0 works only if Content-Length is the first header.
    let mut builder = Response::builder().status(status);
    if status != StatusCode::NOT_MODIFIED {
        builder = builder.header(header::CONTENT_LENGTH, length);
    }
    for (name, value) in rest {
        builder = builder.header(name, value);
    }
    builder.body(body).unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Returns a function that logs a transfer after it ended, with its size and speed.
fn report(line: LogLine, log: Log, length: u64) -> impl FnOnce(u64) + Send + Sync + 'static {
    let start = Instant::now();
    move |sent| {
        let seconds = start.elapsed().as_secs_f64();
        let speed = sent as f64 / 1e6 / seconds.max(1e-6);
        let text = if sent == length {
            format!("{sent} bytes in {seconds:.2} s, {speed:.1} MB/s")
        } else {
            format!("aborted after {sent} of {length} bytes and {seconds:.2} s")
        };
        log.write(&line.and(&text).fact("bytes", sent));
    }
}
