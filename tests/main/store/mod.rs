//! The store, as its callers and as rival processes see it.

mod contract;
mod files;
mod identity;
mod leases;
mod model;
mod processes;
mod quotas;
mod servers;

use jiff::Timestamp;
use std::path::{Path, PathBuf};

use pxectl::machine::{BootId, BootTime, Event, EventKind, HostRecord, Phase, Session, SessionId};
use pxectl::store::{HostUpdate, SqliteStore};

/// Returns a witness directory for the stores of tests: outside every state directory, and kept
/// apart by the IDs of the stores.
fn witness() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("witness")
}

fn open(state: &Path) -> SqliteStore {
    SqliteStore::open_or_create(state, &witness()).unwrap_or_else(|error| panic!("{error}"))
}

/// Takes a store back to an earlier version of its schema, as an older pxectl left it.
fn downgrade(state: &Path, version: u32) {
    const NEWEST_FIRST: [(u32, &str); 3] = [
        (
            4,
            "ALTER TABLE store DROP COLUMN store_id; ALTER TABLE store DROP COLUMN witness;
             ALTER TABLE store DROP COLUMN generation; ALTER TABLE store DROP COLUMN latest_time;
             ALTER TABLE store DROP COLUMN clock_epoch;
             ALTER TABLE session DROP COLUMN boot_id; ALTER TABLE session DROP COLUMN boot_deadline;
             ALTER TABLE session DROP COLUMN previous_phase;
             ALTER TABLE session DROP COLUMN ended_by; ALTER TABLE session DROP COLUMN suspended;",
        ),
        (
            3,
            "DROP TABLE callback_tally; DROP TABLE attempt_address; DROP INDEX event_decision;",
        ),
        (2, "DROP TABLE controller;"),
    ];
    let database = rusqlite::Connection::open(state.join("state.db")).unwrap();
    for (_, undo) in NEWEST_FIRST.iter().filter(|(made, _)| *made > version) {
        database.execute_batch(undo).unwrap();
    }
    database
        .pragma_update(None, "user_version", version)
        .unwrap();
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn event(host: &str, second: i64, message: impl Into<String>) -> Event {
    Event {
        at: at(second),
        kind: EventKind::Progress,
        host: Some(host.into()),
        mac: None,
        session: None,
        message: message.into(),
    }
}

fn session(id: u64, created_at: Timestamp) -> Session {
    Session {
        id: SessionId::new(id),
        created_at,
        deadline: at(10_000),
        boot_deadline: Some(BootTime {
            boot_id: BootId::new("tests"),
            since_boot: std::time::Duration::from_secs(10_000),
        }),
        attempts: 0,
        previous_phase: Phase::New,
        ended_at: None,
        ended_by: None,
        suspended: None,
    }
}

/// The update that arms a host in a new session.
fn arm(host: &str, id: u64, second: i64) -> HostUpdate {
    HostUpdate {
        record: HostRecord {
            phase: Phase::Provisioning,
            session: Some(session(id, at(second))),
            ..HostRecord::new(host, at(second))
        },
        plan: Some(format!("{{\"plan\":{id}}}")),
        events: vec![event(host, second, "armed")],
    }
}

/// The update that writes a record and nothing else.
fn keep(record: HostRecord) -> HostUpdate {
    HostUpdate {
        record,
        plan: None,
        events: Vec::new(),
    }
}
