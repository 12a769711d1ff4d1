//! A simulated network segment on which tests let machines and servers send packets.

use std::net::{Ipv4Addr, SocketAddrV4};

use jiff::{SignedDuration, Timestamp};

use crate::clients::dhcp::{Client, ClientKind};
use crate::conversation::{Observer, Options, Report, TimelineLine};
use crate::inventory::Inventory;
use crate::machine::{Architecture, MacAddress};
use crate::wire::dhcp::{
    DhcpMessage, MessageType, Operation, OptionCode, PxeSubOption, TransactionId,
};
use crate::wire::packet::{Packet, TcpFlags, TcpSegment, Transport, VlanTags};
use crate::wire::tftp::{
    BlockNumber, ErrorCode, Mode, OptionName, Packet as TftpPacket, Request, TransferOption,
};

pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
pub const OTHER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 99);
pub const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 58);
pub const RELAY: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);
pub const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
pub const SERVER_MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0, 0, 0x10]);
const NO_ADDRESS: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const BROADCAST_ADDRESS: Ipv4Addr = Ipv4Addr::BROADCAST;
const BROADCAST_MAC: MacAddress = MacAddress::new([0xff; 6]);

/// A network segment, its clock, and an observer.
pub struct Play<'i> {
    observer: Observer<'i>,
    now: Timestamp,
    number: u64,
    pub vlans: VlanTags,
    pub comments: Vec<String>,
    port: u16,
}

/// One machine's exchange over DHCP.
pub struct Exchange {
    pub client: Client,
    pub transaction: TransactionId,
}

impl Play<'static> {
    pub fn new() -> Self {
        Self::with(None, Options::default())
    }
}

impl<'i> Play<'i> {
    pub fn with(inventory: Option<&'i Inventory>, options: Options) -> Self {
        Self {
            observer: Observer::new(inventory, options),
            now: "2026-05-01T12:00:00Z".parse().unwrap(),
            number: 0,
            vlans: VlanTags::NONE,
            comments: Vec::new(),
            port: 2000,
        }
    }

    /// Advances the clock.
    pub fn wait(&mut self, milliseconds: i64) -> &mut Self {
        self.now += SignedDuration::from_millis(milliseconds);
        self
    }

