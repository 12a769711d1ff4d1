//! Random sequences of steps against the running server and the command line, held against the
//! oracle that the model of the store uses too: see `tests/main/store/model.rs`.
//!
//! Each round arms all hosts with one command, which is one sequence for each of them, and then draws
//! boots, fetches, reports, commands, kills, copies and deletions. The clock is the system's.

mod machine;

use std::collections::BTreeMap;
use std::fs;

use pxectl::machine::{Phase as StoredPhase, Session};
use pxectl::store::{SqliteStore, Store};
use pxectl::token::{Capability, StoreKey};
use serde_json::Value;

use crate::serve::server::Server;
use crate::support::directory::copy_files;
use crate::support::oracle::{
    Clocks, Draw, Hardware, Order, Phase, Process, StoreFile, Stores, Terms, Trust, same,
};
use crate::support::rack::Rack;

const HOSTS: [&str; 5] = [
    "worker-01",
    "worker-02",
    "worker-03",
    "worker-04",
    "storage-01",
];
/// How many rounds are run. In each, every host has a sequence.
const ROUNDS: u64 = 60;
/// The steps of a round.
const STEPS: usize = 16;
/// The length of an order, which no test waits for, in seconds.
const LENGTH: i64 = 45 * 60;

#[derive(Clone, Copy, Debug)]
enum Step {
    Boot {
        host: usize,
        shows_other_uuid: bool,
        has_token: bool,
    },
    Fetch {
        host: usize,
        is_first: bool,
        is_foreign: bool,
    },
    Report {
        host: usize,
        is_first: bool,
        phase: Phase,
    },
    Command {
        host: usize,
        name: &'static str,
    },
    Restart {
        by: Restart,
    },
    Delete,
    Reload {
        host: usize,
    },
}

/// What happens to the store between the kill of a server and the start of the next one.
#[derive(Clone, Copy, Debug)]
enum Restart {
    Plain,
    CopyTaken,
    CopyPutBack { in_place: bool },
    WitnessLost,
}

fn hardware(host: usize) -> Hardware {
    let mut uuid = [
        0x4c, 0x4c, 0x45, 0x44, 0x00, 0x35, 0x5a, 0x10, 0x80, 0x54, 0xb4, 0xc0, 0x4f, 0x4e, 0x00,
        0x32,
    ];
    uuid[14] = host as u8 + 1;
    Hardware {
        mac: [0x52, 0x54, 0, 0x85, 0, host as u8 + 1],
        uuid: Some(uuid),
        serial: Some(["C7X9K1", "C7X9K2", "C7X9K3", "C7X9K4", "C7X9K5"][host]),
        arch: "uefi-x64",
    }
}

struct World {
    rack: Rack,
    server: Server,
    store: SqliteStore,
    stores: Stores,
    process: Process,
    copy: Option<StoreFile>,
    /// The capabilities that each machine was given: with its scripts, and with its seeds.
    scripts: [Vec<Capability>; HOSTS.len()],
    seeds: [Vec<Capability>; HOSTS.len()],
    seen: BTreeMap<&'static str, u64>,
}

#[test]
fn no_sequence_of_steps_makes_the_server_install_what_nobody_ordered() {
    let rack = Rack::beside_store();
    let mut stores = Stores::default();
    let mut world = World {
        server: Server::start(&rack, "http"),
        store: rack.store(),
        process: stores.open(1, HOSTS.len()),
        rack,
        stores,
        copy: None,
        scripts: Default::default(),
        seeds: Default::default(),
        seen: BTreeMap::new(),
    };
    for round in 0..ROUNDS {
        let mut draw = Draw::new(round);
        let mut steps = Vec::new();
        world.begin();
        for _ in 0..STEPS {
            let step = step(&mut draw);
            steps.push(step);
            if let Err(why) = world.step(step) {
                panic!("round {round}: {why}\n{steps:#?}\n{}", world.server.log());
            }
        }
    }
    for what in [
        "armed",
        "installed from",
        "not installed",
        "fetched",
        "fetch refused",
        "report counts",
        "report does not count",
        "suspended",
        "deleted",
    ] {
        assert!(world.seen.contains_key(what), "never happened: {what}");
    }
    world.server.stop();
}

