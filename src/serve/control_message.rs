//! Control messages of `sendmsg`, in the layout of cmsg(3).

use std::ffi::c_int;
use std::io::{self, IoSlice};
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use socket2::{MsgHdr, SockRef};

/// The level of IP, and the message that holds the addresses of a datagram. Source: ip(7).
pub(super) const IPPROTO_IP: c_int = 0;
pub(super) const IP_PKTINFO: c_int = 8;

/// The bytes of a word, to which each message is padded, and those before each payload.
pub(super) const WORD: usize = mem::size_of::<usize>();
pub(super) const CONTROL_HEADER: usize = WORD + 2 * mem::size_of::<c_int>();

/// Control messages: for each the length, level, type, payload, and padding to a word.
pub(super) struct ControlMessages {
    bytes: [u8; 64],
    length: usize,
}

impl ControlMessages {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; 64],
            length: 0,
        }
    }

    pub(super) fn push(&mut self, level: c_int, kind: c_int, payload: &[u8]) {
        let length = CONTROL_HEADER + payload.len();
        let header = [
            &length.to_ne_bytes()[..],
            &level.to_ne_bytes(),
            &kind.to_ne_bytes(),
            payload,
        ];
        let mut at = self.length;
        for part in header {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.length += length.next_multiple_of(WORD);
    }

    /// Adds the source address of the datagram. It must be an address of this machine.
    pub(super) fn push_source(&mut self, source: Ipv4Addr) {
        // struct in_pktinfo: interface (any), source address, destination (unused).
        let [a, b, c, d] = source.octets();
        let payload = [0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0];
        self.push(IPPROTO_IP, IP_PKTINFO, &payload);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Sends a datagram from an address of this machine, whatever address its route prefers.
///
/// # Errors
/// Fails when the system does not send it.
pub(super) fn send_from(
    socket: &UdpSocket,
    source: Ipv4Addr,
    to: SocketAddrV4,
    bytes: &[u8],
) -> io::Result<()> {
    let mut control = ControlMessages::new();
    control.push_source(source);
    let to = to.into();
    let buffers = [IoSlice::new(bytes)];
    let message = MsgHdr::new()
        .with_addr(&to)
        .with_buffers(&buffers)
        .with_control(control.bytes());
    SockRef::from(socket).sendmsg(&message, 0).map(drop)
}
