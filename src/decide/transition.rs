use std::time::Duration;

use jiff::Timestamp;

use crate::machine::{EventKind, HostRecord, Phase, Session, SessionId};

/// How long after its deadline a session's callbacks still have an effect.
const CALLBACK_GRACE: Duration = Duration::from_secs(15 * 60);

/// How long after its deadline a session still tells how it goes on, as an installed system that
/// comes up does.
const TELLING_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a change of phase was refused; the message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The host is set aside.
    #[error("it is in phase `{0}`; `host release` takes it back first")]
    SetAside(Phase),
    /// An install is under way.
    #[error(
        "attempt {attempts} of its install is under way until {deadline:.0}; `host cancel` ends it first"
    )]
    Running {
        /// The attempts that were begun.
        attempts: u32,
        /// The session's deadline.
        deadline: Timestamp,
    },
    /// There is nothing to take back.
    #[error("it is not armed: its phase is `{0}`")]
    NotArmed(Phase),
    /// There is nothing to release.
    #[error("it is not set aside: its phase is `{0}`")]
    NotAside(Phase),
    /// The session is not the open one, or its time is over.
    #[error("the session has ended")]
    SessionEnded,
    /// The attempt was made void by a later one.
    #[error("attempt {attempt} was made void: attempt {begun} has begun")]
    AttemptVoid {
        /// The attempt that was asked for.
        attempt: u32,
        /// The attempts that were begun.
        begun: u32,
    },
}

/// Arms a host: opens `session` until its deadline.
///
/// # Errors
/// Refused while the host is set aside, and while an attempt of an earlier session is under way.
pub fn arm(
    host: &str,
    record: Option<&HostRecord>,
    session: Session,
    now: Timestamp,
) -> Result<HostRecord, Refusal> {
    let mut record = record
        .cloned()
        .unwrap_or_else(|| HostRecord::new(host, now));
    if matches!(record.phase, Phase::Quarantine | Phase::Retired) {
        return Err(Refusal::SetAside(record.phase));
    }
    if let Some(open) = record.install_under_way(now) {
        return Err(Refusal::Running {
            attempts: open.attempts,
            deadline: open.deadline,
        });
    }
    record.phase = Phase::Provisioning;
    record.reason = None;
    record.changed_at = now;
    record.session = Some(session);
    Ok(record)
}

/// Takes an arming back. A host whose install had begun is `failed`, since its disk may be half
/// written; any other is `new` again.
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
    let begun = record
        .session
        .as_ref()
        .is_some_and(|session| session.attempts > 0);
    end(
        &mut record,
        if begun { Phase::Failed } else { Phase::New },
        now,
    );
    record.reason = Some(
        if begun {
            "cancelled after its install had begun"
        } else {
            "cancelled"
        }
        .to_owned(),
    );
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
    end(&mut record, phase, now);
    // It is printed on terminals.
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    record.reason = reason.map(|reason| reason.chars().map(printable).collect());
    record
}

/// Takes a host back that was set aside; it is `new` again, and boots its local disk.
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
    end(&mut record, Phase::New, now);
    record.reason = None;
    Ok(record)
}

/// What came of asking for an attempt's kernel or seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It begins: this record must be durable before the answer is sent.
    Begins(HostRecord),
    /// It had begun already.
    Running,
}

/// Begins an attempt, or finds it begun.
///
/// # Errors
/// Refused when the session is not the open one or past its deadline, and when a later attempt has
/// begun.
pub fn begin_attempt(
    record: Option<&HostRecord>,
    session: SessionId,
    attempt: u32,
    now: Timestamp,
) -> Result<Attempt, Refusal> {
    let record = record.ok_or(Refusal::SessionEnded)?;
    let open = record
        .open_session()
        .filter(|open| open.id == session && now < open.deadline);
    let begun = open.ok_or(Refusal::SessionEnded)?.attempts;
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
    Ok(Attempt::Begins(record))
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
    /// The record to write; none when the callback changes nothing, as a repeated one.
    pub record: Option<HostRecord>,
    /// The event to keep; none when the callback was a repeated one.
    pub event: Option<EventKind>,
}

/// Works out what a callback of an attempt of a session changes. Repeated callbacks change nothing;
/// late ones, and those of an attempt that a later one made void, are kept as events.
pub fn report(
    record: Option<&HostRecord>,
    session: SessionId,
    attempt: u32,
    kind: CallbackKind,
    message: &str,
    now: Timestamp,
) -> Callback {
    let told = |event| Callback {
        record: None,
        event: Some(event),
    };
    // A session that is not the host's latest tells nothing of today.
    let latest = record.and_then(|record| Some((record, record.session.as_ref()?)));
    let Some((current, latest)) =
        latest.filter(|(_, latest)| latest.id == session && attempt >= latest.attempts)
    else {
        return told(EventKind::Late);
    };
    let target = match kind {
        CallbackKind::Installed => Phase::Installed,
        CallbackKind::Failed => Phase::Failed,
        _ if now < latest.deadline + TELLING_GRACE => return told(kind.event()),
        _ => return told(EventKind::Late),
    };
    if current.phase == target {
        return Callback {
            record: None,
            event: None,
        };
    }
    let in_time = current
        .open_session()
        .is_some_and(|open| now < open.deadline + CALLBACK_GRACE);
    if !in_time {
        return told(EventKind::Late);
    }
    let mut record = current.clone();
    end(&mut record, target, now);
    record.reason = (!message.is_empty()).then(|| message.to_owned());
    Callback {
        record: Some(record),
        event: Some(kind.event()),
    }
}

fn end(record: &mut HostRecord, phase: Phase, now: Timestamp) {
    record.phase = phase;
    record.changed_at = now;
    if let Some(session) = &mut record.session {
        session.ended_at.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests;
