//! The history: host records, sessions, events, and leases in their own database.
//!
//! A store keeps facts and knows no rules: which phase may follow which is decided by the closure
//! that [`Store::update`] calls inside its transaction. What a call returned `Ok` for is on the
//! disk: it outlives a kill and a power cut. Times are kept to the microsecond.
//!
//! | module | what it does |
//! |---|---|
//! | `schema` | the tables and the statements, as text that SQLite and PostgreSQL share |
//! | `database` | opens a database file: created once however many processes race, then migrated |
//! | `turnstile` | lets the writers of all processes take turns |
//! | `sqlite` | [`SqliteStore`], the store in `state.db`: its connections and transactions |
//! | `operations` | the [`Store`] operations of [`SqliteStore`] |
//! | `settling` | settles a store that was restored, copied or moved; accepts a clock |
//! | `creation` | creates the key, the identity and the witness file, or reads them |
//! | `store_record` | the one row of a store: identity, generation and latest time |
//! | `hosts` | writes host records, their sessions and events |
//! | `soundness` | whether the store may arm hosts: its files, its witness file and its clock |
//! | `callbacks` | what bounds a session's events: tallies of its callbacks, addresses of its attempts |
//! | `leases` | [`SqliteLeases`], the leases in `leases.db` |
//! | `servers` | [`RunningServer`], which servers use a store right now |
//! | `identity` | [`StoreId`] and the file behind a path: which store this is |
//! | `witness` | the file outside the state directory that tells a restored store from a current one |
//! | `small_file` | reads small files from directories that others may write to |
//! | `clock` | the system's clocks, which a test can replace |
//! | `backup` | one file that holds both databases, and stores made from it |
//! | `publish` | gives a complete file its final name, without replacing another |
//! | `error` | [`StoreError`], and what to do about it |

mod backup;
mod callbacks;
mod clock;
mod creation;
mod database;
mod error;
mod hosts;
mod identity;
mod leases;
mod operations;
mod publish;
mod rows;
mod schema;
mod servers;
mod settling;
mod small_file;
mod soundness;
mod sqlite;
mod store_record;
mod turnstile;
mod witness;

use std::net::IpAddr;

use crate::decide::{CallbackClass, CallbackTally, Standing, StoreDoubt};
use crate::machine::{ControllerRecord, Event, HostRecord, Session, SessionId, StoredEvent};

pub use backup::restore;
pub use clock::{Clock, SystemClock};
pub use error::{StoreError, StoreFault, StoreSubject};
pub use identity::{FileIdentity, ParseStoreIdError, StoreId};
pub use leases::{LeaseStore, SqliteLeases};
pub use servers::{Registration, RunningServer};
pub use sqlite::SqliteStore;
pub use witness::WitnessLocation;

/// What happened to the hosts, shared by every process that was given the same place.
///
/// # Errors
/// Every method fails with a [`StoreError`]; a change that failed left nothing behind.
pub trait Store: Send + Sync {
    /// Returns the secret from which boot tokens and capabilities are made: random, and the same
    /// for the whole life of the store.
    fn key(&self) -> &[u8; 32];

    /// Returns where the store is, for people.
    fn location(&self) -> String;

    /// Reads the record of one host; none means that nothing has happened to it.
    fn host(&self, name: &str) -> Result<Option<HostRecord>, StoreError>;

    /// Reads every record, ordered by the host's name.
    fn hosts(&self) -> Result<Vec<HostRecord>, StoreError>;

    /// Reads the records of the hosts that have an open session, ordered by the host's name.
    fn open_hosts(&self) -> Result<Vec<HostRecord>, StoreError>;

    /// Returns the standing for all hosts: the time, and whether anything destructive may be served from
    /// this store. The cost is one row and two files.
    fn standing(&self) -> Result<Standing, StoreError>;

