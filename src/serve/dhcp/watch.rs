use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

use super::port::{interface, receive};
use crate::machine::MacAddress;
use crate::respond::dhcp::{CLIENT_PORT, SERVER_PORT, search};
use crate::wire::dhcp::TransactionId;

/// Listens where the clients of a network do, for answers of another server.
pub struct Watcher {
    network: String,
    socket: UdpSocket,
}

impl Watcher {
    /// Listens on the interface of a network, and asks once who answers there. The question bears
    /// the interface's own Ethernet address, by which we know it when it comes back to us.
    ///
    /// # Errors
    /// When port 68 is taken, or the system refuses.
    pub fn start(network: &str, name: &str) -> anyhow::Result<Self> {
        let context = || format!("cannot listen on UDP port {CLIENT_PORT} of `{name}`");
        let mac = interface(name).with_context(context)?.mac;
        let mac = mac.with_context(|| format!("interface `{name}` has no Ethernet address"))?;
        let mac = MacAddress::new(mac.octets());
        // Not shared: a DHCP client of this machine would lose answers to us.
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
        let question = search(mac, transaction).write(576)?;
        let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
        socket
            .send_to(&question, everybody)
            .with_context(|| format!("cannot ask for other DHCP servers on `{name}`"))?;
        Ok(Self {
            network: network.to_owned(),
            socket,
        })
    }

    /// Returns the network that it watches.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Returns the socket, to wait for.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Takes the next datagram, if one has arrived.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
        receive(&self.socket, buffer)
    }
}
