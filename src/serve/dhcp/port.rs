//! Sockets of the DHCP server, and the path in which each sends its replies.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::IntoRawFd;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use pnet::datalink::{self, Channel, ChannelType, DataLinkSender, NetworkInterface};
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};

use crate::inventory::{DhcpMode, Network, Site};
use crate::machine::MacAddress;
use crate::respond::dhcp::{BOOT_SERVER_PORT, CLIENT_PORT, Delivery, DhcpReply, SERVER_PORT};
use crate::serve::control_message::send_from;
use crate::serve::links::{addresses, interfaces};
use crate::wire::dhcp::describe;
use crate::wire::frame::udp_frame;

/// Bytes of kernel memory for waiting messages; room for some thousands.
const RECEIVE_BUFFER: usize = 4 << 20;

/// An interface as it was when a port was opened on it. A socket stays bound to that one, even if another
/// interface gets its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceIdentity {
    /// The name that the inventory uses.
    pub name: String,
    /// The index that the kernel gave it; `None` if it does not exist.
    pub index: Option<u32>,
    /// Its Ethernet address.
    pub mac: Option<MacAddress>,
}

impl InterfaceIdentity {
    /// Finds an interface by its name.
    pub fn find(name: &str, interfaces: &[NetworkInterface]) -> Self {
        let interface = interfaces.iter().find(|interface| interface.name == name);
        Self {
            name: name.to_owned(),
            index: interface.map(|interface| interface.index),
            mac: interface
                .and_then(|interface| interface.mac)
                .map(|mac| MacAddress::new(mac.octets())),
        }
    }
}

/// A socket that receives requests, and the path by which its replies leave.
pub struct DhcpPort {
    socket: UdpSocket,
    network: Option<String>,
    /// The address by which the clients of this port know us; `None` for the site's address.
    address: Option<Ipv4Addr>,
    role: PortRole,
    path: SendPath,
}

/// The service that a port offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRole {
    /// Addresses and offers: port 67.
    Dhcp,
    /// The boot file alone: port 4011.
    BootServer,
}

/// The path by which replies leave.
enum SendPath {
    /// As RFC 2131 §4.1 requires, through an interface.
    Interface {
        mac: MacAddress,
        server: Ipv4Addr,
        /// Whether `server` is an address of this machine, which datagrams can leave from.
        is_local: bool,
        frames: Mutex<Box<dyn DataLinkSender>>,
    },
    /// As RFC 2131 §4.1 requires, to relays and to clients that have an address.
    Routed,
    /// To the source address of the request: for port 4011, rehearsals, and tests without
    /// privileges.
    Sender,
}

