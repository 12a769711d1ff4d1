//! Creates the key, the identity and the witness file of a store, or reads them.

use std::io;
use std::path::Path;

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::database::{Missing, statement};
use super::error::StoreFault;
use super::identity::{FileIdentity, StoreId};
use super::schema;
use super::servers::RunningServer;
use super::store_record::{digest_of_sessions, read_store_record};
use super::witness::{Claim, StoreState, WitnessDirectory, WitnessLocation};

/// Reads the key of a store. Where there is none yet and `witness` is given, makes the store: its
/// key, its identity and its witness file; the first process makes them for all. Of a store that
/// exists, `witness` is where its witness file is looked for from now on.
pub(super) fn read_or_create_key(
    connection: &mut Connection,
    (directory, path): (&Path, &Path),
    file: FileIdentity,
    witness: Option<WitnessLocation>,
    missing: Missing,
) -> Result<[u8; 32], StoreFault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let read = statement(&transaction, schema::READ_KEY)?
        .query_row([], |row| row.get::<_, String>(0))
        .optional()?;
    let digits = match (read, witness) {
        (Some(_), _) if missing == Missing::CreateNew => return Err(StoreFault::Present),
        (Some(digits), Some(place)) => {
            record_witness_directory(&transaction, directory, &place, (path, file))?;
            digits
        }
        (Some(digits), None) => digits,
        (None, None) => return Err(StoreFault::Absent),
        (None, Some(place)) => {
            let witness = place.choose(None)?;
            refuse_inside(&witness, path)?;
            create_store(&transaction, &witness, (path, file))?
        }
    };
    transaction.commit()?;
    HEXLOWER
        .decode(digits.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| StoreFault::Corrupt {
            what: "the store key is not 64 hexadecimal digits".into(),
        })
}

/// Makes the key, the identity and the witness file of a new store; returns the key's digits.
fn create_store(
    transaction: &Transaction,
    witness: &WitnessDirectory,
    (path, file): (&Path, FileIdentity),
) -> Result<String, StoreFault> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StoreFault::Io(error.into()))?;
    let digits = HEXLOWER.encode(&key);
    let store = StoreId::random()?;
    let claim = Claim {
        store: &store,
        path,
        file,
        is_durable: true,
    };
    let vouch = || {
        let lock = witness.lock(&store)?;
        let state = StoreState {
            generation: 0,
            sessions: digest_of_sessions(transaction).map_err(io::Error::other)?,
        };
        witness.confirm(&claim, &state)?;
        Ok(lock)
    };
    let _lock = vouch().map_err(|error| StoreFault::witness(witness.path(), error))?;
    let directory = witness.path().to_string_lossy();
    statement(transaction, schema::MAKE_STORE)?.execute([&digits, store.as_str(), &directory])?;
    Ok(digits)
}

/// Refuses a witness directory that is copied and restored together with the database at `path`.
fn refuse_inside(witness: &WitnessDirectory, path: &Path) -> Result<(), StoreFault> {
    let resolved = witness.resolved();
    let state = path.parent().unwrap_or(path);
    if resolved.starts_with(state) || state.starts_with(&resolved) {
        return Err(StoreFault::WitnessInside {
            directory: witness.path().display().to_string(),
        });
    }
    Ok(())
}

/// Records where the witness file of a store is. A running server keeps it where it is recorded.
fn record_witness_directory(
    transaction: &Transaction,
    directory: &Path,
    place: &WitnessLocation,
    (path, file): (&Path, FileIdentity),
) -> Result<(), StoreFault> {
    let recorded = read_store_record(transaction)?.witness;
    let wanted = place.choose(recorded.as_ref())?;
    if recorded.as_ref() == Some(&wanted) {
        return Ok(());
    }
    refuse_inside(&wanted, path)?;
    if let Some(recorded) = recorded {
        let servers = RunningServer::list(directory).map_err(|error| error.fault)?;
        if let Some(server) = servers.iter().find(|server| server.file == file) {
            return Err(StoreFault::WitnessElsewhere {
                pid: server.pid,
                recorded: recorded.path().display().to_string(),
            });
        }
    }
    let path = wanted.path().to_string_lossy();
    statement(transaction, schema::WRITE_WITNESS)?.execute([path])?;
    Ok(())
}
