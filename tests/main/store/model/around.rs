//! Steps around the store: its clocks, its processes and its files.

use std::fs;

use pxectl::decide::cancel;
use pxectl::serve::log::{Level, Log, LogFormat};
use pxectl::serve::sweep::sweep_now;
use pxectl::store::{HostUpdate, Store, restore};
use serde_json::{Value, json};

use super::step::Step;
use super::world::{Checked, World, copy_database};
use crate::store::at;
use crate::support::oracle::{Clocks, Trust};

impl World {
    pub fn step_around(&mut self, step: Step) -> Checked {
        let clocks = self.clocks();
        match step {
            Step::Sweep => return self.sweep(),
            Step::Settle => return self.settle(),
            Step::Pass { seconds } => self.set_clocks(Clocks {
                wall: clocks.wall + seconds,
                since_boot: clocks.since_boot + seconds,
                ..clocks
            }),
            Step::SetClock { by } => self.set_clocks(Clocks {
                wall: clocks.wall + by,
                ..clocks
            }),
            Step::AcceptClock => self.accept_clock(),
            Step::Reboot => {
                self.crash();
                self.set_clocks(Clocks {
                    boot: clocks.boot + 1,
                    since_boot: 0,
                    ..clocks
                });
                return self.restart(true);
            }
            Step::Restart { settles } => return self.restart(settles),
            Step::KillInChange { host, is_committed } => {
                return self.kill_in_change(host, is_committed);
            }
            Step::TakeCopy => {
                if let Some(copy) = self.stores.copy(self.path) {
                    copy_database(&self.directory(self.path), &self.side("copy"));
                    self.copy = Some(copy);
                }
            }
            Step::PutCopyBack { in_place, settles } => {
                return self.put_copy_back(in_place, settles);
            }
            Step::BackUp => self.back_up(),
            Step::RestoreBackup => return self.restore_backup(),
            Step::Relocate { settles } => {
                self.crash();
                let to = self.next_path();
                if self.stores.at(self.path).is_some() {
                    fs::rename(self.directory(self.path), self.directory(to)).unwrap();
                    self.stores.move_to(self.path, to);
                }
                self.path = to;
                return self.restart(settles);
            }
            Step::MoveAway => {
                if self.away.is_none() && self.stores.at(self.path).is_some() {
                    let to = self.next_path();
                    self.command = None;
                    fs::rename(self.directory(self.path), self.directory(to)).unwrap();
                    self.stores.move_to(self.path, to);
                    self.away = Some(to);
                }
            }
            Step::MoveBack => {
                if let Some(away) = self.away.take() {
                    self.command = None;
                    self.remove_state(true);
                    fs::rename(self.directory(away), self.directory(self.path)).unwrap();
                    self.stores.move_to(away, self.path);
                }
            }
            Step::Delete { whole_directory } => {
                self.command = None;
                self.remove_state(whole_directory);
            }
            Step::LoseWitness => {
                // It may be lost already.
                let _ = fs::remove_dir_all(self.side("witness"));
                self.stores.lose_witnesses();
            }
            step => unreachable!("{step:?} is no step around the store"),
        }
        Ok(())
    }

    /// Does what a server does each second; also where nobody asks.
    fn sweep(&mut self) -> Checked {
        let moment = self.moment();
        let (process, wall) = (self.process(), self.clocks().wall);
        let was_sound = self.is_sound();
        let log = Log::new(LogFormat::Json, Level::Error, Box::new(std::io::sink()));
        sweep_now(&self.server().store, &log).unwrap();
        if self.stores.is_in_place(&process) {
            if self.stores.trust(&process) == Trust::Foreign {
                self.stores.settle(&process, wall);
                self.count("suspended");
            }
            let hosts = self.stores.hosts(&process).iter_mut();
            let expired = hosts
                .filter_map(|host| host.expire(moment).then_some(()))
                .count();
            if expired > 0 {
                self.stores.wrote(&process, wall, true);
                self.count("expired");
            }
        }
        if was_sound {
            self.stores.wrote(&process, wall, false);
        }
        Ok(())
    }

