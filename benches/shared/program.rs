//! Servers as processes: ours, and the peers'.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take until it listens, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at.
const SAMPLE: Duration = Duration::from_millis(20);

/// A server that runs; it is ended when dropped.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a server, its words in a file of `directory`, and waits until it has bound `port`.
    ///
    /// # Errors
    /// When it does not start, or ends at once: with what it said.
    pub fn start(mut command: Command, port: u16, directory: &Path) -> anyhow::Result<Self> {
        let log = directory.join("log");
        let words = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(words.try_clone()?)
            .stderr(words)
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let mut program = Self { child, log };
        let deadline = Instant::now() + PATIENCE;
        while !program.is_bound(port)? {
            if let Some(status) = program.child.try_wait()? {
                bail!("{command:?} ended with {status}: {}", program.said());
            }
            if Instant::now() > deadline {
                bail!("{command:?} does not listen: {}", program.said());
            }
            thread::sleep(SAMPLE);
        }
        Ok(program)
    }

    /// Returns the number of the process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Reports whether a socket of its machine is bound to a UDP port.
    fn is_bound(&self, port: u16) -> anyhow::Result<bool> {
        // Before it has entered its namespace, the process sees our sockets; once it has ended, there
        // is nothing to read.
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
        if network(&self.child.id().to_string()) == network("self") {
            return Ok(false);
        }
        let table = fs::read_to_string(format!("/proc/{}/net/udp", self.child.id()));
        let own = format!(":{port:04X}");
        Ok(table.is_ok_and(|table| {
            let mut locals = table.lines().filter_map(|it| it.split_whitespace().nth(1));
            locals.any(|local| local.ends_with(&own))
        }))
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(SAMPLE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds a program where Debian puts it, or below the directory that `PXECTL_BENCH_PEERS` names.
pub fn find(name: &str) -> Option<PathBuf> {
    let unpacked = std::env::var_os("PXECTL_BENCH_PEERS").map(PathBuf::from);
    let roots = unpacked.into_iter().chain([PathBuf::from("/")]);
    let mut paths = roots.flat_map(|root| {
        ["usr/sbin", "usr/bin", "usr/local/bin", "bin"].map(|place| root.join(place).join(name))
    });
    paths.find(|path| path.exists())
}
