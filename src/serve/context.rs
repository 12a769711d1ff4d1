//! What requests are answered from, whichever protocol they come by.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::events::EventWriter;
use super::live::{Live, Loaded};
use super::log::{Level, Line, Log};
use super::volumes::Volumes;
use crate::bundle::Verifier;
use crate::decide::Standing;
use crate::machine::{Event, EventKind, HostRecord, MacAddress};
use crate::render::{Plan, TemplateError};
use crate::respond::boot::{BootAnswer, DecisionRecord, Sources};
use crate::store::{Store, StoreError};
use crate::token::StoreKey;

/// What every request is answered from.
pub struct Context {
    /// The inventory in force.
    pub live: Live,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The store's key.
    pub key: StoreKey,
    /// Where events go.
    pub events: EventWriter,
    /// Where lines go.
    pub log: Log,
    /// Opens blobs that hash to their names.
    pub verifier: Verifier,
    /// What firmware boots over HTTP.
    pub volumes: Volumes,
}

/// The protocol that a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// HTTP.
    Http,
    /// TFTP.
    Tftp,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// By which protocol.
    pub via: Via,
    /// From where.
    pub peer: SocketAddr,
}

/// A file that is served.
pub struct ServedFile {
    /// The file, at its beginning.
    pub file: File,
    /// Its size in octets.
    pub size: u64,
    /// Its name, which tells its type.
    pub name: String,
    /// The digest of its content, where it can never change.
    pub digest: Option<String>,
    /// What the log says once it was sent.
    pub line: Line,
}

/// Why something is not served; the line is logged.
pub struct Refused {
    /// Of which kind the refusal is.
    pub status: Status,
    /// What the peer is told.
    pub text: String,
    /// What the log says.
    pub line: Box<Line>,
}

/// Of which kind a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The peer may not have it.
    Forbidden,
    /// It is not there.
    NotFound,
    /// It is there and cannot be served as it is; the log says why, and the peer is not told.
    Withheld,
    /// Its time is over.
    Over,
    /// It cannot be served now.
    Unavailable,
    /// We met a fault.
    Fault,
}

impl Via {
    /// Returns the name that the log uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tftp => "tftp",
        }
    }

    /// Returns the log's name for a request that is refused.
    pub fn refused_event(self) -> &'static str {
        match self {
            Self::Http => "http-refused",
            Self::Tftp => "tftp-refused",
        }
    }
}

impl Status {
    /// Returns the status code that says so over HTTP. Source: RFC 9110 §15.
    pub fn http(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            Self::NotFound | Self::Withheld => 404,
            Self::Over => 410,
            Self::Unavailable => 503,
            Self::Fault => 500,
        }
    }
}

impl Asker {
    /// Begins a line about the request.
    pub fn line(&self, level: Level, event: &'static str, text: impl Into<String>) -> Line {
        Line::new(level, self.via.name(), event, text)
    }

    /// Refuses: the peer is told `text`, and the log `why`.
    pub fn refuse(&self, status: Status, text: impl Into<String>, why: &str) -> Refused {
        let line = format!("{} {}: {why}", self.peer, self.got(status));
        Refused {
            status,
            text: text.into(),
            line: Box::new(self.line(Level::Warn, self.via.refused_event(), line)),
        }
    }

    /// Says what the peer was answered, in the words of its protocol.
    pub fn got(&self, status: Status) -> String {
        match self.via {
            Via::Http => format!("got {}", status.http()),
            Via::Tftp => "got an error".to_owned(),
        }
    }

    /// Refuses because the store fails.
    pub fn store_failed(&self, error: &StoreError) -> Refused {
        let text = format!(
            "{} cannot be answered: {error}; {}",
            self.peer,
            error.help()
        );
        Refused {
            status: Status::Unavailable,
            text: "the store cannot be used".into(),
            line: Box::new(self.line(Level::Error, "store-failed", text)),
        }
    }
}

