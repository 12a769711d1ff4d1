//! Whether the store may arm hosts and serve installs: it is the file that was opened, its witness
//! vouches for it, and its clock has not gone back.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::PoisonError;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use sha2::{Digest, Sha256};

use super::database::{Missing, parsed_option, time};
use super::error::{StoreError, StoreFault};
use super::hosts::{read_open_hosts, write_host};
use super::identity::{FileIdentity, StoreId};
use super::servers::RunningServer;
use super::sqlite::{SqliteStore, WriteResult, statement};
use super::witness::{Claim, StoreState, WitnessDirectory, WitnessLocation};
use super::{HostUpdate, SettleReport, schema};
use crate::decide::{Impediment, Standing, StoreDoubt, suspend};
use crate::machine::{Event, EventKind, HostRecord};

/// What the store's one row holds of its identity and time.
pub(super) struct Identity {
    /// None in a store that an older pxectl made.
    pub(super) id: Option<StoreId>,
    /// Where its witness file lies.
    pub(super) witness: Option<WitnessDirectory>,
    /// How many changes of open sessions were made, and which are open.
    pub(super) state: StoreState,
    pub(super) latest_time: Timestamp,
    /// How often an operator has accepted the clock.
    clock_epoch: i64,
}

/// A witness state that is confirmed once the transaction is committed.
pub(super) struct PendingWitness<'s> {
    witness: WitnessDirectory,
    claim: (StoreId, &'s SqliteStore),
    state: StoreState,
    _lock: File,
}

/// The latest time that a process has observed.
#[derive(Debug, Default)]
pub(super) struct ObservedTime {
    /// The latest wall time that was read.
    read: Timestamp,
    /// How often the clock was accepted before that.
    clock_epoch: i64,
}

impl ObservedTime {
    /// Returns the latest time that was ever seen, `wall` apart. It moves back in one case only: an
    /// operator has accepted the clock, in whatever process.
    fn latest(&mut self, wall: Timestamp, identity: &Identity) -> Timestamp {
        if identity.clock_epoch > self.clock_epoch {
            self.read = Timestamp::MIN;
            self.clock_epoch = identity.clock_epoch;
        }
        let before = self.read.max(identity.latest_time);
        self.read = self.read.max(wall);
        before
    }
}

