//! What a process costs, as the kernel counts it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::shared::usage;

/// How often the peak memory of a running process is looked at.
const SAMPLE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many services `serve all` says are ready.
const SERVICES: usize = 3;

/// What a process has cost so far.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The time from the start to the end of what was measured.
    pub wall: Duration,
    /// The time that processors spent on it, in the program and in the kernel.
    pub cpu: Duration,
    /// The most memory that it held at once (`VmHWM`), in bytes.
    pub peak: u64,
    /// What it holds now (`VmRSS`), while it runs.
    pub resident: Option<u64>,
}

/// Runs a command to its end, its results thrown away.
pub fn run(command: &mut Command) -> anyhow::Result<Cost> {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = spawn(command)?;
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let mut peak = 0;
    // A process that has ended holds no memory: the last look before that counts.
    while poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&SAMPLE))? == 0 {
        peak = usage::memory(child.id(), "VmHWM")?.unwrap_or(peak);
    }
    let wall = start.elapsed();
    let cpu = usage::processor_time(child.id())?;
    let status = child.wait()?;
    if !status.success() {
        let mut said = String::new();
        let stderr = child.stderr.take();
        stderr.map(|mut stderr| stderr.read_to_string(&mut said));
        bail!("{command:?} ended with {status}: {said}");
    }
    Ok(Cost {
        wall,
        cpu,
        peak,
        resident: None,
    })
}

/// `pxectl serve all`, running on free ports with a store of its own.
pub struct Serving {
    child: Child,
    http_port: u16,
    ready: Duration,
    // Kept open: a server whose standard error is closed would lose its log.
    _stderr: BufReader<ChildStderr>,
    _state: tempfile::TempDir,
}

impl Serving {
    /// Starts the servers, and returns when the last has said that it is ready.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let state = tempfile::tempdir()?;
        let http_port = free_tcp_port()?;
        command
            .args(["--listen", "127.0.0.1"])
            .args(["--dhcp-port", &free_udp_port()?.to_string()])
            .args(["--tftp-port", &free_udp_port()?.to_string()])
            .args(["--http-port", &http_port.to_string()])
            .arg("--state")
            .arg(state.path())
            .args(["--log-format", "json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = spawn(command)?;
        let stderr = child.stderr.take().context("standard error is not piped")?;
        let mut stderr = BufReader::new(stderr);
        let mut said = String::new();
        while said.matches(r#""event":"ready""#).count() < SERVICES {
            if stderr.read_line(&mut said)? == 0 {
                bail!("{command:?} ended with {}: {said}", child.wait()?);
            }
        }
        Ok(Self {
            child,
            http_port,
            ready: start.elapsed(),
            _stderr: stderr,
            _state: state,
        })
    }

    /// Returns what the servers have cost until they were ready.
    pub fn ready(&self) -> anyhow::Result<Cost> {
        self.cost(self.ready)
    }

    /// Asks for a path over HTTP; returns how long the answer took, and the cost of all until then.
    pub fn ask(&self, path: &str) -> anyhow::Result<Cost> {
        let start = Instant::now();
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.http_port))?;
        connection.set_read_timeout(Some(PATIENCE))?;
        write!(
            connection,
            "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        ensure!(
            answer.starts_with("HTTP/1.1 200"),
            "`{path}` was answered with {answer}"
        );
        self.cost(start.elapsed())
    }

    /// Ends the servers as an operator does.
    pub fn end(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the servers ended with {status}");
        Ok(())
    }

    fn cost(&self, wall: Duration) -> anyhow::Result<Cost> {
        let gone = "the servers hold no memory any more";
        Ok(Cost {
            wall,
            cpu: usage::processor_time(self.child.id())?,
            peak: usage::memory(self.child.id(), "VmHWM")?.context(gone)?,
            resident: usage::memory(self.child.id(), "VmRSS")?,
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // After `end`, there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    command
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))
}

fn free_tcp_port() -> anyhow::Result<u16> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(socket.local_addr()?.port())
}

fn free_udp_port() -> anyhow::Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    Ok(socket.local_addr()?.port())
}
