use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pxectl::store::SqliteStore;

use crate::emulator::profile::Profile;
use crate::emulator::{Bmc, Emulator, PASSWORD};

/// An inventory of hosts with BMCs, and its store.
pub struct Rack {
    directory: tempfile::TempDir,
}

/// The output of one run.
#[derive(Debug)]
pub struct RunOutput {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl RunOutput {
    /// Returns both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn assert_success(&self) -> &Self {
        self.assert_exit(0)
    }

    #[track_caller]
    pub fn assert_exit(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "{}{}", self.stdout, self.stderr);
        // No run prints a password or a token.
        for secret in [PASSWORD, "token-"] {
            assert!(!self.all().contains(secret), "{}", self.all());
        }
        self
    }

    /// Checks that the output contains each of the texts.
    #[track_caller]
    pub fn assert_contains(&self, texts: &[&str]) -> &Self {
        for text in texts {
            let all = self.all();
            assert!(all.contains(text), "`{text}` is not in\n{all}");
        }
        self
    }

    /// Parses the output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let read = serde_json::from_str(&self.stdout);
        read.unwrap_or_else(|error| panic!("{error} in\n{}{}", self.stdout, self.stderr))
    }
}

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
    pub fn new(hosts: &[HostDocument]) -> Self {
        let rack = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rack-a");
        for name in ["boot", "bundles"] {
            copy(&fixture.join(name), &rack.file(name));
        }
        fs::copy(fixture.join("bundles.yaml"), rack.file("bundles.yaml")).expect("a copy");
        rack.write("site.yaml", SITE);
        let documents: String = hosts.iter().map(HostDocument::document).collect();
        rack.write("hosts.yaml", documents);
        SqliteStore::create(&rack.file("state"), &rack.file("witness")).expect("a store");
        rack
    }

    /// Makes one host for each machine of some BMCs.
    pub fn of(bmcs: &[&Bmc]) -> Self {
        let mut hosts = Vec::new();
        for bmc in bmcs {
            hosts.extend((0..bmc.profile.systems.len()).map(|index| HostDocument::of(bmc, index)));
        }
        Self::new(&hosts)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.file(name), text).expect("a file");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("the file")
    }

    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "`{from}` is not in `{name}`");
        self.write(name, text.replacen(from, to, 1));
    }

    /// Returns `pxectl` in this directory, with the password in the environment and without foreign
    /// settings.
    pub fn pxectl(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pxectl"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let foreign = ["PXECTL_", "VAULT_", "IPMI"]
                .iter()
                .any(|it| name.starts_with(it));
            if foreign || name.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command
            .args(words)
            .current_dir(self.directory.path())
            .env("PXECTL_STATE", "state")
            .env("PXECTL_WITNESS", "witness")
            .env("BMC_PASSWORD", PASSWORD)
            .stdin(Stdio::null());
        command
    }

    /// Returns a command that runs a shell command line on a terminal, in this directory and with the
    /// environment of `pxectl`.
    pub fn on_terminal(&self, line: &str) -> Command {
        let mut script = Command::new("script");
        for (name, value) in self.pxectl(&[]).get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script
            .args(["-q", "-e", "-c", line, "/dev/null"])
            .current_dir(self.directory.path());
        script
    }

    pub fn run(&self, words: &[&str]) -> RunOutput {
        run_command(&mut self.pxectl(words))
    }

    /// Runs `pxectl bmc` with some arguments.
    pub fn bmc(&self, words: &[&str]) -> RunOutput {
        self.run(&[&["bmc"], words].concat())
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
    let rack = Rack::of(&[&bmc]);
    (emulator, bmc, rack)
}

pub fn run_command(command: &mut Command) -> RunOutput {
    let output = command.output().expect("it runs");
    RunOutput {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}
