use std::net::IpAddr;
use std::time::Instant;

/// Identifies one connection; IDs are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u64);

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionOrigin {
    /// An address that the site does not know.
    Stranger,
    /// The address of one of the site's machines.
    Machine,
    /// This machine, or a proxy for many clients: the limits for one address do not apply.
    Proxy,
}

/// One open connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) address: IpAddr,
    pub(super) origin: ConnectionOrigin,
    pub(super) stage: ConnectionStage,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug)]
pub(super) enum ConnectionStage {
    /// It waits for a request, or for the rest of one, since it was opened or its last response was sent.
    Waiting(Instant),
    /// The server prepares the response.
    Answering,
    /// It sends the response; the client last took a part of it at this time.
    Sending(Instant),
}
