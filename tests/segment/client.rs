use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use pxectl::wire::dhcp::DhcpMessage;
use socket2::{Domain, Protocol, Socket, Type};

use crate::machines::PATIENCE;
use crate::segment::INTERFACE;

/// How often a client repeats what nobody has answered.
const AGAIN: Duration = Duration::from_secs(2);

/// A socket on the client's interface.
pub struct Port(UdpSocket);

impl Port {
    /// Opens an address and port of the machine that this thread runs on.
    pub fn open(address: Ipv4Addr, port: u16) -> Self {
        Self::open_on(INTERFACE, address, port)
    }

    /// Opens an address and port on an interface of the machine that this thread runs on.
    pub fn open_on(interface: &str, address: Ipv4Addr, port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.bind_device(Some(interface.as_bytes())).unwrap();
        let address = SocketAddr::from((address, port));
        socket.bind(&address.into()).unwrap();
        Self(socket.into())
    }

    /// Waits for a datagram for a while.
    pub fn receive_within(&self, patience: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 4096];
        self.0.set_read_timeout(Some(patience)).unwrap();
        let (length, from) = self.0.recv_from(&mut buffer).ok()?;
        Some((buffer[..length].to_vec(), from))
    }

    /// Sends octets once.
    pub fn send(&self, to: SocketAddrV4, octets: &[u8]) {
        self.0.send_to(octets, to).unwrap();
    }

    /// Sends a message, again and again, until as many answers with its number have come, each from
    /// another sender.
    ///
    /// # Panics
    /// When they do not come in time, with those that came.
    pub fn ask(
        &self,
        to: SocketAddrV4,
        message: &DhcpMessage,
        answers: usize,
    ) -> Vec<(SocketAddr, DhcpMessage)> {
        let deadline = Instant::now() + PATIENCE;
        let mut found: Vec<(SocketAddr, DhcpMessage)> = Vec::new();
        let mut buffer = [0; 4096];
        while Instant::now() < deadline {
            self.0.send_to(&message.write(1500).unwrap(), to).unwrap();
            let repeat = Instant::now() + AGAIN;
            while let Some(left) = repeat.checked_duration_since(Instant::now()) {
                self.0
                    .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                    .unwrap();
                let Ok((length, from)) = self.0.recv_from(&mut buffer) else {
                    break;
                };
                let answer = DhcpMessage::parse(&buffer[..length]).unwrap();
                let is_ours = answer.transaction_id == message.transaction_id;
                if is_ours && found.iter().all(|(other, _)| *other != from) {
                    found.push((from, answer));
                }
                if found.len() == answers {
                    return found;
                }
            }
        }
        panic!("{} of {answers} answers from {to}: {found:?}", found.len());
    }
}
