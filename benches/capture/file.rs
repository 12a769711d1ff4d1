//! A capture of machines that boot, of any size.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use anyhow::Context;
use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::{Architecture, MacAddress};
use pxectl::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode, TransactionId};
use pxectl::wire::frame::udp_frame;

const SERVER: (MacAddress, Ipv4Addr) = (
    MacAddress::new([0x52, 0x54, 0, 0, 0, 1]),
    Ipv4Addr::new(10, 20, 0, 10),
);
/// What each machine fetches: a loader by TFTP, and a kernel by HTTP.
const BLOCKS: u16 = 700;
const BLOCK: usize = 1432;
const SEGMENTS: u32 = 2800;
const SEGMENT: usize = 1460;

/// Writes machines one after another until the file is so large; returns how many packets it has.
pub fn write(path: &Path, size: u64) -> anyhow::Result<u64> {
    let mut file = Pcap {
        output: BufWriter::with_capacity(1 << 20, File::create(path)?),
        packets: 0,
        bytes: 24,
        microseconds: 0,
    };
    let header = [0xa1b2_c3d4u32, 4 << 16 | 2, 0, 0, 262_144, 1];
    for field in header {
        file.output.write_all(&field.to_le_bytes())?;
    }
    let mut number = 0;
    while file.bytes < size {
        boot(&mut file, number, size)?;
        number += 1;
    }
    file.output.flush()?;
    Ok(file.packets)
}

struct Pcap {
    output: BufWriter<File>,
    packets: u64,
    bytes: u64,
    microseconds: u64,
}

impl Pcap {
    fn frame(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        let time = 1_770_000_000_000_000 + self.microseconds;
        let length = frame.len() as u32;
        let fields = [
            (time / 1_000_000) as u32,
            (time % 1_000_000) as u32,
            length,
            length,
        ];
        for field in fields {
            self.output.write_all(&field.to_le_bytes())?;
        }
        self.output.write_all(frame)?;
        self.packets += 1;
        self.bytes += 16 + u64::from(length);
        self.microseconds += 10;
        Ok(())
    }
}

fn boot(file: &mut Pcap, number: u32, size: u64) -> anyhow::Result<()> {
    let [_, a, b, c] = number.to_be_bytes();
    let mac = MacAddress::new([0x52, 0x54, 1, a, b, c]);
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 20, 1, 0).to_bits() + number);
    let client = Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac,
        uuid: format!("4c4c4544-0035-5a10-8054-{number:012x}")
            .parse()
            .ok(),
    };
    let transaction = TransactionId(number);
    let reply = |kind| {
        let mut reply = DhcpMessage::new(Operation::Reply, mac, transaction);
        reply.your_address = address;
        reply.server_address = SERVER.1;
        reply.boot_file = b"snponly.efi".to_vec();
        reply.options.set_message_type(kind);
        reply
            .options
            .set_address(OptionCode::ServerIdentifier, SERVER.1);
        reply
    };
    let offer = reply(MessageType::Offer);
    let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let everybody = (
        MacAddress::new([0xff; 6]),
        SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
    );
    let at = |port| (SERVER.0, SocketAddrV4::new(SERVER.1, port));
    let of = |port| (mac, SocketAddrV4::new(address, port));
    for (asked, answer) in [
        (client.discover(transaction), offer.clone()),
        (client.request(transaction, &offer), reply(MessageType::Ack)),
    ] {
        file.frame(&udp_frame((mac, nobody), everybody, &asked.write(1472)?)?)?;
        file.frame(&udp_frame(at(67), of(68), &answer.write(1472)?)?)?;
    }
    let wanted = b"\x00\x01snponly.efi\x00octet\x00blksize\x001432\x00";
    file.frame(&udp_frame(of(2000), at(69), wanted)?)?;
    file.frame(&udp_frame(
        at(3000),
        of(2000),
        b"\x00\x06blksize\x001432\x00",
    )?)?;
    file.frame(&udp_frame(of(2000), at(3000), &[0, 4, 0, 0])?)?;
    let mut data = vec![0x5a; 4 + BLOCK];
    for block in 1..=BLOCKS {
        data[..2].copy_from_slice(&[0, 3]);
        data[2..4].copy_from_slice(&block.to_be_bytes());
        let length = if block == BLOCKS { 100 } else { 4 + BLOCK };
        file.frame(&udp_frame(at(3000), of(2000), &data[..length])?)?;
        let [high, low] = block.to_be_bytes();
        file.frame(&udp_frame(of(2000), at(3000), &[0, 4, high, low])?)?;
        if file.bytes >= size {
            return Ok(());
        }
    }
    fetch(file, (mac, address), size)
}

fn fetch(file: &mut Pcap, client: (MacAddress, Ipv4Addr), size: u64) -> anyhow::Result<()> {
    let length = SEGMENTS as usize * SEGMENT;
    let request = b"GET /b/kernel HTTP/1.1\r\nHost: 10.20.0.10\r\n\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let asked = 101 + request.len() as u32;
    let mut at = 501 + answer.len() as u32;
    for (to_server, sequence, acknowledged, flags, payload) in [
        (true, 100, 0, 0x02, &b""[..]),
        (false, 500, 101, 0x12, b""),
        (true, 101, 501, 0x10, b""),
        (true, 101, 501, 0x18, request),
        (false, 501, asked, 0x18, answer.as_bytes()),
    ] {
        file.frame(&segment(
            client,
            to_server,
            sequence,
            acknowledged,
            flags,
            payload,
        )?)?;
    }
    for number in 0..SEGMENTS {
        file.frame(&segment(client, false, at, asked, 0x10, &[0x5a; SEGMENT])?)?;
        at = at.wrapping_add(SEGMENT as u32);
        if number % 2 == 1 {
            file.frame(&segment(client, true, asked, at, 0x10, b"")?)?;
        }
        if file.bytes >= size {
            return Ok(());
        }
    }
    file.frame(&segment(client, true, asked, at, 0x11, b"")?)?;
    file.frame(&segment(client, false, at, asked + 1, 0x11, b"")?)
}

fn segment(
    client: (MacAddress, Ipv4Addr),
    to_server: bool,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    payload: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let ends = |(mac, ip), port| (mac, SocketAddrV4::new(ip, port));
    let (from, to) = match to_server {
        true => (ends(client, 50_000), ends(SERVER, 80)),
        false => (ends(SERVER, 80), ends(client, 50_000)),
    };
    let mut header = [from.1.port(), to.1.port()].map(u16::to_be_bytes).concat();
    header.extend(sequence.to_be_bytes());
    header.extend(acknowledged.to_be_bytes());
    header.extend([0x50, flags, 0x40, 0, 0, 0, 0, 0]);
    // A datagram whose header is made one of TCP.
    let filling = [&header[8..], payload].concat();
    let mut frame = udp_frame(from, to, &filling)?;
    frame[23] = 6;
    let start = frame.get_mut(34..42).context("a header")?;
    start.copy_from_slice(&header[..8]);
    Ok(frame)
}