fn step(draw: &mut Draw) -> Step {
    let host = draw.below(HOSTS.len());
    match draw.below(100) {
        0..40 => Step::Boot {
            host,
            shows_other_uuid: draw.one_in(8),
            has_token: !draw.one_in(8),
        },
        40..65 => Step::Fetch {
            host,
            is_first: draw.one_in(4),
            is_foreign: draw.one_in(10),
        },
        65..82 => Step::Report {
            host,
            is_first: draw.one_in(4),
            phase: draw.of(&[Phase::Installed, Phase::Failed]),
        },
        82..92 => Step::Command {
            host,
            name: draw.of(&["cancel", "quarantine", "release", "retire", "provision"]),
        },
        92..97 => Step::Restart {
            by: draw.weighted(&[
                (2, Restart::Plain),
                (4, Restart::CopyTaken),
                (3, Restart::CopyPutBack { in_place: true }),
                (3, Restart::CopyPutBack { in_place: false }),
                (1, Restart::WitnessLost),
            ]),
        },
        97..98 => Step::Delete,
        _ => Step::Reload { host },
    }
}

impl World {
    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Makes every host ready to be armed, and arms it.
    fn begin(&mut self) {
        if !self.stores.is_in_place(&self.process) {
            self.restart(Restart::Plain).unwrap();
        }
        let aside: Vec<usize> = (0..HOSTS.len())
            .filter(|host| self.stores.hosts(&self.process)[*host].phase == Phase::Aside)
            .collect();
        self.command("release", &aside).unwrap();
        let armed: Vec<usize> = (0..HOSTS.len())
            .filter(|host| self.stores.hosts(&self.process)[*host].open().is_some())
            .collect();
        self.command("cancel", &armed).unwrap();
        self.provision(&[0, 1, 2, 3, 4]).unwrap();
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Boot {
                host,
                shows_other_uuid,
                has_token,
            } => self.boot(host, shows_other_uuid, has_token)?,
            Step::Fetch {
                host,
                is_first,
                is_foreign,
            } => self.fetch(host, is_first, is_foreign)?,
            Step::Report {
                host,
                is_first,
                phase,
            } => self.report(host, is_first, phase)?,
            Step::Command {
                host,
                name: "provision",
            } => self.provision(&[host])?,
            Step::Command { host, name } => self.command(name, &[host])?,
            Step::Restart { by } => self.restart(by)?,
            Step::Delete => {
                fs::remove_file(self.rack.state().join("state.db")).unwrap();
                self.stores.remove(1);
                self.count("deleted");
            }
            Step::Reload { host } => self.reload(host)?,
        }
        self.check()
    }

    fn clocks(&self) -> Clocks {
        Clocks {
            wall: pxectl::clock::wall_time().as_second(),
            boot: 1,
            since_boot: pxectl::clock::wall_time().as_second(),
        }
    }

    /// Arms hosts with one command, and takes their sessions from its output.
    fn provision(&mut self, hosts: &[usize]) -> Result<(), String> {
        let names: Vec<&str> = hosts.iter().map(|host| HOSTS[*host]).collect();
        let words = [
            &["host", "provision", "--yes", "--format", "json"][..],
            &names,
        ];
        let output = self.rack.command(&words.concat()).output().unwrap();
        let is_there = self.stores.is_in_place(&self.process);
        if !is_there {
            return same("armed without a store", output.status.success(), false);
        }
        let listed: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{error}: {output:?}"))?;
        let clocks = self.clocks();
        let moment = self.stores.moment(&mut self.process, clocks);
        let is_sound = self.stores.is_sound(&self.process, clocks.wall);
        let mut changed = false;
        for host in hosts {
            let mut listed = listed.as_array().ok_or("no list")?.iter();
            let listed = listed.find(|it| it["host"] == HOSTS[*host]);
            let listed = listed.ok_or("a host is missing")?;
            let id = listed["session"].as_str();
            let number = id.map(|id| u64::from_str_radix(id, 16).unwrap());
            let hardware = hardware(*host);
            let terms = Terms {
                hardware,
                attempts: 1,
            };
            let boot = (clocks.boot, clocks.since_boot);
            let order = Order::new(number.unwrap_or_default(), clocks.wall, boot, LENGTH, terms);
            let memory = &mut self.stores.hosts(&self.process)[*host];
            let expected = is_sound && memory.provision(order, moment);
            changed |= expected;
            same(HOSTS[*host], number.is_some(), expected)?;
        }
        if changed {
            self.stores.wrote(&self.process, clocks.wall, true);
            self.count("armed");
        }
        Ok(())
    }

    /// Changes hosts with one command.
    fn command(&mut self, name: &str, hosts: &[usize]) -> Result<(), String> {
        if hosts.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = hosts.iter().map(|host| HOSTS[*host]).collect();
        let words = [&["host", name][..], &names].concat();
        let output = self.rack.command(&words).output().unwrap();
        let clocks = self.clocks();
        self.stores.moment(&mut self.process, clocks);
        let mut expected = self.stores.is_in_place(&self.process);
        if expected {
            for host in hosts {
                let memory = &mut self.stores.hosts(&self.process)[*host];
                expected &= match name {
                    "cancel" => memory.cancel(),
                    "release" => memory.release(),
                    _ => memory.set_aside(),
                };
            }
            self.stores.wrote(&self.process, clocks.wall, true);
        }
        same(name, output.status.success(), expected)
    }

    /// Kills the server, does something to its files, and starts another.
    fn restart(&mut self, by: Restart) -> Result<(), String> {
        let state = self.rack.state();
        let copy = self.rack.base().join("copy");
        self.server.signal(rustix::process::Signal::KILL);
        self.server.ended();
        // The handle of this test must not be open while the files change.
        let nowhere = tempfile::tempdir().unwrap();
        let elsewhere = nowhere.path().join("state");
        self.store =
            SqliteStore::open_or_create(&elsewhere, &nowhere.path().join("witness")).unwrap();
        match by {
            Restart::Plain => {}
            Restart::CopyTaken => {
                if let Some(taken) = self.stores.copy(1) {
                    let _ = fs::remove_dir_all(&copy);
                    copy_files(&state, &copy);
                    self.copy = Some(taken);
                }
            }
            Restart::CopyPutBack { in_place } => {
                if let Some(taken) = self.copy.clone() {
                    let in_place = in_place && self.stores.at(1).is_some();
                    if !in_place {
                        fs::remove_dir_all(&state).unwrap();
                    }
                    for side in ["state.db-wal", "state.db-shm"] {
                        let _ = fs::remove_file(state.join(side));
                    }
                    copy_files(&copy, &state);
                    if in_place {
                        self.stores.put_into(1, taken);
                    } else {
                        self.stores.put_new(1, taken);
                    }
                }
            }
            Restart::WitnessLost => {
                fs::remove_dir_all(self.rack.witness()).unwrap();
                self.stores.lose_witnesses();
            }
        }
        self.server = Server::start(&self.rack, "http");
        self.store = self.rack.store();
        self.process = self.stores.open(1, HOSTS.len());
        let is_foreign = self.server.count("store-suspended") > 0;
        self.stores.resolve(&self.process, !is_foreign);
        let wall = self.clocks().wall;
        let was_own = self.stores.trust(&self.process) == Trust::Own;
        self.stores.settle(&self.process, wall);
        if is_foreign {
            self.count("suspended");
        }
        same("suspended", is_foreign, !was_own)
    }

    /// Gives a host another UUID in the inventory while its machine boots, and takes that back.
    fn reload(&mut self, host: usize) -> Result<(), String> {
        let [mine, other] = [0, 9].map(|more| format!("b4c04f4e{:02}32", host + 1 + more));
        let mark = self.server.mark();
        self.rack
            .rewrite("hosts.yaml", |text| text.replace(&mine, &other));
        self.server.event(mark, "reloaded");
        let memory = self.stores.hosts(&self.process)[host];
        // A host that nobody lists as this machine is not armed.
        self.stores.hosts(&self.process)[host].order = None;
        let booted = self.boot(host, false, true);
        self.stores.hosts(&self.process)[host] = memory;
        let mark = self.server.mark();
        self.rack
            .rewrite("hosts.yaml", |text| text.replace(&other, &mine));
        self.server.event(mark, "reloaded");
        booted
    }

    /// Compares what the store holds with what it must hold.
    fn check(&mut self) -> Result<(), String> {
        if !self.stores.is_in_place(&self.process) {
            return Ok(());
        }
        for (host, memory) in self.stores.file(&self.process).hosts.iter().enumerate() {
            let record = self.store.host(HOSTS[host]).unwrap();
            let phase = record.as_ref().map_or(StoredPhase::New, |it| it.phase);
            let phase = match phase {
                StoredPhase::New => Phase::New,
                StoredPhase::Provisioning => Phase::Armed,
                StoredPhase::Installed => Phase::Installed,
                StoredPhase::Failed => Phase::Failed,
                StoredPhase::Quarantine | StoredPhase::Retired => Phase::Aside,
            };
            let of = |it: &Session| (it.id.bits(), it.attempts, it.suspended.is_some());
            let open = record.as_ref().and_then(|it| it.open_session()).map(of);
            let expected = memory.open();
            let expected = expected.map(|it| (it.id, it.attempts, it.is_suspended));
            if (phase, open) != (memory.phase, expected) {
                let name = HOSTS[host];
                let must = memory.phase;
                return Err(format!(
                    "{name} is {phase:?} with {open:?}, expected {must:?} with {expected:?}"
                ));
            }
        }
        Ok(())
    }

    fn key(&self) -> StoreKey {
        StoreKey::new(*self.store.key())
    }
}
