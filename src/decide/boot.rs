use std::fmt;

use jiff::Timestamp;

use super::request::{BootRequest, TokenState};
use super::standing::{Impediment, Standing};
use super::transition::expire;
use crate::inventory::{Host, IdentityPolicy, Inventory, Provisioning};
use crate::loader::Dialect;
use crate::machine::{
    HostRecord, IDENTITY_LIMIT, Phase, SessionEnd, SessionId, SystemUuid, cleaned, is_placeholder,
};
use crate::token::TokenError;

/// The decision about a machine's boot, with its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct BootDecision<'i> {
    /// The host that owns the Ethernet address.
    pub host: Option<&'i Host>,
    /// What it boots.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// What a machine boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Its installer, in a session. This is the only destructive action.
    Install {
        /// The open session.
        session: SessionId,
        /// The attempt that begins when the kernel or a seed is fetched, from 1.
        attempt: u32,
    },
    /// Its local disk.
    LocalDisk,
    /// The quarantine screen.
    Hold,
}

/// The reason for a boot decision, printed for the log and the machine's screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The host is armed, and the machine is the one on record.
    Armed,
    /// Nobody armed the host.
    NotArmed,
    /// Its install is done.
    Installed,
    /// The install failed, with the reported message.
    Failed(Option<String>),
    /// It was armed, and its deadline has passed.
    DeadlinePassed(Timestamp),
    /// The host is armed, but nothing destructive is served to any host.
    Impeded(Impediment),
    /// The session belongs to a store that was restored, copied or moved.
    Suspended(String),
    /// The request came from an interface that is not the boot NIC.
    NotBootNic,
    /// No host has the Ethernet address; the UUID may be another's.
    Unknown {
        /// The host with the reported UUID.
        uuid_owner: Option<String>,
    },
    /// A signal differs from what is on record.
    Disagrees {
        /// Which signal.
        signal: Signal,
        /// The value that the machine reported.
        seen: String,
        /// The recorded value.
        recorded: String,
        /// The host with the reported value.
        owner: Option<String>,
    },
    /// The host was armed with another boot MAC.
    ArmedAsAnother,
    /// The machine reported no usable UUID; no disk is overwritten without one.
    NoUuidSeen,
    /// The inventory has no UUID for the host; no disk is overwritten without one.
    NoUuidRecorded,
    /// The boot token is missing.
    TokenMissing,
    /// The boot token is not valid.
    TokenBad(TokenError),
    /// The host uses Secure Boot, and its loader cannot be signed.
    UnsignedLoader(Dialect),
    /// An attempt has started, and its installer has not reported a result.
    AttemptUsed {
        /// How many attempts have started.
        attempts: u32,
        /// How many attempts are allowed.
        allowed: u32,
    },
    /// An operator set the host aside.
    Quarantined(Option<String>),
    /// The host has left the rack.
    Retired,
    /// The host is armed, but the store has no open session.
    NoSession,
}

/// A value that identifies a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The SMBIOS UUID.
    Uuid,
    /// The SMBIOS serial number.
    Serial,
    /// The SMBIOS asset tag.
    Asset,
    /// The kind of firmware and processor.
    Architecture,
}

/// The host and the rules that were frozen when a host was armed.
#[derive(Clone, Copy, Debug)]
pub struct ArmedHost<'a> {
    /// The host as it was armed.
    pub host: &'a Host,
    /// The identity that the machine must prove.
    pub identity: IdentityPolicy,
    /// The deadline and the number of attempts.
    pub provisioning: Provisioning,
    /// Whether it boots with Secure Boot on.
    pub secure_boot: bool,
}

/// Decides what a machine boots now.
///
/// `record` is the store's record of the host with `request.mac`, `armed` the frozen host and rules of its
/// open session. An install requires a machine that matches both the current inventory and the armed host:
/// a change of the inventory never directs an install to another machine, and never weakens the rules of
/// an open session. A request changes nothing.
pub fn decide<'i>(
    inventory: &'i Inventory,
    record: Option<&HostRecord>,
    armed: Option<ArmedHost<'_>>,
    request: &BootRequest,
    standing: &Standing,
) -> BootDecision<'i> {
    // An expiry counts even before the next sweep of the store records it.
    let expired = record.and_then(|record| expire(record, standing));
    let record = expired.as_ref().or(record);
    let Some(host) = inventory.host_by_mac(request.mac) else {
        let uuid_owner = usable(request.uuid).and_then(|uuid| owner_of_uuid(inventory, uuid));
        return BootDecision {
            host: None,
            action: Action::Hold,
            reason: Reason::Unknown { uuid_owner },
        };
    };
    let (action, reason) = decide_known(inventory, host, (record, armed), request, standing);
    BootDecision {
        host: Some(host),
        action,
        reason,
    }
}

