use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags, Row};

use super::error::{StoreError, StoreFault};
use super::schema::{self, Schema, for_sqlite};

/// How long a waiter sleeps between two looks at a lock, and how often it looks: about ten seconds.
///
/// SQLite's own handler sleeps up to 100 ms, and hardly ever meets the moment when a busy lock is
/// free.
pub(super) const LOCK_POLL: Duration = Duration::from_micros(500);
pub(super) const LOCK_POLLS: i32 = 18_000;

/// The file in a state directory that is locked while anything in the directory is made.
const LOCK_FILE: &str = ".lock";

/// How many statements a connection keeps ready: all that a store has.
const STATEMENTS: usize = 64;

/// Whether to create a missing database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Create it, or use the existing one.
    CreateOrOpen,
    /// Create it; an existing one is an error.
    CreateNew,
    /// Report an error.
    Refuse,
}

/// Opens the database `file` in `directory` for reading and writing and brings its tables up to
/// date; what is made is readable by the owner alone.
///
/// It all happens under a lock, since SQLite's own locks do not cover the change to WAL mode.
pub(super) fn open(
    directory: &Path,
    file: &str,
    schema: &Schema,
    missing: Missing,
) -> Result<Connection, StoreFault> {
    let path = directory.join(file);
    if missing != Missing::Refuse {
        create_directory(directory)?;
    } else if !path.try_exists()? {
        return Err(StoreFault::Absent);
    }
    let _lock = lock_directory(directory)?;
    let created = missing != Missing::Refuse && create_file(&path)?;
    let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    refuse_foreign(&connection, schema)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let found = schema_version(&connection, schema)?;
    for (version, migration) in (1..).zip(schema.migrations).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(&for_sqlite(migration))?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    if created {
        File::open(directory)?.sync_all()?;
    }
    Ok(connection)
}

/// Opens an existing database for reading only; `None` if it does not exist yet.
pub(super) fn open_read_only(
    directory: &Path,
    file: &str,
    schema: &Schema,
) -> Result<Option<Connection>, StoreFault> {
    let path = directory.join(file);
    let _lock = match lock_existing_directory(directory)? {
        Some(lock) if path.try_exists()? => lock,
        _ => return Ok(None),
    };
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    refuse_foreign(&connection, schema)?;
    let found = schema_version(&connection, schema)?;
    Ok((found as usize == schema.migrations.len()).then_some(connection))
}

/// Opens one more connection to a database that [`open`] has made ready.
pub(super) fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreFault> {
    let mut connection =
        Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_handler(Some(|polls: i32| {
        thread::sleep(LOCK_POLL);
        polls < LOCK_POLLS
    }))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else SQLite parses a cached statement again whenever another value is bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Prepares a statement of the schema, once for each connection.
pub(super) fn statement<'c>(
    connection: &'c Connection,
    text: &str,
) -> rusqlite::Result<CachedStatement<'c>> {
    connection.prepare_cached(&schema::statement_for_sqlite(text))
}

/// Refuses a database that another program made: a migration would add our tables to it.
pub(super) fn refuse_foreign(connection: &Connection, schema: &Schema) -> Result<(), StoreFault> {
    let (objects, is_ours): (i64, bool) =
        connection.query_row(schema::HAS_TABLE, [schema.table], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if objects > 0 && !is_ours {
        return Err(StoreFault::Foreign {
            expected: schema.name,
            found: "an SQLite database with other tables",
        });
    }
    Ok(())
}

/// Reads the version of the tables; a version that is not ours to touch is an error.
pub(super) fn schema_version(connection: &Connection, schema: &Schema) -> Result<u32, StoreFault> {
    let found = connection
        .prepare_cached("PRAGMA user_version")?
        .query_row([], |row| row.get(0))?;
    let supported = schema.migrations.len() as u32;
    if found > supported {
        return Err(StoreFault::NewerSchema { found, supported });
    }
    Ok(found)
}

/// Locks a state directory against every other process and thread until the file is dropped.
pub(super) fn lock_directory(directory: &Path) -> Result<File, io::Error> {
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join(LOCK_FILE))?;
    lock.lock()?;
    Ok(lock)
}

/// Locks a file, which is created if it is missing, until it is closed. Fails at once if another process
/// holds the lock.
pub(super) fn lock_alone(path: &Path) -> Result<File, StoreFault> {
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreFault::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Locks a state directory without writing to it; `None` if it has not been used yet.
pub(super) fn lock_existing_directory(directory: &Path) -> Result<Option<File>, io::Error> {
    match File::open(directory.join(LOCK_FILE)) {
        Ok(lock) => lock.lock().map(|()| Some(lock)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates a directory for its owner alone, durably. An existing directory is not changed.
pub(super) fn create_directory(directory: &Path) -> Result<(), io::Error> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// Creates an empty file for its owner alone. Returns `false` if the file exists.
///
/// An existing file is not opened: closing it again would drop every POSIX lock that SQLite
/// holds on it in this process.
fn create_file(path: &Path) -> Result<bool, io::Error> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the reason why a write to the database at `path` failed.
///
/// SQLite reports most errors of a file system as an I/O error. Writing a page next to the database shows
/// the actual error.
pub(super) fn unwritten(path: &Path, fault: StoreFault) -> StoreError {
    let refused = || {
        let beside = path.with_extension("probe");
        let written = File::create(&beside)
            .and_then(|mut file| file.write_all(&[0; 4096]).and_then(|()| file.sync_all()));
        // A file that is left behind does no harm.
        let _ = fs::remove_file(&beside);
        written.err().map(StoreFault::from)
    };
    let fault = match fault {
        StoreFault::Io(error) => refused().unwrap_or(StoreFault::Io(error)),
        fault => fault,
    };
    StoreError::new(path, fault)
}

/// Reads a column whose text is parsed.
pub(super) fn parsed<T>(row: &Row, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| unreadable(column, error))
}

/// Reads a column that [`parsed`] reads, or NULL.
pub(super) fn parsed_option<T>(row: &Row, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => parsed(row, column).map(Some),
    }
}

/// Reads a column that holds a time.
pub(super) fn time(row: &Row, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| unreadable(column, error))
}

/// Reads a column that holds a time, or NULL.
pub(super) fn time_option(row: &Row, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?
        .map(Timestamp::from_microsecond)
        .transpose()
        .map_err(|error| unreadable(column, error))
}

/// Wraps the reason why a column's value is invalid.
pub(super) fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