impl DhcpPort {
    /// Opens port 67 on the interface of a network, for broadcasts. `server` is the address by which
    /// its clients know us.
    ///
    /// # Errors
    /// Fails when the interface is missing or has no Ethernet address, and when the system refuses.
    pub fn on_interface(network: &str, name: &str, server: Ipv4Addr) -> anyhow::Result<Self> {
        let context = || format!("cannot serve DHCP on `{name}`");
        let interface = interface(name).with_context(context)?;
        let Some(mac) = interface.mac.map(|mac| MacAddress::new(mac.octets())) else {
            bail!("interface `{name}` has no Ethernet address");
        };
        let socket = udp_socket().with_context(context)?;
        socket
            .bind_device(Some(name.as_bytes()))
            .with_context(context)?;
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, SERVER_PORT));
        socket
            .bind(&any.into())
            .with_context(|| format!("cannot bind UDP {any} on `{name}`"))?;
        let frames = Mutex::new(frame_sender(&interface).with_context(context)?);
        let path = SendPath::Interface {
            mac,
            server,
            is_local: is_local(server, &interfaces()),
            frames,
        };
        Ok(Self {
            socket: socket.into(),
            network: Some(network.to_owned()),
            address: Some(server),
            role: PortRole::Dhcp,
            path,
        })
    }

    /// Opens port 4011 for the clients of a network whose addresses another server owns: on its
    /// interface, or without an interface for clients behind relays.
    ///
    /// # Errors
    /// Fails when the system refuses.
    pub fn for_boot_server(
        network: Option<(&str, &str)>,
        server: Ipv4Addr,
    ) -> anyhow::Result<Self> {
        let socket = udp_socket().context("cannot open a UDP socket")?;
        // Firmware accepts a reply only from the address to which it sent the request.
        let ip = if is_local(server, &interfaces()) {
            server
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        let address = SocketAddr::from((ip, BOOT_SERVER_PORT));
        let context = || match network {
            Some((_, name)) => format!("cannot bind UDP {address} on `{name}`"),
            None => format!("cannot bind UDP {address}"),
        };
        if let Some((_, name)) = network {
            socket
                .bind_device(Some(name.as_bytes()))
                .with_context(context)?;
        }
        socket.bind(&address.into()).with_context(context)?;
        Ok(Self {
            socket: socket.into(),
            network: network.map(|(network, _)| network.to_owned()),
            address: None,
            role: PortRole::BootServer,
            path: SendPath::Sender,
        })
    }

    /// Opens port 67 on one local address, or on all, for messages of relays and of clients that have
    /// an address, which may arrive through any interface.
    ///
    /// The system delivers messages to the address to this port, and broadcasts to the ports of
    /// interfaces.
    ///
    /// # Errors
    /// Fails when the address is not local, or the system refuses.
    pub fn for_address(address: Option<Ipv4Addr>) -> anyhow::Result<Self> {
        let socket = udp_socket().context("cannot open a UDP socket")?;
        let ip = address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let bound = SocketAddr::from((ip, SERVER_PORT));
        socket
            .bind(&bound.into())
            .with_context(|| format!("cannot bind UDP {bound}"))?;
        Ok(Self {
            socket: socket.into(),
            network: None,
            address,
            role: PortRole::Dhcp,
            path: SendPath::Routed,
        })
    }

    /// Opens any other address, whose replies go to the source address of each request. Without a
    /// `network`, the sender's address determines the network.
    ///
    /// # Errors
    /// Fails when the system refuses.
    pub fn for_senders(address: SocketAddrV4, network: Option<&str>) -> anyhow::Result<Self> {
        let socket = udp_socket().context("cannot open a UDP socket")?;
        socket
            .bind(&SocketAddr::V4(address).into())
            .with_context(|| format!("cannot bind UDP {address}"))?;
        Ok(Self {
            socket: socket.into(),
            network: network.map(str::to_owned),
            address: None,
            role: PortRole::Dhcp,
            path: SendPath::Sender,
        })
    }

    /// Sets the role of the port.
    pub fn with_role(mut self, role: PortRole) -> Self {
        self.role = role;
        self
    }

    /// Returns the Ethernet address of the interface, if the port is bound to one.
    pub fn mac(&self) -> Option<MacAddress> {
        match &self.path {
            SendPath::Interface { mac, .. } => Some(*mac),
            SendPath::Routed | SendPath::Sender => None,
        }
    }

    /// Returns the address by which clients of this port know us.
    pub fn address(&self, site: &Site) -> Ipv4Addr {
        let network = self.network.as_deref().and_then(|it| site.network(it));
        match self.address {
            Some(own) if !network.is_some_and(|it| knows_site(site, it)) => own,
            _ => site.server.address,
        }
    }

    /// Reports whether this port receives the broadcasts of a network.
    pub fn is_on(&self, network: &str) -> bool {
        let is_interface = matches!(self.path, SendPath::Interface { .. });
        is_interface && self.network.as_deref() == Some(network)
    }

    /// Reports whether a reply must leave by the interface of the client's network.
    pub fn needs_interface(&self, reply: &DhcpReply) -> bool {
        let is_for_wire = matches!(
            reply.delivery,
            Delivery::Broadcast | Delivery::Hardware { .. }
        );
        matches!(self.path, SendPath::Routed) && is_for_wire
    }

    /// Reports whether it answers DHCP requests at their source address, whatever the address.
    pub fn answers_senders(&self) -> bool {
        matches!(self.path, SendPath::Sender) && self.role == PortRole::Dhcp
    }

    /// Returns the role of the port.
    pub fn role(&self) -> PortRole {
        self.role
    }

    /// Returns the bound address, with its port.
    ///
    /// # Errors
    /// Fails when the system cannot report the address.
    pub fn local_address(&self) -> anyhow::Result<SocketAddr> {
        self.socket
            .local_addr()
            .context("cannot read the address of a DHCP port")
    }

    /// Describes the bound address and the network as text.
    ///
    /// # Errors
    /// Fails when the system cannot report the address.
    pub fn describe(&self) -> anyhow::Result<String> {
        let address = self.local_address()?;
        Ok(match &self.network {
            Some(network) => format!("{address} for `{network}`"),
            None => address.to_string(),
        })
    }

    /// Returns the socket, for polling.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Returns the network from which a request arrived.
    pub fn network<'s>(&'s self, site: &'s Site, from: SocketAddrV4) -> Option<&'s str> {
        if let Some(name) = &self.network {
            return Some(name);
        }
        match &self.path {
            SendPath::Sender if self.answers_senders() => {
                let network = site.network_of(*from.ip()).or(site.networks.first());
                network.map(|network| network.name.as_str())
            }
            _ => None,
        }
    }

    /// Receives the next datagram, if one has arrived.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
        receive(&self.socket, buffer)
    }

    /// Sends a reply. Removes options that do not fit, and returns their descriptions.
    ///
    /// # Errors
    /// Fails when the reply cannot be encoded or the system does not send it.
    pub fn send(&self, reply: &mut DhcpReply, from: SocketAddrV4) -> anyhow::Result<Vec<String>> {
        let dropped = reply.message.fit(reply.limit);
        let dropped = dropped.iter().map(|code| describe(*code)).collect();
        let bytes = reply.message.write(reply.limit)?;
        let to = match (&self.path, reply.delivery) {
            // A client without an address cannot receive unicast.
            (_, Delivery::Sender) if from.ip().is_unspecified() => {
                SocketAddrV4::new(Ipv4Addr::BROADCAST, from.port())
            }
            (SendPath::Sender, _) | (_, Delivery::Sender) => from,
            (_, Delivery::Relay(to) | Delivery::Unicast(to)) => to,
            (
                SendPath::Interface {
                    mac,
                    server,
                    frames,
                    ..
                },
                Delivery::Hardware {
                    mac: client,
                    address,
                },
            ) => {
                let source = (*mac, SocketAddrV4::new(*server, SERVER_PORT));
                let frame = udp_frame(
                    source,
                    (client, SocketAddrV4::new(address, CLIENT_PORT)),
                    &bytes,
                )?;
                let mut frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
                let sent = frames.send_to(&frame, None);
                sent.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
                    .context("cannot send a frame")?;
                return Ok(dropped);
            }
            (_, Delivery::Broadcast | Delivery::Hardware { .. }) => {
                SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
            }
        };
        let sent = match &self.path {
            // The interface may have several addresses, and its clients know us by this one.
            SendPath::Interface {
                server,
                is_local: true,
                ..
            } => send_from(&self.socket, *server, to, &bytes),
            _ => self.socket.send_to(&bytes, to).map(drop),
        };
        sent.with_context(|| format!("cannot send to {to}"))?;
        Ok(dropped)
    }
}