impl Context {
    /// Answers a request for a boot script: `ask` makes the answer of what is known of the machine
    /// that has the Ethernet address.
    ///
    /// # Errors
    /// When the store cannot be read, or a template not be rendered.
    pub fn boot(
        &self,
        asker: Asker,
        mac: Option<MacAddress>,
        ask: impl FnOnce(&Sources<'_>, &Standing) -> Result<BootAnswer, TemplateError>,
    ) -> Result<String, Refused> {
        let standing = self.store.standing();
        let standing = standing.map_err(|error| asker.store_failed(&error))?;
        let loaded = self.live.current();
        let (record, plan) = self.known(&loaded, mac).map_err(|error| {
            let mut refused = asker.store_failed(&error);
            *refused.line = refused.line.mac(mac);
            refused
        })?;
        let sources = Sources {
            inventory: &loaded.inventory,
            templates: &loaded.templates,
            key: &self.key,
            record: record.as_ref(),
            plan: plan.as_ref(),
        };
        let answer = ask(&sources, &standing).map_err(|error| {
            let line = asker.line(Level::Error, "render-failed", error.to_string());
            Refused {
                status: Status::Fault,
                text: error.to_string(),
                line: Box::new(line.mac(mac)),
            }
        })?;
        if let Some(fault) = &answer.fault {
            let text = format!("{fault}; the built-in template stands in for it");
            let line = asker.line(Level::Error, "render-failed", text);
            self.log.write(&line.mac(mac));
        }
        match answer.decision {
            Some(decided) => {
                let host = loaded.inventory.host_by_mac(decided.mac);
                // What the inventory does not say can be copied from the log into it.
                let complete = host.is_some_and(|host| host.uuid.is_some());
                self.note(asker, decided, complete, standing.now());
            }
            None => {
                let text = format!("{} asked which script to boot", asker.peer);
                self.log
                    .write(&asker.line(Level::Debug, "identify", text).mac(mac));
            }
        }
        Ok(answer.script)
    }

    /// Reads what the store holds of the host with an Ethernet address, and of its open session.
    fn known(
        &self,
        loaded: &Loaded,
        mac: Option<MacAddress>,
    ) -> Result<(Option<HostRecord>, Option<Plan>), StoreError> {
        let Some(host) = mac.and_then(|mac| loaded.inventory.host_by_mac(mac)) else {
            return Ok((None, None));
        };
        let record = self.store.host(&host.name)?;
        let open = record.as_ref().and_then(|record| record.open_session());
        let stored = open
            .map(|open| self.store.session(open.id))
            .transpose()?
            .flatten();
        let plan = stored.and_then(|stored| serde_json::from_str(&stored.plan).ok());
        Ok((record, plan))
    }

    /// Logs a decision and keeps it as an event. What the machine showed stands in the line's facts,
    /// and in its text when the machine is held or its record is not `complete`.
    fn note(&self, asker: Asker, decided: DecisionRecord, complete: bool, now: Timestamp) {
        let DecisionRecord {
            kind,
            mac,
            host,
            session,
            shown,
            reason,
        } = decided;
        let (level, event) = match kind {
            EventKind::Install => (Level::Info, "install"),
            EventKind::LocalDisk => (Level::Info, "local-disk"),
            _ => (Level::Warn, "hold"),
        };
        let mut text = reason.clone();
        if !shown.is_empty() && (kind == EventKind::Hold || !complete) {
            let values = shown.iter().map(|(name, value)| format!("{name} {value}"));
            let values = values.collect::<Vec<_>>().join(", ");
            text = format!("{text}; it showed {values}");
        }
        let mut line = asker
            .line(level, event, text)
            .mac(Some(mac))
            .host(host.as_deref())
            .session(session);
        for (name, value) in shown {
            line = line.fact(name, value);
        }
        self.log.write(&line);
        self.events.push(Event {
            at: now,
            kind,
            host,
            mac: Some(mac),
            session,
            message: reason,
        });
    }
}
