use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;

use super::HttpContext;
use super::body::Body;
use super::session::{self, SessionAnswer};
use crate::machine::{Event, EventKind};
use crate::render::Plan;
use crate::respond::http::{
    BootQuery, Conditions, Decided, Route, RouteError, Selection, boot, content_type, decoded,
    route, select,
};
use crate::serve::log::{Level, Line, Log};
use crate::workspace::files::FileError;

/// The largest body of a callback, in octets.
const CALLBACK_LIMIT: usize = 64 << 10;
/// How long a client may take for the body of a callback.
const CALLBACK_TIME: Duration = Duration::from_secs(30);

/// An answer before it becomes an HTTP response.
pub(super) enum Answer {
    /// Text that nobody may keep.
    Text {
        status: StatusCode,
        content_type: &'static str,
        text: String,
    },
    /// A file, of which a part may have been asked for.
    File {
        file: File,
        size: u64,
        name: String,
        digest: Option<String>,
        line: Line,
        log: Log,
    },
}

impl Answer {
    /// Makes an answer of plain text.
    pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.push('\n');
        Self::Text {
            status,
            content_type: "text/plain",
            text,
        }
    }
}

/// Answers one request.
pub(super) async fn answer(
    context: Arc<HttpContext>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, incoming) = request.into_parts();
    let target = head.uri.to_string();
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
    context: &HttpContext,
    peer: SocketAddr,
    route: Route,
    posted: &[u8],
    reads_only: bool,
) -> Answer {
    match route {
        Route::Boot(query) => boot_script(context, peer, &query),
        Route::File(name) => file(context, peer, &name),
        Route::BundleFile { manifest, key } => {
            let loaded = context.live.current();
            let Some(bundle) = loaded.bundle_by_manifest(&manifest) else {
                return not_found(
                    context,
                    peer,
                    &format!("no bundle has the manifest {manifest}"),
                );
            };
            let line = |text: String| Line::new(Level::Info, "http", "http-file", text);
            session::bundle_file(context, peer, bundle, &key, line)
        }
        Route::Session { capability, path } => {
            match session::answer(context, peer, &capability, &path, posted, reads_only) {
                Ok(SessionAnswer::Text { content_type, text }) => Answer::Text {
                    status: StatusCode::OK,
                    content_type,
                    text,
                },
                Ok(SessionAnswer::File(answer)) => answer,
                Err(refusal) => {
                    context.log.write(&refusal.line);
                    Answer::plain(refusal.status, refusal.text)
                }
            }
        }
        Route::Health => Answer::plain(StatusCode::OK, "ok"),
        Route::Ready => match context.store.watermark() {
            Ok(_) => Answer::plain(StatusCode::OK, "ready"),
            Err(error) => Answer::plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        },
    }
}

