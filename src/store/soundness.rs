//! Whether the store may arm hosts and serve installs: it is the file that was opened, its witness
//! vouches for it, and its clock has not gone back.

use std::fs::File;
use std::path::Path;
use std::sync::PoisonError;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::database::{parsed_option, time};
use super::error::{StoreError, StoreFault};
use super::hosts::{read_open_hosts, write_host};
use super::identity::{FileIdentity, StoreId};
use super::servers::RunningServer;
use super::sqlite::{SqliteStore, Written, statement};
use super::witness::{Claim, WitnessDirectory, WitnessPlace};
use super::{HostUpdate, Settled, schema};
use crate::decide::{Impediment, Standing, StoreDoubt, suspend};
use crate::machine::{Event, EventKind, HostRecord};

/// What the store's one row holds of its identity and time.
pub(super) struct Identity {
    /// None in a store that an older pxectl made.
    pub(super) id: Option<StoreId>,
    /// Where its witness file lies.
    pub(super) witness: Option<WitnessDirectory>,
    /// How many changes of open sessions were made.
    generation: u64,
    pub(super) latest_time: Timestamp,
}

/// What a transaction leaves to be done once it is committed.
pub(super) struct Announced<'s> {
    witness: WitnessDirectory,
    claim: (StoreId, &'s SqliteStore),
    generation: u64,
    _lock: File,
}

/// What a process has seen of the time.
#[derive(Debug, Default)]
pub(super) struct SeenTime {
    /// The latest wall time that was read.
    read: Timestamp,
    /// The latest time of the store, and the generation that had it.
    stored: (u64, Timestamp),
}

impl SeenTime {
    /// Returns the latest time that was ever seen, `wall` apart. It moves back in one case only: an
    /// operator has accepted the clock, in whatever process, which is a generation of its own.
    fn latest(&mut self, wall: Timestamp, identity: &Identity) -> Timestamp {
        let (generation, stored) = self.stored;
        if identity.generation >= generation {
            if identity.generation > generation && identity.latest_time < stored {
                self.read = Timestamp::MIN;
            }
            self.stored = (identity.generation, identity.latest_time);
        }
        let before = self.read.max(identity.latest_time);
        self.read = self.read.max(wall);
        before
    }
}

impl SqliteStore {
    pub(super) fn identity(&self) -> Result<Identity, StoreError> {
        self.read(read_identity)
    }

    /// Reads the clock and the standing. Decision time never moves back, not even where the clock
    /// was set back between two reads of this process.
    pub(super) fn standing_of(&self, identity: &Identity) -> Standing {
        let clock = self.clock.read();
        let mut seen = self
            .seen_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let latest = seen.latest(clock.wall, identity);
        drop(seen);
        Standing::new(clock, latest, self.checked(identity))
    }

    /// Checks that the path leads to the file that was opened, and that the witness vouches for it.
    fn checked(&self, identity: &Identity) -> Result<(), Impediment> {
        if !self.file.is_at(&self.path) {
            let path = self.path.display().to_string();
            return Err(Impediment::StoreReplaced { path });
        }
        self.vouched(identity).map_err(Impediment::StoreUnconfirmed)
    }

