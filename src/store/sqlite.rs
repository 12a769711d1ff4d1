use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{
    CachedStatement, Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior,
    params,
};

use super::callbacks;
use super::clock::{Clock, SystemClock};
use super::database::{self, Missing};
use super::error::{StoreError, StoreFault};
use super::hosts::{read_host, read_open_hosts, write_events, write_host};
use super::identity::{FileIdentity, PinnedFile, StoreId};
use super::rows::{AUTHORITY, PINNED, PLAIN, controller, host_record, session, stored_event};
use super::servers::RunningServer;
use super::soundness::{Identity, ObservedTime, PendingWitness, event, identify, read_identity};
use super::turnstile::Turnstile;
use super::witness::WitnessLocation;
use super::{
    CallbackChange, Change, EventQuery, HostUpdate, Retention, SettleReport, Store, StoredSession,
    Watermark, schema,
};
use crate::decide::{Impediment, Standing, close};
use crate::machine::{
    ControllerRecord, ControllerTrust, Event, EventKind, HostRecord, Phase, SessionId, StoredEvent,
};

/// The name of the database in a state directory.
const FILE: &str = "state.db";

/// The store in the SQLite database `state.db`, which any number of processes may share.
pub struct SqliteStore {
    pub(super) path: PathBuf,
    /// The path without links, by which the witness knows the store.
    pub(super) real_path: PathBuf,
    pub(super) key: [u8; 32],
    pub(super) clock: Arc<dyn Clock>,
    /// The latest time that this process has observed.
    pub(super) observed_time: Mutex<ObservedTime>,
    pub(super) turnstile: Turnstile,
    /// Readers have a connection of their own: they never wait for a writer's disk. It is closed
    /// first, since the last connection moves what the write-ahead log holds into the database.
    pub(super) reader: Mutex<Connection>,
    pub(super) writer: Mutex<Connection>,
    /// Closed after the connections.
    pub(super) file: PinnedFile,
    /// The write-ahead log, without which the newest changes are lost.
    log: PinnedFile,
    /// Whether each change is on the disk before it is acknowledged.
    pub(super) is_durable: bool,
}

