use std::net::SocketAddr;

use hyper::StatusCode;
use jiff::Timestamp;

use super::HttpContext;
use super::answer::Answer;
use crate::decide::{Attempt, CallbackKind, Refusal, begin_attempt, cleaned, report};
use crate::inventory::Bundle;
use crate::machine::{Event, EventKind, HostRecord, SessionId};
use crate::render::{Plan, SessionLinks, Templates, Variables, seed};
use crate::respond::http::SessionPath;
use crate::serve::log::{Level, Line};
use crate::store::{HostUpdate, StoreError};
use crate::token::{Capability, Purpose};

/// The most characters of a callback's message that are kept.
const MESSAGE_LIMIT: usize = 500;

/// What a session's URL is answered with.
pub(super) enum SessionAnswer {
    /// A seed, or a word about a callback.
    Text {
        content_type: &'static str,
        text: String,
    },
    /// A file of the session's bundle.
    File(Answer),
}

/// Why a session's URL is not answered; the line is logged.
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) text: String,
    pub(super) line: Box<Line>,
}

/// One opened session, and who asks.
struct Opened<'c> {
    context: &'c HttpContext,
    peer: SocketAddr,
    capability: Capability,
    host: String,
    plan: String,
    now: Timestamp,
}

/// Answers a URL below `/s/`. A HEAD (`reads_only`) changes nothing.
pub(super) fn answer(
    context: &HttpContext,
    peer: SocketAddr,
    capability: &str,
    path: &SessionPath,
    posted: &[u8],
    reads_only: bool,
) -> Result<SessionAnswer, Refused> {
    let Some(capability) = context.key.read_capability(capability) else {
        let text = format!("{peer} got 403: its capability is not one of this store");
        let line = Line::new(Level::Warn, "http", "http-refused", text);
        return Err(Refused {
            status: StatusCode::FORBIDDEN,
            text: "unknown capability".into(),
            line: Box::new(line),
        });
    };
    let stored = context
        .store
        .session(capability.session)
        .map_err(|error| store_failed(&error))?;
    let Some(stored) = stored else {
        let text = format!(
            "{peer} got 404: the store does not know session {}",
            capability.session
        );
        let line = Line::new(Level::Warn, "http", "http-refused", text);
        return Err(Refused {
            status: StatusCode::NOT_FOUND,
            text: "unknown session".into(),
            line: Box::new(line),
        });
    };
    let opened = Opened {
        context,
        peer,
        capability,
        host: stored.host,
        plan: stored.plan,
        now: Timestamp::now(),
    };
    let wanted = match path {
        SessionPath::Callback(_) => Purpose::Callback,
        SessionPath::File(_) | SessionPath::Seed(_) => Purpose::Seed,
    };
    if capability.purpose != wanted {
        return Err(opened.refused(
            StatusCode::FORBIDDEN,
            "the capability is for another purpose",
        ));
    }
    match path {
        SessionPath::Callback(kind) => opened.callback(*kind, posted),
        SessionPath::File(key) => opened.file(key, reads_only),
        SessionPath::Seed(name) => opened.seed(name, reads_only),
    }
}

