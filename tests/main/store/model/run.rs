//! Does the steps of a sequence, and holds each answer against the oracle's.

use pxectl::decide::{arm, cancel, release, set_aside};
use pxectl::machine::{HostRecord, Phase as StoredPhase, Session, SessionId};
use pxectl::store::{HostUpdate, Store, StoreError, StoreFault};

use super::site::listed;
use super::step::Step;
use super::world::{Checked, World};
use crate::store::at;
use crate::support::oracle::{HostMemory, Order, Process, Terms, Trust, same};

impl World {
    pub fn step(&mut self, step: Step) -> Checked {
        self.resolve();
        match step {
            Step::Provision {
                first,
                count,
                deadline,
            } => self.provision(first..first + count, deadline)?,
            Step::Cancel { host } => self.change(host, HostMemory::cancel, &|_, record| {
                cancel(record, at(0)).ok()
            })?,
            Step::Quarantine { host } => self.set_aside(host, StoredPhase::Quarantine)?,
            Step::Retire { host } => self.set_aside(host, StoredPhase::Retired)?,
            Step::Release { host } => self.change(host, HostMemory::release, &|_, record| {
                release(record, at(0)).ok()
            })?,
            // A request for a script changes nothing, so there is nothing to compare.
            Step::Boot { machine, shown, by } => return self.boot(machine, shown, by),
            Step::Fetch { host, what } => self.fetch(host, what)?,
            Step::Report { host, what, text } => self.report(host, what, text)?,
            Step::Reload { inventory } => {
                self.inventory = inventory;
                return Ok(());
            }
            Step::Pass { .. } | Step::SetClock { .. } => return self.step_around(step),
            step => self.step_around(step)?,
        }
        self.check_hosts()
    }

    /// Arms hosts as `host provision` does, which settles a store that is not its own.
    fn provision(&mut self, hosts: std::ops::Range<usize>, deadline: i64) -> Checked {
        let (inventory, clocks) = (self.inventory, self.clocks());
        let hosts: Vec<(String, usize, u64, Terms)> = hosts
            .filter_map(|host| {
                let terms = listed(inventory, host)?;
                Some((self.name(host), host, self.next_session(), terms))
            })
            .collect();
        let Some(command) = self.open_command() else {
            return Ok(());
        };
        let mut process = command.process;
        if self.stores.trust(&process) != Trust::Own {
            let expected = self.stores.settle(&process, clocks.wall);
            let store = &self.command.as_ref().expect("a command").store;
            let settled = store.settle().unwrap();
            self.check_suspended(&expected, &settled.suspended)?;
        }
        let store = &self.command.as_ref().expect("a command").store;
        let length = std::time::Duration::from_secs(deadline.cast_unsigned());
        let reading = store.standing().unwrap().clock().clone();
        let names: Vec<&str> = hosts.iter().map(|(name, ..)| name.as_str()).collect();
        let mut armed = Vec::new();
        let updated = store.update(&names, &mut |name, record, standing| {
            let (.., host, id, _) = hosts.iter().find(|it| it.0 == name)?;
            let session = Session::open(SessionId::new(*id), &reading, length)?;
            let record = arm(name, record, session, standing).ok()?;
            armed.push(*host);
            Some(HostUpdate {
                record,
                plan: Some(inventory.to_string()),
                events: Vec::new(),
            })
        });
        if !kept(updated) {
            armed.clear();
        }

        let moment = self.stores.moment(&mut process, clocks);
        command_process(self, process);
        let mut expected = Vec::new();
        if self.stores.is_sound(&process, clocks.wall) {
            let boot = (clocks.boot, clocks.since_boot);
            for (_, host, id, terms) in &hosts {
                let order = Order::new(*id, clocks.wall, boot, deadline, *terms);
                if self.stores.hosts(&process)[*host].provision(order, moment) {
                    expected.push(*host);
                }
            }
        }
        if !expected.is_empty() {
            self.stores.wrote(&process, clocks.wall, true);
        }
        self.count(if armed.is_empty() {
            "not armed"
        } else {
            "armed"
        });
        same("armed", armed, expected)
    }

    fn set_aside(&mut self, host: usize, phase: StoredPhase) -> Checked {
        self.change(host, HostMemory::set_aside, &|name, record| {
            Some(set_aside(name, record, phase, None, at(0)))
        })
    }

    /// Changes a host as a command does that does not settle the store.
    fn change(
        &mut self,
        host: usize,
        expected: impl Fn(&mut HostMemory) -> bool,
        change: &dyn Fn(&str, Option<&HostRecord>) -> Option<HostRecord>,
    ) -> Checked {
        let (name, clocks) = (self.name(host), self.clocks());
        let Some(command) = self.open_command() else {
            return Ok(());
        };
        let mut is_changed = false;
        let updated = command.store.update(&[&name], &mut |name, record, _| {
            let record = change(name, record)?;
            is_changed = true;
            Some(HostUpdate {
                record,
                plan: None,
                events: Vec::new(),
            })
        });
        is_changed &= kept(updated);
        let mut process = command.process;
        self.stores.moment(&mut process, clocks);
        command_process(self, process);
        let memory = &mut self.stores.hosts(&process)[host];
        let was_open = memory.open().is_some();
        let is_expected = expected(memory);
        if is_expected {
            self.stores.wrote(&process, clocks.wall, was_open);
        }
        same("changed", is_changed, is_expected)
    }
}

/// Reports whether a write was kept; one to a file that is deleted or replaced must not be.
pub fn kept(written: Result<(), StoreError>) -> bool {
    match written {
        Ok(()) => true,
        Err(error) if matches!(error.fault, StoreFault::Replaced) => false,
        Err(error) => panic!("{error}"),
    }
}

fn command_process(world: &mut World, process: Process) {
    if let Some(command) = &mut world.command {
        command.process = process;
    }
}
