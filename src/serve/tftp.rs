//! The TFTP server: sockets, threads and files around [`crate::respond::tftp`].
//!
//! Each worker thread owns a socket on the request port. The kernel spreads peers over them by
//! address and port, so every request of a peer reaches one worker. That worker gives its transfer a
//! socket of its own, on a port that nobody who does not see our replies can know. Workers share
//! the slots and the threads that open files, nothing else.

mod content;
mod opening;
mod poller;
mod ports;
mod sharing;
mod socket;
mod worker;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;

use crate::inventory::PortRange;
use crate::respond::tftp::{Outcome, Slots};
use crate::serve::shutdown::Shutdown;
use crate::wire::tftp::ErrorCode;
use crate::workspace::files::{FileError, FileRoots, OpenedFile};
use opening::Openers;
use ports::Ports;
use sharing::SharedSlots;
use socket::Socket;
use worker::Worker;

/// Where the server gets what it serves.
pub trait TftpFiles: Send + Sync {
    /// Opens the file that `peer` calls `name`, a relative path without `..`.
    ///
    /// It is called on a thread that serves other peers, too: what has to wait, for a store or a
    /// file system say, is left to [`Opening::Later`].
    fn open(&self, name: &str, peer: SocketAddrV4) -> Opening;

    /// Says what is known of the way to `peer`; it must not wait.
    fn way(&self, _peer: SocketAddrV4) -> Way {
        Way::default()
    }

    /// Reports whether the site reserves or leases this address: its machines come before strangers.
    /// It must not wait.
    fn knows(&self, _address: Ipv4Addr) -> bool {
        false
    }

    /// Is called about once a second, for what is due by time; it must not wait.
    fn look_around(&self) {}
}

/// What is known of the way to a peer, beyond what the server's own link shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The largest IP packet that it carries, in octets, in place of the server's.
    pub mtu: Option<u16>,
    /// The largest block, in octets, for a peer that fails with its own choice.
    pub block_size: Option<u16>,
}

/// The answer to a name: a file, or why there is none.
///
/// An error is sent to the peer. "Missing" must be [`ErrorCode::FileNotFound`]: loaders look for
/// optional files and go on without them.
pub enum Opening {
    /// What it is.
    Now(Result<Content, OpenError>),
    /// What finds it out. It is called once, on a thread that may wait; not at all where the peer
    /// has left meanwhile, or the server ends. A peer that repeats its request waits for the same
    /// one.
    Later(OpenLater),
}

/// Opens a file on a thread that may wait.
pub type OpenLater = Box<dyn FnOnce() -> Result<Content, OpenError> + Send>;

/// What one transfer sends.
#[derive(Debug)]
pub enum Content {
    /// A file, read as it is sent.
    File {
        /// The file.
        file: File,
        /// Its size in octets; a file that becomes shorter ends the transfer with an error.
        size: u64,
    },
    /// Octets in memory.
    Bytes(Bytes),
}

/// The file is not served; the peer is told why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OpenError {
    /// The code of the ERROR packet.
    pub code: ErrorCode,
    /// Its message.
    pub message: String,
}