impl SqliteStore {
    /// Opens the store in `directory`.
    ///
    /// # Errors
    /// Fails where there is none or where it cannot be written, and on a store that is damaged or
    /// that a newer program has migrated.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::open_at(directory, None, Missing::Refuse, Arc::new(SystemClock))
    }

    /// Opens the store in `directory`; makes both where they are missing, for their owner alone,
    /// with a witness file at `witness`. Of a store that exists, the witness file is looked for there
    /// from now on.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; also where a running server uses a store that was deleted here or
    /// keeps the witness file in another directory, and where the witness file of a new store cannot
    /// be written.
    pub fn open_or_create(
        directory: &Path,
        witness: impl Into<WitnessLocation>,
    ) -> Result<Self, StoreError> {
        Self::open_or_create_with(directory, witness, Arc::new(SystemClock))
    }

    /// As [`SqliteStore::open_or_create`], with a clock of the caller's.
    ///
    /// # Errors
    /// As [`SqliteStore::open_or_create`].
    pub fn open_or_create_with(
        directory: &Path,
        witness: impl Into<WitnessLocation>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        Self::open_at(
            directory,
            Some(witness.into()),
            Missing::CreateOrOpen,
            clock,
        )
    }

    /// Makes a store in `directory`, as [`SqliteStore::open_or_create`] does.
    ///
    /// # Errors
    /// As [`SqliteStore::open_or_create`], and where there is a store already.
    pub fn create(
        directory: &Path,
        witness: impl Into<WitnessLocation>,
    ) -> Result<Self, StoreError> {
        let clock = Arc::new(SystemClock);
        Self::open_at(directory, Some(witness.into()), Missing::CreateNew, clock)
    }

    fn open_at(
        directory: &Path,
        witness: Option<WitnessLocation>,
        missing: Missing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let connect = || -> Result<Self, StoreFault> {
            let is_missing = !path.try_exists()?;
            if is_missing && let Some(server) = RunningServer::deserted_at(directory)? {
                return Err(StoreFault::Deserted { pid: server.pid });
            }
            let mut writer = database::open(directory, FILE, schema::STATE, missing)?;
            let file = PinnedFile::open(&path)?;
            let reader = database::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            if !file.is_at(&path) {
                return Err(StoreFault::Replaced);
            }
            let real_path = directory.canonicalize()?.join(FILE);
            let place = (directory, real_path.as_path());
            let key = identify(&mut writer, place, file.identity(), witness, missing)?;
            let log = PinnedFile::open(&path.with_extension("db-wal"))?;
            Ok(Self {
                path: path.clone(),
                real_path,
                key,
                clock,
                observed_time: Mutex::new(ObservedTime::default()),
                turnstile: Turnstile::open(directory)?,
                reader: Mutex::new(reader),
                writer: Mutex::new(writer),
                file,
                log,
                is_durable: true,
            })
        };
        connect().map_err(|fault| StoreError::new(&path, fault))
    }

    /// Returns which store this is; none of a store that an older pxectl made.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn id(&self) -> Result<Option<StoreId>, StoreError> {
        Ok(self.identity()?.id)
    }

    /// Returns the directory of the store's witness file.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn witness_directory(&self) -> Result<Option<PathBuf>, StoreError> {
        let identity = self.identity()?;
        Ok(identity.witness.map(|witness| witness.path().to_owned()))
    }

    /// Returns what tells the store's file from a copy of it.
    pub fn file(&self) -> FileIdentity {
        self.file.identity()
    }

    /// Reports whether the path still leads to the files that were opened.
    pub(super) fn is_in_place(&self) -> bool {
        self.file.is_at(&self.path) && self.log.is_at(&self.path.with_extension("db-wal"))
    }

    /// Lets the kernel decide when changes reach the disk: for stores that are not kept, such as
    /// that of a rehearsal.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub fn without_sync(mut self) -> Result<Self, StoreError> {
        self.is_durable = false;
        let set = lock(&self.writer).pragma_update(None, "synchronous", "OFF");
        set.map_err(|error| StoreError::new(&self.path, error))?;
        Ok(self)
    }

    /// Writes a consistent copy of the database to an empty file, while others work on the store.
    pub(super) fn copy_into(&self, path: &Path) -> Result<(), StoreError> {
        let writer = lock(&self.writer);
        let copied = writer.execute("VACUUM INTO ?1", [path.to_string_lossy()]);
        copied
            .map(|_| ())
            .map_err(|error| StoreError::new(path, error))
    }

    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        query(&lock(&self.reader)).map_err(|error| StoreError::new(&self.path, error))
    }

    /// Runs `change` in a transaction; the events that it returns belong to it. `None`: nothing was
    /// changed, and nothing is written.
    pub(super) fn write<'s>(
        &'s self,
        change: impl FnOnce(&Transaction, &Identity) -> Result<Option<WriteResult<'s>>, StoreFault>,
    ) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let attempt = || {
            let turn = self.turnstile.enter()?;
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            drop(turn);
            // A newer program may have migrated the store since we opened it.
            database::schema_version(&transaction, schema::STATE)?;
            let identity = read_identity(&transaction)?;
            if let Some(written) = change(&transaction, &identity)? {
                write_events(&transaction, &written.events)?;
                self.remember_time(&transaction, &identity)?;
                // What goes into a deleted file is lost: it must not be acknowledged.
                if !self.is_in_place() {
                    return Err(StoreFault::Replaced);
                }
                transaction.commit()?;
                if let Some(announced) = written.announced {
                    announced.confirm();
                }
            }
            Ok(())
        };
        attempt().map_err(|fault| database::unwritten(&self.path, fault))
    }
}