impl Opened<'_> {
    fn seed(&self, name: &str, reads_only: bool) -> Result<SessionAnswer, Refused> {
        let plan = self.plan()?;
        if !plan.profile.installer.seeds().contains(&name) {
            let text = format!(
                "{} reads no seed `{}`",
                plan.profile.installer,
                cleaned(name, 64)
            );
            return Err(self.refused(StatusCode::NOT_FOUND, &text));
        }
        let Capability {
            session, attempt, ..
        } = self.capability;
        let links = SessionLinks::new(&plan.server, &self.context.key, session, attempt);
        let rendered = Templates::compile(&plan.templates)
            .map_err(|mut faults| faults.remove(0))
            .and_then(|templates| seed(&templates, &plan, &Variables::new(&plan, &links), name));
        let text = rendered.map_err(|error| {
            self.refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("the seed cannot be rendered: {error}"),
            )
        })?;
        self.begin(name, reads_only)?;
        let line = self.line(Level::Info, "seed", format!("{name} to {}", self.peer));
        self.context.log.write(&line);
        Ok(SessionAnswer::Text {
            content_type: "text/plain",
            text,
        })
    }

    fn file(&self, key: &str, reads_only: bool) -> Result<SessionAnswer, Refused> {
        let plan = self.plan()?;
        let line = |text: String| self.line(Level::Info, "http-file", text);
        let answer = bundle_file(self.context, self.peer, &plan.bundle, key, line);
        if matches!(answer, Answer::File { .. }) {
            self.begin(key, reads_only)?;
        }
        Ok(SessionAnswer::File(answer))
    }

    /// Makes it durable that the attempt has begun, before anything is sent.
    fn begin(&self, what: &str, reads_only: bool) -> Result<(), Refused> {
        let Capability {
            session, attempt, ..
        } = self.capability;
        if reads_only {
            let record = self
                .context
                .store
                .host(&self.host)
                .map_err(|error| store_failed(&error))?;
            let allowed = begin_attempt(record.as_ref(), session, attempt, self.now);
            return allowed.map(|_| ()).map_err(|refusal| self.over(&refusal));
        }
        let mut outcome = Ok(Attempt::Running);
        let message = format!("attempt {attempt} began: it fetched {what}");
        self.update(&mut |record| {
            outcome = begin_attempt(record, session, attempt, self.now);
            match &outcome {
                Ok(Attempt::Begins(record)) => {
                    let events = vec![self.event(EventKind::Attempt, &message)];
                    Some(HostUpdate {
                        record: record.clone(),
                        plan: None,
                        events,
                    })
                }
                _ => None,
            }
        })?;
        match outcome {
            Ok(Attempt::Begins(_)) => {
                self.context
                    .log
                    .write(&self.line(Level::Info, "attempt", message));
                Ok(())
            }
            Ok(Attempt::Running) => Ok(()),
            Err(refusal) => Err(self.over(&refusal)),
        }
    }

    fn callback(&self, kind: CallbackKind, posted: &[u8]) -> Result<SessionAnswer, Refused> {
        let message =
            without_capabilities(&cleaned(&String::from_utf8_lossy(posted), MESSAGE_LIMIT));
        let Capability {
            session, attempt, ..
        } = self.capability;
        let is_a_word = matches!(kind, CallbackKind::Log | CallbackKind::Progress);
        if is_a_word && !self.context.events.admits(session, self.now) {
            let text = format!("{kind:?} was not kept: its session sends too many");
            let line = self.line(Level::Debug, "callback-dropped", text);
            self.context.log.write(&line);
            return Ok(SessionAnswer::Text {
                content_type: "text/plain",
                text: "too many\n".into(),
            });
        }
        let mut outcome = None;
        self.update(&mut |record| {
            let callback = report(record, session, attempt, kind, &message, self.now);
            outcome = callback.event;
            let record = callback.record?;
            let events = callback
                .event
                .map(|kind| self.event(kind, &message))
                .into_iter()
                .collect();
            Some(HostUpdate {
                record,
                plan: None,
                events,
            })
        })?;
        let changes = matches!(outcome, Some(EventKind::Installed | EventKind::Failed));
        if let Some(kind) = outcome.filter(|_| !changes) {
            let stored = self.context.store.append(&[self.event(kind, &message)]);
            stored.map_err(|error| store_failed(&error))?;
        }
        let (level, event, text) = match outcome {
            None => (
                Level::Debug,
                "callback-repeated",
                "said so again".to_owned(),
            ),
            Some(EventKind::Late) => (
                Level::Warn,
                "late",
                format!("{kind:?} came too late to count: {message}"),
            ),
            Some(EventKind::Failed) => (Level::Error, "failed", message),
            Some(kind) => (Level::Info, kind.name(), message),
        };
        self.context.log.write(&self.line(level, event, text));
        let text = if outcome == Some(EventKind::Late) {
            "late\n"
        } else {
            "ok\n"
        };
        Ok(SessionAnswer::Text {
            content_type: "text/plain",
            text: text.into(),
        })
    }

    fn update(
        &self,
        change: &mut dyn FnMut(Option<&HostRecord>) -> Option<HostUpdate>,
    ) -> Result<(), Refused> {
        let updated = self
            .context
            .store
            .update(&[&self.host], &mut |_, record| change(record));
        updated.map_err(|error| store_failed(&error))
    }

    fn plan(&self) -> Result<Plan, Refused> {
        serde_json::from_str(&self.plan).map_err(|error| {
            let text = format!(
                "the frozen plan cannot be read: {error}; cancel the session and arm the host again"
            );
            self.refused(StatusCode::INTERNAL_SERVER_ERROR, &text)
        })
    }

    fn event(&self, kind: EventKind, message: &str) -> Event {
        let session: Option<SessionId> = Some(self.capability.session);
        Event {
            at: self.now,
            kind,
            host: Some(self.host.clone()),
            mac: None,
            session,
            message: message.to_owned(),
        }
    }

    fn line(&self, level: Level, event: &'static str, text: String) -> Line {
        Line::new(level, "http", event, text)
            .host(Some(&self.host))
            .session(Some(self.capability.session))
    }

    fn over(&self, refusal: &Refusal) -> Refused {
        self.refused(StatusCode::GONE, &refusal.to_string())
    }

    fn refused(&self, status: StatusCode, text: &str) -> Refused {
        let line = format!("{} got {}: {text}", self.peer, status.as_u16());
        Refused {
            status,
            text: text.to_owned(),
            line: Box::new(self.line(Level::Warn, "http-refused", line)),
        }
    }
}

