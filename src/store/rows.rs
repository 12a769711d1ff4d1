//! The rows of the store's database, as values.

use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::database::{parsed, parsed_option, time, time_option, unreadable};
use crate::machine::{
    BootId, BootTime, CertificateNote, ControllerRecord, ControllerTrust, Event, EventKind,
    HostRecord, Session, StoredEvent,
};

/// Reads the record of a host, with its session where it has one.
pub(super) fn host_record(row: &Row) -> rusqlite::Result<HostRecord> {
    Ok(HostRecord {
        host: row.get(0)?,
        phase: parsed(row, 1)?,
        reason: row.get(2)?,
        changed_at: time(row, 3)?,
        session: match row.get_ref(4)? {
            ValueRef::Null => None,
            _ => Some(session(row, 4)?),
        },
    })
}

/// Reads a session from ten columns, of which `first` is its ID.
pub(super) fn session(row: &Row, first: usize) -> rusqlite::Result<Session> {
    Ok(Session {
        id: parsed(row, first)?,
        created_at: time(row, first + 1)?,
        deadline: time(row, first + 2)?,
        attempts: row.get(first + 3)?,
        ended_at: time_option(row, first + 4)?,
        boot_deadline: boot_time(row, first + 5)?,
        previous_phase: parsed(row, first + 7)?,
        ended_by: parsed_option(row, first + 8)?,
        suspended: row.get(first + 9)?,
    })
}

/// Reads a time since boot from two columns, of which the first is the boot's ID.
fn boot_time(row: &Row, first: usize) -> rusqlite::Result<Option<BootTime>> {
    let (boot_id, micros): (Option<String>, Option<i64>) = (row.get(first)?, row.get(first + 1)?);
    Ok(boot_id.zip(micros).map(|(boot_id, micros)| BootTime {
        boot_id: BootId::new(boot_id),
        since_boot: Duration::from_micros(micros.max(0).cast_unsigned()),
    }))
}

/// Reads an event.
pub(super) fn stored_event(row: &Row) -> rusqlite::Result<StoredEvent> {
    let kind: String = row.get(2)?;
    Ok(StoredEvent {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        event: Event {
            at: time(row, 1)?,
            kind: EventKind::from_name(&kind)
                .ok_or_else(|| unreadable(2, UnknownKind { seen: kind }))?,
            host: row.get(3)?,
            mac: parsed_option(row, 4)?,
            session: parsed_option(row, 5)?,
            message: row.get(6)?,
        },
    })
}

/// The text names no kind of event.
#[derive(Debug, thiserror::Error)]
#[error("`{seen}` is not a kind of event")]
struct UnknownKind {
    seen: String,
}

/// The names of a controller's trust in the store.
pub(super) const PLAIN: &str = "plain";
/// See [`PLAIN`].
pub(super) const AUTHORITY: &str = "authority";
/// See [`PLAIN`].
pub(super) const PINNED: &str = "pinned";

/// Reads what is known of a controller.
pub(super) fn controller(row: &Row) -> rusqlite::Result<ControllerRecord> {
    let trust: String = row.get(2)?;
    Ok(ControllerRecord {
        host: row.get(0)?,
        url: row.get(1)?,
        trust: match trust.as_str() {
            PLAIN => ControllerTrust::Plain,
            AUTHORITY => ControllerTrust::Authority,
            PINNED => ControllerTrust::Pinned(CertificateNote {
                fingerprint: parsed(row, 3)?,
                subject: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
                valid_from: time_option(row, 5)?,
                valid_until: time_option(row, 6)?,
            }),
            _ => return Err(unreadable(2, UnknownTrust { seen: trust })),
        },
        serial: row.get(7)?,
        uuid: parsed_option(row, 8)?,
        seen_at: time(row, 9)?,
    })
}

/// The text names no kind of trust.
#[derive(Debug, thiserror::Error)]
#[error("`{seen}` is not a kind of trust")]
struct UnknownTrust {
    seen: String,
}
