use std::net::{Ipv4Addr, SocketAddrV4};

use jiff::{SignedDuration, Timestamp};
use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::{Architecture, MacAddress};
use pxectl::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode, TransactionId};
use pxectl::wire::frame::udp_frame;
use pxectl::wire::packet::LinkType;
use pxectl::wire::pcapng::{InterfaceDescription, PcapngWriter};

pub const CLIENT: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
pub const OTHER_CLIENT: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x57]);
pub const SERVER: MacAddress = MacAddress::new([0x52, 0x54, 0, 0, 0, 1]);
pub const SERVER_IP: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
pub const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 58);
pub const OTHER_IP: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 59);
pub const XID: TransactionId = TransactionId(0x1a2b_3c4d);
/// When the first frame was seen; the others follow, a millisecond apart.
pub const START: i64 = 1_770_000_000;

/// One frame of the sample.
#[derive(Clone, Debug)]
pub struct Frame {
    pub at: Timestamp,
    pub bytes: Vec<u8>,
}

/// Frames of two machines that boot: everything that is followed, tagged, fragmented and plain.
pub fn frames() -> Vec<Frame> {
    let mut bytes = Vec::new();
    bytes.extend(boot(CLIENT, CLIENT_IP, XID));
    // One behind two VLAN tags, from its DISCOVER to its ACK.
    let other = boot(OTHER_CLIENT, OTHER_IP, TransactionId(7));
    let tags = [0x88, 0xa8, 0, 100, 0x81, 0, 0x20, 20];
    bytes.extend(other.into_iter().map(|frame| tagged(&frame, &tags)));
    bytes.push(unreachable());
    bytes.push(tagged(&arp(), &[0x81, 0, 0, 20]));
    bytes.push(arp());
    let at = |index: usize| {
        let start = Timestamp::new(START, 123_456_789).expect("a time");
        start + SignedDuration::from_millis(index as i64)
    };
    let frames = bytes.into_iter().enumerate();
    frames
        .map(|(index, bytes)| Frame {
            at: at(index),
            bytes,
        })
        .collect()
}

/// Four messages of DHCP, a transfer of TFTP in fragments and without, and a request of HTTP.
fn boot(mac: MacAddress, address: Ipv4Addr, transaction: TransactionId) -> Vec<Vec<u8>> {
    let client = Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac,
        uuid: format!("4c4c4544-0035-5a10-8054-{transaction}0132")
            .parse()
            .ok(),
    };
    let offer = reply(mac, address, transaction, MessageType::Offer);
    let request = client.request(transaction, &offer);
    let ack = reply(mac, address, transaction, MessageType::Ack);
    let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let broadcast = MacAddress::new([0xff; 6]);
    let asked = |message: &DhcpMessage| {
        let bytes = message.write(1472).expect("a message");
        udp_frame((mac, nobody), (broadcast, everybody), &bytes).expect("a frame")
    };
    let (us, them) = (
        (SERVER, SocketAddrV4::new(SERVER_IP, 67)),
        (mac, SocketAddrV4::new(address, 68)),
    );
    let answered = |message: &DhcpMessage| {
        let bytes = message.write(1472).expect("a message");
        udp_frame(us, them, &bytes).expect("a frame")
    };
    let mut frames = vec![
        asked(&client.discover(transaction)),
        answered(&offer),
        asked(&request),
        answered(&ack),
    ];
    let (here, there) = (
        (SERVER, SocketAddrV4::new(SERVER_IP, 40_069)),
        (mac, SocketAddrV4::new(address, 1234)),
    );
    let port = (SERVER, SocketAddrV4::new(SERVER_IP, 69));
    let read = b"\x00\x01snponly.efi\x00octet\x00blksize\x004096\x00";
    frames.push(udp_frame(there, port, read).expect("a frame"));
    let acknowledged = b"\x00\x06blksize\x004096\x00";
    frames.push(udp_frame(here, there, acknowledged).expect("a frame"));
    frames.push(udp_frame(there, here, b"\x00\x04\x00\x00").expect("a frame"));
    for (block, length) in [(1u16, 4096), (2, 100)] {
        let mut data = vec![0, 3];
        data.extend(block.to_be_bytes());
        data.extend(vec![block as u8; length]);
        let whole = udp_frame(here, there, &data).expect("a frame");
        frames.extend(fragments(&whole, block));
        let mut acknowledgement = vec![0, 4];
        acknowledgement.extend(block.to_be_bytes());
        frames.push(udp_frame(there, here, &acknowledgement).expect("a frame"));
    }
    frames.extend(http(mac, address));
    frames
}

fn reply(
    mac: MacAddress,
    address: Ipv4Addr,
    transaction: TransactionId,
    kind: MessageType,
) -> DhcpMessage {
    let mut reply = DhcpMessage::new(Operation::Reply, mac, transaction);
    reply.your_address = address;
    reply.server_address = SERVER_IP;
    reply.boot_file = b"snponly.efi".to_vec();
    let options = &mut reply.options;
    options.set_message_type(kind);
    options.set_address(OptionCode::ServerIdentifier, SERVER_IP);
    options.set_raw(OptionCode::BootfileName, b"snponly.efi");
    reply
}

