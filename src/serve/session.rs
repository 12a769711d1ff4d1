//! Files, seeds and callbacks of install sessions, which require a capability.

mod address;
mod callback;

use super::context::ServerRequest;
use super::log::{Level, LogLine};
use super::request::{RefusalKind, RequestOptions, RequestRefusal, RouteAnswer, ServedFile};
use crate::decide::{Attempt, Refusal, Standing, begin_attempt, cleaned};
use crate::inventory::Bundle;
use crate::machine::{Event, EventKind, HostRecord, SessionId};
use crate::render::{Plan, SessionLinks, Templates, Variables, seed};
use crate::respond::http::SessionPath;
use crate::store::HostUpdate;
use crate::token::{Capability, Purpose};

/// A request to an install session.
struct SessionRequest<'r> {
    request: &'r ServerRequest,
    capability: Capability,
    host: String,
    plan: String,
    standing: Standing,
}

/// Answers a URL below `/s/`.
///
/// # Errors
/// Fails when the capability is unknown, has another purpose, or its session has ended.
pub fn answer(
    request: &ServerRequest,
    capability: &str,
    path: &SessionPath,
    options: RequestOptions<'_>,
) -> Result<RouteAnswer, RequestRefusal> {
    let ServerRequest {
        context, requester, ..
    } = request;
    let Some(capability) = context.key.read_capability(capability) else {
        let reason = "the capability was not issued by this store";
        return Err(requester.refuse(RefusalKind::Forbidden, "unknown capability", reason));
    };
    let stored = context
        .store
        .session(capability.session)
        .map_err(|error| requester.store_failed(&error))?;
    let Some(stored) = stored else {
        let reason = format!("the store has no session {}", capability.session);
        return Err(requester.refuse(RefusalKind::NotFound, "unknown session", &reason));
    };
    let standing = context.store.standing();
    let session_request = SessionRequest {
        request,
        capability,
        host: stored.host,
        plan: stored.plan,
        standing: standing.map_err(|error| requester.store_failed(&error))?,
    };
    let required = match path {
        SessionPath::Callback(_) => Purpose::Callback,
        SessionPath::File(_) | SessionPath::Seed(_) => Purpose::Seed,
    };
    if capability.purpose != required {
        return Err(
            session_request.refuse(RefusalKind::Forbidden, "the capability has another purpose")
        );
    }
    match path {
        SessionPath::Callback(kind) => session_request
            .callback(*kind, options.posted)
            .map(RouteAnswer::Text),
        SessionPath::File(key) => session_request
            .file(key, options.reads_only)
            .map(RouteAnswer::File),
        SessionPath::Seed(name) => session_request
            .seed(name, options.reads_only)
            .map(RouteAnswer::Text),
    }
}