    /// Advances the clock second by second, without a packet.
    pub fn tick(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += SignedDuration::from_secs(1);
            self.observer.tick(self.now);
        }
    }

    pub fn finish(self) -> Report {
        self.observer.finish(self.now)
    }

    pub fn lines(&mut self) -> Vec<TimelineLine> {
        self.observer.drain().collect()
    }

    /// Sends a packet, one millisecond after the previous one.
    pub fn send(&mut self, packet: &Packet<'_>) {
        self.number += 1;
        self.now += SignedDuration::from_millis(1);
        self.comments
            .extend(self.observer.observe(self.now, self.number, packet));
    }

    pub fn udp(&mut self, from: (MacAddress, SocketAddrV4), to: SocketAddrV4, payload: &[u8]) {
        let packet = Packet {
            source_mac: from.0,
            destination_mac: BROADCAST_MAC,
            vlans: self.vlans,
            source: from.1,
            destination: to,
            transport: Transport::Udp(payload),
            length: payload.len(),
            fragmented: false,
            cut: false,
        };
        self.send(&packet);
    }

    /// Sends a client's DHCP message.
    pub fn ask(&mut self, message: &DhcpMessage) {
        let mac = message.hardware_address.mac().unwrap_or(MAC);
        let source = SocketAddrV4::new(message.client_address, 68);
        let to = SocketAddrV4::new(BROADCAST_ADDRESS, 67);
        self.udp((mac, source), to, &bytes(message));
    }

    /// Sends a server's DHCP message.
    pub fn answer(&mut self, server: Ipv4Addr, message: &DhcpMessage) {
        self.answer_bytes(server, 67, &bytes(message));
    }

    pub fn answer_bytes(&mut self, server: Ipv4Addr, port: u16, bytes: &[u8]) {
        let to = SocketAddrV4::new(BROADCAST_ADDRESS, 68);
        let source = SocketAddrV4::new(server, port);
        self.udp((SERVER_MAC, source), to, bytes);
    }

    /// Starts an exchange with a DHCPDISCOVER.
    pub fn discover(&mut self, client: &Client) -> Exchange {
        let transaction = TransactionId(0x1000_0000 + self.number as u32);
        self.ask(&client.discover(transaction));
        Exchange {
            client: client.clone(),
            transaction,
        }
    }

    /// Requests the address of an offer, and acknowledges it from the same server.
    pub fn take(&mut self, exchange: &Exchange, offer: &DhcpMessage) {
        let request = exchange.client.request(exchange.transaction, offer);
        self.wait(500).ask(&request);
        let server = offer.options.server_identifier().unwrap_or(SERVER);
        let mut ack = offer.clone();
        ack.options.set_message_type(MessageType::Ack);
        self.answer(server, &ack);
    }

    /// Runs a whole exchange with one server; `change` edits its offer.
    pub fn exchange(
        &mut self,
        client: &Client,
        file: &str,
        change: impl Fn(&mut DhcpMessage),
    ) -> Exchange {
        let exchange = self.discover(client);
        let mut offer = exchange.offer(SERVER, Some(MACHINE), file);
        change(&mut offer);
        self.answer(SERVER, &offer);
        self.take(&exchange, &offer);
        exchange
    }

    fn next_port(&mut self) -> SocketAddrV4 {
        self.port += 1;
        SocketAddrV4::new(MACHINE, self.port)
    }

    /// Sends a read request and returns the client's address and port.
    pub fn tftp_request(&mut self, name: &str, options: &[(OptionName, &str)]) -> SocketAddrV4 {
        let client = self.next_port();
        self.tftp_request_from(client, name, options);
        client
    }

    pub fn tftp_request_from(
        &mut self,
        client: SocketAddrV4,
        name: &str,
        options: &[(OptionName, &str)],
    ) {
        let request = TftpPacket::Request(Request {
            direction: crate::wire::tftp::Direction::Read,
            name: name.into(),
            mode: Mode::Octet,
            options: transfer_options(options),
        });
        self.udp((MAC, client), tftp_port(69), &request.to_bytes());
    }

    pub fn tftp_from_server(&mut self, client: SocketAddrV4, packet: &TftpPacket<'_>) {
        self.udp((SERVER_MAC, tftp_port(3000)), client, &packet.to_bytes());
    }

    pub fn tftp_from_client(&mut self, client: SocketAddrV4, packet: &TftpPacket<'_>) {
        self.udp((MAC, client), tftp_port(3000), &packet.to_bytes());
    }

    pub fn tftp_options(&mut self, client: SocketAddrV4, options: &[(OptionName, &str)]) {
        let granted = TftpPacket::OptionAcknowledgement(transfer_options(options));
        self.tftp_from_server(client, &granted);
        self.tftp_ack(client, 0);
    }

    pub fn tftp_block(&mut self, client: SocketAddrV4, number: u16, payload: &[u8]) {
        let block = BlockNumber::new(number);
        self.tftp_from_server(client, &TftpPacket::Data { block, payload });
    }

    pub fn tftp_ack(&mut self, client: SocketAddrV4, number: u16) {
        let block = BlockNumber::new(number);
        self.tftp_from_client(client, &TftpPacket::Acknowledgement { block });
    }

    pub fn tftp_error(&mut self, client: SocketAddrV4, code: ErrorCode, message: &str) {
        let message = message.to_owned();
        self.tftp_from_server(client, &TftpPacket::Error { code, message });
    }

    /// Reads a whole file in blocks of 512 bytes.
    pub fn tftp(&mut self, name: &str, contents: &[u8]) {
        let client = self.tftp_request(name, &[]);
        for (index, block) in contents.chunks(512).enumerate() {
            self.tftp_block(client, index as u16 + 1, block);
            self.tftp_ack(client, index as u16 + 1);
        }
    }

    /// Requests a file that the server does not have.
    pub fn tftp_missing(&mut self, name: &str) {
        let client = self.tftp_request(name, &[]);
        self.tftp_error(client, ErrorCode::FileNotFound, "File not found");
    }

    /// Sends a segment from the machine, or from the server.
    pub fn tcp(&mut self, client: SocketAddrV4, from_server: bool, segment: TcpSegment<'_>) {
        let server = SocketAddrV4::new(SERVER, 8080);
        let (source, destination, source_mac, destination_mac) = if from_server {
            (server, client, SERVER_MAC, MAC)
        } else {
            (client, server, MAC, SERVER_MAC)
        };
        let packet = Packet {
            source_mac,
            destination_mac,
            vlans: self.vlans,
            source,
            destination,
            transport: Transport::Tcp(segment),
            length: segment.payload.len(),
            fragmented: false,
            cut: false,
        };
        self.send(&packet);
    }

    /// Opens a connection and returns the client's address and port.
    pub fn connect(&mut self) -> SocketAddrV4 {
        let client = self.next_port();
        self.tcp(client, false, segment(99, SYN, b""));
        self.tcp(client, true, segment(999, SYN | ACK, b""));
        self.tcp(client, false, segment(100, ACK, b""));
        client
    }

    /// Sends one request, and a response in pieces; then the server closes the connection.
    pub fn http(&mut self, request: &str, response: &[&[u8]]) {
        let client = self.connect();
        self.tcp(client, false, segment(100, ACK, request.as_bytes()));
        let mut sequence = 1000;
        for piece in response {
            self.tcp(client, true, segment(sequence, ACK, piece));
            sequence += piece.len() as u32;
        }
        self.tcp(client, true, segment(sequence, FIN | ACK, b""));
    }

    pub fn unreachable(&mut self, port: u16, code: u8) {
        let packet = Packet {
            source_mac: SERVER_MAC,
            destination_mac: MAC,
            vlans: self.vlans,
            source: SocketAddrV4::new(SERVER, 0),
            destination: SocketAddrV4::new(MACHINE, 0),
            transport: Transport::Unreachable {
                code,
                protocol: 17,
                source: SocketAddrV4::new(MACHINE, 2000),
                destination: SocketAddrV4::new(SERVER, port),
            },
            length: 0,
            fragmented: false,
            cut: false,
        };
        self.send(&packet);
    }
}

