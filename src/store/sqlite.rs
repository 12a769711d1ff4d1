use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use rusqlite::{
    CachedStatement, Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior,
    params,
};

use super::callbacks;
use super::clock::{Clock, SystemClock};
use super::database::{self, Missing, parsed_option, time};
use super::error::{StoreError, StoreFault};
use super::identity::{FileIdentity, PinnedFile, StoreId};
use super::rows::{AUTHORITY, PINNED, PLAIN, controller, host_record, session, stored_event};
use super::servers::RunningServer;
use super::turnstile::Turnstile;
use super::witness::{Claim, WitnessDirectory};
use super::{
    CallbackChange, Change, EventQuery, HostUpdate, Retention, Settled, Store, StoredSession,
    Watermark, schema,
};
use crate::decide::{Impediment, Standing, StoreDoubt, close, suspend};
use crate::machine::{
    ControllerRecord, ControllerTrust, Event, EventKind, HostRecord, Session, SessionEnd,
    SessionId, StoredEvent,
};

/// The name of the database in a state directory.
const FILE: &str = "state.db";

/// The store in the SQLite database `state.db`, which any number of processes may share.
pub struct SqliteStore {
    path: PathBuf,
    /// The path without links, by which the witness knows the store.
    real_path: PathBuf,
    key: [u8; 32],
    clock: Arc<dyn Clock>,
    /// The latest wall time that this process has read, in microseconds since 1970.
    latest_read: AtomicI64,
    turnstile: Turnstile,
    writer: Mutex<Connection>,
    /// Readers have a connection of their own: they never wait for a writer's disk.
    reader: Mutex<Connection>,
    /// Closed after the connections.
    file: PinnedFile,
}

/// What the store's one row holds of its identity and time.
struct Identity {
    /// None in a store that an older pxectl made.
    id: Option<StoreId>,
    /// Where its witness file lies.
    witness: Option<WitnessDirectory>,
    /// How many changes of open sessions were made.
    generation: u64,
    latest_time: Timestamp,
}