/// Answers with the script that the decision table asks for.
fn boot_script(context: &HttpContext, peer: SocketAddr, query: &BootQuery) -> Answer {
    let now = Timestamp::now();
    let loaded = context.live.current();
    let inventory = &loaded.inventory;
    let host = query.mac().and_then(|mac| inventory.host_by_mac(mac));
    let found = (|| {
        let record = host
            .map(|host| context.store.host(&host.name))
            .transpose()?
            .flatten();
        let open = record.as_ref().and_then(|record| record.open_session());
        let stored = open
            .map(|open| context.store.session(open.id))
            .transpose()?
            .flatten();
        Ok::<_, crate::store::StoreError>((record, stored))
    })();
    let (record, stored) = match found {
        Ok(found) => found,
        Err(error) => {
            let text = format!("{peer} cannot be answered: {error}; {}", error.help());
            context
                .log
                .write(&Line::new(Level::Error, "http", "store-failed", text).mac(query.mac()));
            return Answer::plain(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read");
        }
    };
    let plan = stored.and_then(|stored| serde_json::from_str::<Plan>(&stored.plan).ok());
    let answer = boot(
        inventory,
        &loaded.templates,
        &context.key,
        query,
        record.as_ref(),
        plan.as_ref(),
        now,
    );
    match answer {
        Ok(answer) => {
            if let Some(fault) = &answer.fault {
                let text = format!("{fault}; the built-in template stands in for it");
                let line = Line::new(Level::Error, "http", "render-failed", text).mac(query.mac());
                context.log.write(&line);
            }
            if let Some(decided) = answer.decision {
                // What the inventory does not say can be copied from the log into it.
                let complete = host.is_some_and(|host| host.uuid.is_some());
                note(context, query, decided, complete, now);
            } else {
                let text = format!("{peer} asked which script to boot");
                context.log.say(Level::Debug, "http", "http-identify", text);
            }
            Answer::Text {
                status: StatusCode::OK,
                content_type: "text/plain",
                text: answer.script,
            }
        }
        Err(error) => {
            let line = Line::new(Level::Error, "http", "render-failed", error.to_string())
                .mac(query.mac());
            context.log.write(&line);
            Answer::plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        }
    }
}

/// Logs a decision and keeps it as an event. What the machine showed stands in the line's facts, and
/// in its text when the machine is held or its record is not `complete`.
fn note(
    context: &HttpContext,
    query: &BootQuery,
    decided: Decided,
    complete: bool,
    now: Timestamp,
) {
    let Decided {
        kind,
        host,
        session,
        reason,
    } = decided;
    let (level, event) = match kind {
        EventKind::Install => (Level::Info, "install"),
        EventKind::LocalDisk => (Level::Info, "local-disk"),
        _ => (Level::Warn, "hold"),
    };
    let shown = query.shown();
    let mut text = reason.clone();
    if !shown.is_empty() && (kind == EventKind::Hold || !complete) {
        let values = shown.iter().map(|(name, value)| format!("{name} {value}"));
        text = format!(
            "{text}; it showed {}",
            values.collect::<Vec<_>>().join(", ")
        );
    }
    let mut line = Line::new(level, "http", event, text)
        .mac(query.mac())
        .host(host.as_deref())
        .session(session);
    for (name, value) in shown {
        line = line.fact(name, value);
    }
    context.log.write(&line);
    context.events.push(Event {
        at: now,
        kind,
        host,
        mac: query.mac(),
        session,
        message: reason,
    });
}

fn file(context: &HttpContext, peer: SocketAddr, name: &str) -> Answer {
    match context.live.current().roots.open(name) {
        Ok(opened) => Answer::File {
            file: opened.file,
            size: opened.size,
            name: name.to_owned(),
            digest: None,
            line: Line::new(
                Level::Info,
                "http",
                "http-file",
                format!("{name} to {peer}"),
            ),
            log: context.log.clone(),
        },
        Err(error) => {
            let status = match &error {
                FileError::NotFound { .. } | FileError::NotAFile { .. } => StatusCode::NOT_FOUND,
                FileError::OutsideRoots { .. } | FileError::NotPublic { .. } => {
                    StatusCode::FORBIDDEN
                }
                FileError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let line = format!("{peer} got {}: {error}", status.as_u16());
            context.log.say(Level::Warn, "http", "http-refused", line);
            Answer::plain(status, format!("`{name}` is not served"))
        }
    }
}

fn not_found(context: &HttpContext, peer: SocketAddr, why: &str) -> Answer {
    context.log.say(
        Level::Warn,
        "http",
        "http-refused",
        format!("{peer} got 404: {why}"),
    );
    Answer::plain(StatusCode::NOT_FOUND, why)
}

fn refused(context: &HttpContext, peer: SocketAddr, target: &str, error: RouteError) -> Answer {
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

/// Returns the path of a target as it may be logged: what follows `/s/` may be a capability, in
/// whatever spelling, and a query may hold a token.
fn shown_path(target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let Some(path) = decoded(path) else {
        return "…".to_owned();
    };
    match path.replace('\\', "/").find("/s/") {
        Some(at) => format!("{}/s/…", &path[..at]),
        None => path.chars().take(200).collect(),
    }
}

/// Turns an answer into a response. Source: RFC 9110 §15.
fn respond(method: &Method, headers: &header::HeaderMap, answer: Answer) -> Response<Body> {
    match answer {
        Answer::Text {
            status,
            content_type,
            text,
        } => {
            let length = text.len() as u64;
            let body = if method == Method::HEAD {
                Body::empty()
            } else {
                Body::text(text)
            };
            let rest = [
                (header::CONTENT_TYPE, content_type.to_owned()),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ];
            response(status, length, &rest, body)
        }
        Answer::File {
            file,
            size,
            name,
            digest,
            line,
            log,
        } => {
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
                    rest.push((header::CONTENT_RANGE, format!("bytes */{size}")));
                    (StatusCode::RANGE_NOT_SATISFIABLE, 0..0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_logged_without_its_capability_and_its_query() {
        for (target, expected) in [
            ("/files/../secret?token=T", "/files/../secret"),
            ("/s/CAP/installed", "/s/…"),
            ("//s/CAP/installed", "//s/…"),
            ("/%73/CAP/installed", "/s/…"),
            ("/s%2fCAP", "/s/…"),
            ("/s%5cCAP", "/s/…"),
            ("http://10.20.0.10:8080/s/CAP", "http://10.20.0.10:8080/s/…"),
            ("/%73/CAP%zz", "…"),
        ] {
            assert_eq!(shown_path(target), expected, "{target}");
        }
    }
}
