//! Backups: one file that holds both databases of a store, and stores made from it.
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
use super::error::{StoreError, StoreFault, StoreSubject};
use super::leases::{LeaseStore, SqliteLeases};
use super::publish::publish;
use super::schema::{self, for_sqlite};
use super::servers::RunningServer;
use super::sqlite::SqliteStore;
use super::witness::WitnessLocation;
use crate::decide::StoreDoubt;
use crate::machine::{Lease, LeaseChange};

/// What a backup is, for people.
const BACKUP: &str = "a backup made by `pxectl store backup`";

impl SqliteStore {
    /// Writes a backup of the store, and of the leases beside it, to a file that appears when it is
    /// complete and durable. Servers continue meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read, and when the file exists or cannot be written.
    pub fn back_up(&self, directory: &Path, file: &Path) -> Result<(), StoreError> {
        let fail = |path: &Path, error: io::Error| {
            let fault = match error.kind() {
                io::ErrorKind::AlreadyExists => StoreFault::FileExists,
                _ => error.into(),
            };
            StoreError::of(StoreSubject::BackupToWrite, path, fault)
        };
        if file.symlink_metadata().is_ok() {
            return Err(fail(file, io::ErrorKind::AlreadyExists.into()));
        }
        let partial = partial(file);
        create_alone(&partial).map_err(|error| fail(&partial, error))?;
        let written = self.write_backup(directory, &partial).and_then(|()| {
            let synced = File::open(&partial).and_then(|file| file.sync_all());
            synced
                .and_then(|()| publish(&partial, file))
                .map_err(|error| fail(file, error))
        });
        if written.is_err() {
            let _ = fs::remove_file(&partial);
        }
        written
    }

    fn write_backup(&self, directory: &Path, partial: &Path) -> Result<(), StoreError> {
        self.copy_into(partial)?;
        let leases = match SqliteLeases::open_read_only(directory)? {
            Some(leases) => leases.load()?,
            None => Vec::new(),
        };
        keep_leases(partial, &leases)
            .map_err(|fault| StoreError::of(StoreSubject::BackupToWrite, partial, fault))
    }

    /// Copies the store of the state directory `from`, and its leases, to a directory that has none. The
    /// open sessions of the copy are suspended.
    ///
    /// # Errors
    /// When the store cannot be read, when the other directory has a store, and when the copy cannot be
    /// written.
    pub fn copy_to(
        &self,
        from: &Path,
        to: &Path,
        witness: impl Into<WitnessLocation>,
    ) -> Result<SettleReport, StoreError> {
        // It holds the key, so it stays inside the state directory.
        let backup = from.join(format!(".copy-{}.db", std::process::id()));
        self.back_up(from, &backup)?;
        let doubt = StoreDoubt::CopyOf {
            original: from.display().to_string(),
        };
        let new_store = NewStore {
            subject: StoreSubject::Copy,
            directory: to,
        };
        let copied = new_store.create(&backup, witness.into(), doubt);
        let removed = fs::remove_file(&backup).map_err(|error| StoreError::new(&backup, error));
        let report = copied?;
        removed?;
        Ok(report)
    }
}

/// Makes a store from a backup in a state directory that has none. Its open sessions are suspended:
/// hosts must be armed again. A restore that was killed is repeated from its beginning.
///
/// # Errors
/// When the backup cannot be read or is not a backup, when the directory has a store or leases or a
/// running server uses a store that was there, and when the new store cannot be written.
pub fn restore(
    file: &Path,
    directory: &Path,
    witness: impl Into<WitnessLocation>,
) -> Result<SettleReport, StoreError> {
    let new_store = NewStore {
        subject: StoreSubject::Store,
        directory,
    };
    new_store.create(file, witness.into(), StoreDoubt::Restored)
}

/// A store that is made from a backup.
struct NewStore<'d> {
    subject: StoreSubject,
    directory: &'d Path,
}

