//! An oracle for tests that drive random steps: what pxectl must do, and what it must never do.
//!
//! It is written from the promises in the design and the manual, not from the code, and knows no
//! database: the stores here are numbered files that remember hosts.

mod draw;
mod host;

use std::collections::BTreeMap;

pub use draw::Draw;
pub use host::{Fetch, Hardware, HostMemory, Moment, Order, Phase, Terms, swapped};

/// How far a clock may be behind the time that was seen, in seconds.
const TOLERANCE: i64 = 30;

/// What the clocks show, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    pub wall: i64,
    pub boot: u32,
    pub since_boot: i64,
}

/// What one store file holds, and so what a copy of it holds.
#[derive(Clone, Debug)]
pub struct StoreFile {
    pub hosts: Vec<HostMemory>,
    /// The latest time that was written.
    seen: i64,
    lineage: u32,
    /// Which change of the orders was the last; no number is used twice.
    version: u64,
}

/// What tells the open orders of a store from those of an older copy.
type OpenOrders = Vec<(u64, u32, bool)>;

impl StoreFile {
    fn open_orders(&self) -> OpenOrders {
        let open = self.hosts.iter().filter_map(HostMemory::open);
        open.map(|order| (order.id, order.attempts, order.is_suspended))
            .collect()
    }
}

/// Where a lineage of stores lives, and its last change there.
#[derive(Clone, Debug)]
struct Home {
    file: usize,
    path: u32,
    version: u64,
    orders: OpenOrders,
    /// The orders before the last change, where a crash kept the last from being confirmed. A copy
    /// of them cannot be told from the store until the next start.
    unconfirmed: Option<OpenOrders>,
}

/// Whether a store may arm hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is the store that was last written, at its place.
    Own,
    /// It was restored, copied, moved, or its witness is gone.
    Foreign,
    /// It is a copy with the same open orders, or cannot be told from that: either answer is right.
    Either,
}

/// A process that has a store open.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub file: usize,
    pub path: u32,
    /// The latest time that it has read.
    seen: i64,
}

impl Process {
    /// An operator accepted the clock: what was read before does not count any more.
    pub fn accept_clock(&mut self, wall: i64) {
        self.seen = wall;
    }
}

/// All store files of a test, and which lies where.
#[derive(Debug, Default)]
pub struct Stores {
    files: Vec<StoreFile>,
    places: BTreeMap<u32, usize>,
    homes: BTreeMap<u32, Home>,
    last: u64,
}

impl Stores {
    /// Opens the store at a path, or makes it there.
    pub fn open(&mut self, path: u32, hosts: usize) -> Process {
        let file = match self.places.get(&path) {
            Some(file) => *file,
            None => {
                let file = self.put_new(
                    path,
                    StoreFile {
                        hosts: vec![HostMemory::NEW; hosts],
                        seen: i64::MIN,
                        lineage: 0,
                        version: 0,
                    },
                );
                self.adopt(file, path);
                file
            }
        };
        Process {
            file,
            path,
            seen: i64::MIN,
        }
    }

    pub fn file(&self, process: &Process) -> &StoreFile {
        &self.files[process.file]
    }

    pub fn hosts(&mut self, process: &Process) -> &mut Vec<HostMemory> {
        &mut self.files[process.file].hosts
    }

    pub fn at(&self, path: u32) -> Option<usize> {
        self.places.get(&path).copied()
    }

    /// Copies the store at a path: to another directory, or into a backup.
    pub fn copy(&self, path: u32) -> Option<StoreFile> {
        Some(self.files[self.at(path)?].clone())
    }

    /// Puts a copy at a path as a new file.
    pub fn put_new(&mut self, path: u32, copy: StoreFile) -> usize {
        self.files.push(copy);
        self.places.insert(path, self.files.len() - 1);
        self.files.len() - 1
    }

    /// Writes a copy into the file at a path.
    pub fn put_into(&mut self, path: u32, mut copy: StoreFile) {
        copy.version = self.number();
        if let Some(file) = self.at(path) {
            self.files[file] = copy;
        }
    }

    pub fn remove(&mut self, path: u32) {
        self.places.remove(&path);
    }

    pub fn move_to(&mut self, from: u32, to: u32) {
        if let Some(file) = self.places.remove(&from) {
            self.places.insert(to, file);
        }
    }

    /// All witness files are lost.
    pub fn lose_witnesses(&mut self) {
        self.homes.clear();
    }

    /// A process was killed after a change was written and before it was confirmed; `before` is the
    /// copy of the store before the change.
    pub fn leave_unconfirmed(&mut self, process: &Process, before: &StoreFile) {
        if self.trust(process) == Trust::Own
            && let Some(home) = self.homes.get_mut(&self.files[process.file].lineage)
        {
            home.unconfirmed = Some(before.open_orders());
        }
    }

