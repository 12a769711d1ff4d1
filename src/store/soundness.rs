//! Whether the store may arm hosts and serve installs: it is the file that was opened, its witness
//! file vouches for it, and its clock has not gone back.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::Transaction;

use super::clock::Clock;
use super::database::statement;
use super::error::StoreFault;
use super::identity::{PinnedFile, StoreId};
use super::schema;
use super::store_record::{StoreRecord, read_state};
use super::witness::{Claim, StoreState, WitnessDirectory};
use crate::decide::{Impediment, Standing, StoreDoubt};

/// What shows whether a store is sound: its files, its clock, and the claim that its witness file
/// vouches for.
pub(super) struct Soundness {
    path: PathBuf,
    /// The path without links, by which the witness knows the store.
    real_path: PathBuf,
    file: PinnedFile,
    /// The write-ahead log, without which the newest changes are lost.
    log: PinnedFile,
    clock: Arc<dyn Clock>,
    /// The latest time that this process has observed.
    observed_time: Mutex<ObservedTime>,
    /// Whether each change is on the disk before it is acknowledged.
    is_durable: bool,
}

/// A witness state that is confirmed once the transaction is committed.
pub(super) struct PendingWitness<'s> {
    witness: WitnessDirectory,
    claim: (StoreId, &'s Soundness),
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
    /// Returns the latest time before `wall`. It moves back in one case only: an operator has accepted
    /// the clock, in any process.
    fn latest(&mut self, wall: Timestamp, record: &StoreRecord) -> Timestamp {
        if record.clock_epoch > self.clock_epoch {
            self.read = Timestamp::MIN;
            self.clock_epoch = record.clock_epoch;
        }
        let before = self.read.max(record.latest_time);
        self.read = self.read.max(wall);
        before
    }
}

impl Soundness {
    /// Pins the log of an open database. `file` is the pinned database at `path`, `real_path` the same
    /// path without links.
    ///
    /// # Errors
    /// When the database has no log.
    pub(super) fn new(
        (path, real_path): (&Path, PathBuf),
        file: PinnedFile,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            real_path,
            file,
            log: PinnedFile::open(&log_path(path))?,
            clock,
            observed_time: Mutex::new(ObservedTime::default()),
            is_durable: true,
        })
    }

    /// Lets changes go on before they are on the disk.
    pub(super) fn without_sync(&mut self) {
        self.is_durable = false;
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &PinnedFile {
        &self.file
    }

    /// Returns the time of the wall clock.
    pub(super) fn wall_time(&self) -> Timestamp {
        self.clock.read().wall
    }

    /// Reports whether the path still leads to the files that were opened.
    pub(super) fn is_in_place(&self) -> bool {
        self.file.is_at(&self.path) && self.log.is_at(&log_path(&self.path))
    }

    /// Reads the clock and the standing. Decision time never moves back, not even where the clock
    /// was set back between two reads of this process.
    pub(super) fn standing_of(&self, record: &StoreRecord) -> Standing {
        let clock = self.clock.read();
        let latest = self
            .observed_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .latest(clock.wall, record);
        Standing::new(clock, latest, self.checked(record))
    }

    /// Checks that the path leads to the file that was opened, and that the witness vouches for it.
    fn checked(&self, record: &StoreRecord) -> Result<(), Impediment> {
        if !self.is_in_place() {
            let path = self.path.display().to_string();
            return Err(Impediment::StoreReplaced { path });
        }
        self.vouched(record).map_err(Impediment::StoreUnconfirmed)
    }

    pub(super) fn vouched(&self, record: &StoreRecord) -> Result<(), StoreDoubt> {
        match (&record.id, &record.witness) {
            (Some(id), Some(witness)) => witness.check(&self.claim(id), &record.state),
            _ => Err(StoreDoubt::NoWitness {
                path: "(made by an older pxectl)".to_owned(),
            }),
        }
    }

    pub(super) fn claim<'c>(&'c self, store: &'c StoreId) -> Claim<'c> {
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
        record: &StoreRecord,
        leaves_open: bool,
    ) -> Result<Option<PendingWitness<'_>>, StoreFault> {
        statement(transaction, schema::NEXT_GENERATION)?.execute([])?;
        let is_sound = self.vouched(record).is_ok();
        let (Some(id), Some(witness), true) = (&record.id, &record.witness, is_sound) else {
            return Ok(None);
        };
        let next = read_state(transaction)?;
        let claim = self.claim(id);
        let announce = || {
            let lock = witness.lock(id)?;
            witness.announce(&claim, &record.state, &next)?;
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
                Err(StoreFault::witness(witness.path(), error))
            }
            // A report must be kept. Nothing vouches for the store then, and it installs nothing; no
            // older copy of it does either.
            Err(_) => {
                let _ = witness.revoke(&claim);
                Ok(None)
            }
        }
    }

    /// Confirms the generation that a process which was killed has only announced: an older copy
    /// of the store is then known as such. Where it fails, the next change confirms it.
    pub(super) fn confirm_pending(&self, record: &StoreRecord) {
        let (Some(id), Some(witness)) = (&record.id, &record.witness) else {
            return;
        };
        let claim = self.claim(id);
        if witness.is_pending(&claim)
            && let Ok(_lock) = witness.lock(id)
        {
            let _ = witness.confirm(&claim, &record.state);
        }
    }

    /// Keeps the time that the clock shows, where it is later than what is kept.
    pub(super) fn remember_time(
        &self,
        transaction: &Transaction,
        record: &StoreRecord,
    ) -> Result<(), StoreFault> {
        let now = self.wall_time().as_microsecond();
        if now > record.latest_time.as_microsecond() {
            statement(transaction, schema::WRITE_LATEST_TIME)?.execute([now])?;
        }
        Ok(())
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

/// Returns the path of the write-ahead log of a database.
pub(super) fn log_path(database: &Path) -> PathBuf {
    database.with_extension("db-wal")
}
