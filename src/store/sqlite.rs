use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use rusqlite::{
    CachedStatement, Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior,
    params,
};

use super::callbacks;
use super::database;
use super::error::{StoreError, StoreFault};
use super::rows::{AUTHORITY, PINNED, PLAIN, controller, host_record, session, stored_event};
use super::turnstile::Turnstile;
use super::{
    CallbackChange, EventQuery, HostUpdate, Retention, Store, StoredSession, Watermark, schema,
};
use crate::machine::{
    ControllerRecord, ControllerTrust, Event, HostRecord, Session, SessionId, StoredEvent,
};

/// The store in the SQLite database `state.db`, which any number of processes may share.
pub struct SqliteStore {
    path: PathBuf,
    key: [u8; 32],
    turnstile: Turnstile,
    writer: Mutex<Connection>,
    /// Readers have a connection of their own: they never wait for a writer's disk.
    reader: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens the store in `directory`; makes both where they are missing, for their owner alone.
    ///
    /// # Errors
    /// Fails where the directory cannot be written, and on a store that is damaged or that a newer
    /// program has migrated.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("state.db");
        let connect = || {
            let writer = database::open(directory, "state.db", schema::STATE)?;
            let reader = database::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            Ok(Self {
                path: path.clone(),
                key: key(&writer)?,
                turnstile: Turnstile::open(directory)?,
                writer: Mutex::new(writer),
                reader: Mutex::new(reader),
            })
        };
        connect().map_err(|fault: StoreFault| StoreError::new(&path, fault))
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        query(&lock(&self.reader)).map_err(|error| StoreError::new(&self.path, error))
    }

    /// Runs `change` in a transaction; the events that it returns belong to it. None: nothing was
    /// changed, and nothing is written.
    fn write(
        &self,
        change: impl FnOnce(&Transaction) -> Result<Option<Vec<Event>>, StoreFault>,
    ) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let attempt = || {
            let turn = self.turnstile.enter()?;
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            drop(turn);
            // A newer program may have migrated the store since we opened it.
            database::schema_version(&transaction, schema::STATE)?;
            if let Some(events) = change(&transaction)? {
                write_events(&transaction, &events)?;
                transaction.commit()?;
            }
            Ok(())
        };
        attempt().map_err(|fault| database::unwritten(&self.path, fault))
    }
}

impl Store for SqliteStore {
    fn key(&self) -> &[u8; 32] {
        &self.key
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn host(&self, name: &str) -> Result<Option<HostRecord>, StoreError> {
        self.read(|connection| read_host(connection, name))
    }

    fn hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_HOSTS)?
                .query_map([], host_record)?
                .collect()
        })
    }

    fn update(
        &self,
        names: &[&str],
        change: &mut dyn FnMut(&str, Option<&HostRecord>) -> Option<HostUpdate>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut events = None;
            for name in names {
                let record = read_host(transaction, name)?;
                if let Some(update) = change(name, record.as_ref()) {
                    write_host(transaction, name, &update)?;
                    events.get_or_insert_with(Vec::new).extend(update.events);
                }
            }
            Ok(events)
        })
    }

    fn session(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_SESSION)?
                .query_row([id.to_string()], |row| {
                    Ok(StoredSession {
                        host: row.get(0)?,
                        plan: row.get(1)?,
                        session: session(row, 2)?,
                    })
                })
                .optional()
        })
    }

    fn append(&self, events: &[Event]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.write(|_| Ok(Some(events.to_vec())))
    }

    fn controllers(&self) -> Result<Vec<ControllerRecord>, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_CONTROLLERS)?
                .query_map([], controller)?
                .collect()
        })
    }

    fn keep_controller(
        &self,
        record: &ControllerRecord,
        events: &[Event],
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let (trust, note) = match &record.trust {
                ControllerTrust::Plain => (PLAIN, None),
                ControllerTrust::Authority => (AUTHORITY, None),
                ControllerTrust::Pinned(note) => (PINNED, Some(note)),
            };
            statement(transaction, schema::WRITE_CONTROLLER)?.execute(params![
                record.host,
                record.url,
                trust,
                note.map(|note| note.fingerprint.to_string()),
                note.map(|note| &note.subject),
                note.and_then(|note| note.valid_from)
                    .map(|at| at.as_microsecond()),
                note.and_then(|note| note.valid_until)
                    .map(|at| at.as_microsecond()),
                record.serial,
                record.uuid.map(String::from),
                record.seen_at.as_microsecond(),
            ])?;
            Ok(Some(events.to_vec()))
        })
    }

    fn callback(
        &self,
        host: &str,
        session: SessionId,
        change: CallbackChange<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let record = read_host(transaction, host)?;
            let tallies = callbacks::read_tallies(transaction, session)?;
            let Some(update) = change(record.as_ref(), &tallies) else {
                return Ok(None);
            };
            if let Some(record) = update.record {
                let update = HostUpdate {
                    record,
                    plan: None,
                    events: Vec::new(),
                };
                write_host(transaction, host, &update)?;
            }
            callbacks::write_tally(transaction, session, update.class, &update.tally)?;
            Ok(Some(vec![update.event]))
        })
    }

    fn attempt_addresses(
        &self,
        session: SessionId,
        attempt: u32,
    ) -> Result<Vec<IpAddr>, StoreError> {
        self.read(|connection| callbacks::read_addresses(connection, session, attempt))
    }

    fn add_attempt_address(
        &self,
        session: SessionId,
        attempt: u32,
        address: IpAddr,
        change: &mut dyn FnMut(&[IpAddr]) -> Option<Vec<Event>>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let known = callbacks::read_addresses(transaction, session, attempt)?;
            let Some(events) = change(&known) else {
                return Ok(None);
            };
            callbacks::add_address(transaction, session, attempt, known.len(), address)?;
            Ok(Some(events))
        })
    }

    fn prune(&self, kept: Retention) -> Result<u64, StoreError> {
        let kept = [kept.host_decisions, kept.stranger_decisions];
        let kept = kept.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        let mut removed = 0;
        self.write(|transaction| {
            removed = statement(transaction, schema::PRUNE_EVENTS)?.execute(kept)?;
            Ok((removed > 0).then(Vec::new))
        })?;
        Ok(removed as u64)
    }

    fn events(&self, query: &EventQuery) -> Result<Vec<StoredEvent>, StoreError> {
        let after = i64::try_from(query.after).unwrap_or(i64::MAX);
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let text = match (&query.host, query.latest) {
            (None, false) => schema::READ_EVENTS,
            (None, true) => schema::READ_LATEST_EVENTS,
            (Some(_), false) => schema::READ_EVENTS_OF_HOST,
            (Some(_), true) => schema::READ_LATEST_EVENTS_OF_HOST,
        };
        self.read(|connection| match &query.host {
            None => statement(connection, text)?
                .query_map(params![after, limit], stored_event)?
                .collect(),
            Some(host) => statement(connection, text)?
                .query_map(params![after, limit, host], stored_event)?
                .collect(),
        })
    }

    fn watermark(&self) -> Result<Watermark, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_WATERMARK)?.query_row([], |row| {
                Ok(Watermark {
                    changes: row.get::<_, i64>(0)?.cast_unsigned(),
                    last_event: row.get::<_, i64>(1)?.cast_unsigned(),
                })
            })
        })
    }
}