impl SessionRequest<'_> {
    fn seed(&self, name: &str, reads_only: bool) -> Result<String, RequestRefusal> {
        let plan = self.plan()?;
        if !plan.profile.installer.seeds().contains(&name) {
            let text = format!(
                "installer {} has no seed `{}`",
                plan.profile.installer,
                cleaned(name, 64)
            );
            return Err(self.refuse(RefusalKind::NotFound, &text));
        }
        let Capability {
            session, attempt, ..
        } = self.capability;
        let links = SessionLinks::new(&plan.server, &self.request.context.key, session, attempt);
        let rendered = Templates::compile(&plan.templates)
            .map_err(|mut faults| faults.remove(0))
            .and_then(|templates| seed(&templates, &plan, &Variables::new(&plan, &links), name));
        let text = rendered.map_err(|error| {
            self.refuse(
                RefusalKind::InternalError,
                &format!("cannot render the seed: {error}"),
            )
        })?;
        self.begin(name, reads_only)?;
        let line = self.line(
            Level::Info,
            "seed",
            format!("{name} to {}", self.request.requester.peer),
        );
        self.request.context.log.write(&line);
        Ok(text)
    }

    fn file(&self, key: &str, reads_only: bool) -> Result<ServedFile, RequestRefusal> {
        let plan = self.plan()?;
        let opened = bundle_file(self.request, &plan.bundle, key);
        let opened = opened.map_err(|refusal| self.with_session(refusal))?;
        self.begin(key, reads_only)?;
        Ok(ServedFile {
            line: self.of_session(opened.line),
            ..opened
        })
    }

    /// Makes the start of the attempt durable, before anything is sent.
    fn begin(&self, what: &str, reads_only: bool) -> Result<(), RequestRefusal> {
        let Capability {
            session, attempt, ..
        } = self.capability;
        if reads_only {
            let record = self
                .request
                .context
                .store
                .host(&self.host)
                .map_err(|error| self.request.requester.store_failed(&error))?;
            let allowed = begin_attempt(record.as_ref(), session, attempt, &self.standing);
            return allowed
                .map(|_| ())
                .map_err(|refusal| self.refuse_ended(&refusal));
        }
        let mut outcome = Ok(Attempt::Running);
        let message = format!("attempt {attempt} began: the machine fetched {what}");
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
                self.request
                    .context
                    .log
                    .write(&self.line(Level::Info, "attempt", message));
            }
            Ok(Attempt::Running) => {}
            Err(refusal) => return Err(self.refuse_ended(&refusal)),
        }
        self.compare_address(what);
        Ok(())
    }

    fn update(
        &self,
        change: &mut dyn FnMut(Option<&HostRecord>, &Standing) -> Option<HostUpdate>,
    ) -> Result<(), RequestRefusal> {
        let updated = self
            .request
            .context
            .store
            .update(&[&self.host], &mut |_, record, standing| {
                change(record, standing)
            });
        updated.map_err(|error| self.request.requester.store_failed(&error))
    }

    fn plan(&self) -> Result<Plan, RequestRefusal> {
        serde_json::from_str(&self.plan).map_err(|error| {
            let text = format!(
                "cannot read the frozen plan: {error}; cancel the session and arm the host again"
            );
            self.refuse(RefusalKind::InternalError, &text)
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

    fn line(&self, level: Level, event: &'static str, text: String) -> LogLine {
        self.of_session(self.request.requester.line(level, event, text))
    }

    fn of_session(&self, line: LogLine) -> LogLine {
        line.host(Some(&self.host))
            .session(Some(self.capability.session))
    }

    fn refuse_ended(&self, refusal: &Refusal) -> RequestRefusal {
        let kind = match refusal {
            // Temporary: the machine can retry.
            Refusal::Impeded(_) => RefusalKind::Unavailable,
            _ => RefusalKind::Gone,
        };
        let help = refusal.help();
        let why = match help {
            "" => refusal.to_string(),
            help => format!("{refusal}; {help}"),
        };
        self.refuse(kind, &why)
    }

    fn refuse(&self, kind: RefusalKind, text: &str) -> RequestRefusal {
        self.with_session(self.request.requester.refuse(kind, text, text))
    }

    /// Adds the session to the log line of a refusal.
    fn with_session(&self, refusal: RequestRefusal) -> RequestRefusal {
        RequestRefusal {
            line: Box::new(self.of_session(*refusal.line)),
            ..refusal
        }
    }
}

/// Opens a file of a bundle, after verifying its digest.
///
/// # Errors
/// Fails when the bundle has no such file, its signatures are not valid, or the bundle store has no
/// valid copy of the file.
pub fn bundle_file(
    request: &ServerRequest,
    bundle: &Bundle,
    key: &str,
) -> Result<ServedFile, RequestRefusal> {
    let ServerRequest {
        context,
        loaded,
        requester,
    } = request;
    let Some(file) = bundle.files.get(key) else {
        let text = format!(
            "bundle `{}` has no file `{}`",
            bundle.name,
            cleaned(key, 64)
        );
        return Err(requester.refuse(RefusalKind::NotFound, text.clone(), &text));
    };
    // A key may have been revoked after the host was armed.
    if let Err(error) = loaded.check_signatures(bundle) {
        let text = format!("bundle `{}`: {error}", bundle.name);
        return Err(requester.refuse(RefusalKind::Unavailable, text.clone(), &text));
    }
    let opened = loaded.bundles().and_then(|store| {
        let opened = context.verifier.open(store, file);
        opened.map_err(|error| error.to_string())
    });
    let opened = opened.map_err(|error| {
        let kind = RefusalKind::Unavailable;
        let sent = requester.refused_with(kind);
        let line = format!("{sent} for {key} of {}: {error}", bundle.name);
        RequestRefusal {
            kind,
            text: "the bundle store has no valid copy of this file".into(),
            line: Box::new(requester.line(Level::Error, "blob-refused", line)),
        }
    })?;
    let text = format!("{key} of {} to {}", bundle.name, requester.peer);
    Ok(ServedFile {
        file: opened,
        size: file.size,
        name: file.path.clone(),
        digest: Some(file.sha256.to_string()),
        line: requester.line(Level::Info, "http-file", text),
    })
}