/// What a transaction leaves to be done once it is committed.
struct Announced<'s> {
    witness: WitnessDirectory,
    claim: (StoreId, &'s SqliteStore),
    generation: u64,
    _lock: File,
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
    /// with a witness file in the directory `witness`. Of a store that exists, the witness file is
    /// looked for there from now on.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; also where a running server uses a store that was deleted here, and
    /// where the witness file of a new store cannot be written.
    pub fn open_or_create(directory: &Path, witness: &Path) -> Result<Self, StoreError> {
        Self::open_or_create_with(directory, witness, Arc::new(SystemClock))
    }

    /// As [`SqliteStore::open_or_create`], with a clock of the caller's.
    ///
    /// # Errors
    /// As [`SqliteStore::open_or_create`].
    pub fn open_or_create_with(
        directory: &Path,
        witness: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        Self::open_at(directory, Some(witness), Missing::Create, clock)
    }

    /// Makes a store in `directory`, as [`SqliteStore::open_or_create`] does.
    ///
    /// # Errors
    /// As [`SqliteStore::open_or_create`], and where there is a store already.
    pub fn create(directory: &Path, witness: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        if path.symlink_metadata().is_ok() {
            return Err(StoreError::new(&path, StoreFault::Present));
        }
        Self::open_or_create(directory, witness)
    }

    fn open_at(
        directory: &Path,
        witness: Option<&Path>,
        missing: Missing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let connect = || -> Result<Self, StoreFault> {
            let is_new = missing == Missing::Create && !path.try_exists()?;
            if is_new && let Some(server) = RunningServer::deserted_at(directory)? {
                return Err(StoreFault::Deserted { pid: server.pid });
            }
            let mut writer = database::open(directory, FILE, schema::STATE, missing)?;
            let reader = database::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let file = PinnedFile::open(&path)?;
            let real_path = directory.canonicalize()?.join(FILE);
            let witness = witness.map(std::path::absolute).transpose()?;
            let witness = witness.map(WitnessDirectory::new);
            let key = identify(&mut writer, witness, &real_path, file.identity())?;
            Ok(Self {
                path: path.clone(),
                real_path,
                key,
                clock,
                latest_read: AtomicI64::new(i64::MIN),
                turnstile: Turnstile::open(directory)?,
                writer: Mutex::new(writer),
                reader: Mutex::new(reader),
                file,
            })
        };
        connect().map_err(|fault| StoreError::new(&path, fault))
    }

    /// Returns which store this is; none of a store that an older pxectl made.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn id(&self) -> Result<Option<StoreId>, StoreError> {
        Ok(self.identity()?.id)
    }

    /// Returns the directory of the store's witness file.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn witness_directory(&self) -> Result<Option<PathBuf>, StoreError> {
        let identity = self.identity()?;
        Ok(identity.witness.map(|witness| witness.path().to_owned()))
    }

    /// Returns what tells the store's file from a copy of it.
    pub fn file(&self) -> FileIdentity {
        self.file.identity()
    }

    /// Leaves it to the kernel when changes reach the disk: for stores that nobody keeps, such as
    /// that of a rehearsal.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub fn without_sync(self) -> Result<Self, StoreError> {
        let set = lock(&self.writer).pragma_update(None, "synchronous", "OFF");
        set.map_err(|error| StoreError::new(&self.path, error))?;
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

    fn identity(&self) -> Result<Identity, StoreError> {
        self.read(read_identity)
    }

    /// Reads the clock and the standing. Decision time never moves back, not even where the clock
    /// was set back between two reads of this process.
    fn standing_of(&self, identity: &Identity) -> Standing {
        let clock = self.clock.read();
        let read = clock.wall.as_microsecond();
        let before = self.latest_read.fetch_max(read, Ordering::SeqCst);
        let latest = Timestamp::from_microsecond(before).unwrap_or(Timestamp::MIN);
        Standing::new(
            clock,
            latest.max(identity.latest_time),
            self.checked(identity),
        )
    }

    /// Checks that the path leads to the file that was opened, and that the witness vouches for it.
    fn checked(&self, identity: &Identity) -> Result<(), Impediment> {
        if !self.file.is_at(&self.path) {
            let path = self.path.display().to_string();
            return Err(Impediment::StoreReplaced { path });
        }
        self.vouched(identity).map_err(Impediment::StoreUnconfirmed)
    }

    fn vouched(&self, identity: &Identity) -> Result<(), StoreDoubt> {
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
        }
    }

    /// Takes the next generation in a transaction, and announces it to the witness. A store that
    /// its witness does not vouch for takes it alone, and so stays unconfirmed.
    ///
    /// # Errors
    /// When an arming cannot be announced: it would be suspended at once.
    fn advance(
        &self,
        transaction: &Transaction,
        identity: &Identity,
        arms: bool,
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
            Err(error) if arms => Err(StoreFault::Witness {
                directory: witness.path().display().to_string(),
                error,
            }),
            // A report must be kept. The store is then unconfirmed, and installs nothing.
            Err(_) => Ok(None),
        }
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        query(&lock(&self.reader)).map_err(|error| StoreError::new(&self.path, error))
    }

    /// Runs `change` in a transaction; the events that it returns belong to it. `None`: nothing was
    /// changed, and nothing is written.
    fn write<'s>(
        &'s self,
        change: impl FnOnce(&Transaction, &Identity) -> Result<Option<Written<'s>>, StoreFault>,
    ) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let attempt = || {
            let turn = self.turnstile.enter()?;
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            drop(turn);
            // A newer program may have migrated the store since we opened it.
            database::schema_version(&transaction, schema::STATE)?;
            let identity = read_identity(&transaction)?;
            if let Some(written) = change(&transaction, &identity)? {
                write_events(&transaction, &written.events)?;
                self.remember_time(&transaction, &identity)?;
                transaction.commit()?;
                if let Some(announced) = written.announced {
                    announced.confirm();
                }
            }
            Ok(())
        };
        attempt().map_err(|fault| database::unwritten(&self.path, fault))
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

    /// Keeps the time that the clock shows, where it is later than what is kept.
    fn remember_time(
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
    fn change_open_hosts(
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

/// What a transaction wrote.
#[derive(Default)]
struct Written<'s> {
    events: Vec<Event>,
    announced: Option<Announced<'s>>,
}

impl Written<'_> {
    fn events(events: Vec<Event>) -> Self {
        Self {
            events,
            announced: None,
        }
    }
}

