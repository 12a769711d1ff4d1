use std::time::Duration;

use jiff::Timestamp;

use super::standing::{Impediment, Standing};
use crate::machine::{EventKind, HostRecord, Phase, Session, SessionEnd, SessionId};

/// How long after its deadline a session's callbacks still have an effect.
const CALLBACK_GRACE: Duration = Duration::from_secs(15 * 60);

/// How long after its deadline a session still accepts progress reports, such as that of an installed
/// system that comes up.
const REPORT_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a change of phase was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The host is set aside.
    #[error("the host is in phase `{0}`; run `pxectl host release` first")]
    SetAside(Phase),
    /// An install is under way.
    #[error(
        "install attempt {attempts} is running until {deadline:.0}; run `pxectl host cancel` first"
    )]
    Running {
        /// The attempts that were begun.
        attempts: u32,
        /// The session's deadline.
        deadline: Timestamp,
    },
    /// The host is not armed.
    #[error("the host is not armed (phase `{0}`)")]
    NotArmed(Phase),
    /// The host is not set aside.
    #[error("the host is neither quarantined nor retired (phase `{0}`)")]
    NotAside(Phase),
    /// The session is not the open session, or its deadline has passed.
    #[error("the session has ended")]
    SessionEnded,
    /// The session's store was restored, copied or moved.
    #[error("the session is suspended: {0}")]
    Suspended(String),
    /// Nothing destructive is served to any host.
    #[error("{0}")]
    Impeded(Impediment),
    /// The attempt was made void by a later one.
    #[error("attempt {attempt} is void: attempt {begun} has started")]
    AttemptVoid {
        /// The attempt that was asked for.
        attempt: u32,
        /// The attempts that were begun.
        begun: u32,
    },
}

impl Refusal {
    /// Returns the help text; empty if the message already has one.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Impeded(impediment) => impediment.help(),
            Self::Suspended(_) => "run `pxectl host provision` to arm the host again",
            _ => "",
        }
    }
}

/// Arms a host: opens `session` until its deadline.
///
/// # Errors
/// Refused while nothing destructive may be served, while the host is set aside, and while an
/// attempt of an earlier session is under way.
pub fn arm(
    host: &str,
    record: Option<&HostRecord>,
    mut session: Session,
    standing: &Standing,
) -> Result<HostRecord, Refusal> {
    if let Some(impediment) = standing.impediment() {
        return Err(Refusal::Impeded(impediment.clone()));
    }
    let now = standing.now();
    let mut record = record
        .cloned()
        .unwrap_or_else(|| HostRecord::new(host, now));
    if let Some(expired) = expire(&record, standing) {
        record = expired;
    }
    if matches!(record.phase, Phase::Quarantine | Phase::Retired) {
        return Err(Refusal::SetAside(record.phase));
    }
    // A suspended session serves nothing to its installer, so arming need not wait for it.
    let waits_for = install_under_way(&record, standing);
    if let Some(open) = waits_for.filter(|open| open.suspended.is_none()) {
        return Err(Refusal::Running {
            attempts: open.attempts,
            deadline: open.deadline,
        });
    }
    session.previous_phase = match record.open_session() {
        Some(replaced) => unarmed_phase(replaced),
        // An armed host without an open session may have a half-written disk.
        None if record.phase == Phase::Provisioning => Phase::Failed,
        None => record.phase,
    };
    record.phase = Phase::Provisioning;
    record.reason = None;
    record.changed_at = now;
    record.session = Some(session);
    Ok(record)
}

/// Returns the open session of which an attempt began: an installer may be at work up to the
/// deadline, in a suspended session too.
pub fn install_under_way<'r>(record: &'r HostRecord, standing: &Standing) -> Option<&'r Session> {
    record
        .open_session()
        .filter(|open| open.attempts > 0 && !standing.is_past_deadline(open))
}

/// Ends the open session of a host if its deadline has passed; `None` if there is nothing to end.
///
/// A host without a started attempt returns to its previous phase. A host with one becomes `failed`,
/// because its disk may be half written.
pub fn expire(record: &HostRecord, standing: &Standing) -> Option<HostRecord> {
    let open = record.open_session()?;
    if !standing.is_past_deadline(open) {
        return None;
    }
    let began = match open.attempts {
        0 => "no install started",
        _ => "the installer did not report",
    };
    let reason = format!("{began} before the deadline at {:.0}", open.deadline);
    let phase = unarmed_phase(open);
    let mut record = record.clone();
    end(&mut record, phase, SessionEnd::Expired, standing.now());
    record.reason = Some(reason);
    Some(record)
}