fn store_failed(error: &StoreError) -> Refused {
    let text = format!("{error}; {}", error.help());
    let line = Line::new(Level::Error, "http", "store-failed", text);
    Refused {
        status: StatusCode::SERVICE_UNAVAILABLE,
        text: "the store cannot be used".into(),
        line: Box::new(line),
    }
}

/// Opens a file of a bundle that hashes to its name.
pub(super) fn bundle_file(
    context: &HttpContext,
    peer: SocketAddr,
    bundle: &Bundle,
    key: &str,
    line: impl Fn(String) -> Line,
) -> Answer {
    let Some(file) = bundle.files.get(key) else {
        let text = format!(
            "bundle `{}` has no file `{}`",
            bundle.name,
            cleaned(key, 64)
        );
        let refused = format!("{peer} got 404: {text}");
        let refused = Line::new(Level::Warn, "http", "http-refused", refused);
        context.log.write(&refused);
        return Answer::plain(StatusCode::NOT_FOUND, text);
    };
    let loaded = context.live.current();
    let opened = loaded.bundles().and_then(|store| {
        let opened = context.verifier.open(store, file);
        opened.map_err(|error| error.to_string())
    });
    match opened {
        Ok(opened) => Answer::File {
            file: opened,
            size: file.size,
            name: file.path.clone(),
            digest: Some(file.sha256.to_string()),
            line: line(format!("{key} of {} to {peer}", bundle.name)),
            log: context.log.clone(),
        },
        Err(error) => {
            context.log.say(
                Level::Error,
                "http",
                "blob-refused",
                format!("{peer} got 503 for {key} of {}: {error}", bundle.name),
            );
            Answer::plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "the bundle store has no good copy of this file",
            )
        }
    }
}

/// Takes session URLs out of what an installer sent: it may quote its own command line.
fn without_capabilities(text: &str) -> String {
    let mut parts = text.split("/s/");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest =
            part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        clean.push_str("/s/…");
        clean.push_str(rest);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::without_capabilities;

    #[test]
    fn a_posted_text_keeps_no_capability() {
        let text = "url=http://10.0.0.1/s/AbC-_9/preseed.cfg and http://10.0.0.1/s/XyZ failed";
        let clean = "url=http://10.0.0.1/s/…/preseed.cfg and http://10.0.0.1/s/… failed";
        assert_eq!(without_capabilities(text), clean);
        assert_eq!(without_capabilities("no disk"), "no disk");
    }
}
