use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName};
use hyper::{Method, Request, Response, StatusCode};

use super::body::Body;
use super::connections::Place;
use crate::respond::access::{self, AccessRefusal, Resource};
use crate::respond::http::{Conditions, Route, RouteError, Selection, content_type, route, select};
use crate::serve::context::{Asker, Context, Refused, ServedFile, Status, Via};
use crate::serve::log::{Level, Line, Log};
use crate::serve::machine::{self, MachineAnswer};
use crate::serve::session::{self, SessionAnswer};
use crate::wire::path::shown_path;

/// The largest body of a callback, in octets.
const CALLBACK_LIMIT: usize = 64 << 10;
/// How long a client may take for the body of a callback.
const CALLBACK_TIME: Duration = Duration::from_secs(30);

/// An answer before it becomes an HTTP response.
pub(super) enum Answer {
    /// What is in memory, and nobody may keep.
    Memory {
        status: StatusCode,
        content_type: &'static str,
        pieces: Vec<Bytes>,
    },
    /// A file, of which a part may have been asked for.
    File { served: ServedFile, log: Log },
}

impl Answer {
    /// Makes an answer of a script, a seed or a word.
    fn script(text: String) -> Self {
        Self::Memory {
            status: StatusCode::OK,
            content_type: "text/plain",
            pieces: vec![text.into()],
        }
    }

    /// Makes an answer of plain text.
    pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Self {
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
    context: Arc<Context>,
    peer: SocketAddr,
    place: &Place,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, incoming) = request.into_parts();
    let target = head.uri.to_string();
    let client = client(&context, peer, &head.headers);
    let peer = *client.as_ref().unwrap_or(&peer);
    let route = match route(head.method.as_str(), &target) {
        Ok(route) => route,
        Err(error) => {
            return respond(
                &head.method,
                &head.headers,
                refused(&context, peer, &target, error),
            );
        }
    };
    if let Err(why) = admit(&context, client, &route) {
        let asker = Asker {
            via: Via::Http,
            peer,
        };
        let refused = asker.refuse(Status::Forbidden, why.to_string(), &why.to_string());
        return respond(&head.method, &head.headers, say_no(&context, refused));
    }
    let posted = match head.method {
        Method::POST => {
            let body = Limited::new(incoming, CALLBACK_LIMIT).collect();
            match tokio::time::timeout(CALLBACK_TIME, body).await {
                Ok(Ok(body)) => body.to_bytes(),
                _ => {
                    let seconds = CALLBACK_TIME.as_secs();
                    let text = format!(
                        "the body has more than {CALLBACK_LIMIT} octets, or took over {seconds} s"
                    );
                    let answer = Answer::plain(StatusCode::PAYLOAD_TOO_LARGE, text);
                    return respond(&head.method, &head.headers, answer);
                }
            }
        }
        _ => Bytes::new(),
    };
    if !place.begin() {
        // The connection is closed already: this is never sent.
        let answer = Answer::plain(StatusCode::SERVICE_UNAVAILABLE, "connection evicted");
        return respond(&head.method, &head.headers, answer);
    }
    let reads_only = head.method == Method::HEAD;
    // The store and the disk may make us wait, which the other connections need not.
    let answered =
        tokio::task::spawn_blocking(move || dispatch(&context, peer, route, &posted, reads_only))
            .await;
    let answered = answered.unwrap_or_else(|_| {
        Answer::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server met a fault of its own",
        )
    });
    respond(&head.method, &head.headers, answered)
}

fn dispatch(
    context: &Context,
    peer: SocketAddr,
    route: Route,
    posted: &[u8],
    reads_only: bool,
) -> Answer {
    let via = Via::Http;
    let asker = Asker { via, peer };
    let file = |served| Answer::File {
        served,
        log: context.log.clone(),
    };
    let answered = match route {
        Route::Boot(query) => context
            .boot(asker, query.mac(), |sources, standing| {
                query.answer(sources, standing)
            })
            .map(Answer::script),
        Route::File(name) => machine::file(context, asker, &name).map(file),
        Route::Machine(path) => machine::answer(context, asker, &path).map(|answer| match answer {
            MachineAnswer::Script(text) => Answer::script(text),
            MachineAnswer::File(served) => file(served),
            MachineAnswer::Image(name, pieces) => Answer::Memory {
                status: StatusCode::OK,
                content_type: content_type(&name),
                pieces,
            },
        }),
        Route::BundleFile { manifest, key } => {
            let loaded = context.live.current();
            match loaded.bundle_by_manifest(&manifest) {
                Some(bundle) => session::bundle_file(context, asker, bundle, &key).map(file),
                None => {
                    let text = format!("no bundle has the manifest {manifest}");
                    Err(asker.refuse(Status::NotFound, text.clone(), &text))
                }
            }
        }
        Route::Session { capability, path } => {
            let answer = session::answer(
                context,
                asker,
                capability.expose(),
                &path,
                posted,
                reads_only,
            );
            answer.map(|answer| match answer {
                SessionAnswer::Text(text) => Answer::script(text),
                SessionAnswer::File(served) => file(served),
            })
        }
        Route::Health => Ok(Answer::plain(StatusCode::OK, "ok")),
        Route::Ready => Ok(ready(context)),
    };
    answered.unwrap_or_else(|refused| say_no(context, refused))
}

