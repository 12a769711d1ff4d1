//! Inventories of hosts with BMCs.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::bmc::emulator::profile::Profile;
use crate::bmc::emulator::{Bmc, Emulator};
use crate::support::directory::copy_tree;
use crate::support::rack::{Rack, fixture};
use crate::support::run_output::{BMC_PASSWORD, RunOutput};

/// The keys of a host that a test may set.
#[derive(Clone, Debug)]
pub struct HostDocument {
    pub name: String,
    pub uuid: String,
    pub serial: String,
    pub mac: String,
    pub arch: &'static str,
    /// The value of `bmc`.
    pub bmc: String,
}

impl HostDocument {
    /// Makes the host of an emulated machine, as the inventory should have it.
    pub fn of(bmc: &Bmc, index: usize) -> Self {
        let machine = bmc.controller(|controller| controller.machines[index].clone());
        let mut keys = format!(
            "{{url: \"{}\", username: admin, password: {{env: BMC_PASSWORD}}",
            bmc.url()
        );
        if bmc.profile.systems.len() > 1 {
            let _ = write!(keys, ", system: \"{}\"", bmc.profile.systems[index]);
        }
        keys.push('}');
        Self {
            name: format!("host-{:03}-{index}", bmc.number),
            uuid: machine.uuid,
            serial: machine.serial,
            mac: machine.mac,
            arch: "uefi-x64",
            bmc: keys,
        }
    }

    fn document(&self) -> String {
        format!(
            "---\nkind: Host\nname: {}\nprofile: worker\nuuid: {}\nserial: {}\narch: {}\nnics:\n  \
             - {{mac: \"{}\", network: prov0, boot: true}}\ndisk: {{wwn: \"0x5000c500a1b2c301\"}}\n\
             bmc: {}\nlabels: {{role: worker}}\n",
            self.name, self.uuid, self.serial, self.arch, self.mac, self.bmc
        )
    }
}

const SITE: &str = "\
kind: Site
name: rack-bmc
server: {address: 10.20.0.10, http_port: 8080, files: [boot]}
networks:
  - {name: prov0, subnet: 10.20.0.0/16, interface: eth1, gateway: 10.20.0.1, pool: 10.20.200.0-10.20.203.255}
bundles: bundles
loaders: {bios: undionly.kpxe, uefi-x64: snponly.efi}
---
kind: Profile
name: worker
installer: autoinstall
bundle: ubuntu-24.04-stand-in
";

impl Rack {
    /// Makes an inventory of hosts with BMCs, with a store. Its runs know the password of the BMCs.
    pub fn with_hosts(hosts: &[HostDocument]) -> Self {
        let mut rack = Self::empty();
        rack.set_environment("BMC_PASSWORD", BMC_PASSWORD);
        for name in ["boot", "bundles"] {
            copy_tree(&fixture("rack-a").join(name), &rack.file(name));
        }
        let bundles = fs::read(fixture("rack-a/bundles.yaml")).expect("the bundles");
        let documents: String = hosts.iter().map(HostDocument::document).collect();
        rack.write("bundles.yaml", bundles)
            .write("site.yaml", SITE)
            .write("hosts.yaml", documents)
            .create_store();
        rack
    }

    /// Makes one host for each machine of some BMCs.
    pub fn of_bmcs(bmcs: &[&Bmc]) -> Self {
        let mut hosts = Vec::new();
        for bmc in bmcs {
            hosts.extend((0..bmc.profile.systems.len()).map(|index| HostDocument::of(bmc, index)));
        }
        Self::with_hosts(&hosts)
    }

    /// Runs `pxectl bmc` with some arguments.
    pub fn bmc(&self, arguments: &[&str]) -> RunOutput {
        self.run(&[&["bmc"], arguments].concat())
    }

    /// Returns a command that runs a shell command line on a terminal, in the directory and with the
    /// environment of `pxectl`.
    pub fn on_terminal(&self, line: &str) -> Command {
        let mut script = Command::new("script");
        for (name, value) in self.command(&[]).get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script
            .args(["-q", "-e", "-c", line, "/dev/null"])
            .current_dir(self.base());
        script
    }

    /// Arms hosts as an operator does.
    pub fn arm(&self, hosts: &[&str]) {
        let words = [&["host", "provision", "--yes"], hosts].concat();
        self.run(&words).assert_success();
    }
}

/// Starts one BMC, and makes a rack of its machine.
pub fn single_host(profile: Profile) -> (Emulator, Bmc, Rack) {
    let mut emulator = Emulator::start();
    let bmc = emulator.add(profile);
    let rack = Rack::of_bmcs(&[&bmc]);
    (emulator, bmc, rack)
}

/// One BMC, and a rack of its machine.
pub struct SingleBmc {
    _emulator: Emulator,
    pub bmc: Bmc,
    pub rack: Rack,
}

impl SingleBmc {
    /// Starts it.
    pub fn new(profile: Profile) -> Self {
        let (emulator, bmc, rack) = single_host(profile);
        Self {
            _emulator: emulator,
            bmc,
            rack,
        }
    }

    /// Returns the host of the first machine.
    pub fn host(&self) -> String {
        format!("host-{:03}-0", self.bmc.number)
    }
}