impl Exchange {
    /// Builds an offer like our server's: with the vendor class of a PXE or an HTTP client.
    pub fn offer(&self, server: Ipv4Addr, address: Option<Ipv4Addr>, file: &str) -> DhcpMessage {
        let mut offer = DhcpMessage::new(Operation::Reply, self.client.mac, self.transaction);
        offer.your_address = address.unwrap_or(NO_ADDRESS);
        offer.server_address = server;
        offer.boot_file = file.into();
        let options = &mut offer.options;
        options.set_message_type(MessageType::Offer);
        options.set_address(OptionCode::ServerIdentifier, server);
        if address.is_some() {
            options.set_address(OptionCode::SubnetMask, Ipv4Addr::new(255, 255, 255, 0));
            let lease = std::time::Duration::from_secs(1800);
            options.set_duration(OptionCode::AddressLeaseTime, lease);
        }
        if !file.is_empty() {
            options.set_text(OptionCode::BootfileName, file);
        }
        match self.client.kind {
            ClientKind::EdkPxe(_) | ClientKind::BiosPxe => {
                options.set_text(OptionCode::ClassIdentifier, "PXEClient");
                if address.is_some() || self.client.kind == ClientKind::BiosPxe {
                    let control = PxeSubOption::DiscoveryControl as u8;
                    options.set_sub_options(OptionCode::VendorExtensions, &[(control, &[8])]);
                }
            }
            ClientKind::RaspberryPi => {
                options.set_text(OptionCode::ClassIdentifier, "PXEClient");
                let menu = [(9, &b"\0\0\x11Raspberry Pi Boot"[..]), (10, &b"\0PXE"[..])];
                options.set_sub_options(OptionCode::VendorExtensions, &menu);
            }
            ClientKind::EdkHttp(_) => options.set_text(OptionCode::ClassIdentifier, "HTTPClient"),
            ClientKind::Ipxe { .. } | ClientKind::Grub(_) => {}
        }
        offer
    }
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

pub fn segment(sequence: u32, flags: u8, payload: &[u8]) -> TcpSegment<'_> {
    TcpSegment {
        sequence,
        acknowledgement: 0,
        flags: TcpFlags(flags),
        window: 1000,
        payload,
    }
}

pub fn client(kind: ClientKind) -> Client {
    Client {
        kind,
        mac: MAC,
        uuid: "4c4c4544-0051-3610-8043-c2c04f4b3135".parse().ok(),
    }
}

pub fn uefi() -> Client {
    client(ClientKind::EdkPxe(Architecture::UefiX64))
}

pub fn bios() -> Client {
    client(ClientKind::BiosPxe)
}

pub fn http() -> Client {
    client(ClientKind::EdkHttp(Architecture::HttpX64))
}

pub fn ipxe() -> Client {
    client(ClientKind::ipxe(Architecture::UefiX64))
}

pub fn bytes(message: &DhcpMessage) -> Vec<u8> {
    message.write(1500).unwrap()
}

/// Makes the beginning of a program for UEFI on x86-64, and some more.
pub fn program(length: usize) -> Vec<u8> {
    let mut program = vec![0; length.max(0x90)];
    program[..2].copy_from_slice(b"MZ");
    program[60] = 0x80;
    program[0x80..0x86].copy_from_slice(&[b'P', b'E', 0, 0, 0x64, 0x86]);
    program
}

fn tftp_port(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(SERVER, port)
}

fn transfer_options(options: &[(OptionName, &str)]) -> Vec<TransferOption> {
    let options = options.iter().map(|(name, value)| TransferOption {
        name: name.clone(),
        value: (*value).to_owned(),
    });
    options.collect()
}
