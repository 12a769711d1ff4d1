use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::database::{self, Missing, parsed_option, time};
use super::error::{StoreError, StoreFault};
use super::schema::{self, for_sqlite};
use crate::machine::{Lease, LeaseChange};

const FILE: &str = "leases.db";
/// The file that a writer of the leases has locked.
const LOCK_FILE: &str = "leases.lock";

/// The leases of the DHCP server, which alone changes them.
///
/// # Errors
/// Every method fails with a [`StoreError`]; a commit that failed left nothing behind.
pub trait LeaseStore: Send {
    /// Reads every lease, also those that have expired, ordered by address.
    fn load(&self) -> Result<Vec<Lease>, StoreError>;

    /// Makes the changes, in order, in one transaction; they are durable when this returns.
    ///
    /// One call costs one sync of the disk, however many changes it brings: batch them.
    fn commit(&mut self, changes: &[LeaseChange]) -> Result<(), StoreError>;
}

/// The leases in the SQLite database `leases.db`.
pub struct SqliteLeases {
    path: PathBuf,
    connection: Connection,
    /// Held by the one who writes: two servers would promise an address twice.
    _lock: Option<File>,
}

impl SqliteLeases {
    /// Opens the leases in `directory`; makes both where they are missing, for their owner alone.
    ///
    /// # Errors
    /// Fails where the directory cannot be written, while another has the leases open for writing,
    /// and on leases that are damaged or that a newer program has migrated.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let opened = || -> Result<_, StoreFault> {
            database::create_directory(directory)?;
            let lock = database::lock_alone(&directory.join(LOCK_FILE))?;
            let connection =
                database::open(directory, FILE, schema::LEASES, Missing::CreateOrOpen)?;
            Ok((connection, lock))
        };
        match opened() {
            Ok((connection, lock)) => Ok(Self {
                path,
                connection,
                _lock: Some(lock),
            }),
            Err(fault) => Err(StoreError::new(&path, fault)),
        }
    }

    /// Opens the leases in `directory` to look at them while a DHCP server works on them; none
    /// where no server has made them yet.
    ///
    /// # Errors
    /// Fails where the files cannot be read, and on leases that are damaged or that a newer program
    /// has migrated.
    pub fn open_read_only(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.join(FILE);
        match database::open_read_only(directory, FILE, schema::LEASES) {
            Ok(connection) => Ok(connection.map(|connection| Self {
                path,
                connection,
                _lock: None,
            })),
            Err(fault) => Err(StoreError::new(&path, fault)),
        }
    }

    fn read(&self) -> Result<Vec<Lease>, StoreFault> {
        let mut statement = self
            .connection
            .prepare_cached(&for_sqlite(schema::READ_LEASES))?;
        let leases = statement.query_map([], lease)?;
        Ok(leases.collect::<Result<_, _>>()?)
    }

    fn write(&mut self, changes: &[LeaseChange]) -> Result<(), StoreFault> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        // A newer program may have migrated the leases since we opened them.
        database::schema_version(&transaction, schema::LEASES)?;
        {
            let mut hold = transaction.prepare_cached(&for_sqlite(schema::HOLD_LEASE))?;
            let mut release = transaction.prepare_cached(&for_sqlite(schema::RELEASE_LEASE))?;
            for change in changes {
                match change {
                    LeaseChange::Hold(lease) => hold.execute(params![
                        lease.address.to_bits(),
                        lease.network,
                        lease.holder.map(String::from),
                        lease.expires.as_microsecond(),
                    ])?,
                    LeaseChange::Release(address) => release.execute([address.to_bits()])?,
                };
            }
        }
        Ok(transaction.commit()?)
    }
}

impl LeaseStore for SqliteLeases {
    fn load(&self) -> Result<Vec<Lease>, StoreError> {
        self.read()
            .map_err(|fault| StoreError::new(&self.path, fault))
    }

    fn commit(&mut self, changes: &[LeaseChange]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write(changes)
            .map_err(|fault| database::unwritten(&self.path, fault))
    }
}

pub(super) fn lease(row: &Row) -> rusqlite::Result<Lease> {
    Ok(Lease {
        address: Ipv4Addr::from_bits(row.get(0)?),
        network: row.get(1)?,
        holder: parsed_option(row, 2)?,
        expires: time(row, 3)?,
    })
}
