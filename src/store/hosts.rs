//! Writes the records of hosts, their sessions and events, within a transaction.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::database::statement;
use super::error::StoreFault;
use super::rows::host_record;
use super::{HostUpdate, schema};
use crate::machine::{Event, HostRecord, Session, SessionEnd};

pub(super) fn read_open_hosts(connection: &Connection) -> rusqlite::Result<Vec<HostRecord>> {
    statement(connection, schema::READ_OPEN_HOSTS)?
        .query_map([], host_record)?
        .collect()
}

pub(super) fn read_host(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<HostRecord>> {
    statement(connection, schema::READ_HOST)?
        .query_row([name], host_record)
        .optional()
}

pub(super) fn write_host(
    transaction: &Transaction,
    name: &str,
    update: &HostUpdate,
) -> Result<(), StoreFault> {
    let HostUpdate { record, plan, .. } = update;
    let unfit = |what| StoreFault::Unfit {
        host: name.to_owned(),
        what,
    };
    if record.host != name {
        return Err(unfit("the record belongs to another host"));
    }
    let session = record.session.as_ref();
    match (session, plan) {
        (Some(session), Some(plan)) => {
            if start_session(transaction, name, session, plan)? == 0 {
                return Err(unfit("the new session already exists"));
            }
        }
        (Some(session), None) => {
            if write_session(transaction, name, session)? == 0 {
                return Err(unfit("the session is new but has no plan"));
            }
        }
        (None, Some(_)) => return Err(unfit("the plan has no session")),
        (None, None) => {}
    }
    let ended_at = match (session, plan) {
        (Some(session), Some(_)) => session.created_at,
        _ => record.changed_at,
    };
    let id = session.map(|session| session.id.to_string());
    statement(transaction, schema::END_OTHER_SESSIONS)?.execute(params![
        name,
        id.as_deref().unwrap_or_default(),
        ended_at.as_microsecond(),
    ])?;
    statement(transaction, schema::WRITE_HOST)?.execute(params![
        name,
        record.phase.name(),
        record.reason,
        record.changed_at.as_microsecond(),
        id,
    ])?;
    Ok(())
}

fn start_session(
    transaction: &Transaction,
    host: &str,
    session: &Session,
    plan: &str,
) -> rusqlite::Result<usize> {
    let boot = session.boot_deadline.as_ref();
    statement(transaction, schema::START_SESSION)?.execute(params![
        session.id.to_string(),
        host,
        plan,
        session.created_at.as_microsecond(),
        session.deadline.as_microsecond(),
        session.attempts,
        session.ended_at.map(|time| time.as_microsecond()),
        boot.map(|boot| boot.boot_id.as_str()),
        boot.and_then(|boot| i64::try_from(boot.since_boot.as_micros()).ok()),
        session.previous_phase.name(),
        session.ended_by.map(SessionEnd::name),
        session.suspended,
    ])
}

fn write_session(
    transaction: &Transaction,
    host: &str,
    session: &Session,
) -> rusqlite::Result<usize> {
    statement(transaction, schema::WRITE_SESSION)?.execute(params![
        session.id.to_string(),
        host,
        session.deadline.as_microsecond(),
        session.attempts,
        session.ended_at.map(|time| time.as_microsecond()),
        session.ended_by.map(SessionEnd::name),
        session.suspended,
    ])
}

/// Counts a change and writes the events that belong to it, numbered without a gap.
pub(super) fn write_events(transaction: &Transaction, events: &[Event]) -> rusqlite::Result<()> {
    let count = events.len() as i64;
    let last: i64 =
        statement(transaction, schema::COUNT_CHANGE)?.query_row([count], |row| row.get(0))?;
    let mut add = statement(transaction, schema::ADD_EVENT)?;
    for (id, event) in (last - count + 1..).zip(events) {
        add.execute(params![
            id,
            event.at.as_microsecond(),
            event.kind.name(),
            event.host,
            event.mac.map(String::from),
            event.session.map(String::from),
            event.message,
        ])?;
    }
    Ok(())
}