impl Announced<'_> {
    /// Confirms what was committed. Where that fails, what is announced stays good, and the next
    /// change confirms it.
    fn confirm(self) {
        let (id, store) = &self.claim;
        let _ = self.witness.confirm(&store.claim(id), self.generation);
    }
}

impl Store for SqliteStore {
    fn key(&self) -> &[u8; 32] {
        &self.key
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn host(&self, name: &str) -> Result<Option<HostRecord>, StoreError> {
        self.read(|connection| read_host(connection, name))
    }

    fn hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_HOSTS)?
                .query_map([], host_record)?
                .collect()
        })
    }

    fn open_hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        self.read(read_open_hosts)
    }

    fn standing(&self) -> Result<Standing, StoreError> {
        let is_unconfirmed = |standing: &Standing| {
            matches!(standing.impediment(), Some(Impediment::StoreUnconfirmed(_)))
        };
        let mut standing = self.standing_of(&self.identity()?);
        // Between the two reads, the store may have gone on by a generation.
        for _ in 0..3 {
            if !is_unconfirmed(&standing) {
                break;
            }
            standing = self.standing_of(&self.identity()?);
        }
        Ok(standing)
    }

    fn update(&self, names: &[&str], change: &mut Change<'_>) -> Result<(), StoreError> {
        self.write(|transaction, identity| {
            let standing = self.standing_of(identity);
            let mut events = None;
            let (mut touches, mut arms) = (false, false);
            for name in names {
                let record = read_host(transaction, name)?;
                if let Some(update) = change(name, record.as_ref(), &standing) {
                    let was_open = record.as_ref().and_then(HostRecord::open_session).is_some();
                    touches |= was_open || update.record.open_session().is_some();
                    arms |= update.plan.is_some();
                    write_host(transaction, name, &update)?;
                    events.get_or_insert_with(Vec::new).extend(update.events);
                }
            }
            let Some(events) = events else {
                return Ok(None);
            };
            let announced = match touches {
                true => self.advance(transaction, identity, arms)?,
                false => None,
            };
            Ok(Some(Written { events, announced }))
        })
    }

    fn settle(&self) -> Result<Settled, StoreError> {
        self.settle_because(None)
    }

    fn note_time(&self) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let mut note = || {
            let turn = self.turnstile.enter()?;
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            drop(turn);
            database::schema_version(&transaction, schema::STATE)?;
            let identity = read_identity(&transaction)?;
            self.remember_time(&transaction, &identity)?;
            Ok(transaction.commit()?)
        };
        note().map_err(|fault| database::unwritten(&self.path, fault))
    }

    fn accept_clock(&self) -> Result<Vec<String>, StoreError> {
        let mut closed = Vec::new();
        self.write(|transaction, identity| {
            let now = self.clock.read().wall;
            let why = "closed by `pxectl store accept-clock`";
            let (names, mut events) = self.change_open_hosts(transaction, |record| {
                let record = close(record, why, now)?;
                let mut event = event(now, EventKind::Cancelled, why.to_owned());
                event.host = Some(record.host.clone());
                event.session = record.session.as_ref().map(|session| session.id);
                Some((record, event))
            })?;
            let message = format!(
                "the clock was accepted: {:.0} was the latest time, now it is {now:.0}",
                identity.latest_time
            );
            events.push(event(now, EventKind::Store, message));
            let announced = self.advance(transaction, identity, false)?;
            statement(transaction, schema::WRITE_LATEST_TIME)?.execute([now.as_microsecond()])?;
            self.latest_read
                .store(now.as_microsecond(), Ordering::SeqCst);
            closed = names;
            Ok(Some(Written { events, announced }))
        })?;
        Ok(closed)
    }

    fn session(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_SESSION)?
                .query_row([id.to_string()], |row| {
                    Ok(StoredSession {
                        host: row.get(0)?,
                        plan: row.get(1)?,
                        session: session(row, 2)?,
                    })
                })
                .optional()
        })
    }

    fn append(&self, events: &[Event]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.write(|_, _| Ok(Some(Written::events(events.to_vec()))))
    }

    fn controllers(&self) -> Result<Vec<ControllerRecord>, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_CONTROLLERS)?
                .query_map([], controller)?
                .collect()
        })
    }

    fn keep_controller(
        &self,
        record: &ControllerRecord,
        events: &[Event],
    ) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            let (trust, note) = match &record.trust {
                ControllerTrust::Plain => (PLAIN, None),
                ControllerTrust::Authority => (AUTHORITY, None),
                ControllerTrust::Pinned(note) => (PINNED, Some(note)),
            };
            statement(transaction, schema::WRITE_CONTROLLER)?.execute(params![
                record.host,
                record.url,
                trust,
                note.map(|note| note.fingerprint.to_string()),
                note.map(|note| &note.subject),
                note.and_then(|note| note.valid_from)
                    .map(|at| at.as_microsecond()),
                note.and_then(|note| note.valid_until)
                    .map(|at| at.as_microsecond()),
                record.serial,
                record.uuid.map(String::from),
                record.seen_at.as_microsecond(),
            ])?;
            Ok(Some(Written::events(events.to_vec())))
        })
    }

    fn callback(
        &self,
        host: &str,
        session: SessionId,
        change: CallbackChange<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction, identity| {
            let record = read_host(transaction, host)?;
            let tallies = callbacks::read_tallies(transaction, session)?;
            let standing = self.standing_of(identity);
            let Some(update) = change(record.as_ref(), &tallies, &standing) else {
                return Ok(None);
            };
            let mut announced = None;
            if let Some(record) = update.record {
                announced = self.advance(transaction, identity, false)?;
                let update = HostUpdate {
                    record,
                    plan: None,
                    events: Vec::new(),
                };
                write_host(transaction, host, &update)?;
            }
            callbacks::write_tally(transaction, session, update.class, &update.tally)?;
            Ok(Some(Written {
                events: vec![update.event],
                announced,
            }))
        })
    }

    fn attempt_addresses(
        &self,
        session: SessionId,
        attempt: u32,
    ) -> Result<Vec<IpAddr>, StoreError> {
        self.read(|connection| callbacks::read_addresses(connection, session, attempt))
    }

    fn add_attempt_address(
        &self,
        session: SessionId,
        attempt: u32,
        address: IpAddr,
        change: &mut dyn FnMut(&[IpAddr]) -> Option<Vec<Event>>,
    ) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            let known = callbacks::read_addresses(transaction, session, attempt)?;
            let Some(events) = change(&known) else {
                return Ok(None);
            };
            callbacks::add_address(transaction, session, attempt, known.len(), address)?;
            Ok(Some(Written::events(events)))
        })
    }

    fn prune(&self, kept: Retention) -> Result<u64, StoreError> {
        let kept = [kept.host_decisions, kept.stranger_decisions];
        let kept = kept.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        let mut removed = 0;
        self.write(|transaction, _| {
            removed = statement(transaction, schema::PRUNE_EVENTS)?.execute(kept)?;
            Ok((removed > 0).then(Written::default))
        })?;
        Ok(removed as u64)
    }

    fn events(&self, query: &EventQuery) -> Result<Vec<StoredEvent>, StoreError> {
        let after = i64::try_from(query.after).unwrap_or(i64::MAX);
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let text = match (&query.host, query.latest) {
            (None, false) => schema::READ_EVENTS,
            (None, true) => schema::READ_LATEST_EVENTS,
            (Some(_), false) => schema::READ_EVENTS_OF_HOST,
            (Some(_), true) => schema::READ_LATEST_EVENTS_OF_HOST,
        };
        self.read(|connection| match &query.host {
            None => statement(connection, text)?
                .query_map(params![after, limit], stored_event)?
                .collect(),
            Some(host) => statement(connection, text)?
                .query_map(params![after, limit, host], stored_event)?
                .collect(),
        })
    }

    fn watermark(&self) -> Result<Watermark, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_WATERMARK)?.query_row([], |row| {
                Ok(Watermark {
                    changes: row.get::<_, i64>(0)?.cast_unsigned(),
                    last_event: row.get::<_, i64>(1)?.cast_unsigned(),
                })
            })
        })
    }
}