/// The events and the witness state of a transaction.
#[derive(Default)]
pub(super) struct WriteResult<'s> {
    pub(super) events: Vec<Event>,
    pub(super) announced: Option<PendingWitness<'s>>,
}

impl WriteResult<'_> {
    pub(super) fn events(events: Vec<Event>) -> Self {
        Self {
            events,
            announced: None,
        }
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

    fn open_hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        self.read(read_open_hosts)
    }

    fn standing(&self) -> Result<Standing, StoreError> {
        let is_unconfirmed = |standing: &Standing| {
            matches!(standing.impediment(), Some(Impediment::StoreUnconfirmed(_)))
        };
        let mut standing = self.standing_of(&self.identity()?);
        // Between the two reads, the store may have gone on by a generation.
        for _ in 0..3 {
            if !is_unconfirmed(&standing) {
                break;
            }
            standing = self.standing_of(&self.identity()?);
        }
        Ok(standing)
    }

    fn update(&self, names: &[&str], change: &mut Change<'_>) -> Result<(), StoreError> {
        self.write(|transaction, identity| {
            let standing = self.standing_of(identity);
            let mut events = None;
            let (mut is_step, mut leaves_open) = (false, false);
            for name in names {
                let record = read_host(transaction, name)?;
                if let Some(update) = change(name, record.as_ref(), &standing) {
                    let before = record.as_ref();
                    let was_open = before.and_then(HostRecord::open_session).is_some();
                    let was_in = before.map_or(Phase::New, |record| record.phase);
                    let is_open = update.record.open_session().is_some();
                    leaves_open |= is_open;
                    // An older copy is known as such also by the phases of hosts.
                    is_step |= was_open || is_open || was_in != update.record.phase;
                    write_host(transaction, name, &update)?;
                    events.get_or_insert_with(Vec::new).extend(update.events);
                }
            }
            let Some(events) = events else {
                return Ok(None);
            };
            let announced = if is_step {
                self.advance(transaction, identity, leaves_open)?
            } else {
                None
            };
            Ok(Some(WriteResult { events, announced }))
        })
    }

    fn settle(&self) -> Result<SettleReport, StoreError> {
        self.settle_because(None)
    }

    fn note_time(&self) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let mut note = || {
            let turn = self.turnstile.enter()?;
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            drop(turn);
            database::schema_version(&transaction, schema::STATE)?;
            let identity = read_identity(&transaction)?;
            self.remember_time(&transaction, &identity)?;
            Ok(transaction.commit()?)
        };
        note().map_err(|fault| database::unwritten(&self.path, fault))
    }

    fn accept_clock(&self) -> Result<Vec<String>, StoreError> {
        let mut closed = Vec::new();
        self.write(|transaction, identity| {
            let now = self.clock.read().wall;
            let why = "closed by `pxectl store accept-clock`";
            let (names, mut events) = self.change_open_hosts(transaction, |record| {
                let record = close(record, why, now)?;
                let mut event = event(now, EventKind::Cancelled, why.to_owned());
                event.host = Some(record.host.clone());
                event.session = record.session.as_ref().map(|session| session.id);
                Some((record, event))
            })?;
            let message = format!(
                "clock accepted: the latest time was {:.0} and is now {now:.0}",
                identity.latest_time
            );
            events.push(event(now, EventKind::Store, message));
            let announced = self.advance(transaction, identity, false)?;
            statement(transaction, schema::ACCEPT_TIME)?.execute([now.as_microsecond()])?;
            closed = names;
            Ok(Some(WriteResult { events, announced }))
        })?;
        Ok(closed)
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
        self.write(|_, _| Ok(Some(WriteResult::events(events.to_vec()))))
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
        self.write(|transaction, _| {
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
            Ok(Some(WriteResult::events(events.to_vec())))
        })
    }

    fn callback(
        &self,
        host: &str,
        session: SessionId,
        change: CallbackChange<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction, identity| {
            let record = read_host(transaction, host)?;
            let tallies = callbacks::read_tallies(transaction, session)?;
            let standing = self.standing_of(identity);
            let Some(update) = change(record.as_ref(), &tallies, &standing) else {
                return Ok(None);
            };
            let mut announced = None;
            if let Some(record) = update.record {
                let update = HostUpdate {
                    record,
                    plan: None,
                    events: Vec::new(),
                };
                write_host(transaction, host, &update)?;
                announced = self.advance(transaction, identity, false)?;
            }
            callbacks::write_tally(transaction, session, update.class, &update.tally)?;
            Ok(Some(WriteResult {
                events: vec![update.event],
                announced,
            }))
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
        self.write(|transaction, _| {
            let known = callbacks::read_addresses(transaction, session, attempt)?;
            let Some(events) = change(&known) else {
                return Ok(None);
            };
            callbacks::add_address(transaction, session, attempt, known.len(), address)?;
            Ok(Some(WriteResult::events(events)))
        })
    }

    fn prune(&self, kept: Retention) -> Result<u64, StoreError> {
        let kept = [kept.host_decisions, kept.stranger_decisions];
        let kept = kept.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        let mut removed = 0;
        self.write(|transaction, _| {
            removed = statement(transaction, schema::PRUNE_EVENTS)?.execute(kept)?;
            Ok((removed > 0).then(WriteResult::default))
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
pub(super) fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn statement<'c>(
    connection: &'c Connection,
    text: &str,
) -> rusqlite::Result<CachedStatement<'c>> {
    connection.prepare_cached(&schema::statement_for_sqlite(text))
}
#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    fn number(connection: &Connection, pragma: &str) -> i64 {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap()
    }

    fn open(directory: &tempfile::TempDir) -> SqliteStore {
        let state = directory.path().join("state");
        SqliteStore::open_or_create(&state, &directory.path().join("witness")).unwrap()
    }

    #[test]
    fn a_commit_is_synced_before_it_is_acknowledged() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let writer = lock(&store.writer);
        assert_eq!(number(&writer, "synchronous"), 2, "2 is FULL");
        assert_eq!(number(&writer, "foreign_keys"), 1);
        let mode: String = writer
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_statement_that_is_kept_is_parsed_once_whatever_is_bound_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        for name in ["a", "b", "c"] {
            store.host(name).unwrap();
        }
        let reader = lock(&store.reader);
        let read = statement(&reader, schema::READ_HOST).unwrap();
        let status = |of| read.get_status(of);
        assert_eq!(status(StatementStatus::Run), 3);
        assert_eq!(status(StatementStatus::RePrepare), 0);
    }

    #[test]
    fn a_write_lock_that_is_never_given_back_is_busy_and_readers_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let other = open(&directory);
        let hung = lock(&other.writer);
        hung.execute_batch("BEGIN IMMEDIATE").unwrap();
        lock(&store.writer)
            .busy_handler(None::<fn(i32) -> bool>)
            .unwrap();

        let error = store.update(&["a"], &mut |_, _, _| None).unwrap_err();
        assert!(matches!(error.fault, StoreFault::Busy), "{error}");
        assert_eq!(store.hosts().unwrap(), []);

        hung.execute_batch("ROLLBACK").unwrap();
        store.update(&["a"], &mut |_, _, _| None).unwrap();
    }

    #[test]
    fn a_panic_in_a_change_undoes_it_and_leaves_the_store_usable() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let record = |name: &str| HostRecord::new(name, jiff::Timestamp::UNIX_EPOCH);
        let change = |name: &str| {
            Some(HostUpdate {
                record: record(name),
                plan: None,
                events: Vec::new(),
            })
        };
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            store.update(&["a", "b"], &mut |name, _, _| match name {
                "b" => panic!("a rule is at fault"),
                name => change(name),
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(store.hosts().unwrap(), []);
        store
            .update(&["c"], &mut |name, _, _| change(name))
            .unwrap();
        assert_eq!(store.hosts().unwrap(), [record("c")]);
    }
}
