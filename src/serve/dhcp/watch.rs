//! Detects other DHCP servers.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

use super::port::{InterfaceIdentity, receive};
use crate::respond::dhcp::{CLIENT_PORT, SERVER_PORT, search};
use crate::wire::dhcp::TransactionId;

/// Listens on the client port of a network for replies of other servers.
pub struct Watcher {
    network: String,
    interface: InterfaceIdentity,
    socket: UdpSocket,
}

impl Watcher {
    /// Listens on the interface of a network, and sends one search for other servers. The search has
    /// the interface's Ethernet address, by which we recognize it when we receive it ourselves.
    ///
    /// # Errors
    /// Fails when port 68 is in use, or the system refuses.
    pub fn start(network: &str, interface: InterfaceIdentity) -> anyhow::Result<Self> {
        let name = &interface.name;
        let context = || format!("cannot listen on UDP port {CLIENT_PORT} of `{name}`");
        let mac = interface.mac;
        let mac = mac.with_context(|| format!("interface `{name}` has no Ethernet address"))?;
        // Not shared: a DHCP client on this machine would lose replies to us.
        let udp = Some(Protocol::UDP);
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, udp).with_context(context)?;
        socket.set_nonblocking(true).with_context(context)?;
        socket.set_broadcast(true).with_context(context)?;
        socket
            .bind_device(Some(name.as_bytes()))
            .with_context(context)?;
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, CLIENT_PORT));
        socket.bind(&any.into()).with_context(context)?;
        let socket = UdpSocket::from(socket);
        let transaction = TransactionId(getrandom::u32().unwrap_or_default());
        let search = search(mac, transaction).write(576)?;
        let broadcast = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
        socket
            .send_to(&search, broadcast)
            .with_context(|| format!("cannot search for other DHCP servers on `{name}`"))?;
        Ok(Self {
            network: network.to_owned(),
            interface,
            socket,
        })
    }

    /// Returns the watched network.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Returns the interface on which it listens.
    pub(super) fn interface(&self) -> &InterfaceIdentity {
        &self.interface
    }

    /// Returns the socket, for polling.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Receives the next datagram, if one has arrived.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
        receive(&self.socket, buffer)
    }
}