impl SqliteStore {
    pub(super) fn identity(&self) -> Result<Identity, StoreError> {
        // One snapshot holds both the store's row and its sessions.
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            read_identity(&snapshot)
        })
    }

    /// Reads the clock and the standing. Decision time never moves back, not even where the clock
    /// was set back between two reads of this process.
    pub(super) fn standing_of(&self, identity: &Identity) -> Standing {
        let clock = self.clock.read();
        let mut seen = self
            .observed_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let latest = seen.latest(clock.wall, identity);
        drop(seen);
        Standing::new(clock, latest, self.checked(identity))
    }

    /// Checks that the path leads to the file that was opened, and that the witness vouches for it.
    fn checked(&self, identity: &Identity) -> Result<(), Impediment> {
        if !self.is_in_place() {
            let path = self.path.display().to_string();
            return Err(Impediment::StoreReplaced { path });
        }
        self.vouched(identity).map_err(Impediment::StoreUnconfirmed)
    }

    pub(super) fn vouched(&self, identity: &Identity) -> Result<(), StoreDoubt> {
        match (&identity.id, &identity.witness) {
            (Some(id), Some(witness)) => witness.check(&self.claim(id), &identity.state),
            _ => Err(StoreDoubt::NoWitness {
                path: "(made by an older pxectl)".to_owned(),
            }),
        }
    }

    fn claim<'c>(&'c self, store: &'c StoreId) -> Claim<'c> {
        Claim {
            store,
            path: &self.real_path,
            file: self.file.identity(),
            is_durable: self.is_durable,
        }
    }

    /// Takes the next generation in a transaction that has changed sessions, and announces it to the
    /// witness. A store that its witness does not vouch for takes it alone, and so stays unconfirmed.
    ///
    /// # Errors
    /// When a change that leaves a session open, as an arming or a new attempt does, cannot be
    /// announced: the session would be suspended at once. Also when another process holds the lock of
    /// the witness file.
    pub(super) fn advance(
        &self,
        transaction: &Transaction,
        identity: &Identity,
        leaves_open: bool,
    ) -> Result<Option<PendingWitness<'_>>, StoreFault> {
        statement(transaction, schema::NEXT_GENERATION)?.execute([])?;
        let is_sound = self.vouched(identity).is_ok();
        let (Some(id), Some(witness), true) = (&identity.id, &identity.witness, is_sound) else {
            return Ok(None);
        };
        let next = read_state(transaction)?;
        let claim = self.claim(id);
        let announce = || {
            let lock = witness.lock(id)?;
            witness.announce(&claim, &identity.state, &next)?;
            Ok::<_, io::Error>(lock)
        };
        match announce() {
            Ok(lock) => Ok(Some(PendingWitness {
                witness: witness.clone(),
                claim: (id.clone(), self),
                state: next,
                _lock: lock,
            })),
            Err(error) if leaves_open || error.kind() == io::ErrorKind::WouldBlock => {
                Err(unwritable(witness, error))
            }
            // A report must be kept. Nothing vouches for the store then, and it installs nothing; no
            // older copy of it does either.
            Err(_) => {
                let _ = witness.revoke(&claim);
                Ok(None)
            }
        }
    }

    /// Settles the store as [`Store::settle`] does, and in any case for a reason that is known.
    pub(super) fn settle_because(
        &self,
        known: Option<StoreDoubt>,
    ) -> Result<SettleReport, StoreError> {
        let mut settled = SettleReport::default();
        let mut witness_lock = None;
        self.write(|transaction, identity| {
            if !self.is_in_place() {
                return Ok(None);
            }
            let Some(doubt) = known.or_else(|| self.vouched(identity).err()) else {
                self.confirm_pending(identity);
                return Ok(None);
            };
            // What cannot be read now may vouch for the store when it can be read again.
            if matches!(doubt, StoreDoubt::UnreadableWitness { .. }) {
                return Ok(None);
            }
            let Some(witness) = &identity.witness else {
                return Err(StoreFault::Corrupt {
                    what: "an older pxectl created the store, and no server of this version has opened \
                           it; start `pxectl serve` once"
                        .into(),
                });
            };
            let now = self.standing_of(identity).now();
            let (suspended, mut events) =
                self.suspend_open_sessions(transaction, &doubt.to_string(), now)?;
            let id = StoreId::random()?;
            statement(transaction, schema::WRITE_IDENTITY)?
                .execute([id.as_str(), &witness.path().to_string_lossy()])?;
            let message = format!("{doubt}; the new store ID is `{id}`");
            events.push(event(now, EventKind::Store, message));
            let state = read_state(transaction)?;
            let exchange = || {
                // An older copy of this file has the old identity: nothing may vouch for it.
                if let Some(old) = &identity.id {
                    witness.revoke(&self.claim(old))?;
                }
                // A witness of an identity that is never committed vouches for nothing.
                let lock = witness.lock(&id)?;
                witness.confirm(&self.claim(&id), &state)?;
                Ok(lock)
            };
            witness_lock = Some(exchange().map_err(|error| unwritable(witness, error))?);
            settled = SettleReport {
                doubt: Some(doubt),
                suspended,
            };
            Ok(Some(WriteResult::events(events)))
        })?;
        drop(witness_lock);
        Ok(settled)
    }

    fn suspend_open_sessions(
        &self,
        transaction: &Transaction,
        why: &str,
        now: Timestamp,
    ) -> Result<(Vec<String>, Vec<Event>), StoreFault> {
        self.change_open_hosts(transaction, |record| {
            let record = suspend(record, why, now)?;
            let mut event = event(now, EventKind::Suspended, why.to_owned());
            event.host = Some(record.host.clone());
            event.session = record.session.as_ref().map(|session| session.id);
            Some((record, event))
        })
    }

    /// Confirms the generation that a process which was killed has only announced: an older copy
    /// of the store is then known as such. Where it fails, the next change confirms it.
    fn confirm_pending(&self, identity: &Identity) {
        let (Some(id), Some(witness)) = (&identity.id, &identity.witness) else {
            return;
        };
        let claim = self.claim(id);
        if witness.is_pending(&claim)
            && let Ok(_lock) = witness.lock(id)
        {
            let _ = witness.confirm(&claim, &identity.state);
        }
    }

    /// Keeps the time that the clock shows, where it is later than what is kept.
    pub(super) fn remember_time(
        &self,
        transaction: &Transaction,
        identity: &Identity,
    ) -> Result<(), StoreFault> {
        let now = self.clock.read().wall.as_microsecond();
        if now > identity.latest_time.as_microsecond() {
            statement(transaction, schema::WRITE_LATEST_TIME)?.execute([now])?;
        }
        Ok(())
    }

    /// Changes every host that has an open session by one rule.
    pub(super) fn change_open_hosts(
        &self,
        transaction: &Transaction,
        change: impl Fn(&HostRecord) -> Option<(HostRecord, Event)>,
    ) -> Result<(Vec<String>, Vec<Event>), StoreFault> {
        let open = read_open_hosts(transaction)?;
        let (mut names, mut events) = (Vec::new(), Vec::new());
        for (record, event) in open.iter().filter_map(change) {
            let name = record.host.clone();
            let update = HostUpdate {
                record,
                plan: None,
                events: Vec::new(),
            };
            write_host(transaction, &name, &update)?;
            names.push(name);
            events.push(event);
        }
        Ok((names, events))
    }
}