fn decide_known(
    inventory: &Inventory,
    host: &Host,
    (record, armed): (Option<&HostRecord>, Option<ArmedHost<'_>>),
    request: &BootRequest,
    standing: &Standing,
) -> (Action, Reason) {
    let phase = record.map_or(Phase::New, |record| record.phase);
    let why = || record.and_then(|record| record.reason.clone());
    if phase == Phase::Quarantine {
        return (Action::Hold, Reason::Quarantined(why()));
    }
    if phase == Phase::Retired {
        return (Action::Hold, Reason::Retired);
    }
    if let Some(disagreement) = disagreement(inventory, host, request) {
        return (Action::Hold, disagreement);
    }
    let session = record.and_then(|record| record.session.as_ref());
    let expired = session.filter(|session| session.ended_by == Some(SessionEnd::Expired));
    if let Some(expired) = expired.filter(|_| phase != Phase::Provisioning) {
        return (Action::LocalDisk, Reason::DeadlinePassed(expired.deadline));
    }
    match phase {
        Phase::New => (Action::LocalDisk, Reason::NotArmed),
        Phase::Installed => (Action::LocalDisk, Reason::Installed),
        Phase::Failed => (Action::LocalDisk, Reason::Failed(why())),
        Phase::Provisioning | Phase::Quarantine | Phase::Retired => {
            decide_armed(inventory, host, (record, armed), request, standing)
        }
    }
}

fn decide_armed(
    inventory: &Inventory,
    host: &Host,
    (record, armed): (Option<&HostRecord>, Option<ArmedHost<'_>>),
    request: &BootRequest,
    standing: &Standing,
) -> (Action, Reason) {
    let Some(session) = record.and_then(HostRecord::open_session) else {
        return (Action::Hold, Reason::NoSession);
    };
    if let Some(impediment) = standing.impediment() {
        return (Action::Hold, Reason::Impeded(impediment.clone()));
    }
    if let Some(why) = &session.suspended {
        return (Action::Hold, Reason::Suspended(why.clone()));
    }
    if !host.nic(request.mac).is_some_and(|nic| nic.boot) {
        return (Action::LocalDisk, Reason::NotBootNic);
    }
    match request.token {
        TokenState::Good | TokenState::NotAsked => {}
        TokenState::Missing => return (Action::Hold, Reason::TokenMissing),
        TokenState::Bad(error) => return (Action::Hold, Reason::TokenBad(error)),
    }
    let Some(armed) = armed else {
        return (Action::Hold, Reason::NoSession);
    };
    let profile = inventory.profile_of(host);
    let secure = armed.secure_boot || profile.is_some_and(|profile| profile.secure_boot);
    if secure && !request.dialect.can_be_signed() {
        return (Action::Hold, Reason::UnsignedLoader(request.dialect));
    }
    // The machine must match the current inventory and the armed host.
    for meant in [host, armed.host] {
        if !meant.nic(request.mac).is_some_and(|nic| nic.boot) {
            return (Action::Hold, Reason::ArmedAsAnother);
        }
        if let Some(disagreement) =
            disagreement(inventory, meant, request).or_else(|| wrong_architecture(meant, request))
        {
            return (Action::Hold, disagreement);
        }
        let lenient = [inventory.site.identity, armed.identity] == [IdentityPolicy::Mac; 2];
        if !lenient && meant.uuid.is_none() {
            return (Action::Hold, Reason::NoUuidRecorded);
        }
        if !lenient && usable(request.uuid).is_none() {
            return (Action::Hold, Reason::NoUuidSeen);
        }
    }
    let rules = [inventory.site.provisioning, armed.provisioning];
    let allowed = rules.map(|rules| if rules.retry { rules.attempts } else { 1 });
    let allowed = allowed[0].min(allowed[1]);
    if session.attempts >= allowed {
        let attempts = session.attempts;
        return (Action::Hold, Reason::AttemptUsed { attempts, allowed });
    }
    let (session, attempt) = (session.id, session.attempts + 1);
    (Action::Install { session, attempt }, Reason::Armed)
}

/// Finds the first signal whose reported value differs from the recorded value.
fn disagreement(inventory: &Inventory, host: &Host, request: &BootRequest) -> Option<Reason> {
    if let (Some(seen), Some(recorded)) = (usable(request.uuid), host.uuid)
        && !seen.same_machine(recorded)
    {
        return Some(Reason::Disagrees {
            signal: Signal::Uuid,
            seen: seen.to_string(),
            recorded: recorded.to_string(),
            owner: owner_of_uuid(inventory, seen),
        });
    }
    let texts = [
        (Signal::Serial, &request.serial, &host.serial),
        (Signal::Asset, &request.asset, &host.asset),
    ];
    texts.into_iter().find_map(|(signal, seen, recorded)| {
        let seen = seen.as_deref().filter(|seen| !is_placeholder(seen))?;
        let recorded = recorded.as_deref()?;
        // The reported value was cleaned when it was read, so the recorded value is cleaned too.
        (seen != cleaned(recorded, IDENTITY_LIMIT)).then(|| Reason::Disagrees {
            signal,
            seen: seen.to_owned(),
            recorded: recorded.to_owned(),
            owner: None,
        })
    })
}

fn wrong_architecture(host: &Host, request: &BootRequest) -> Option<Reason> {
    let seen = request.architecture?.without_http();
    (seen != host.arch).then(|| Reason::Disagrees {
        signal: Signal::Architecture,
        seen: seen.to_string(),
        recorded: host.arch.to_string(),
        owner: None,
    })
}

fn usable(uuid: Option<SystemUuid>) -> Option<SystemUuid> {
    uuid.filter(|uuid| !uuid.is_placeholder())
}

fn owner_of_uuid(inventory: &Inventory, uuid: SystemUuid) -> Option<String> {
    let owns = |host: &&Host| {
        host.uuid
            .is_some_and(|recorded| recorded.same_machine(uuid))
    };
    inventory
        .hosts
        .values()
        .find(owns)
        .map(|host| host.name.clone())
}

impl Reason {
    /// Reports whether the machine's screen should show the reason before it goes on.
    pub fn wants_attention(&self) -> bool {
        !matches!(
            self,
            Self::Armed | Self::NotArmed | Self::Installed | Self::NotBootNic
        )
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uuid => "UUID",
            Self::Serial => "serial number",
            Self::Asset => "asset tag",
            Self::Architecture => "architecture",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_detail = |what: &str, why: &Option<String>, f: &mut fmt::Formatter<'_>| match why {
            Some(why) => write!(f, "{what}: {why}"),
            None => f.write_str(what),
        };
        match self {
            Self::Armed => f.write_str("armed for this install"),
            Self::NotArmed => f.write_str("not armed"),
            Self::Installed => f.write_str("installed"),
            Self::Failed(why) => with_detail("the install failed", why, f),
            Self::DeadlinePassed(deadline) => {
                write!(f, "the install deadline passed at {deadline:.0}")
            }
            Self::Impeded(impediment) => fmt::Display::fmt(impediment, f),
            Self::Suspended(why) => write!(f, "the session is suspended: {why}"),
            Self::NotBootNic => f.write_str("this NIC is not the host's boot NIC"),
            Self::Unknown { uuid_owner: None } => {
                f.write_str("no host in the inventory has this MAC")
            }
            Self::Unknown {
                uuid_owner: Some(owner),
            } => {
                write!(
                    f,
                    "no host in the inventory has this MAC, and the UUID belongs to host {owner}"
                )
            }
            Self::Disagrees {
                signal,
                seen,
                recorded,
                owner,
            } => {
                write!(f, "the {signal} is {seen}, expected {recorded}")?;
                owner
                    .iter()
                    .try_for_each(|owner| write!(f, ", and {seen} belongs to host {owner}"))
            }
            Self::ArmedAsAnother => f.write_str("the host was armed with another boot MAC"),
            Self::NoUuidSeen => f.write_str("the machine reported no usable UUID"),
            Self::NoUuidRecorded => f.write_str("the inventory has no UUID for this host"),
            Self::TokenMissing => f.write_str("the request has no boot token"),
            Self::TokenBad(error) => fmt::Display::fmt(error, f),
            Self::UnsignedLoader(dialect) => write!(
                f,
                "the profile requires Secure Boot, but {} is not signed",
                dialect.kind().label()
            ),
            Self::AttemptUsed { attempts, allowed } => {
                write!(
                    f,
                    "attempt {attempts} of {allowed} has started, and its installer has not reported a result"
                )
            }
            Self::Quarantined(why) => with_detail("in quarantine", why, f),
            Self::Retired => f.write_str("retired"),
            Self::NoSession => f.write_str("armed, but the store has no open session"),
        }
    }
}

#[cfg(test)]
mod tests;