/// Takes a connection, also after a panic: its transaction was rolled back on the way out.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn statement<'c>(
    connection: &'c Connection,
    text: &str,
) -> rusqlite::Result<CachedStatement<'c>> {
    connection.prepare_cached(&schema::for_sqlite(text))
}

/// Reads the key, or makes a new store's key and identity; whoever makes them first has made them
/// for all. Of a store that exists, `witness` is where its witness file is looked for from now on.
fn identify(
    connection: &mut Connection,
    witness: Option<WitnessDirectory>,
    path: &Path,
    file: FileIdentity,
) -> Result<[u8; 32], StoreFault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let read = statement(&transaction, schema::READ_KEY)?
        .query_row([], |row| row.get::<_, String>(0))
        .optional()?;
    let digits = match (read, &witness) {
        (Some(digits), _) => digits,
        (None, None) => return Err(StoreFault::Absent),
        (None, Some(witness)) => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| StoreFault::Io(error.into()))?;
            let digits = HEXLOWER.encode(&key);
            let store = StoreId::random()?;
            let claim = Claim {
                store: &store,
                path,
                file,
            };
            let vouch = || {
                let lock = witness.lock()?;
                witness.confirm(&claim, 0)?;
                Ok(lock)
            };
            vouch().map_err(|error| StoreFault::Witness {
                directory: witness.path().display().to_string(),
                error,
            })?;
            let directory = witness.path().to_string_lossy();
            statement(&transaction, schema::MAKE_STORE)?.execute([
                &digits,
                store.as_str(),
                &directory,
            ])?;
            digits
        }
    };
    if let Some(witness) = &witness {
        let recorded = read_identity(&transaction)?.witness;
        if recorded.as_ref() != Some(witness) {
            statement(&transaction, schema::WRITE_WITNESS)?
                .execute([witness.path().to_string_lossy()])?;
        }
    }
    transaction.commit()?;
    HEXLOWER
        .decode(digits.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| StoreFault::Corrupt {
            what: "its key is not 64 hexadecimal digits".into(),
        })
}