impl PendingWitness<'_> {
    /// Confirms what was committed. Where that fails, what is announced stays good, and the next
    /// change confirms it.
    pub(super) fn confirm(self) {
        let (id, store) = &self.claim;
        let _ = self.witness.confirm(&store.claim(id), &self.state);
    }
}

/// Reads the key of a store. Where there is none yet and `witness` is given, makes the store: its
/// key, its identity and its witness file; the first process makes them for all. Of a store that
/// exists, `witness` is where its witness file is looked for from now on.
pub(super) fn identify(
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
            make_store(&transaction, &witness, (path, file))?
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
fn make_store(
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
    let _lock = vouch().map_err(|error| unwritable(witness, error))?;
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
    let recorded = read_identity(transaction)?.witness;
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

fn unwritable(witness: &WitnessDirectory, error: io::Error) -> StoreFault {
    StoreFault::Witness {
        directory: witness.path().display().to_string(),
        error,
    }
}

pub(super) fn read_identity(connection: &Connection) -> rusqlite::Result<Identity> {
    let sessions = digest_of_sessions(connection)?;
    statement(connection, schema::READ_STANDING)?.query_row([], |row| {
        let witness: Option<String> = row.get(1)?;
        Ok(Identity {
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

fn read_state(transaction: &Transaction) -> rusqlite::Result<StoreState> {
    Ok(read_identity(transaction)?.state)
}

/// Returns a digest of the open sessions, in hexadecimal digits.
fn digest_of_sessions(connection: &Connection) -> rusqlite::Result<String> {
    let mut digest = Sha256::new();
    let mut read = statement(connection, schema::READ_OPEN_SESSIONS)?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let (attempts, deadline): (i64, i64) = (row.get(1)?, row.get(2)?);
        let is_suspended: bool = row.get(3)?;
        digest.update(format!("{id} {attempts} {deadline} {is_suspended}\n"));
    }
    Ok(HEXLOWER.encode(&digest.finalize()))
}

pub(super) fn event(at: Timestamp, kind: EventKind, message: String) -> Event {
    Event {
        at,
        kind,
        host: None,
        mac: None,
        session: None,
        message,
    }
}