impl NewStore<'_> {
    fn create(
        &self,
        backup: &Path,
        witness: WitnessLocation,
        doubt: StoreDoubt,
    ) -> Result<SettleReport, StoreError> {
        let leases = read_leases(backup).map_err(|fault| {
            let fault = match fault {
                StoreFault::Foreign { found, .. } => StoreFault::Foreign {
                    expected: BACKUP,
                    found,
                },
                fault => fault,
            };
            StoreError::of(StoreSubject::BackupToRead, backup, fault)
        })?;
        self.refuse_present()?;
        database::create_directory(self.directory).map_err(|error| self.failed(error))?;
        // Both databases are completed in a directory of their own, and then get their names. Leases that
        // are here now come from a restore that was killed, as `refuse_present` verified.
        remove_if_present(fs::remove_file(self.leases()))
            .and_then(|()| remove_if_present(fs::remove_dir_all(self.unfinished())))
            .and_then(|()| database::create_directory(&self.unfinished()))
            .map_err(|error| self.failed(error))?;
        let changes: Vec<LeaseChange> = leases.into_iter().map(LeaseChange::Hold).collect();
        SqliteLeases::open(&self.unfinished())?.commit(&changes)?;
        // After the leases: see `is_interrupted`.
        copy_state(backup, &self.unfinished().join("state.db"))
            .map_err(|fault| self.failed(fault))?;
        self.publish()?;
        SqliteStore::open_or_create(self.directory, witness)?.settle_because(Some(doubt))
    }

    /// Gives both databases their names.
    fn publish(&self) -> Result<(), StoreError> {
        let _lock = database::lock_directory(self.directory).map_err(|error| self.failed(error))?;
        self.refuse_present()?;
        let publish_both = || {
            // Without its database, a log of SQLite belongs to nothing, and must not be taken for a part
            // of the restored database.
            for database in [self.state(), self.leases()] {
                for suffix in ["-wal", "-shm", "-journal"] {
                    let mut side = database.clone().into_os_string();
                    side.push(suffix);
                    remove_if_present(fs::remove_file(side))?;
                }
            }
            publish(&self.unfinished().join("leases.db"), &self.leases())?;
            publish(&self.unfinished().join("state.db"), &self.state())?;
            remove_if_present(fs::remove_dir_all(self.unfinished()))
        };
        publish_both().map_err(|error| self.failed(error))
    }

    /// Refuses a directory that has a store or leases, or whose deleted store a server still uses.
    fn refuse_present(&self) -> Result<(), StoreError> {
        if self.state().symlink_metadata().is_ok() {
            return Err(self.failed(StoreFault::Present));
        }
        if self.leases().symlink_metadata().is_ok() && !self.is_interrupted() {
            let fault = StoreFault::LeasesPresent;
            return Err(StoreError::of(self.subject, &self.leases(), fault));
        }
        match RunningServer::deserted_at(self.directory) {
            Ok(None) => Ok(()),
            Ok(Some(server)) => Err(self.failed(StoreFault::Deserted { pid: server.pid })),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Reports whether the leases come from a restore that was killed before it gave the store its
    /// name: it makes the leases first, so a store without leases beside it shows that they were moved.
    fn is_interrupted(&self) -> bool {
        let unfinished = self.unfinished();
        unfinished.join("state.db").exists() && !unfinished.join("leases.db").exists()
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state.db")
    }

    fn leases(&self) -> PathBuf {
        self.directory.join("leases.db")
    }

    fn unfinished(&self) -> PathBuf {
        self.directory.join(".restore")
    }

    fn failed(&self, fault: impl Into<StoreFault>) -> StoreError {
        StoreError::of(self.subject, &self.state(), fault)
    }
}

/// Copies the tables of `state.db` from a backup.
fn copy_state(backup: &Path, copy: &Path) -> Result<(), StoreFault> {
    create_alone(copy)?;
    read_only(backup)?.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    let connection = Connection::open(copy)?;
    connection.execute_batch("DROP TABLE backup_lease")?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(copy)?.sync_all()?;
    Ok(())
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

fn read_only(file: &Path) -> Result<Connection, StoreFault> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database::refuse_foreign(&connection, schema::STATE)?;
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
        // An SQLite database without any table is empty.
        let found = if is_store(&connection)? {
            "a store"
        } else {
            "an empty file"
        };
        return Err(StoreFault::Foreign {
            expected: BACKUP,
            found,
        });
    }
    refuse_foreign_schema(&connection)?;
    let mut read = connection.prepare(schema::READ_BACKUP_LEASES)?;
    let leases = read
        .query_map([], super::leases::lease)?
        .collect::<Result<_, _>>()?;
    Ok(leases)
}

fn is_store(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(!objects(connection)?.is_empty())
}

/// Refuses a backup whose tables, indexes, views and triggers are not exactly those that its version
/// of the schema makes: a trigger could undo what a restore does.
fn refuse_foreign_schema(backup: &Connection) -> Result<(), StoreFault> {
    let version = database::schema_version(backup, schema::STATE)?;
    let fresh = Connection::open_in_memory()?;
    for migration in &schema::STATE.migrations[..version as usize] {
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