fn read_identity(connection: &Connection) -> rusqlite::Result<Identity> {
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

fn event(at: Timestamp, kind: EventKind, message: String) -> Event {
    Event {
        at,
        kind,
        host: None,
        mac: None,
        session: None,
        message,
    }
}

fn read_open_hosts(connection: &Connection) -> rusqlite::Result<Vec<HostRecord>> {
    statement(connection, schema::READ_OPEN_HOSTS)?
        .query_map([], host_record)?
        .collect()
}

fn read_host(connection: &Connection, name: &str) -> rusqlite::Result<Option<HostRecord>> {
    statement(connection, schema::READ_HOST)?
        .query_row([name], host_record)
        .optional()
}

fn write_host(
    transaction: &Transaction,
    name: &str,
    update: &HostUpdate,
) -> Result<(), StoreFault> {
    let HostUpdate { record, plan, .. } = update;
    let unfit = |what| StoreFault::Unfit {
        host: name.to_owned(),
        what,
    };
    if record.host != name {
        return Err(unfit("the record is another host's"));
    }
    let session = record.session.as_ref();
    match (session, plan) {
        (Some(session), Some(plan)) => {
            if start_session(transaction, name, session, plan)? == 0 {
                return Err(unfit("its new session is there already"));
            }
        }
        (Some(session), None) => {
            if write_session(transaction, name, session)? == 0 {
                return Err(unfit("its session is new and has no plan"));
            }
        }
        (None, Some(_)) => return Err(unfit("its plan has no session")),
        (None, None) => {}
    }
    let ended_at = match (session, plan) {
        (Some(session), Some(_)) => session.created_at,
        _ => record.changed_at,
    };
    let id = session.map(|session| session.id.to_string());
    statement(transaction, schema::END_OTHER_SESSIONS)?.execute(params![
        name,
        id.as_deref().unwrap_or_default(),
        ended_at.as_microsecond(),
    ])?;
    statement(transaction, schema::WRITE_HOST)?.execute(params![
        name,
        record.phase.name(),
        record.reason,
        record.changed_at.as_microsecond(),
        record.install_seen.map(u64::cast_signed),
        id,
    ])?;
    Ok(())
}

fn start_session(
    transaction: &Transaction,
    host: &str,
    session: &Session,
    plan: &str,
) -> rusqlite::Result<usize> {
    let boot = session.boot_deadline.as_ref();
    statement(transaction, schema::START_SESSION)?.execute(params![
        session.id.to_string(),
        host,
        plan,
        session.created_at.as_microsecond(),
        session.deadline.as_microsecond(),
        session.attempts,
        session.ended_at.map(|time| time.as_microsecond()),
        boot.map(|boot| boot.boot_id.as_str()),
        boot.and_then(|boot| i64::try_from(boot.since_boot.as_micros()).ok()),
        session.previous_phase.name(),
        session.ended_by.map(SessionEnd::name),
        session.suspended,
    ])
}

fn write_session(
    transaction: &Transaction,
    host: &str,
    session: &Session,
) -> rusqlite::Result<usize> {
    statement(transaction, schema::WRITE_SESSION)?.execute(params![
        session.id.to_string(),
        host,
        session.deadline.as_microsecond(),
        session.attempts,
        session.ended_at.map(|time| time.as_microsecond()),
        session.ended_by.map(SessionEnd::name),
        session.suspended,
    ])
}

/// Counts a change and writes the events that belong to it, numbered without a gap.
fn write_events(transaction: &Transaction, events: &[Event]) -> rusqlite::Result<()> {
    let count = events.len() as i64;
    let last: i64 =
        statement(transaction, schema::COUNT_CHANGE)?.query_row([count], |row| row.get(0))?;
    let mut add = statement(transaction, schema::ADD_EVENT)?;
    for (id, event) in (last - count + 1..).zip(events) {
        add.execute(params![
            id,
            event.at.as_microsecond(),
            event.kind.name(),
            event.host,
            event.mac.map(String::from),
            event.session.map(String::from),
            event.message,
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(connection: &Connection, pragma: &str) -> i64 {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_commit_is_synced_before_it_is_acknowledged() {
        let directory = tempfile::tempdir().unwrap();
        let store =
            SqliteStore::open_or_create(directory.path(), &directory.path().join("witness"))
                .unwrap();
        let writer = lock(&store.writer);
        assert_eq!(number(&writer, "synchronous"), 2, "2 is FULL");
        assert_eq!(number(&writer, "foreign_keys"), 1);
        let mode: String = writer
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_write_lock_that_is_never_given_back_is_busy_and_readers_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let store =
            SqliteStore::open_or_create(directory.path(), &directory.path().join("witness"))
                .unwrap();
        let other =
            SqliteStore::open_or_create(directory.path(), &directory.path().join("witness"))
                .unwrap();
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
        let store =
            SqliteStore::open_or_create(directory.path(), &directory.path().join("witness"))
                .unwrap();
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
                "b" => panic!("a rule is at fault"),
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