/// Cuts the datagram of a frame as a link does that carries 1,500 bytes.
pub fn fragments(frame: &[u8], identification: u16) -> Vec<Vec<u8>> {
    const PART: usize = 1480;
    let (head, payload) = frame.split_at(34);
    let count = payload.len().div_ceil(PART);
    let parts = payload.chunks(PART).enumerate();
    let cut = parts.map(|(index, part)| {
        let mut fragment = head.to_vec();
        let length = (20 + part.len()) as u16;
        let more = if index + 1 < count { 0x2000 } else { 0 };
        let place = (index * PART / 8) as u16 | more;
        fragment[16..18].copy_from_slice(&length.to_be_bytes());
        fragment[18..20].copy_from_slice(&identification.to_be_bytes());
        fragment[20..22].copy_from_slice(&place.to_be_bytes());
        let sum = check_sum(&fragment[14..34]);
        fragment[24..26].copy_from_slice(&sum.to_be_bytes());
        fragment.extend(part);
        fragment
    });
    cut.collect()
}

/// Sums up a header, without the sum that it holds.
fn check_sum(header: &[u8]) -> u16 {
    let words = header
        .chunks(2)
        .enumerate()
        .filter(|(index, _)| *index != 5);
    let words = words.map(|(_, word)| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

/// Puts tags between the addresses of a frame and its type.
pub fn tagged(frame: &[u8], tags: &[u8]) -> Vec<u8> {
    [&frame[..12], tags, &frame[12..]].concat()
}

/// An IPv4 datagram of any protocol, in a frame.
fn framed(
    from: (MacAddress, Ipv4Addr),
    to: (MacAddress, Ipv4Addr),
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let ends = |(mac, ip): (MacAddress, Ipv4Addr)| (mac, SocketAddrV4::new(ip, 0));
    let mut frame = udp_frame(ends(from), ends(to), b"").expect("a frame");
    frame.truncate(34);
    let length = (20 + payload.len()) as u16;
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame[23] = protocol;
    let sum = check_sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A connection that asks for a script and gets it.
fn http(mac: MacAddress, address: Ipv4Addr) -> Vec<Vec<u8>> {
    let (client, server) = ((mac, address), (SERVER, SERVER_IP));
    let segment = |to_server: bool, sequence: u32, acknowledged: u32, flags: u8, payload: &[u8]| {
        let ports = if to_server {
            [50_000u16, 80]
        } else {
            [80, 50_000]
        };
        let mut bytes = ports.map(u16::to_be_bytes).concat();
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(acknowledged.to_be_bytes());
        bytes.extend([0x50, flags, 0x40, 0, 0, 0, 0, 0]);
        bytes.extend(payload);
        match to_server {
            true => framed(client, server, 6, &bytes),
            false => framed(server, client, 6, &bytes),
        }
    };
    let request = b"GET /boot.ipxe HTTP/1.1\r\nHost: 10.20.0.10\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n#!ipxe";
    let asked = 101 + request.len() as u32;
    let ended = 501 + answer.len() as u32;
    vec![
        segment(true, 100, 0, 0x02, b""),
        segment(false, 500, 101, 0x12, b""),
        segment(true, 101, 501, 0x10, b""),
        segment(true, 101, 501, 0x18, request),
        segment(false, 501, asked, 0x18, answer),
        segment(true, asked, ended, 0x11, b""),
        segment(false, ended, asked + 1, 0x11, b""),
        segment(true, asked + 1, ended + 1, 0x10, b""),
    ]
}

/// The client has no port where a late block arrives.
fn unreachable() -> Vec<u8> {
    let (client, server) = ((CLIENT, CLIENT_IP), (SERVER, SERVER_IP));
    let about = framed(
        server,
        client,
        17,
        &[0x9c, 0x85, 0x04, 0xd2, 0, 12, 0, 0, 0, 3, 0, 9],
    );
    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    message.extend(&about[14..]);
    let sum = message
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = sum.sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    framed(client, server, 1, &message)
}

fn arp() -> Vec<u8> {
    let mut frame = pxectl::wire::arp::probe(CLIENT, CLIENT_IP);
    frame.resize(60, 0);
    frame
}

/// Writes the sample as a capture file, each frame with a comment.
pub fn pcapng(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = PcapngWriter { bytes: &mut bytes };
    writer.section("a test", None);
    writer.interface(&InterfaceDescription {
        link: LinkType::Ethernet,
        name: Some("eth7"),
        filter: None,
        system: None,
    });
    for (index, frame) in frames.iter().enumerate() {
        let comment = format!("frame {}", index + 1);
        let comments = [comment.as_bytes()].into_iter();
        writer.frame(0, frame.at, &frame.bytes, frame.bytes.len(), comments);
    }
    bytes
}
