//! The one row of a store: its identity, its generation and the latest time.

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::database::{parsed_option, statement, time};
use super::identity::StoreId;
use super::schema;
use super::witness::{StoreState, WitnessDirectory};

/// What the row of a store holds of its identity and time.
pub(super) struct StoreRecord {
    /// `None` in a store that an older pxectl made.
    pub(super) id: Option<StoreId>,
    /// The directory of its witness file.
    pub(super) witness: Option<WitnessDirectory>,
    /// How many changes of open sessions were made, and which are open.
    pub(super) state: StoreState,
    pub(super) latest_time: Timestamp,
    /// How often an operator has accepted the clock.
    pub(super) clock_epoch: i64,
}

/// Reads the row of a store.
pub(super) fn read_store_record(connection: &Connection) -> rusqlite::Result<StoreRecord> {
    let sessions = digest_of_sessions(connection)?;
    statement(connection, schema::READ_STANDING)?.query_row([], |row| {
        let witness: Option<String> = row.get(1)?;
        Ok(StoreRecord {
            id: parsed_option(row, 0)?,
            witness: witness.map(|path| WitnessDirectory::new(path.into())),
            state: StoreState {
                generation: row.get::<_, i64>(2)?.cast_unsigned(),
                sessions,
            },
            latest_time: time(row, 3)?,
            clock_epoch: row.get(4)?,
        })
    })
}

/// Reads the generation of a store and its open sessions.
pub(super) fn read_state(connection: &Connection) -> rusqlite::Result<StoreState> {
    Ok(read_store_record(connection)?.state)
}

/// Returns a digest of the open sessions, in hexadecimal digits.
pub(super) fn digest_of_sessions(connection: &Connection) -> rusqlite::Result<String> {
    let mut digest = Sha256::new();
    let mut open_sessions = statement(connection, schema::READ_OPEN_SESSIONS)?;
    let mut rows = open_sessions.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let (attempts, deadline): (i64, i64) = (row.get(1)?, row.get(2)?);
        let is_suspended: bool = row.get(3)?;
        digest.update(format!("{id} {attempts} {deadline} {is_suspended}\n"));
    }
    Ok(HEXLOWER.encode(&digest.finalize()))
}
