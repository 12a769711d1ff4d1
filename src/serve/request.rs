//! Requests of machines and their answers, independent of the protocol.

use std::fs::File;
use std::net::SocketAddr;

use bytes::Bytes;

use super::log::{Level, LogLine};
use crate::respond::http::{Route, SessionPath};
use crate::store::StoreError;

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP.
    Http,
    /// TFTP.
    Tftp,
}

/// The client that sent a request.
#[derive(Clone, Copy, Debug)]
pub struct Requester {
    /// The protocol of the request.
    pub protocol: Protocol,
    /// The address of the client.
    pub peer: SocketAddr,
}

/// The parts of a request that only HTTP has.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestOptions<'a> {
    /// The body of a POST.
    pub posted: &'a [u8],
    /// The request must not change anything, as HEAD.
    pub reads_only: bool,
}

/// The answer to a request.
pub enum RouteAnswer {
    /// A script, a seed, or the acknowledgment of a callback.
    Text(String),
    /// A file.
    File(ServedFile),
    /// A boot volume, in pieces.
    Image {
        /// Its file name.
        name: String,
        /// Its content.
        pieces: Vec<Bytes>,
    },
    /// The state of the server.
    Health(Result<&'static str, String>),
}

/// A file that is served.
pub struct ServedFile {
    /// The open file, at its beginning.
    pub file: File,
    /// Its size in bytes.
    pub size: u64,
    /// Its name, whose extension determines the content type.
    pub name: String,
    /// The digest of its content, if the content can never change.
    pub digest: Option<String>,
    /// The log line to write after the transfer.
    pub line: LogLine,
}

/// The refusal of a request.
pub struct RequestRefusal {
    /// Its kind, which determines the status code.
    pub kind: RefusalKind,
    /// The text of the response.
    pub text: String,
    /// The log line.
    pub line: Box<LogLine>,
}

/// The kind of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The client is not allowed to read it.
    Forbidden,
    /// It does not exist.
    NotFound,
    /// It exists, but is not public. Only the log states the reason.
    Withheld,
    /// Its session or attempt has ended.
    Gone,
    /// It is temporarily unavailable.
    Unavailable,
    /// An internal error occurred.
    InternalError,
}

impl Protocol {
    /// Returns the name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tftp => "tftp",
        }
    }

    /// Returns the event name of a refused request.
    pub fn refused_event(self) -> &'static str {
        match self {
            Self::Http => "http-refused",
            Self::Tftp => "tftp-refused",
        }
    }

    /// Reports whether a route is served by this protocol. A loader without HTTP reads its files,
    /// scripts and bundle files by TFTP.
    pub fn serves(self, route: &Route) -> bool {
        match route {
            Route::File(_) | Route::Machine(_) | Route::BundleFile { .. } => true,
            Route::Session { path, .. } => {
                self == Self::Http || matches!(path, SessionPath::File(_))
            }
            Route::Boot(_) | Route::Health | Route::Ready => self == Self::Http,
        }
    }
}

impl RefusalKind {
    /// Returns the HTTP status code. Source: RFC 9110 §15.
    pub fn status_code(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            Self::NotFound | Self::Withheld => 404,
            Self::Gone => 410,
            Self::Unavailable => 503,
            Self::InternalError => 500,
        }
    }
}

impl Requester {
    /// Creates a log line about the request.
    pub fn line(&self, level: Level, event: &'static str, text: impl Into<String>) -> LogLine {
        LogLine::new(level, self.protocol.name(), event, text)
    }

    /// Refuses the request. The response contains `text`, and the log `reason`.
    pub fn refuse(
        &self,
        kind: RefusalKind,
        text: impl Into<String>,
        reason: &str,
    ) -> RequestRefusal {
        let message = format!("{}: {reason}", self.refused_with(kind));
        let line = self.line(Level::Warn, self.protocol.refused_event(), message);
        RequestRefusal {
            kind,
            text: text.into(),
            line: Box::new(line),
        }
    }

    /// Describes the response of a refusal for the log.
    pub fn refused_with(&self, kind: RefusalKind) -> String {
        match self.protocol {
            Protocol::Http => format!("sent {} to {}", kind.status_code(), self.peer),
            Protocol::Tftp => format!("sent an error to {}", self.peer),
        }
    }

    /// Refuses the request because the store failed.
    pub fn store_failed(&self, error: &StoreError) -> RequestRefusal {
        let text = format!("cannot answer {}: {error}; {}", self.peer, error.help());
        RequestRefusal {
            kind: RefusalKind::Unavailable,
            text: "the store is not available".into(),
            line: Box::new(self.line(Level::Error, "store-failed", text)),
        }
    }
}
