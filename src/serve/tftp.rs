//! The TFTP server: sockets, threads and files around [`crate::respond::tftp`].
//!
//! Each worker thread owns a socket on the request port. The kernel distributes peers over them by
//! address and port, so every request of a peer reaches the same worker. That worker opens a separate
//! socket for the transfer, on a port that an attacker who cannot see our replies does not know.
//! Workers share only the slots and the threads that open files.

mod config;
mod content;
mod files;
mod opening;
mod poller;
mod ports;
mod shared;
mod sharing;
mod socket;
mod worker;

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::respond::tftp::TransferSlots;
use crate::shutdown::Shutdown;
use opening::Openers;
use ports::TransferPorts;
use shared::TftpShared;
use sharing::SharedSlots;
use socket::Socket;
use worker::Worker;

pub use config::{TftpConfig, TftpReport};
pub use files::{OpenError, OpenLater, Opening, PathLimits, TftpContent, TftpFiles};

/// A TFTP server whose sockets are bound.
pub struct TftpServer {
    shared: Arc<TftpShared>,
    sockets: Vec<Socket>,
    local_address: SocketAddrV4,
    report: Box<dyn Fn(TftpReport) + Send>,
}

/// Limit of reports that wait for the caller. Reports beyond it are lost: a flood must neither stall
/// transfers nor fill the memory.
const REPORTS_WAITING: usize = 4096;

/// Interval between calls of [`TftpFiles::tick`].
const HEARTBEAT: Duration = Duration::from_secs(1);

impl TftpServer {
    /// Binds the sockets. The thread that runs the server calls `report` for each request that has
    /// ended.
    ///
    /// # Errors
    ///
    /// Fails when the address is not local, the port is in use, or the port is below 1024 and the
    /// process lacks the privilege.
    pub fn bind(
        config: TftpConfig,
        files: Arc<dyn TftpFiles>,
        report: Box<dyn Fn(TftpReport) + Send>,
    ) -> anyhow::Result<Self> {
        let mut address = config.address;
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let mut sockets = Vec::with_capacity(workers);
        for index in 0..workers {
            // The first socket is bound exclusively, so that a second server is noticed.
            let requests = Socket::requests(address, index > 0)
                .with_context(|| format!("cannot bind UDP {address} for TFTP"))?;
            address = requests.local_address()?;
            sockets.push(requests);
        }
        let slots = TransferSlots::new(config.most_transfers, config.most_transfers_of_one);
        Ok(Self {
            shared: Arc::new(TftpShared {
                slots: SharedSlots::new(slots, workers)?,
                openers: Openers::new(config.most_waiting),
                ports: TransferPorts::of(&config),
                config,
                files,
            }),
            sockets,
            local_address: address,
            report,
        })
    }

    /// Returns the bound address for requests, with its port.
    pub fn local_address(&self) -> SocketAddrV4 {
        self.local_address
    }

    /// Serves until `shutdown` is requested, and then ends running transfers with an ERROR.
    ///
    /// # Errors
    ///
    /// Fails when the system cannot wait for packets; it then also requests `shutdown`.
    pub fn run(self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let (sender, receiver) = sync_channel(REPORTS_WAITING);
        let shared = &self.shared;
        thread::scope(|scope| {
            let _shutdown_on_drop = StopServerOnDrop { shutdown, shared };
            for _ in 0..shared.config.openers {
                scope.spawn(move || {
                    let _shutdown_on_drop = StopServerOnDrop { shutdown, shared };
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
                        let _shutdown_on_drop = StopServerOnDrop { shutdown, shared };
                        Worker::new(shared, number, requests, sender)?.run(shutdown)
                    })
                })
                .collect();
            drop(sender);
            let mut last_tick = Instant::now();
            loop {
                match receiver.recv_timeout(HEARTBEAT) {
                    Ok(report) => (self.report)(report),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if last_tick.elapsed() >= HEARTBEAT {
                    last_tick = Instant::now();
                    shared.files.tick();
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

/// Ends all threads of a server when one of them ends, also by a panic.
struct StopServerOnDrop<'a> {
    shutdown: &'a Shutdown,
    shared: &'a TftpShared,
}

impl Drop for StopServerOnDrop<'_> {
    fn drop(&mut self) {
        self.shutdown.request();
        self.shared.openers.close();
    }
}