    pub fn trust(&self, process: &Process) -> Trust {
        let file = &self.files[process.file];
        let Some(home) = self.homes.get(&file.lineage) else {
            return Trust::Foreign;
        };
        if home.file != process.file || home.path != process.path {
            return Trust::Foreign;
        }
        if file.version == home.version {
            return Trust::Own;
        }
        let orders = file.open_orders();
        match home.orders == orders || home.unconfirmed.as_ref() == Some(&orders) {
            true => Trust::Either,
            false => Trust::Foreign,
        }
    }

    /// Takes over what the program decided where either answer is right.
    pub fn resolve(&mut self, process: &Process, is_own: bool) {
        if self.trust(process) != Trust::Either {
            return;
        }
        let file = &mut self.files[process.file];
        if !is_own {
            // Of no lineage, it is foreign for as long as it is not settled.
            file.lineage = 0;
        } else if let Some(home) = self.homes.get_mut(&file.lineage) {
            home.version = file.version;
            home.orders = file.open_orders();
            home.unconfirmed = None;
        }
    }

    /// Reports whether the path leads to the file that the process opened.
    pub fn is_in_place(&self, process: &Process) -> bool {
        self.at(process.path) == Some(process.file)
    }

    fn is_behind(&self, process: &Process, wall: i64) -> bool {
        process.seen.max(self.files[process.file].seen) > wall + TOLERANCE
    }

    /// Reports whether anything destructive may be served or armed at all.
    pub fn is_sound(&self, process: &Process, wall: i64) -> bool {
        self.is_in_place(process)
            && self.trust(process) == Trust::Own
            && !self.is_behind(process, wall)
    }

    /// Reads the time in a process: it never goes back.
    pub fn moment(&self, process: &mut Process, clocks: Clocks) -> Moment {
        process.seen = process.seen.max(clocks.wall);
        Moment {
            now: process.seen.max(self.files[process.file].seen),
            boot: clocks.boot,
            since_boot: clocks.since_boot,
        }
    }

    /// Notes that a process wrote to its store, and whether orders were opened, used or ended.
    pub fn wrote(&mut self, process: &Process, wall: i64, changed_orders: bool) {
        let trust = self.trust(process);
        let version = self.number();
        let file = &mut self.files[process.file];
        file.seen = file.seen.max(wall);
        if !changed_orders {
            return;
        }
        file.version = version;
        if let Some(home) = self
            .homes
            .get_mut(&file.lineage)
            .filter(|_| trust == Trust::Own)
        {
            home.version = version;
            home.orders = file.open_orders();
            home.unconfirmed = None;
        }
    }

    /// Settles a store; returns the hosts whose orders must be suspended.
    pub fn settle(&mut self, process: &Process, wall: i64) -> Vec<usize> {
        if !self.is_in_place(process) {
            return Vec::new();
        }
        if self.trust(process) == Trust::Own {
            let lineage = self.files[process.file].lineage;
            if let Some(home) = self.homes.get_mut(&lineage) {
                home.unconfirmed = None;
            }
            return Vec::new();
        }
        self.disown(process, wall)
    }

    /// Suspends every open order, and makes the store one of its own.
    pub fn disown(&mut self, process: &Process, wall: i64) -> Vec<usize> {
        let file = &mut self.files[process.file];
        file.seen = file.seen.max(wall);
        let hosts = file.hosts.iter_mut().enumerate();
        let suspended = hosts.filter_map(|(index, host)| host.suspend().then_some(index));
        let suspended = suspended.collect();
        self.adopt(process.file, process.path);
        suspended
    }

    /// Ends every open order of a store, and takes the clock's time as its latest.
    pub fn accept_clock(&mut self, process: &Process, wall: i64) {
        for host in &mut self.files[process.file].hosts {
            host.cancel();
        }
        self.wrote(process, wall, true);
        self.files[process.file].seen = wall;
    }

    fn adopt(&mut self, file: usize, path: u32) {
        // Nothing vouches any more for a copy of what the file was before.
        self.homes.retain(|_, home| home.file != file);
        let (lineage, version) = (self.number() as u32, self.number());
        let store = &mut self.files[file];
        store.lineage = lineage;
        store.version = version;
        let home = Home {
            file,
            path,
            version,
            orders: store.open_orders(),
            unconfirmed: None,
        };
        self.homes.insert(lineage, home);
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// Compares a result with the oracle's.
///
/// # Errors
/// Names what differs.
pub fn same<T: PartialEq + std::fmt::Debug>(
    name: &str,
    found: T,
    expected: T,
) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{name}: {found:?}, expected {expected:?}"))
    }
}