    /// Changes hosts in one transaction: either every change that `change` returned is durable when
    /// this returns, or none was made.
    ///
    /// `change` is called once for each of `names`, in order, with the record and the standing of
    /// the store within the transaction; no other process can alter either meanwhile. `None` leaves
    /// the host alone. A change of an open session gives the store a higher generation, in the
    /// witness file too; a host is not armed where that file cannot be written.
    fn update(&self, names: &[&str], change: &mut Change<'_>) -> Result<(), StoreError>;

    /// Makes a store its own again after it was restored, copied or moved: suspends its open
    /// sessions, gives it a new identity and a witness file. A sound store stays as it is.
    fn settle(&self) -> Result<SettleReport, StoreError>;

    /// Remembers the time that the clock shows, so that no later decision is made by an earlier one.
    fn note_time(&self) -> Result<(), StoreError>;

    /// Makes the wall clock's time the latest that the store has seen, and closes every open session
    /// first. Returns the hosts whose sessions were closed.
    fn accept_clock(&self) -> Result<Vec<String>, StoreError>;

    /// Reads one session, also one that has ended.
    fn session(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError>;

    /// Adds events, in order; they are durable when this returns.
    fn append(&self, events: &[Event]) -> Result<(), StoreError>;

    /// Reads what is known of every management controller, ordered by the host's name.
    fn controllers(&self) -> Result<Vec<ControllerRecord>, StoreError>;

    /// Keeps what is known of a management controller, in place of what was, with events in the
    /// same transaction.
    fn keep_controller(
        &self,
        record: &ControllerRecord,
        events: &[Event],
    ) -> Result<(), StoreError>;

    /// Stores a callback of a session, in one transaction. `change` is called once with the record
    /// of `host` and with the session's tallies, as they stand; no other process can alter them
    /// meanwhile. `None` stores nothing and counts nothing, and so does a write that fails.
    fn callback(
        &self,
        host: &str,
        session: SessionId,
        change: CallbackChange<'_>,
    ) -> Result<(), StoreError>;

    /// Reads the addresses from which an attempt of a session fetched, the first one first.
    fn attempt_addresses(
        &self,
        session: SessionId,
        attempt: u32,
    ) -> Result<Vec<IpAddr>, StoreError>;

    /// Adds an address to those of an attempt, in one transaction. `change` is called once with
    /// those that are stored; `None` adds nothing, and events are stored with the address.
    fn add_attempt_address(
        &self,
        session: SessionId,
        attempt: u32,
        address: IpAddr,
        change: &mut dyn FnMut(&[IpAddr]) -> Option<Vec<Event>>,
    ) -> Result<(), StoreError>;

    /// Removes the decisions about booting that are not to be kept. Returns how many were removed.
    fn prune(&self, kept: Retention) -> Result<u64, StoreError>;

    /// Reads events, oldest first. Numbers may be missing where events were pruned.
    fn events(&self, query: &EventQuery) -> Result<Vec<StoredEvent>, StoreError>;

    /// Reads how far the store has come: one cheap read that tells a poller whether to look again.
    fn watermark(&self) -> Result<Watermark, StoreError>;
}

/// A rule for the change of hosts: the name, the record and the standing of the store -> the change.
pub type Change<'c> = dyn FnMut(&str, Option<&HostRecord>, &Standing) -> Option<HostUpdate> + 'c;

/// The result of settling a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettleReport {
    /// Why the store was not sound; `None` if it was.
    pub doubt: Option<StoreDoubt>,
    /// The hosts whose open sessions were suspended.
    pub suspended: Vec<String>,
}

/// The change of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostUpdate {
    /// The whole record as it shall stand; any other open session of the host is ended.
    pub record: HostRecord,
    /// The frozen plan, as JSON, exactly when `record.session` is a new session.
    pub plan: Option<String>,
    /// What to tell about the change, in the same transaction.
    pub events: Vec<Event>,
}

/// What [`Store::callback`] calls in its transaction.
pub type CallbackChange<'c> = &'c mut dyn FnMut(
    Option<&HostRecord>,
    &[(CallbackClass, CallbackTally)],
    &Standing,
) -> Option<CallbackUpdate>;

/// A callback that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackUpdate {
    /// The record of the host, where the callback changes it.
    pub record: Option<HostRecord>,
    /// The quota that the callback counts against.
    pub class: CallbackClass,
    /// What the store holds of that class, with this callback.
    pub tally: CallbackTally,
    /// The event of the callback.
    pub event: Event,
}

/// Which events a store keeps.
///
/// Decisions about booting (`install`, `local-disk`, `hold`) can be caused by anyone on the network
/// and are limited here: each host has a share of its own for each kind, and all machines that are
/// not in the inventory have one share together. So no machine evicts the events of another host,
/// and strangers evict only each other. All other events are kept forever. They are caused by
/// operators, by deadlines, and by sessions, and those of a session are bounded:
/// [`admit_callback`](crate::decide::admit_callback) limits its callbacks, and
/// [`attempt_address`](crate::decide::attempt_address) the addresses of each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How many decisions of each kind are kept for each host: the latest ones.
    pub host_decisions: u64,
    /// How many decisions of each kind are kept for all machines outside the inventory together.
    pub stranger_decisions: u64,
}

impl Retention {
    /// What servers keep.
    pub const SERVED: Self = Self {
        host_decisions: 100,
        stranger_decisions: 10_000,
    };
}

/// A session with its plan; it is kept forever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// The host that was armed.
    pub host: String,
    /// The session, as it was last written.
    pub session: Session,
    /// The plan, as JSON, frozen when the host was armed.
    pub plan: String,
}

/// Which events to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// Only events with a greater number.
    pub after: u64,
    /// Only events of this host.
    pub host: Option<String>,
    /// At most this many.
    pub limit: usize,
    /// Those with the greatest numbers, where there are more; else those with the smallest.
    pub latest: bool,
}

/// How far a store has come; both numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// How many times anything was changed, by any process.
    pub changes: u64,
    /// The number of the latest event, 0 before the first.
    pub last_event: u64,
}
