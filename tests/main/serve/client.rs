use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::{Architecture, MacAddress};
use pxectl::wire::dhcp::{DhcpMessage, MessageType, TransactionId};

use crate::serve::PATIENCE;

/// A UEFI machine's firmware.
pub fn firmware(mac: MacAddress) -> Client {
    Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac,
        uuid: None,
    }
}

/// Asks for a file by TFTP from an address, and does not wait for it. Each option and each value ends
/// with a zero.
pub fn request(from: &str, server: SocketAddr, name: &str, options: &str) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("\0\x01{name}\0octet\0{options}");
    socket.send_to(request.as_bytes(), server).unwrap();
    socket
}

/// Fetches the first block of a loader by TFTP, as it came, and ends the transfer.
pub fn first_block(server: SocketAddr) -> Vec<u8> {
    let socket = request("127.0.0.1", server, "snponly.efi", "");
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    socket.send_to(b"\0\x05\0\0enough\0", from).unwrap();
    buffer[..length].to_vec()
}

/// A socket to a DHCP server.
pub struct Dhcp(UdpSocket);

impl Dhcp {
    pub fn connect(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        Self(socket).with_patience(PATIENCE)
    }

    /// Gives up on an answer sooner or later.
    pub fn with_patience(self, patience: Duration) -> Self {
        self.0.set_read_timeout(Some(patience)).unwrap();
        self
    }

    pub fn send(&self, octets: &[u8]) {
        self.0.send(octets).unwrap();
    }

    /// Waits for the next message, whatever it answers.
    pub fn next(&self) -> DhcpMessage {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).unwrap();
        DhcpMessage::parse(&buffer[..length]).unwrap()
    }

    /// Asks once; `None` when no answer comes, or the server is gone.
    pub fn ask(&self, message: &DhcpMessage) -> Option<(Vec<u8>, DhcpMessage)> {
        self.0.send(&message.write(1500).unwrap()).ok()?;
        let mut buffer = [0; 4096];
        loop {
            let length = self.0.recv(&mut buffer).ok()?;
            let answer = DhcpMessage::parse(&buffer[..length]).unwrap();
            if answer.transaction_id == message.transaction_id {
                return Some((buffer[..length].to_vec(), answer));
            }
        }
    }

    /// Walks DISCOVER, OFFER, REQUEST, ACK.
    pub fn lease(&self, client: &Client, transaction: u32) -> Option<DhcpMessage> {
        let transaction = TransactionId(transaction);
        let (_, offer) = self.ask(&client.discover(transaction))?;
        let (_, ack) = self.ask(&client.request(transaction, &offer))?;
        assert_eq!(ack.options.message_type(), Some(MessageType::Ack));
        Some(ack)
    }
}
