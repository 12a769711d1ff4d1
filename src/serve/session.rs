//! Sessions: their files, seeds and callbacks, each behind a capability.

mod address;
mod callback;

use super::context::{Asker, Context, Refused, ServedFile, Status};
use super::log::{Level, Line};
use crate::decide::{Attempt, Refusal, Standing, begin_attempt, cleaned};
use crate::inventory::Bundle;
use crate::machine::{Event, EventKind, HostRecord, SessionId};
use crate::render::{Plan, SessionLinks, Templates, Variables, seed};
use crate::respond::http::SessionPath;
use crate::store::HostUpdate;
use crate::token::{Capability, Purpose};

/// What a session's URL is answered with.
pub enum SessionAnswer {
    /// A seed, or a word about a callback.
    Text(String),
    /// A file of the session's bundle.
    File(ServedFile),
}

/// One opened session, and who asks.
struct Opened<'c> {
    context: &'c Context,
    asker: Asker,
    capability: Capability,
    host: String,
    plan: String,
    standing: Standing,
}

/// Answers a URL below `/s/`. A request that `reads_only`, as HEAD does, changes nothing.
///
/// # Errors
/// When the capability opens nothing, or not this, or no longer.
pub fn answer(
    context: &Context,
    asker: Asker,
    capability: &str,
    path: &SessionPath,
    posted: &[u8],
    reads_only: bool,
) -> Result<SessionAnswer, Refused> {
    let Some(capability) = context.key.read_capability(capability) else {
        let why = "its capability is not one of this store";
        return Err(asker.refuse(Status::Forbidden, "unknown capability", why));
    };
    let stored = context
        .store
        .session(capability.session)
        .map_err(|error| asker.store_failed(&error))?;
    let Some(stored) = stored else {
        let why = format!("the store does not know session {}", capability.session);
        return Err(asker.refuse(Status::NotFound, "unknown session", &why));
    };
    let standing = context.store.standing();
    let opened = Opened {
        context,
        asker,
        capability,
        host: stored.host,
        plan: stored.plan,
        standing: standing.map_err(|error| asker.store_failed(&error))?,
    };
    let wanted = match path {
        SessionPath::Callback(_) => Purpose::Callback,
        SessionPath::File(_) | SessionPath::Seed(_) => Purpose::Seed,
    };
    if capability.purpose != wanted {
        return Err(opened.refused(Status::Forbidden, "the capability is for another purpose"));
    }
    match path {
        SessionPath::Callback(kind) => opened.callback(*kind, posted).map(SessionAnswer::Text),
        SessionPath::File(key) => opened.file(key, reads_only).map(SessionAnswer::File),
        SessionPath::Seed(name) => opened.seed(name, reads_only).map(SessionAnswer::Text),
    }
}

