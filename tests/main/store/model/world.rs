//! The store under test with what surrounds it, and beside it the oracle.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pxectl::decide::Impediment;
use pxectl::machine::Secret;
use pxectl::machine::{BootId, BootTime, ClockReading, Phase as StoredPhase};
use pxectl::store::{Clock, SqliteStore, Store};
use pxectl::token::{Capability, StoreKey};

use super::site::{FIRST, HOSTS};
use crate::store::at;
use crate::support::oracle::{
    Clocks, HostMemory, Moment, Phase, Process, StoreFile, Stores, Trust,
};

/// Long after the clock of the system that runs the tests: what the store reads from there is past.
const BEGIN: i64 = 4_102_444_800;

/// What a step found wrong.
pub type Checked = Result<(), String>;

/// A clock that a sequence moves.
#[derive(Clone)]
struct ModelClock(Arc<Mutex<Clocks>>);

impl Clock for ModelClock {
    fn read(&self) -> ClockReading {
        let clocks = *self.0.lock().unwrap();
        ClockReading {
            wall: at(clocks.wall),
            boot: BootTime {
                boot_id: BootId::new(format!("boot-{}", clocks.boot)),
                since_boot: Duration::from_secs(clocks.since_boot.max(0).cast_unsigned()),
            },
        }
    }
}

/// A process that has a store open, as it is and as the oracle sees it.
pub struct Opened {
    pub store: SqliteStore,
    pub key: StoreKey,
    pub process: Process,
}

/// What a machine was given in a sequence.
#[derive(Clone, Default)]
pub struct Given {
    /// The capabilities of its scripts, as text, with what they open.
    pub scripts: Vec<(Secret, Capability)>,
    /// Those of the attempts that began: seeds hold the capability to report.
    pub seeds: Vec<(Secret, Capability)>,
    /// Its latest boot token, and when it was made.
    pub token: Option<(Secret, i64)>,
}

pub struct World {
    base: tempfile::TempDir,
    clock: ModelClock,
    pub stores: Stores,
    /// The state directory in use, and the one that was moved away.
    pub path: u32,
    pub away: Option<u32>,
    paths: u32,
    server: Option<Opened>,
    pub command: Option<Opened>,
    pub copy: Option<StoreFile>,
    pub backup: Option<StoreFile>,
    pub inventory: usize,
    pub given: [Given; HOSTS.len()],
    /// Tells the hosts of one sequence from those of others in the same store.
    sequence: u64,
    sessions: u64,
    /// What was seen to happen, so that nothing is tested by never happening.
    pub seen: BTreeMap<&'static str, u64>,
}