/// Takes a connection, also after a panic: its transaction was rolled back on the way out.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn statement<'c>(
    connection: &'c Connection,
    text: &str,
) -> rusqlite::Result<CachedStatement<'c>> {
    connection.prepare_cached(&schema::for_sqlite(text))
}

/// Reads the key, or makes it in a new store; whoever makes it first has made it for all.
fn key(connection: &Connection) -> Result<[u8; 32], StoreFault> {
    let read = || -> rusqlite::Result<Option<String>> {
        statement(connection, schema::READ_KEY)?
            .query_row([], |row| row.get(0))
            .optional()
    };
    let digits = match read()? {
        Some(digits) => Some(digits),
        None => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| StoreFault::Io(error.into()))?;
            statement(connection, schema::MAKE_KEY)?.execute([HEXLOWER.encode(&key)])?;
            read()?
        }
    };
    digits
        .and_then(|digits| HEXLOWER.decode(digits.as_bytes()).ok())
        .and_then(|octets| octets.try_into().ok())
        .ok_or_else(|| StoreFault::Corrupt {
            what: "its key is not 64 hexadecimal digits".into(),
        })
}

fn read_host(connection: &Connection, name: &str) -> rusqlite::Result<Option<HostRecord>> {
    statement(connection, schema::READ_HOST)?
        .query_row([name], host_record)
        .optional()
}

fn write_host(
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
        return Err(unfit("the record is another host's"));
    }
    let session = record.session.as_ref();
    match (session, plan) {
        (Some(session), Some(plan)) => {
            if start_session(transaction, name, session, plan)? == 0 {
                return Err(unfit("its new session is there already"));
            }
        }
        (Some(session), None) => {
            if write_session(transaction, name, session)? == 0 {
                return Err(unfit("its session is new and has no plan"));
            }
        }
        (None, Some(_)) => return Err(unfit("its plan has no session")),
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
        record.install_seen.map(u64::cast_signed),
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
    statement(transaction, schema::START_SESSION)?.execute(params![
        session.id.to_string(),
        host,
        plan,
        session.created_at.as_microsecond(),
        session.deadline.as_microsecond(),
        session.attempts,
        session.ended_at.map(|time| time.as_microsecond()),
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
    ])
}

/// Counts a change and writes the events that belong to it, numbered without a gap.
fn write_events(transaction: &Transaction, events: &[Event]) -> rusqlite::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn number(connection: &Connection, pragma: &str) -> i64 {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_commit_is_synced_before_it_is_acknowledged() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let writer = lock(&store.writer);
        assert_eq!(number(&writer, "synchronous"), 2, "2 is FULL");
        assert_eq!(number(&writer, "foreign_keys"), 1);
        let mode: String = writer
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_write_lock_that_is_never_given_back_is_busy_and_readers_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let other = SqliteStore::open(directory.path()).unwrap();
        let hung = lock(&other.writer);
        hung.execute_batch("BEGIN IMMEDIATE").unwrap();
        lock(&store.writer)
            .busy_handler(None::<fn(i32) -> bool>)
            .unwrap();

        let error = store.update(&["a"], &mut |_, _| None).unwrap_err();
        assert!(matches!(error.fault, StoreFault::Busy), "{error}");
        assert_eq!(store.hosts().unwrap(), []);

        hung.execute_batch("ROLLBACK").unwrap();
        store.update(&["a"], &mut |_, _| None).unwrap();
    }

    #[test]
    fn a_panic_in_a_change_undoes_it_and_leaves_the_store_usable() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let record = |name: &str| HostRecord::new(name, jiff::Timestamp::UNIX_EPOCH);
        let change = |name: &str| {
            Some(HostUpdate {
                record: record(name),
                plan: None,
                events: Vec::new(),
            })
        };
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            store.update(&["a", "b"], &mut |name, _| match name {
                "b" => panic!("a rule is at fault"),
                name => change(name),
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(store.hosts().unwrap(), []);
        store.update(&["c"], &mut |name, _| change(name)).unwrap();
        assert_eq!(store.hosts().unwrap(), [record("c")]);
    }
}