    pub(super) fn vouched(&self, identity: &Identity) -> Result<(), StoreDoubt> {
        match (&identity.id, &identity.witness) {
            (Some(id), Some(witness)) => witness.check(&self.claim(id), identity.generation),
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

    /// Takes the next generation in a transaction, and announces it to the witness. A store that
    /// its witness does not vouch for takes it alone, and so stays unconfirmed.
    ///
    /// # Errors
    /// When a change that leaves a session open, as an arming or a new attempt does, cannot be
    /// announced: the session would be suspended at once.
    pub(super) fn advance(
        &self,
        transaction: &Transaction,
        identity: &Identity,
        leaves_open: bool,
    ) -> Result<Option<Announced<'_>>, StoreFault> {
        statement(transaction, schema::NEXT_GENERATION)?.execute([])?;
        let sound = self.vouched(identity).is_ok();
        let (Some(id), Some(witness), true) = (&identity.id, &identity.witness, sound) else {
            return Ok(None);
        };
        let announce = || {
            let lock = witness.lock()?;
            witness.announce(&self.claim(id), identity.generation)?;
            Ok(lock)
        };
        match announce() {
            Ok(lock) => Ok(Some(Announced {
                witness: witness.clone(),
                claim: (id.clone(), self),
                generation: identity.generation + 1,
                _lock: lock,
            })),
            Err(error) if leaves_open => Err(StoreFault::Witness {
                directory: witness.path().display().to_string(),
                error,
            }),
            // A report must be kept. The store is then unconfirmed, and installs nothing.
            Err(_) => Ok(None),
        }
    }
    /// Settles the store as [`Store::settle`] does, and in any case for a reason that is known.
    pub(super) fn settle_because(&self, known: Option<StoreDoubt>) -> Result<Settled, StoreError> {
        let mut settled = Settled::default();
        let mut vouch = None;
        self.write(|transaction, identity| {
            if !self.file.is_at(&self.path) {
                return Ok(None);
            }
            let Some(doubt) = known.or_else(|| self.vouched(identity).err()) else {
                self.confirm_pending(identity);
                return Ok(None);
            };
            let Some(witness) = &identity.witness else {
                return Err(StoreFault::Corrupt {
                    what: "it does not say where its witness file is; \
                           `pxectl serve` or `--witness DIR` says so"
                        .into(),
                });
            };
            let now = self.standing_of(identity).now();
            let why = doubt.to_string();
            let (names, mut events) = self.change_open_hosts(transaction, |record| {
                let record = suspend(record, &why, now)?;
                let mut event = event(now, EventKind::Suspended, why.clone());
                event.host = Some(record.host.clone());
                event.session = record.session.as_ref().map(|session| session.id);
                Some((record, event))
            })?;
            let id = StoreId::random()?;
            statement(transaction, schema::WRITE_IDENTITY)?
                .execute([id.as_str(), &witness.path().to_string_lossy()])?;
            let message = format!("{why}; the store is `{id}` from now on");
            events.push(event(now, EventKind::Store, message));
            let write = || {
                let lock = witness.lock()?;
                witness.confirm(&self.claim(&id), identity.generation + 1)?;
                Ok(lock)
            };
            // A witness of an identity that is never committed vouches for nothing.
            vouch = Some(write().map_err(|error| StoreFault::Witness {
                directory: witness.path().display().to_string(),
                error,
            })?);
            settled = Settled {
                doubt: Some(doubt),
                suspended: names,
            };
            Ok(Some(Written::events(events)))
        })?;
        Ok(settled)
    }

    /// Confirms the generation that a process which was killed has only announced: an older copy
    /// of the store is then known as such. Where it fails, the next change confirms it.
    fn confirm_pending(&self, identity: &Identity) {
        let (Some(id), Some(witness)) = (&identity.id, &identity.witness) else {
            return;
        };
        let claim = self.claim(id);
        if witness.is_pending(&claim)
            && let Ok(_lock) = witness.lock()
        {
            let _ = witness.confirm(&claim, identity.generation);
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

impl Announced<'_> {
    /// Confirms what was committed. Where that fails, what is announced stays good, and the next
    /// change confirms it.
    pub(super) fn confirm(self) {
        let (id, store) = &self.claim;
        let _ = self.witness.confirm(&store.claim(id), self.generation);
    }
}
/// Reads the key of a store. Where there is none yet and `witness` is given, makes the store: its
/// key, its identity and its witness file; the first process makes them for all. Of a store that
/// exists, `witness` is where its witness file is looked for from now on.
pub(super) fn identify(
    connection: &mut Connection,
    directory: &Path,
    witness: Option<WitnessPlace>,
    (path, file): (&Path, FileIdentity),
) -> Result<[u8; 32], StoreFault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let read = statement(&transaction, schema::READ_KEY)?
        .query_row([], |row| row.get::<_, String>(0))
        .optional()?;
    let digits = match (read, witness) {
        (Some(digits), Some(place)) => {
            keep_witness_place(&transaction, directory, &place, file)?;
            digits
        }
        (Some(digits), None) => digits,
        (None, None) => return Err(StoreFault::Absent),
        (None, Some(place)) => make_store(&transaction, &place.choose(None)?, (path, file))?,
    };
    transaction.commit()?;
    HEXLOWER
        .decode(digits.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| StoreFault::Corrupt {
            what: "its key is not 64 hexadecimal digits".into(),
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
        let lock = witness.lock()?;
        witness.confirm(&claim, 0)?;
        Ok(lock)
    };
    let _lock = vouch().map_err(|error| StoreFault::Witness {
        directory: witness.path().display().to_string(),
        error,
    })?;
    let directory = witness.path().to_string_lossy();
    statement(transaction, schema::MAKE_STORE)?.execute([&digits, store.as_str(), &directory])?;
    Ok(digits)
}

/// Records where the witness file of a store is. A running server keeps it where it is recorded.
fn keep_witness_place(
    transaction: &Transaction,
    directory: &Path,
    place: &WitnessPlace,
    file: FileIdentity,
) -> Result<(), StoreFault> {
    let recorded = read_identity(transaction)?.witness;
    let wanted = place.choose(recorded.as_ref())?;
    if recorded.as_ref() == Some(&wanted) {
        return Ok(());
    }
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

pub(super) fn read_identity(connection: &Connection) -> rusqlite::Result<Identity> {
    statement(connection, schema::READ_STANDING)?.query_row([], |row| {
        let witness: Option<String> = row.get(1)?;
        Ok(Identity {
            id: parsed_option(row, 0)?,
            witness: witness.map(|path| WitnessDirectory::new(path.into())),
            generation: row.get::<_, i64>(2)?.cast_unsigned(),
            latest_time: time(row, 3)?,
        })
    })
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
