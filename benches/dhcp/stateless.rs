//! The ceiling: a server that looks nothing up, and writes nothing down.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::Context;
use socket2::{Domain, Socket, Type};

use crate::servers::POOL;
use crate::shared::link::{SERVER, SERVER_INTERFACE};

/// Where the fields of a message and its options are. Source: RFC 2131 §2.
const YIADDR: usize = 16;
const GIADDR: std::ops::Range<usize> = 24..28;
const CHADDR: usize = 28;
const OPTIONS: usize = 240;

/// Answers every DISCOVER with an OFFER and every REQUEST with an ACK, until it is killed. The
/// address is made from the client's Ethernet address.
///
/// # Errors
/// When port 67 cannot be bound.
pub fn respond() -> anyhow::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.bind_device(Some(SERVER_INTERFACE.as_bytes()))?;
    socket.set_recv_buffer_size(4 << 20)?;
    let address = std::net::SocketAddr::from((Ipv4Addr::UNSPECIFIED, 67));
    socket
        .bind(&address.into())
        .context("cannot bind port 67")?;
    let socket = UdpSocket::from(socket);
    let mut buffer = [0; 2048];
    loop {
        let length = socket.recv(&mut buffer)?;
        if let Some(relay) = answer(&mut buffer, length) {
            // Who is too slow to take it has lost it.
            let _ = socket.send_to(&buffer[..300], (relay, 67));
        }
    }
}

/// Turns a request into its reply; returns the relay that it goes to.
fn answer(message: &mut [u8; 2048], length: usize) -> Option<Ipv4Addr> {
    let options = message.get(OPTIONS..length)?;
    let kind = options.windows(3).find(|it| it[..2] == [53, 1])?[2];
    let kind = match kind {
        1 => 2,
        3 => 5,
        _ => return None,
    };
    let relay: [u8; 4] = message[GIADDR].try_into().ok()?;
    message[0] = 2;
    let number = u16::from_be_bytes([message[CHADDR + 4], message[CHADDR + 5]]);
    let address = POOL.0.to_bits() + u32::from(number) % 64_000;
    message[YIADDR..YIADDR + 4].copy_from_slice(&address.to_be_bytes());
    let mut at = OPTIONS;
    let mut put = |code: u8, value: [u8; 4], length: u8| {
        message[at] = code;
        message[at + 1] = length;
        message[at + 2..at + 2 + usize::from(length)]
            .copy_from_slice(&value[..usize::from(length)]);
        at += 2 + usize::from(length);
    };
    put(53, [kind, 0, 0, 0], 1);
    put(54, SERVER.octets(), 4);
    put(51, 1800u32.to_be_bytes(), 4);
    put(1, [255, 255, 0, 0], 4);
    put(255, [0; 4], 0);
    message[at - 1..300].fill(0);
    Some(relay.into())
}