/// Logs a refusal, and makes its answer.
fn say_no(context: &Context, refused: Refused) -> Answer {
    let Refused { status, text, line } = refused;
    context.log.write(&line);
    let status = StatusCode::from_u16(status.http());
    Answer::plain(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text)
}

/// Finds the client of a request: the peer, unless that is one of the site's proxies.
fn client(
    context: &Context,
    peer: SocketAddr,
    headers: &header::HeaderMap,
) -> Result<SocketAddr, AccessRefusal> {
    let loaded = context.live.current();
    let forwarded = headers.get_all("x-forwarded-for").iter();
    let proxies = &loaded.inventory.site.server.trusted_proxies;
    access::client(peer, forwarded.map(|it| it.as_bytes()), proxies)
}

/// Decides whether the client may have what it requests.
fn admit(
    context: &Context,
    client: Result<SocketAddr, AccessRefusal>,
    route: &Route,
) -> Result<(), AccessRefusal> {
    let resource = Resource::of(route);
    // Where every source is served, an unreadable one is too.
    if resource.is_open() {
        return Ok(());
    }
    let loaded = context.live.current();
    access::admit(client?.ip(), resource, &loaded.inventory)
}

/// Reports whether everything that this server exists for can be served.
fn ready(context: &Context) -> Answer {
    let unready = |text: String| Answer::plain(StatusCode::SERVICE_UNAVAILABLE, text);
    match context.store.standing() {
        Err(error) => unready(format!("{error}; {}", error.help())),
        Ok(standing) => match standing.impediment() {
            Some(impediment) => unready(format!("{impediment}; {}", impediment.help())),
            None => Answer::plain(StatusCode::OK, "ready"),
        },
    }
}

fn refused(context: &Context, peer: SocketAddr, target: &str, error: RouteError) -> Answer {
    let status = match error {
        RouteError::Malformed => StatusCode::BAD_REQUEST,
        RouteError::Traversal => StatusCode::FORBIDDEN,
        RouteError::NotFound => StatusCode::NOT_FOUND,
        RouteError::Method => StatusCode::METHOD_NOT_ALLOWED,
    };
    let shown = shown_path(target);
    let text = format!("{peer} got {} for `{shown}`: {error}", status.as_u16());
    context.log.say(Level::Warn, "http", "http-refused", text);
    Answer::plain(status, error.to_string())
}

/// Turns an answer into a response. Source: RFC 9110 §15.
fn respond(method: &Method, headers: &header::HeaderMap, answer: Answer) -> Response<Body> {
    match answer {
        Answer::Memory {
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
        Answer::File { served, log } => {
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
                    // Its name says what it holds: it never changes.
                    rest.push((
                        header::CACHE_CONTROL,
                        "public, max-age=31536000, immutable".to_owned(),
                    ));
                }
                None => rest.push((header::CACHE_CONTROL, "no-cache".to_owned())),
            }
            let (status, part) = match select(size, etag.as_deref(), conditions) {
                Selection::Whole => (StatusCode::OK, 0..size),
                Selection::Part(part) => {
                    let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
                    rest.push((header::CONTENT_RANGE, range));
                    (StatusCode::PARTIAL_CONTENT, part)
                }
                Selection::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
                Selection::Unsatisfiable => {
                    let text = format!("the range lies outside the {size} octets");
                    log.write(&line.and(&format!("416: {text}")));
                    let range = (header::CONTENT_RANGE, format!("bytes */{size}"));
                    // An empty body would have its Content-Length put last.
                    return said(method, StatusCode::RANGE_NOT_SATISFIABLE, text, &[range]);
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

/// Makes a response of a sentence.
fn said(
    method: &Method,
    status: StatusCode,
    text: String,
    rest: &[(HeaderName, String)],
) -> Response<Body> {
    let length = text.len() as u64;
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => Body::text(text),
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
    // Deviation: shim 16.0 works only when Content-Length is the first header.
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

/// Writes the line of a transfer once it has ended, with what was sent and how fast.
fn report(line: Line, log: Log, length: u64) -> impl FnOnce(u64) + Send + Sync + 'static {
    let start = Instant::now();
    move |sent| {
        let seconds = start.elapsed().as_secs_f64();
        let speed = sent as f64 / 1e6 / seconds.max(1e-6);
        let text = if sent == length {
            format!("{sent} octets in {seconds:.2} s, {speed:.1} MB/s")
        } else {
            format!("broke off after {sent} of {length} octets and {seconds:.2} s")
        };
        log.write(&line.and(&text).fact("octets", sent));
    }
}