    fn accept_clock(&mut self) {
        let wall = self.clocks().wall;
        let Some(command) = self.open_command() else {
            return;
        };
        command.store.accept_clock().unwrap();
        command.process.accept_clock(wall);
        let process = command.process;
        self.stores.accept_clock(&process, wall);
        // A server that uses the same file takes it over.
        if self.process().file == process.file {
            self.process_mut().accept_clock(wall);
        }
    }

    /// A server is killed between the announcement of a change and its confirmation.
    fn kill_in_change(&mut self, host: usize, is_committed: bool) -> Checked {
        let process = self.process();
        if !self.stores.is_in_place(&process) || self.stores.trust(&process) != Trust::Own {
            return self.restart(false);
        }
        // What an earlier kill left unconfirmed is confirmed by the next start.
        self.settle()?;
        let before = self.stores.file(&process).clone();
        let id = self.server().store.id().unwrap().expect("an identity");
        let witness = self.side("witness").join(format!("{id}.json"));
        let read = || -> Value { serde_json::from_slice(&fs::read(&witness).unwrap()).unwrap() };
        let mut announced = read();
        if is_committed {
            let (name, wall) = (self.name(host), self.clocks().wall);
            let updated = self.server().store.update(&[&name], &mut |_, record, _| {
                Some(HostUpdate {
                    record: cancel(record, at(0)).ok()?,
                    plan: None,
                    events: Vec::new(),
                })
            });
            updated.unwrap();
            if !self.hosts()[host].cancel() {
                return self.restart(false);
            }
            self.stores.wrote(&process, wall, true);
            announced["pending"] = read()["confirmed"].take();
        } else {
            let generation = announced["confirmed"]["generation"].as_u64().unwrap() + 1;
            announced["pending"] = json!({"generation": generation, "sessions": "0".repeat(64)});
        }
        self.crash();
        fs::write(&witness, announced.to_string()).unwrap();
        if is_committed {
            self.stores.leave_unconfirmed(&process, &before);
        }
        self.count("killed in a change");
        self.restart(false)
    }

    fn put_copy_back(&mut self, in_place: bool, settles: bool) -> Checked {
        let Some(copy) = self.copy.clone() else {
            return Ok(());
        };
        self.crash();
        let state = self.directory(self.path);
        let in_place = in_place && self.stores.at(self.path).is_some();
        if !in_place {
            self.remove_state(true);
        }
        copy_database(&self.side("copy"), &state);
        if in_place {
            self.stores.put_into(self.path, copy);
            self.count("copied in place");
        } else {
            self.stores.put_new(self.path, copy);
            self.count("copied as a new file");
        }
        self.restart(settles)
    }

    fn back_up(&mut self) {
        let (state, file) = (self.directory(self.path), self.side("backup.db"));
        let Some(command) = self.open_command() else {
            return;
        };
        let _ = fs::remove_file(&file);
        command.store.back_up(&state, &file).unwrap();
        self.backup = self.stores.copy(self.path);
    }

    fn restore_backup(&mut self) -> Checked {
        let Some(backup) = self.backup.clone() else {
            return Ok(());
        };
        self.crash();
        self.remove_state(true);
        let state = self.directory(self.path);
        let restored = restore(&self.side("backup.db"), &state, &self.side("witness"));
        let settled = restored.unwrap();
        let file = self.stores.put_new(self.path, backup);
        let process = self.stores.open(self.path, 0);
        assert_eq!(process.file, file);
        let suspended = self.stores.disown(&process, i64::MIN);
        self.check_suspended(&suspended, &settled.suspended)?;
        self.count("restored from a backup");
        self.restart(true)
    }

    fn remove_state(&mut self, whole_directory: bool) {
        let state = self.directory(self.path);
        if whole_directory {
            let _ = fs::remove_dir_all(&state);
        } else {
            for file in ["state.db", "state.db-wal", "state.db-shm"] {
                let _ = fs::remove_file(state.join(file));
            }
        }
        self.stores.remove(self.path);
    }
}