impl Opened<'_> {
    fn seed(&self, name: &str, reads_only: bool) -> Result<String, Refused> {
        let plan = self.plan()?;
        if !plan.profile.installer.seeds().contains(&name) {
            let text = format!(
                "{} reads no seed `{}`",
                plan.profile.installer,
                cleaned(name, 64)
            );
            return Err(self.refused(Status::NotFound, &text));
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
                Status::Fault,
                &format!("the seed cannot be rendered: {error}"),
            )
        })?;
        self.begin(name, reads_only)?;
        let line = self.line(
            Level::Info,
            "seed",
            format!("{name} to {}", self.asker.peer),
        );
        self.context.log.write(&line);
        Ok(text)
    }

    fn file(&self, key: &str, reads_only: bool) -> Result<ServedFile, Refused> {
        let plan = self.plan()?;
        let opened = bundle_file(self.context, self.asker, &plan.bundle, key);
        let opened = opened.map_err(|refused| Refused {
            line: Box::new(self.of_session(*refused.line)),
            ..refused
        })?;
        self.begin(key, reads_only)?;
        Ok(ServedFile {
            line: self.of_session(opened.line),
            ..opened
        })
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
                .map_err(|error| self.asker.store_failed(&error))?;
            let allowed = begin_attempt(record.as_ref(), session, attempt, &self.standing);
            return allowed.map(|_| ()).map_err(|refusal| self.over(&refusal));
        }
        let mut outcome = Ok(Attempt::Running);
        let message = format!("attempt {attempt} began: it fetched {what}");
        self.update(&mut |record, standing| {
            outcome = begin_attempt(record, session, attempt, standing);
            match &outcome {
                Ok(Attempt::Begins(record)) => {
                    let events = vec![self.event(EventKind::Attempt, &message)];
                    Some(HostUpdate {
                        record: record.as_ref().clone(),
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
            }
            Ok(Attempt::Running) => {}
            Err(refusal) => return Err(self.over(&refusal)),
        }
        self.compare_address(what);
        Ok(())
    }

    fn update(
        &self,
        change: &mut dyn FnMut(Option<&HostRecord>, &Standing) -> Option<HostUpdate>,
    ) -> Result<(), Refused> {
        let updated = self
            .context
            .store
            .update(&[&self.host], &mut |_, record, standing| {
                change(record, standing)
            });
        updated.map_err(|error| self.asker.store_failed(&error))
    }

    fn plan(&self) -> Result<Plan, Refused> {
        serde_json::from_str(&self.plan).map_err(|error| {
            let text = format!(
                "the frozen plan cannot be read: {error}; cancel the session and arm the host again"
            );
            self.refused(Status::Fault, &text)
        })
    }

    fn event(&self, kind: EventKind, message: &str) -> Event {
        let session: Option<SessionId> = Some(self.capability.session);
        Event {
            at: self.standing.now(),
            kind,
            host: Some(self.host.clone()),
            mac: None,
            session,
            message: message.to_owned(),
        }
    }

    fn line(&self, level: Level, event: &'static str, text: String) -> Line {
        self.of_session(self.asker.line(level, event, text))
    }

    fn of_session(&self, line: Line) -> Line {
        line.host(Some(&self.host))
            .session(Some(self.capability.session))
    }

    fn over(&self, refusal: &Refusal) -> Refused {
        let status = match refusal {
            // It may pass: the machine can try again.
            Refusal::Impeded(_) => Status::Unavailable,
            _ => Status::Over,
        };
        let help = refusal.help();
        let why = match help {
            "" => refusal.to_string(),
            help => format!("{refusal}; {help}"),
        };
        self.refused(status, &why)
    }

    fn refused(&self, status: Status, text: &str) -> Refused {
        let refused = self.asker.refuse(status, text, text);
        Refused {
            line: Box::new(self.of_session(*refused.line)),
            ..refused
        }
    }
}

/// Opens a file of a bundle that hashes to its name.
///
/// # Errors
/// When the bundle has no such file, or the store no good copy of it.
pub fn bundle_file(
    context: &Context,
    asker: Asker,
    bundle: &Bundle,
    key: &str,
) -> Result<ServedFile, Refused> {
    let Some(file) = bundle.files.get(key) else {
        let text = format!(
            "bundle `{}` has no file `{}`",
            bundle.name,
            cleaned(key, 64)
        );
        return Err(asker.refuse(Status::NotFound, text.clone(), &text));
    };
    let loaded = context.live.current();
    // What was armed before a key was revoked is not installed after.
    if let Err(error) = loaded.check_signatures(bundle) {
        let text = format!("bundle `{}`: {error}", bundle.name);
        return Err(asker.refuse(Status::Unavailable, text.clone(), &text));
    }
    let opened = loaded.bundles().and_then(|store| {
        let opened = context.verifier.open(store, file);
        opened.map_err(|error| error.to_string())
    });
    let opened = opened.map_err(|error| {
        let status = Status::Unavailable;
        let (peer, got) = (asker.peer, asker.got(status));
        let line = format!("{peer} {got} for {key} of {}: {error}", bundle.name);
        Refused {
            status,
            text: "the bundle store has no good copy of this file".into(),
            line: Box::new(asker.line(Level::Error, "blob-refused", line)),
        }
    })?;
    let text = format!("{key} of {} to {}", bundle.name, asker.peer);
    Ok(ServedFile {
        file: opened,
        size: file.size,
        name: file.path.clone(),
        digest: Some(file.sha256.to_string()),
        line: asker.line(Level::Info, "http-file", text),
    })
}