impl From<FileError> for OpenError {
    fn from(error: FileError) -> Self {
        let code = match &error {
            FileError::NotFound { .. } | FileError::NotAFile { .. } | FileError::Loop { .. } => {
                ErrorCode::FileNotFound
            }
            FileError::OutsideRoots { .. }
            | FileError::Refused(_)
            | FileError::NotPublic { .. } => ErrorCode::AccessViolation,
            FileError::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => ErrorCode::AccessViolation,
                _ => ErrorCode::NotDefined,
            },
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl TftpFiles for FileRoots {
    fn open(&self, name: &str, _peer: SocketAddrV4) -> Opening {
        let (roots, name) = (self.clone(), name.to_owned());
        Opening::Later(Box::new(move || {
            let OpenedFile { file, size, .. } = FileRoots::open(&roots, &name)?;
            Ok(Content::File { file, size })
        }))
    }
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TftpReport {
    /// Who asked.
    pub peer: SocketAddrV4,
    /// The file, as its clean name where it has one; empty where the datagram was no request.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// What to serve on, and within which bounds.
#[derive(Clone, Debug)]
pub struct TftpConfig {
    /// The address for requests. With 0.0.0.0, replies come from the address that was asked.
    pub address: SocketAddrV4,
    /// The largest IP packet for a peer of which [`TftpFiles::way`] knows no other, in octets. Less
    /// is sent where our own link carries less.
    pub mtu: u32,
    /// Replies come from the request port: for a firewall that lets only that one pass.
    pub single_port: bool,
    /// The ports of transfers, where they have their own; the system's where it is left out.
    pub ports: Option<PortRange>,
    /// How many transfers run at once. A request beyond takes the place of one without a response,
    /// see [`Slots`], or is left to the peer's own retry.
    pub most_transfers: usize,
    /// How many of them one address may run; loopback is not counted.
    pub most_transfers_of_one: usize,
    /// Threads that run an [`Opening::Later`].
    pub openers: usize,
    /// How many transfers may wait for an [`Opening::Later`] that has not begun; a request beyond
    /// is left to the peer's own retry.
    pub most_waiting: usize,
    /// How long a peer may be silent while its file is opened; then nobody waits for it any more.
    pub abandoned_after: Duration,
}

impl TftpConfig {
    /// Takes an address, Ethernet's MTU, and room for 1,024 transfers, 16 of them of one address.
    ///
    /// Four threads open: enough for a store whose writers take turns. 256 transfers may wait for
    /// them.
    pub fn new(address: SocketAddrV4) -> Self {
        Self {
            address,
            mtu: 1500,
            single_port: false,
            ports: None,
            most_transfers: 1024,
            most_transfers_of_one: 16,
            openers: 4,
            most_waiting: 256,
            // iPXE, the slowest, repeats a request after at most 10 s.
            abandoned_after: Duration::from_secs(15),
        }
    }
}

/// A TFTP server whose sockets are bound.
pub struct TftpServer {
    shared: Arc<Shared>,
    sockets: Vec<Socket>,
    local_address: SocketAddrV4,
    report: Box<dyn Fn(TftpReport) + Send>,
}

/// What the workers share.
struct Shared {
    config: TftpConfig,
    files: Arc<dyn TftpFiles>,
    /// Where transfers get their ports; left out where that is the request port.
    // Deviation: RFC 1350 §4 gives each transfer a port of its own. With `single_port` the peer's
    // port tells transfers apart.
    ports: Option<Ports>,
    slots: SharedSlots,
    openers: Openers,
}

/// Reports that wait while the caller is busy with one. Past it they are lost: a flood must
/// neither stall transfers nor fill the memory.
const REPORTS_WAITING: usize = 4096;

/// How often [`TftpFiles::look_around`] is called.
const HEARTBEAT: Duration = Duration::from_secs(1);

impl TftpServer {
    /// Binds the sockets. `report` is called, on the thread that runs the server, for each request
    /// that has ended.
    ///
    /// # Errors
    ///
    /// Fails when the address is not ours, in use, or below 1024 without the privilege.
    pub fn bind(
        config: TftpConfig,
        files: Arc<dyn TftpFiles>,
        report: Box<dyn Fn(TftpReport) + Send>,
    ) -> anyhow::Result<Self> {
        let mut address = config.address;
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let mut sockets = Vec::with_capacity(workers);
        for index in 0..workers {
            // The first must have the port for itself, so that a second server is noticed.
            let requests = Socket::requests(address, index > 0)
                .with_context(|| format!("cannot bind UDP {address} for TFTP"))?;
            address = requests.local_address()?;
            sockets.push(requests);
        }
        let slots = Slots::new(config.most_transfers, config.most_transfers_of_one);
        Ok(Self {
            shared: Arc::new(Shared {
                slots: SharedSlots::new(slots, workers)?,
                openers: Openers::new(config.most_waiting),
                ports: Ports::of(&config),
                config,
                files,
            }),
            sockets,
            local_address: address,
            report,
        })
    }

    /// Returns the address for requests, with the port that was bound.
    pub fn local_address(&self) -> SocketAddrV4 {
        self.local_address
    }

    /// Serves until `shutdown` is requested; transfers that still run are then ended with an ERROR.
    ///
    /// # Errors
    ///
    /// Fails when the system does not let a worker wait; `shutdown` is then requested, too.
    pub fn run(self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let (sender, receiver) = sync_channel(REPORTS_WAITING);
        let shared = &self.shared;
        thread::scope(|scope| {
            let _ends_all = EndsAll { shutdown, shared };
            for _ in 0..shared.config.openers {
                scope.spawn(move || {
                    let _ends_all = EndsAll { shutdown, shared };
                    shared.openers.run();
                });
            }
            let workers: Vec<_> = self
                .sockets
                .into_iter()
                .enumerate()
                .map(|(number, requests)| {
                    let sender: SyncSender<TftpReport> = sender.clone();
                    scope.spawn(move || {
                        let _ends_all = EndsAll { shutdown, shared };
                        Worker::new(shared, number, requests, sender)?.run(shutdown)
                    })
                })
                .collect();
            drop(sender);
            let mut looked = Instant::now();
            loop {
                match receiver.recv_timeout(HEARTBEAT) {
                    Ok(report) => (self.report)(report),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if looked.elapsed() >= HEARTBEAT {
                    looked = Instant::now();
                    shared.files.look_around();
                }
            }
            workers
                .into_iter()
                .try_for_each(|worker| match worker.join() {
                    Ok(ended) => ended,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })
    }
}

/// Ends every thread of a server when one has ended, be it by a panic.
struct EndsAll<'a> {
    shutdown: &'a Shutdown,
    shared: &'a Shared,
}

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.shutdown.request();
        self.shared.openers.close();
    }
}