/// Suspends the open session of a host: nothing destructive is served in it, callbacks of an
/// attempt that began still count, and the host can be armed again.
pub fn suspend(record: &HostRecord, why: &str, now: Timestamp) -> Option<HostRecord> {
    record
        .open_session()
        .filter(|open| open.suspended.is_none())?;
    let mut record = record.clone();
    record.changed_at = now;
    if let Some(session) = &mut record.session {
        session.suspended = Some(why.to_owned());
    }
    Some(record)
}

/// Ends the open session of a host, by an operator and for a reason that concerns all hosts.
pub fn close(record: &HostRecord, why: &str, now: Timestamp) -> Option<HostRecord> {
    let phase = unarmed_phase(record.open_session()?);
    let mut record = record.clone();
    end(&mut record, phase, SessionEnd::Operator, now);
    record.reason = Some(why.to_owned());
    Some(record)
}

/// Returns the phase of a host whose session ends without a report.
fn unarmed_phase(session: &Session) -> Phase {
    match session.attempts {
        0 => session.previous_phase,
        _ => Phase::Failed,
    }
}

/// Cancels the arming of a host. A host whose install has started becomes `failed`, because its disk may be
/// half written; any other host returns to its previous phase.
///
/// # Errors
/// Refused when the host is not armed.
pub fn cancel(record: Option<&HostRecord>, now: Timestamp) -> Result<HostRecord, Refusal> {
    let armed = |record: &&HostRecord| record.phase == Phase::Provisioning;
    let phase = record.map_or(Phase::New, |record| record.phase);
    let mut record = record
        .filter(armed)
        .cloned()
        .ok_or(Refusal::NotArmed(phase))?;
    let phase = record.open_session().map_or(Phase::Failed, unarmed_phase);
    let began = record
        .session
        .as_ref()
        .is_some_and(|session| session.attempts > 0);
    end(&mut record, phase, SessionEnd::Operator, now);
    let reason = if began {
        "cancelled after the install started"
    } else {
        "cancelled"
    };
    record.reason = Some(reason.to_owned());
    Ok(record)
}

/// Sets a host aside, as [`Phase::Quarantine`] or [`Phase::Retired`]: it boots nothing until it is
/// released. An open session ends.
pub fn set_aside(
    host: &str,
    record: Option<&HostRecord>,
    phase: Phase,
    reason: Option<&str>,
    now: Timestamp,
) -> HostRecord {
    let mut record = record
        .cloned()
        .unwrap_or_else(|| HostRecord::new(host, now));
    end(&mut record, phase, SessionEnd::Operator, now);
    // It is printed on terminals.
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    record.reason = reason.map(|reason| reason.chars().map(printable).collect());
    record
}

/// Releases a host that was set aside; it becomes `new` and boots its local disk.
///
/// # Errors
/// Refused when the host is not set aside.
pub fn release(record: Option<&HostRecord>, now: Timestamp) -> Result<HostRecord, Refusal> {
    let phase = record.map_or(Phase::New, |record| record.phase);
    let aside = |record: &&HostRecord| matches!(record.phase, Phase::Quarantine | Phase::Retired);
    let mut record = record
        .filter(aside)
        .cloned()
        .ok_or(Refusal::NotAside(phase))?;
    end(&mut record, Phase::New, SessionEnd::Operator, now);
    record.reason = None;
    Ok(record)
}

/// The result of a request for an attempt's kernel or seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The attempt starts: this record must be durable before the response is sent.
    Begins(Box<HostRecord>),
    /// The attempt had already started.
    Running,
}

