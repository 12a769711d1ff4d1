//! How hosts are shown, and the exit code for several hosts.

use serde_json::{Value, json};

use crate::cli::global::Exit;
use crate::decide::Standing;
use crate::inventory;
use crate::machine::{HostRecord, Phase};

/// Returns the exit code of a command that was done for some of its hosts.
pub(super) fn exit_for(good: usize, all: usize) -> Exit {
    match good {
        0 if all > 0 => Exit::No,
        good if good < all => Exit::Partly,
        _ => Exit::Done,
    }
}

/// Returns the JSON object of a host. A host outside the inventory has no profile.
pub(super) fn host_json(
    name: &str,
    host: Option<&inventory::Host>,
    record: Option<&HostRecord>,
) -> Value {
    json!({
        "host": name,
        "profile": host.map(|host| &host.profile),
        "phase": record.map_or(Phase::New, |record| record.phase),
        "reason": record.and_then(|record| record.reason.clone()),
        "changed_at": record.map(|record| record.changed_at),
        "session": record.and_then(|record| record.session.clone()),
    })
}

/// Describes the session of a host in a few words.
pub(super) fn session_note(record: &HostRecord, standing: &Standing) -> String {
    match (record.phase, &record.session) {
        (Phase::Provisioning, Some(session)) if standing.is_past_deadline(session) => {
            format!("its deadline passed at {:.0}", session.deadline)
        }
        (Phase::Provisioning, Some(session)) if session.suspended.is_some() => format!(
            "suspended: {}",
            session.suspended.as_deref().unwrap_or_default()
        ),
        (Phase::Provisioning, Some(session)) => {
            let left = session.deadline.duration_since(standing.now());
            let left = left.as_secs().max(0) / 60;
            match session.attempts {
                0 => format!("armed, {left} min left"),
                attempts => format!("attempt {attempts} under way, {left} min left"),
            }
        }
        _ => record.reason.clone().unwrap_or_default(),
    }
}
