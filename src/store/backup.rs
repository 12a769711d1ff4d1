//! Backups: one file that holds both databases of a store, and stores made of it.
//!
//! A backup is an SQLite database: the tables of `state.db`, and the leases in a table of their own.
//! It holds the store's key, so its owner alone can read it. A store that is made of it arms nobody.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::Settled;
use super::database;
use super::error::{StoreError, StoreFault};
use super::leases::{LeaseStore, SqliteLeases};
use super::schema::{self, for_sqlite};
use super::servers::RunningServer;
use super::sqlite::SqliteStore;
use super::witness::WitnessPlace;
use crate::decide::StoreDoubt;
use crate::machine::{Lease, LeaseChange};

impl SqliteStore {
    /// Writes a backup of the store, and of the leases beside it, to a file that appears when it is
    /// whole and durable. Servers go on meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read, and when the file exists or cannot be written.
    pub fn back_up(&self, directory: &Path, file: &Path) -> Result<(), StoreError> {
        let fail = |fault: StoreFault| StoreError::new(file, fault);
        let partial = partial(file);
        let made = || -> Result<(), StoreError> {
            create_alone(&partial).map_err(|error| fail(error.into()))?;
            self.copy_into(&partial)?;
            let leases = match SqliteLeases::open_read_only(directory)? {
                Some(leases) => leases.load()?,
                None => Vec::new(),
            };
            keep_leases(&partial, &leases).map_err(fail)?;
            let publish = || {
                File::open(&partial)?.sync_all()?;
                // A backup that is there is never replaced.
                fs::hard_link(&partial, file)?;
                fs::remove_file(&partial)?;
                sync_parent(file)
            };
            publish().map_err(|error| fail(error.into()))
        };
        let made = made();
        if made.is_err() {
            let _ = fs::remove_file(&partial);
        }
        made
    }
}

/// Makes a store of a backup in a state directory that has none. Its open sessions are suspended:
/// hosts must be armed again.
///
/// # Errors
/// When the backup cannot be read or is not a backup, when the directory has a store or a running
/// server uses one that was there, and when the new store cannot be written.
pub fn restore(
    file: &Path,
    directory: &Path,
    witness: impl Into<WitnessPlace>,
) -> Result<Settled, StoreError> {
    let state = directory.join("state.db");
    let fail = |fault: StoreFault| StoreError::new(&state, fault);
    if state.symlink_metadata().is_ok() || directory.join("leases.db").symlink_metadata().is_ok() {
        return Err(fail(StoreFault::Present));
    }
    let deserted = RunningServer::deserted_at(directory).map_err(|error| fail(error.into()))?;
    if let Some(server) = deserted {
        return Err(fail(StoreFault::Deserted { pid: server.pid }));
    }
    let leases = read_leases(file).map_err(|fault| StoreError::new(file, fault))?;
    database::create_directory(directory).map_err(|error| fail(error.into()))?;
    let partial = partial(&state);
    let copy = || -> Result<(), StoreFault> {
        // What an interrupted restore left is nobody's store.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        create_alone(&partial)?;
        read_only(file)?.execute("VACUUM INTO ?1", [partial.to_string_lossy()])?;
        let copied = Connection::open(&partial)?;
        copied.execute_batch("DROP TABLE backup_lease")?;
        copied.close().map_err(|(_, error)| error)?;
        File::open(&partial)?.sync_all()?;
        Ok(())
    };
    copy().map_err(fail)?;
    let mut lease_store = SqliteLeases::open(directory)?;
    let changes: Vec<LeaseChange> = leases.into_iter().map(LeaseChange::Hold).collect();
    lease_store.commit(&changes)?;
    let publish = || {
        fs::rename(&partial, &state)?;
        sync_parent(&state)
    };
    publish().map_err(|error: io::Error| fail(error.into()))?;
    SqliteStore::open_or_create(directory, witness)?.settle_because(Some(StoreDoubt::Restored))
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn create_alone(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(|_| ())
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn read_only(file: &Path) -> Result<Connection, StoreFault> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database::schema_version(&connection, schema::STATE)?;
    Ok(connection)
}

fn keep_leases(file: &Path, leases: &[Lease]) -> Result<(), StoreFault> {
    let mut connection = Connection::open(file)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(&for_sqlite(schema::BACKUP_LEASES))?;
    {
        let mut keep = transaction.prepare(&for_sqlite(schema::KEEP_LEASE))?;
        for lease in leases {
            keep.execute(params![
                lease.address.to_bits(),
                lease.network,
                lease.holder.map(String::from),
                lease.expires.as_microsecond(),
            ])?;
        }
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error.into())
}

fn read_leases(file: &Path) -> Result<Vec<Lease>, StoreFault> {
    // SQLite would make an empty database of a file that is missing.
    File::open(file)?;
    let connection = read_only(file)?;
    let is_backup: bool = connection.query_row(schema::IS_BACKUP, [], |row| row.get(0))?;
    if !is_backup {
        return Err(StoreFault::Corrupt {
            what: "it is not a backup that `pxectl store backup` made".into(),
        });
    }
    let mut read = connection.prepare(schema::READ_BACKUP_LEASES)?;
    let leases = read
        .query_map([], super::leases::lease)?
        .collect::<Result<_, _>>()?;
    Ok(leases)
}
