//! The rows of the store's database, as values.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::database::{parsed, parsed_option, time, time_option, unreadable};
use crate::machine::{Event, EventKind, HostRecord, Session, StoredEvent};

/// Reads the record of a host, with its session where it has one.
pub(super) fn host_record(row: &Row) -> rusqlite::Result<HostRecord> {
    Ok(HostRecord {
        host: row.get(0)?,
        phase: parsed(row, 1)?,
        reason: row.get(2)?,
        changed_at: time(row, 3)?,
        install_seen: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
        session: match row.get_ref(5)? {
            ValueRef::Null => None,
            _ => Some(session(row, 5)?),
        },
    })
}

/// Reads a session from five columns, of which `first` is its id.
pub(super) fn session(row: &Row, first: usize) -> rusqlite::Result<Session> {
    Ok(Session {
        id: parsed(row, first)?,
        created_at: time(row, first + 1)?,
        deadline: time(row, first + 2)?,
        attempts: row.get(first + 3)?,
        ended_at: time_option(row, first + 4)?,
    })
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
