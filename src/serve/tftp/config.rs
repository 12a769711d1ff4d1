//! Configuration of the TFTP server, and its reports.

use std::net::SocketAddrV4;
use std::time::Duration;

use crate::inventory::PortRange;
use crate::respond::tftp::TftpOutcome;

/// Result of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TftpReport {
    /// The client.
    pub peer: SocketAddrV4,
    /// The name of the file, normalized if it is valid; empty if the datagram was not a request.
    pub name: String,
    /// The outcome.
    pub outcome: TftpOutcome,
}

/// Address and limits of a TFTP server.
#[derive(Clone, Debug)]
pub struct TftpConfig {
    /// The address for requests. With 0.0.0.0, replies come from the address of the request.
    pub address: SocketAddrV4,
    /// The MTU in bytes for a peer without an MTU in
    /// [`TftpFiles::path_limits`](super::TftpFiles::path_limits). A smaller MTU of our own link takes
    /// precedence.
    pub mtu: u32,
    /// Send replies from the request port, for a firewall that allows only that port.
    pub single_port: bool,
    /// The port range of transfers; `None` for the system's range.
    pub ports: Option<PortRange>,
    /// Limit of simultaneous transfers. A further request displaces a transfer without a response,
    /// see [`TransferSlots`](crate::respond::tftp::TransferSlots), or waits for the peer's own retry.
    pub most_transfers: usize,
    /// Limit of simultaneous transfers of one address, except loopback.
    pub most_transfers_of_one: usize,
    /// Number of threads that run [`Opening::Later`](super::Opening::Later).
    pub openers: usize,
    /// Limit of transfers that wait for an [`Opening::Later`](super::Opening::Later) that has not
    /// begun. A further request waits for the peer's own retry.
    pub most_waiting: usize,
    /// Time after which a silent peer is abandoned while its file is being opened.
    pub abandoned_after: Duration,
}

impl TftpConfig {
    /// Returns the default configuration for an address: Ethernet's MTU, and limits of 1,024
    /// transfers and 16 per address.
    ///
    /// Four threads open files: enough for a store that has one writer at a time. 256 transfers may
    /// wait for them.
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
            // The slowest client, iPXE, repeats a request after at most 10 s.
            abandoned_after: Duration::from_secs(15),
        }
    }
}
