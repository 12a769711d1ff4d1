//! The connections to `state.db`: opens the database, and runs reads and transactions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::clock::{Clock, SystemClock};
use super::creation::read_or_create_key;
use super::database::{self, Missing};
use super::error::{StoreError, StoreFault};
use super::hosts::write_events;
use super::identity::{FileIdentity, PinnedFile, StoreId};
use super::schema;
use super::servers::{Registration, RunningServer};
use super::soundness::{PendingWitness, Soundness};
use super::store_record::{StoreRecord, read_store_record};
use super::turnstile::Turnstile;
use super::witness::WitnessLocation;
use crate::machine::Event;

/// The name of the database in a state directory.
const FILE: &str = "state.db";

/// The store in the SQLite database `state.db`, which any number of processes may share.
pub struct SqliteStore {
    key: [u8; 32],
    turnstile: Turnstile,
    /// Readers have a connection of their own: they never wait for a writer's disk. It is closed
    /// first, since the last connection moves the content of the write-ahead log into the database.
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
    /// Closes its files after the connections.
    pub(super) soundness: Soundness,
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
            let key = read_or_create_key(&mut writer, place, file.identity(), witness, missing)?;
            Ok(Self {
                key,
                turnstile: Turnstile::open(directory)?,
                reader: Mutex::new(reader),
                writer: Mutex::new(writer),
                soundness: Soundness::new((&path, real_path), file, clock)?,
            })
        };
        connect().map_err(|fault| StoreError::new(&path, fault))
    }

    /// Returns which store this is; none of a store that an older pxectl made.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn id(&self) -> Result<Option<StoreId>, StoreError> {
        Ok(self.record()?.id)
    }

    /// Returns the directory of the store's witness file.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn witness_directory(&self) -> Result<Option<PathBuf>, StoreError> {
        let record = self.record()?;
        Ok(record.witness.map(|witness| witness.path().to_owned()))
    }

    /// Returns what tells the store's file from a copy of it.
    pub fn file(&self) -> FileIdentity {
        self.soundness.file().identity()
    }

    /// Registers a server process that uses this store, until the registration is dropped.
    ///
    /// # Errors
    /// As [`RunningServer::register`].
    pub fn register_server(
        &self,
        directory: &Path,
        role: &str,
        pid: u32,
    ) -> Result<Registration, StoreError> {
        RunningServer::register((self.id()?, self.file()), directory, role, pid)
    }

    pub(super) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    pub(super) fn path(&self) -> &Path {
        self.soundness.path()
    }

    pub(super) fn record(&self) -> Result<StoreRecord, StoreError> {
        // One snapshot holds both the store's row and its sessions.
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            read_store_record(&snapshot)
        })
    }

    /// Lets the kernel decide when changes reach the disk: for stores that are not kept, such as
    /// that of a rehearsal.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub fn without_sync(mut self) -> Result<Self, StoreError> {
        self.soundness.without_sync();
        let set = lock(&self.writer).pragma_update(None, "synchronous", "OFF");
        set.map_err(|error| StoreError::new(self.path(), error))?;
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
        query(&lock(&self.reader)).map_err(|error| StoreError::new(self.path(), error))
    }

    /// Runs `change` in a transaction; the events that it returns belong to it. `None`: nothing was
    /// changed, and nothing is written.
    pub(super) fn write<'s>(
        &'s self,
        change: impl FnOnce(&Transaction, &StoreRecord) -> Result<Option<WriteResult<'s>>, StoreFault>,
    ) -> Result<(), StoreError> {
        let mut announced = None;
        self.transact(|transaction, record| {
            let Some(written) = change(transaction, record)? else {
                return Ok(false);
            };
            write_events(transaction, &written.events)?;
            self.soundness.remember_time(transaction, record)?;
            // What goes into a deleted file is lost: it must not be acknowledged.
            if !self.soundness.is_in_place() {
                return Err(StoreFault::Replaced);
            }
            announced = written.announced;
            Ok(true)
        })?;
        if let Some(announced) = announced {
            announced.confirm();
        }
        Ok(())
    }

    /// Stores the time of the wall clock, if it is later than the latest time of the store.
    pub(super) fn remember_time(&self) -> Result<(), StoreError> {
        self.transact(|transaction, record| {
            self.soundness.remember_time(transaction, record)?;
            Ok(true)
        })
    }

    /// Runs `change` in a transaction, when it is the turn of this process; commits it if `change`
    /// returns `true`.
    fn transact(
        &self,
        change: impl FnOnce(&Transaction, &StoreRecord) -> Result<bool, StoreFault>,
    ) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let attempt = || {
            let turn = self.turnstile.enter()?;
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            drop(turn);
            // A newer program may have migrated the store since we opened it.
            database::schema_version(&transaction, schema::STATE)?;
            let record = read_store_record(&transaction)?;
            if change(&transaction, &record)? {
                transaction.commit()?;
            }
            Ok(())
        };
        attempt().map_err(|fault| database::unwritten(self.path(), fault))
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

/// Takes a connection, also after a panic: its transaction was rolled back on the way out.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::super::database::statement;
    use super::super::{HostUpdate, Store};
    use super::*;
    use crate::machine::HostRecord;

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
                "b" => panic!("the rule has a bug"),
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
