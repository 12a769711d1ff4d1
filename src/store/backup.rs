//! Backups: one file that holds both databases of a store, and stores made of it.
//!
//! A backup is an SQLite database: the tables of `state.db`, and the leases in a table of their own.
//! It holds the store's key, so only its owner can read it. A store restored from it arms no host.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::SettleReport;
use super::database;
use super::error::{StoreError, StoreFault};
use super::leases::{LeaseStore, SqliteLeases};
use super::schema::{self, for_sqlite};
use super::servers::RunningServer;
use super::sqlite::SqliteStore;
use super::witness::WitnessLocation;
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
        create_alone(&partial).map_err(|error| fail(error.into()))?;
        let written = self.write_backup(directory, file, &partial);
        if written.is_err() {
            let _ = fs::remove_file(&partial);
        }
        written
    }

    fn write_backup(
        &self,
        directory: &Path,
        file: &Path,
        partial: &Path,
    ) -> Result<(), StoreError> {
        let fail = |fault: StoreFault| StoreError::new(file, fault);
        self.copy_into(partial)?;
        let leases = match SqliteLeases::open_read_only(directory)? {
            Some(leases) => leases.load()?,
            None => Vec::new(),
        };
        keep_leases(partial, &leases).map_err(fail)?;
        let publish = || {
            File::open(partial)?.sync_all()?;
            // A backup that is there is never replaced.
            fs::hard_link(partial, file)?;
            fs::remove_file(partial)?;
            sync_parent(file)
        };
        publish().map_err(|error| fail(error.into()))
    }
}

/// Makes a store of a backup in a state directory that has none. Its open sessions are suspended:
/// hosts must be armed again. A restore that was killed is repeated from its beginning.
///
/// # Errors
/// When the backup cannot be read or is not a backup, when the directory has a store or a running
/// server uses one that was there, and when the new store cannot be written.
pub fn restore(
    file: &Path,
    directory: &Path,
    witness: impl Into<WitnessLocation>,
) -> Result<SettleReport, StoreError> {
    let state = directory.join("state.db");
    let fail = |fault: StoreFault| StoreError::new(&state, fault);
    let leases = read_leases(file).map_err(|fault| StoreError::new(file, fault))?;
    let refuse_present = || -> Result<(), StoreFault> {
        if state.symlink_metadata().is_ok() {
            return Err(StoreFault::Present);
        }
        match RunningServer::deserted_at(directory)? {
            Some(server) => Err(StoreFault::Deserted { pid: server.pid }),
            None => Ok(()),
        }
    };
    refuse_present().map_err(fail)?;
    database::create_directory(directory).map_err(|error| fail(error.into()))?;
    // Both databases are made whole in a directory of their own, and then get their names.
    let unfinished = directory.join(".restore");
    let made = || -> Result<(), StoreFault> {
        remove_if_present(fs::remove_dir_all(&unfinished))?;
        database::create_directory(&unfinished)?;
        let copy = unfinished.join("state.db");
        create_alone(&copy)?;
        read_only(file)?.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
        let copied = Connection::open(&copy)?;
        copied.execute_batch("DROP TABLE backup_lease")?;
        copied.close().map_err(|(_, error)| error)?;
        File::open(&copy)?.sync_all()?;
        Ok(())
    };
    made().map_err(fail)?;
    let changes: Vec<LeaseChange> = leases.into_iter().map(LeaseChange::Hold).collect();
    let mut lease_store = SqliteLeases::open(&unfinished)?;
    lease_store.commit(&changes)?;
    drop(lease_store);
    let publish = || -> Result<(), StoreFault> {
        let _lock = database::lock_directory(directory)?;
        refuse_present()?;
        // Without its database, what SQLite keeps beside it belongs to nothing, and must not be
        // taken for a part of the restored one.
        for database in ["state.db", "leases.db"] {
            for side in ["-wal", "-shm", "-journal"] {
                remove_if_present(fs::remove_file(directory.join(format!("{database}{side}"))))?;
            }
        }
        fs::rename(unfinished.join("leases.db"), directory.join("leases.db"))?;
        fs::hard_link(unfinished.join("state.db"), &state)?;
        sync_parent(&state)?;
        remove_if_present(fs::remove_dir_all(&unfinished))?;
        Ok(())
    };
    publish().map_err(fail)?;
    SqliteStore::open_or_create(directory, witness)?.settle_because(Some(StoreDoubt::Restored))
}

fn remove_if_present(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
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
    // SQLite would make an empty database of a file that is missing, and wait for a pipe.
    if !fs::metadata(file)?.is_file() {
        let what = "not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what).into());
    }
    let connection = read_only(file)?;
    let is_backup: bool = connection.query_row(schema::IS_BACKUP, [], |row| row.get(0))?;
    if !is_backup {
        return Err(StoreFault::Corrupt {
            what: "not a backup made by `pxectl store backup`".into(),
        });
    }
    refuse_foreign_schema(&connection)?;
    let mut read = connection.prepare(schema::READ_BACKUP_LEASES)?;
    let leases = read
        .query_map([], super::leases::lease)?
        .collect::<Result<_, _>>()?;
    Ok(leases)
}

/// Refuses a backup whose tables, indexes, views and triggers are not exactly those that its version
/// of the schema makes: a trigger could undo what a restore does.
fn refuse_foreign_schema(backup: &Connection) -> Result<(), StoreFault> {
    let version = database::schema_version(backup, schema::STATE)?;
    let fresh = Connection::open_in_memory()?;
    for migration in &schema::STATE[..version as usize] {
        fresh.execute_batch(&for_sqlite(migration))?;
    }
    fresh.execute_batch(&for_sqlite(schema::BACKUP_LEASES))?;
    if objects(backup)? != objects(&fresh)? {
        return Err(StoreFault::Corrupt {
            what: "its tables differ from those of a backup made by `pxectl store backup`".into(),
        });
    }
    Ok(())
}

/// Reads the definitions of everything in a database.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<[Option<String>; 4]>> {
    let mut read = connection.prepare(schema::READ_OBJECTS)?;
    let rows = read.query_map([], |row| {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
    })?;
    rows.collect()
}
