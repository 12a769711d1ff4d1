use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use pxectl::machine::Lease;
use pxectl::store::{LeaseStore, SqliteLeases};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program_log::ProgramLog;
use crate::segment::{INTERFACE, Segment};

/// How long a program may take to do what it is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A program on a machine, whose lines can be waited for; killed when dropped.
pub struct Program {
    child: Child,
    log: ProgramLog,
    read: usize,
}

impl Program {
    /// Starts a command; what it says on its standard error can be waited for.
    pub fn start(mut command: std::process::Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = ProgramLog::read(child.stderr.take().unwrap());
        Self {
            child,
            log,
            read: 0,
        }
    }

    /// Waits for the next line that holds all these words.
    ///
    /// # Panics
    /// When it does not come in time, with all that it has said.
    pub fn wait_for(&mut self, words: &[&str]) -> String {
        let index = self.log.wait_for(self.read, PATIENCE, |line| {
            words.iter().all(|word| line.contains(word))
        });
        self.read = index + 1;
        self.log.lines()[index].clone()
    }
}

impl Program {
    /// Returns what it has said up to the line that was last waited for.
    pub fn said(&mut self) -> &[String] {
        &self.log.lines()[..self.read]
    }

    /// Waits until it ends by itself, and returns how, and all that it has said.
    pub fn ended(mut self) -> (ExitStatus, String) {
        self.log.wait_for_end(PATIENCE);
        let status = self.child.wait().unwrap();
        (status, self.log.lines().join("\n"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A dnsmasq that gives out addresses, and knows nothing of booting.
pub struct Dnsmasq {
    program: Program,
    _directory: TempDir,
}

impl Dnsmasq {
    /// Starts it on a machine with a range of addresses.
    pub fn start(segment: &Segment, machine: &str, range: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let leases = directory.path().join("leases");
        let mut command = segment.command(machine, "/usr/sbin/dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--log-facility=-",
        ]);
        command.args([
            "--port=0",
            "--user=root",
            "--pid-file",
            "--no-ping",
            "--dhcp-authoritative",
        ]);
        command.args(["--bind-interfaces", "--log-dhcp"]);
        command.arg(format!("--interface={INTERFACE}"));
        command.arg(format!("--dhcp-range={range}"));
        command.arg(format!("--dhcp-leasefile={}", leases.display()));
        let mut program = Program::start(command);
        program.wait_for(&["DHCP, IP range"]);
        Self {
            program,
            _directory: directory,
        }
    }

    /// Starts one that passes messages on to a server, on a machine that has this address.
    pub fn relay(segment: &Segment, machine: &str, own: &str, server: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = segment.command(machine, "/usr/sbin/dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--log-facility=-",
        ]);
        command.args(["--port=0", "--user=root", "--pid-file", "--log-dhcp"]);
        command.arg(format!("--dhcp-relay={own},{server}"));
        let mut program = Program::start(command);
        program.wait_for(&["DHCP relay from"]);
        Self {
            program,
            _directory: directory,
        }
    }

    /// Waits until it has said this.
    pub fn wait_for(&mut self, words: &[&str]) {
        self.program.wait_for(words);
    }
}

/// `pxectl serve all` on the machine `rack`.
pub struct Server {
    program: Program,
    directory: TempDir,
}

impl Server {
    /// Starts it with a `Site` document and waits until all three servers are ready.
    pub fn start(segment: &Segment, site: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let inventory = directory.path().join("inventory");
        std::fs::create_dir(&inventory).unwrap();
        std::fs::write(inventory.join("site.yaml"), site).unwrap();
        let state = state(directory.path());
        let mut command = segment.command("rack", env!("CARGO_BIN_EXE_pxectl"));
        command.arg("-i").arg(inventory).arg("--state").arg(&state);
        command.env("PXECTL_WITNESS", state.with_extension("witness"));
        command.args(["serve", "all", "--log-format", "json", "-v"]);
        let mut program = Program::start(command);
        for _ in 0..3 {
            program.wait_for(&[r#""event":"ready""#]);
        }
        // What one server said while another was getting ready can be waited for, too.
        program.read = 0;
        Self { program, directory }
    }

    /// Waits for the next line with all these words, and returns it.
    pub fn wait_for(&mut self, words: &[&str]) -> String {
        self.program.wait_for(words)
    }

    /// Waits for the next event of a kind, and returns its line.
    pub fn wait_for_event(&mut self, kind: &str) -> String {
        self.wait_for_event_with(kind, &[])
    }

    /// Waits for the next event of a kind whose line holds all these words.
    pub fn wait_for_event_with(&mut self, kind: &str, words: &[&str]) -> String {
        let kind = format!(r#""event":"{kind}""#);
        self.program.wait_for(&[&[&*kind], words].concat())
    }

    /// Lists the leases that it has promised and that are on the disk.
    pub fn leases(&self) -> Vec<Lease> {
        let leases = SqliteLeases::open_read_only(&state(self.directory.path())).unwrap();
        leases.map_or(Vec::new(), |leases| leases.load().unwrap())
    }

    /// Ends it cleanly, and returns how many leases it has ever promised.
    pub fn stop(self) -> usize {
        self.stop_with_log().0
    }

    /// Ends it cleanly, and returns how many leases it has ever promised, and its whole log.
    pub fn stop_with_log(mut self) -> (usize, String) {
        self.program.signal(Signal::TERM);
        self.program.log.wait_for_end(PATIENCE);
        let status = self.program.child.wait().unwrap();
        assert!(status.success(), "`pxectl serve all` ended with {status}");
        let leases = SqliteLeases::open(&state(self.directory.path())).unwrap();
        (
            leases.load().unwrap().len(),
            self.program.log.lines().join("\n"),
        )
    }
}

fn state(directory: &Path) -> PathBuf {
    directory.join("state")
}