/// Receives the next datagram, if one has arrived.
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
    loop {
        match socket.recv_from(buffer) {
            Ok((length, SocketAddr::V4(from))) => return Some((length, from)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            // An error of an earlier reply; the socket still works.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => return None,
        }
    }
}

/// Returns the address by which the clients of an interface's network know us: the site's address, or
/// the interface's own address if the site's address is in another network.
///
/// A client renews its lease at that address, and may reach only its own network.
pub fn server_address(site: &Site, network: &Network, interfaces: &[NetworkInterface]) -> Ipv4Addr {
    let ours = site.server.address;
    if knows_site(site, network) {
        return ours;
    }
    let name = network.interface.as_deref();
    let interface = interfaces.iter().find(|it| Some(it.name.as_str()) == name);
    let mut own = interface.into_iter().flat_map(addresses);
    own.find(|ip| network.subnet.is_host(*ip)).unwrap_or(ours)
}

/// Reports whether the clients of a network know us by the site's address: it is in their network, or
/// they use port 4011, where only that address answers.
fn knows_site(site: &Site, network: &Network) -> bool {
    network.subnet.is_host(site.server.address) || network.mode == DhcpMode::Proxy
}

/// Reports whether an interface of this machine has the address.
pub fn is_local(address: Ipv4Addr, interfaces: &[NetworkInterface]) -> bool {
    interfaces
        .iter()
        .any(|interface| addresses(interface).any(|it| it == address))
}

pub(super) fn interface(name: &str) -> anyhow::Result<NetworkInterface> {
    interfaces()
        .into_iter()
        .find(|interface| interface.name == name)
        .with_context(|| format!("interface `{name}` does not exist"))
}

fn udp_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    // Several sockets share port 67: one for each interface.
    socket.set_reuse_address(true)?;
    // Forty machines that power on together must not overflow the buffer. Only a privileged process
    // may exceed the system's limit.
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER));
    Ok(socket)
}

/// Opens a channel that only sends frames.
///
/// Source: packet(7): a socket with protocol 0 receives nothing.
fn frame_sender(interface: &NetworkInterface) -> anyhow::Result<Box<dyn DataLinkSender>> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    let config = datalink::Config {
        socket_fd: Some(socket.into_raw_fd()),
        // For an existing socket, pnet only sets the protocol.
        channel_type: ChannelType::Layer3(0),
        promiscuous: false,
        ..datalink::Config::default()
    };
    match datalink::channel(interface, config)? {
        Channel::Ethernet(sender, _) => Ok(sender),
        _ => bail!(
            "interface `{}` is not an Ethernet interface",
            interface.name
        ),
    }
}
