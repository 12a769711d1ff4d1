//! The services of a server, and the addresses that they bind.

use std::net::{Ipv4Addr, SocketAddrV4};

/// A server that `serve` can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Addresses and boot files.
    Dhcp,
    /// Loaders.
    Tftp,
    /// Scripts, sessions and bundles.
    Http,
}

impl Service {
    /// Returns the name that commands and logs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dhcp => "dhcp",
            Self::Tftp => "tftp",
            Self::Http => "http",
        }
    }
}

/// The addresses that the services will bind.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Address of `serve dhcp`. A port other than 67 only answers the sender's address.
    pub dhcp: SocketAddrV4,
    /// Address of `serve tftp`.
    pub tftp: SocketAddrV4,
    /// Address of `serve http`.
    pub http: SocketAddrV4,
}

/// Returns the wildcard address with a port.
pub fn any(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)
}