impl World {
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let base = base.unwrap();
        let clocks = Clocks {
            wall: BEGIN,
            boot: 1,
            since_boot: 100,
        };
        let clock = ModelClock(Arc::new(Mutex::new(clocks)));
        let mut stores = Stores::default();
        let server = open(base.path(), &clock, &mut stores, 1);
        Self {
            base,
            clock,
            stores,
            path: 1,
            away: None,
            paths: 1,
            server: Some(server),
            command: None,
            copy: None,
            backup: None,
            inventory: 0,
            given: Default::default(),
            sequence: 0,
            sessions: 0,
            seen: BTreeMap::new(),
        }
    }

    /// Makes the world ready for the next sequence: with a sound store and hosts of its own.
    pub fn begin(&mut self, sequence: u64) {
        let is_there = self.server.is_some() && self.stores.is_in_place(&self.process());
        if !is_there {
            self.restart(true).unwrap();
        } else if self.stores.trust(&self.process()) != Trust::Own {
            self.resolve();
            self.settle().unwrap();
        }
        let idle = |host: &HostMemory| host.open().is_none();
        let process = self.process();
        if !self.stores.file(&process).hosts.iter().all(idle) || !self.is_sound() {
            self.server().store.accept_clock().unwrap();
            let wall = self.clocks().wall;
            self.stores.accept_clock(&process, wall);
            self.process_mut().accept_clock(wall);
            if let Some(command) = &mut self.command {
                command.process.accept_clock(wall);
            }
        }
        self.sequence = sequence;
        self.sessions = 0;
        self.stores.hosts(&process).fill(HostMemory::NEW);
        (self.copy, self.backup, self.away) = (None, None, None);
        self.inventory = FIRST;
        self.given = Default::default();
    }

    pub fn server(&self) -> &Opened {
        self.server.as_ref().expect("a server")
    }

    pub fn process(&self) -> Process {
        self.server().process
    }

    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.server.as_mut().expect("a server").process
    }

    /// What the server's store must know of the hosts.
    pub fn hosts(&mut self) -> &mut Vec<HostMemory> {
        let process = self.process();
        self.stores.hosts(&process)
    }

    pub fn clocks(&self) -> Clocks {
        *self.clock.0.lock().unwrap()
    }

    pub fn set_clocks(&mut self, clocks: Clocks) {
        *self.clock.0.lock().unwrap() = clocks;
    }

    pub fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// The name of a host in the store.
    pub fn name(&self, host: usize) -> String {
        format!("{}-{}", self.sequence, HOSTS[host])
    }

    /// The number of a host by its name in the store; those of other sequences have none.
    pub fn number(&self, name: &str) -> Option<usize> {
        (0..HOSTS.len()).find(|host| self.name(*host) == name)
    }

    pub fn next_session(&mut self) -> u64 {
        self.sessions += 1;
        (self.sequence << 16) | (self.sessions & 0xffff)
    }

    pub fn directory(&self, path: u32) -> PathBuf {
        directory(self.base.path(), path)
    }

    pub fn side(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    pub fn next_path(&mut self) -> u32 {
        self.paths += 1;
        self.paths
    }

    /// Reads the time in the server, as it does for each request.
    pub fn moment(&mut self) -> Moment {
        let clocks = self.clocks();
        let server = self.server.as_mut().expect("a server");
        self.stores.moment(&mut server.process, clocks)
    }

    pub fn is_sound(&self) -> bool {
        let wall = self.clocks().wall;
        self.stores.is_sound(&self.process(), wall)
    }

    /// Where either answer is right, goes by the one that the program gives.
    pub fn resolve(&mut self) {
        let clocks = self.clocks();
        for opened in [self.server.as_mut(), self.command.as_mut()]
            .into_iter()
            .flatten()
        {
            if self.stores.trust(&opened.process) != Trust::Either {
                continue;
            }
            let standing = opened.store.standing().unwrap();
            self.stores.moment(&mut opened.process, clocks);
            if !matches!(
                standing.impediment(),
                Some(Impediment::StoreReplaced { .. })
            ) {
                let is_foreign =
                    matches!(standing.impediment(), Some(Impediment::StoreUnconfirmed(_)));
                self.stores.resolve(&opened.process, !is_foreign);
            }
        }
    }

    /// Runs the next commands in a process that has opened what lies at the path; `None` where no
    /// store is there.
    pub fn open_command(&mut self) -> Option<&mut Opened> {
        let there = self.stores.at(self.path)?;
        let is_stale = self
            .command
            .as_ref()
            .is_none_or(|it| it.process.file != there || it.process.path != self.path);
        if is_stale {
            self.command = None;
            let opened = open(self.base.path(), &self.clock, &mut self.stores, self.path);
            self.command = Some(opened);
            self.resolve();
        }
        self.command.as_mut()
    }

    /// Ends all processes without a word, as a crash does.
    pub fn crash(&mut self) {
        (self.server, self.command) = (None, None);
    }

    /// Starts the server again; `settles` if it comes as far as to settle its store.
    pub fn restart(&mut self, settles: bool) -> Checked {
        self.crash();
        let server = open(self.base.path(), &self.clock, &mut self.stores, self.path);
        self.server = Some(server);
        self.resolve();
        match settles {
            true => self.settle(),
            false => Ok(()),
        }
    }

    pub fn settle(&mut self) -> Checked {
        self.moment();
        let (process, wall) = (self.process(), self.clocks().wall);
        self.server().store.standing().unwrap();
        let expected = self.stores.settle(&process, wall);
        let settled = self.server().store.settle().unwrap();
        self.check_suspended(&expected, &settled.suspended)
    }

    pub fn check_suspended(&mut self, expected: &[usize], suspended: &[String]) -> Checked {
        let found: Vec<usize> = suspended.iter().filter_map(|it| self.number(it)).collect();
        if !expected.is_empty() {
            self.count("suspended");
        }
        match found == expected {
            true => Ok(()),
            false => Err(format!("suspended {suspended:?}, expected {expected:?}")),
        }
    }

    /// Compares what the server's store holds of each host with what it must hold.
    pub fn check_hosts(&self) -> Checked {
        for (host, memory) in self.stores.file(&self.process()).hosts.iter().enumerate() {
            let name = self.name(host);
            let record = self.server().store.host(&name).unwrap();
            let phase = record
                .as_ref()
                .map_or(StoredPhase::New, |record| record.phase);
            let phase = match phase {
                StoredPhase::New => Phase::New,
                StoredPhase::Provisioning => Phase::Armed,
                StoredPhase::Installed => Phase::Installed,
                StoredPhase::Failed => Phase::Failed,
                StoredPhase::Quarantine | StoredPhase::Retired => Phase::Aside,
            };
            let open = record.as_ref().and_then(|record| record.open_session());
            let open = open.map(|it| (it.id.bits(), it.attempts, it.suspended.is_some()));
            let expected = memory.open();
            let expected = expected.map(|it| (it.id, it.attempts, it.is_suspended));
            if (phase, open) != (memory.phase, expected) {
                return Err(format!(
                    "`{name}` is {phase:?} with {open:?}, expected {:?} with {expected:?}",
                    memory.phase
                ));
            }
        }
        Ok(())
    }
}

fn directory(base: &Path, path: u32) -> PathBuf {
    base.join(format!("state-{path}"))
}

fn open(base: &Path, clock: &ModelClock, stores: &mut Stores, path: u32) -> Opened {
    let state = directory(base, path);
    let store =
        SqliteStore::open_or_create_with(&state, &base.join("witness"), Arc::new(clock.clone()));
    let store = store.and_then(SqliteStore::without_sync);
    let store = store.unwrap_or_else(|error| panic!("{error}"));
    Opened {
        key: StoreKey::new(*store.key()),
        store,
        process: stores.open(path, HOSTS.len()),
    }
}

/// Copies the database in a directory to another one, in place where it exists.
pub fn copy_database(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = match from.join(file).exists() {
            true => fs::copy(from.join(file), to.join(file)).map(|_| ()),
            false => fs::remove_file(to.join(file)),
        };
    }
}
