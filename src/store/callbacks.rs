//! What bounds the events of a session: tallies of its callbacks, and the addresses of its attempts.

use std::net::IpAddr;

use rusqlite::{Connection, Row, params};

use super::database::{parsed, statement, time, unreadable};
use super::schema;
use crate::decide::{CallbackClass, CallbackTally};
use crate::machine::SessionId;

/// Reads the tallies of a session, at most one for each class.
pub(super) fn read_tallies(
    connection: &Connection,
    session: SessionId,
) -> rusqlite::Result<Vec<(CallbackClass, CallbackTally)>> {
    statement(connection, schema::READ_TALLIES)?
        .query_map([session.to_string()], tally)?
        .collect()
}

/// Writes the tally of a class of a session.
pub(super) fn write_tally(
    connection: &Connection,
    session: SessionId,
    class: CallbackClass,
    tally: &CallbackTally,
) -> rusqlite::Result<()> {
    statement(connection, schema::WRITE_TALLY)?.execute(params![
        session.to_string(),
        class.name(),
        tally.stored.cast_signed(),
        tally.due.as_microsecond(),
        tally.attempt,
        tally.message,
    ])?;
    Ok(())
}

/// Reads the addresses of an attempt, the first one first.
pub(super) fn read_addresses(
    connection: &Connection,
    session: SessionId,
    attempt: u32,
) -> rusqlite::Result<Vec<IpAddr>> {
    statement(connection, schema::READ_ADDRESSES)?
        .query_map(params![session.to_string(), attempt], |row| parsed(row, 0))?
        .collect()
}

/// Adds an address to the `place` ones that an attempt has.
pub(super) fn add_address(
    connection: &Connection,
    session: SessionId,
    attempt: u32,
    place: usize,
    address: IpAddr,
) -> rusqlite::Result<()> {
    statement(connection, schema::ADD_ADDRESS)?.execute(params![
        session.to_string(),
        attempt,
        place as i64,
        address.to_string(),
    ])?;
    Ok(())
}

fn tally(row: &Row) -> rusqlite::Result<(CallbackClass, CallbackTally)> {
    let name: String = row.get(0)?;
    let class = CallbackClass::from_name(&name)
        .ok_or_else(|| unreadable(0, UnknownClass { seen: name }))?;
    let tally = CallbackTally {
        stored: row.get::<_, i64>(1)?.cast_unsigned(),
        due: time(row, 2)?,
        attempt: row.get(3)?,
        message: row.get(4)?,
    };
    Ok((class, tally))
}

/// The text does not name a class of callbacks.
#[derive(Debug, thiserror::Error)]
#[error("`{seen}` is not a class of callbacks")]
struct UnknownClass {
    seen: String,
}