/// Starts an attempt, or finds that it has started. Only this function permits the kernel and seeds of an
/// install, as only [`decide`](super::decide) permits its script.
///
/// # Errors
/// Refused while nothing destructive may be served, when the session is not the open one, suspended
/// or past its deadline, and when a later attempt has begun.
pub fn begin_attempt(
    record: Option<&HostRecord>,
    session: SessionId,
    attempt: u32,
    standing: &Standing,
) -> Result<Attempt, Refusal> {
    let record = record.ok_or(Refusal::SessionEnded)?;
    let open = record
        .open_session()
        .filter(|open| open.id == session && !standing.is_past_deadline(open))
        .ok_or(Refusal::SessionEnded)?;
    if let Some(impediment) = standing.impediment() {
        return Err(Refusal::Impeded(impediment.clone()));
    }
    if let Some(why) = &open.suspended {
        return Err(Refusal::Suspended(why.clone()));
    }
    let begun = open.attempts;
    if attempt == begun {
        return Ok(Attempt::Running);
    }
    if attempt != begun + 1 {
        return Err(Refusal::AttemptVoid { attempt, begun });
    }
    let mut record = record.clone();
    if let Some(open) = &mut record.session {
        open.attempts = attempt;
    }
    Ok(Attempt::Begins(Box::new(record)))
}

/// What an installer reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackKind {
    /// It has come further.
    Progress,
    /// It is done; the machine boots its disk from now on.
    Installed,
    /// It has given up.
    Failed,
    /// The installed system is up.
    Ready,
    /// A piece of its log.
    Log,
}

impl CallbackKind {
    /// Reads the last part of a callback's path.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "progress" => Some(Self::Progress),
            "installed" => Some(Self::Installed),
            "failed" => Some(Self::Failed),
            "ready" => Some(Self::Ready),
            "log" => Some(Self::Log),
            _ => None,
        }
    }

    fn event(self) -> EventKind {
        match self {
            Self::Progress => EventKind::Progress,
            Self::Installed => EventKind::Installed,
            Self::Failed => EventKind::Failed,
            Self::Ready => EventKind::Ready,
            Self::Log => EventKind::Log,
        }
    }
}

/// What a callback changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The record to write; `None` if the callback changes nothing.
    pub record: Option<HostRecord>,
    /// The event to store; `None` for a repeated callback.
    pub event: Option<EventKind>,
}

/// Decides what a callback of a session's attempt changes. Repeated callbacks change nothing;
/// late ones, and those of an attempt that a later one made void, are kept as events.
///
/// The report of an installer counts until [`CALLBACK_GRACE`] after the deadline, also where the
/// session has expired or is suspended meanwhile: the disk holds what the report says.
pub fn report(
    record: Option<&HostRecord>,
    session: SessionId,
    attempt: u32,
    kind: CallbackKind,
    message: &str,
    standing: &Standing,
) -> Callback {
    let only_event = |event| Callback {
        record: None,
        event: Some(event),
    };
    // Reports of a session that is not the host's latest have no effect.
    let latest = record.and_then(|record| Some((record, record.session.as_ref()?)));
    let Some((current, latest)) =
        latest.filter(|(_, latest)| latest.id == session && attempt >= latest.attempts)
    else {
        return only_event(EventKind::Late);
    };
    let target = match kind {
        CallbackKind::Installed => Phase::Installed,
        CallbackKind::Failed => Phase::Failed,
        _ if standing.is_within_grace(latest, REPORT_GRACE) => return only_event(kind.event()),
        _ => return only_event(EventKind::Late),
    };
    let has_expired = latest.ended_by == Some(SessionEnd::Expired) && latest.attempts > 0;
    if current.phase == target && !has_expired {
        return Callback {
            record: None,
            event: None,
        };
    }
    let waits = match has_expired {
        // What an operator did with the host since then takes precedence.
        true => current.phase == Phase::Failed,
        false => current.open_session().is_some(),
    };
    if !waits || !standing.is_within_grace(latest, CALLBACK_GRACE) {
        return only_event(EventKind::Late);
    }
    let mut record = current.clone();
    end(&mut record, target, SessionEnd::Callback, standing.now());
    record.reason = (!message.is_empty()).then(|| message.to_owned());
    Callback {
        record: Some(record),
        event: Some(kind.event()),
    }
}

fn end(record: &mut HostRecord, phase: Phase, by: SessionEnd, now: Timestamp) {
    record.phase = phase;
    record.changed_at = now;
    if let Some(session) = &mut record.session {
        session.ended_at.get_or_insert(now);
        // An expired session still takes its installer's report; any later end is final.
        let is_final = session.ended_by.is_some_and(|by| by != SessionEnd::Expired);
        if !is_final {
            session.ended_by = Some(by);
        }
    }
}

#[cfg(test)]
mod tests;
