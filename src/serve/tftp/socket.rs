//! UDP sockets that know the local address of each datagram, and send many blocks in one call.

use std::ffi::{c_int, c_void};
use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use rustix::net::sockopt;
use socket2::{Domain, MaybeUninitSlice, MsgHdr, MsgHdrMut, SockAddr, Type};

use super::ports::TransferPorts;
use crate::serve::control_message::{
    CONTROL_HEADER, ControlMessages, IP_PKTINFO, IPPROTO_IP, WORD,
};

/// A UDP socket that reports the local address of each datagram, and replies from that address.
pub(super) struct Socket {
    socket: socket2::Socket,
    /// Whether it is bound to 0.0.0.0, so that datagrams carry their local address.
    wildcard: bool,
    /// Whether it is connected to one peer.
    connected: bool,
}

/// Buffer for one received datagram. A request fits: RFC 2347 allows 512 bytes.
pub(super) struct PacketBuffer([MaybeUninit<u8>; 2048]);

impl PacketBuffer {
    pub(super) const fn new() -> Self {
        Self([MaybeUninit::uninit(); 2048])
    }
}

/// A received datagram.
pub(super) struct Datagram<'a> {
    pub(super) peer: SocketAddrV4,
    /// The local address of the datagram, if the socket is bound to all addresses.
    pub(super) local: Option<Ipv4Addr>,
    pub(super) bytes: &'a [u8],
}

/// Destination and local address of a reply.
#[derive(Clone, Debug)]
pub(super) struct ReplyRoute {
    peer: SockAddr,
    local: Option<Ipv4Addr>,
}

impl ReplyRoute {
    pub(super) fn new(peer: SocketAddrV4, local: Option<Ipv4Addr>) -> Self {
        Self {
            peer: peer.into(),
            local,
        }
    }

    /// Returns the local address, if the socket is bound to all addresses.
    pub(super) fn local(&self) -> Option<Ipv4Addr> {
        self.local
    }
}

const SOL_UDP: c_int = 17;
const UDP_SEGMENT: c_int = 103;
const MSG_DONTWAIT: c_int = 0x40;

/// Bytes of kernel memory for each direction of a socket: a burst of ACKs of hundreds of peers, and
/// replies that wait until the kernel knows a peer's hardware address.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Time for which a send waits for buffer space on a slow link.
const SEND_PATIENCE: Duration = Duration::from_millis(100);

impl Socket {
    /// Binds a socket for requests. With `shared`, it joins the sockets that are already bound there.
    pub(super) fn requests(address: SocketAddrV4, shared: bool) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        if shared {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        socket.set_reuse_port(true)?;
        Self::prepare(socket, address.ip().is_unspecified())
    }

    /// Binds a socket for the transfer of one peer, on a randomly drawn port.
    ///
    /// The kernel drops datagrams of other peers, except those that arrived before it was connected.
    pub(super) fn transfer(
        address: Ipv4Addr,
        ports: &TransferPorts,
        peer: SocketAddrV4,
    ) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        ports.bind(&socket, address)?;
        socket.connect(&peer.into())?;
        socket.set_write_timeout(Some(SEND_PATIENCE))?;
        Ok(Self {
            socket,
            wildcard: false,
            connected: true,
        })
    }

    /// Binds a socket that only sends, on a randomly drawn port.
    pub(super) fn unread(address: Ipv4Addr, ports: &TransferPorts) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        ports.bind(&socket, address)?;
        socket.set_write_timeout(Some(SEND_PATIENCE))?;
        Ok(Self {
            socket,
            wildcard: address.is_unspecified(),
            connected: false,
        })
    }

    fn prepare(socket: socket2::Socket, wildcard: bool) -> io::Result<Self> {
        if wildcard {
            enable(&socket, IPPROTO_IP, IP_PKTINFO)?;
        }
        socket.set_write_timeout(Some(SEND_PATIENCE))?;
        // Only a privileged process may exceed the system's limit.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER));
        let _ = sockopt::set_socket_send_buffer_size_force(&socket, SOCKET_BUFFER)
            .or_else(|_| sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER));
        Ok(Self {
            socket,
            wildcard,
            connected: false,
        })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddrV4> {
        let address = self.socket.local_addr()?;
        address.as_socket_ipv4().ok_or(io::ErrorKind::Other.into())
    }

    /// Receives a datagram, if one has arrived.
    ///
    /// Ignores datagrams to a broadcast or multicast address. Source: RFC 1123 §4.2.3.5.
    pub(super) fn receive<'a>(
        &self,
        buffer: &'a mut PacketBuffer,
    ) -> io::Result<Option<Datagram<'a>>> {
        let mut peer = SockAddr::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        let mut control = [MaybeUninit::new(0u8); 64];
        let mut buffers = [MaybeUninitSlice::new(&mut buffer.0)];
        let mut message = MsgHdrMut::new()
            .with_addr(&mut peer)
            .with_buffers(&mut buffers);
        if self.wildcard {
            message = message.with_control(&mut control);
        }
        let length = self.socket.recvmsg(&mut message, MSG_DONTWAIT)?;
        let control_length = message.control_len();
        let (Some(bytes), Some(control), Some(peer)) = (
            buffer.0.get(..length),
            control.get(..control_length),
            peer.as_socket_ipv4(),
        ) else {
            return Ok(None);
        };
        // SAFETY: the kernel has written the first `length` bytes of the buffer, and all of
        // `control` was initialized above; `MaybeUninit<u8>` has the layout of `u8`.
        let (bytes, control) = unsafe {
            (
                &*(std::ptr::from_ref(bytes) as *const [u8]),
                &*(std::ptr::from_ref(control) as *const [u8]),
            )
        };
        let mut local = None;
        if self.wildcard {
            match packet_info(control) {
                Some((ours, destination)) if ours == destination => local = Some(ours),
                _ => return Ok(None),
            }
        }
        Ok(Some(Datagram { peer, local, bytes }))
    }

    /// Sends the content of `buffers` as one datagram. With `segment`, sends datagrams of that
    /// length; the last one may be shorter.
    pub(super) fn send(
        &self,
        route: &ReplyRoute,
        buffers: &[IoSlice<'_>],
        segment: Option<u16>,
    ) -> io::Result<()> {
        let mut control = ControlMessages::new();
        if let Some(local) = route.local.filter(|_| !self.connected) {
            control.push_source(local);
        }
        if let Some(segment) = segment {
            control.push(SOL_UDP, UDP_SEGMENT, &segment.to_ne_bytes());
        }
        let mut message = MsgHdr::new().with_buffers(buffers);
        if !self.connected {
            message = message.with_addr(&route.peer);
        }
        if !control.is_empty() {
            message = message.with_control(control.bytes());
        }
        self.socket.sendmsg(&message, 0).map(drop)
    }
}

/// Returns the MTU of the path to a peer in bytes, as far as the kernel knows it. `transfer` is a
/// socket that is connected to the peer, if there is one.
pub(super) fn link_mtu(peer: SocketAddrV4, transfer: Option<&Socket>) -> io::Result<u32> {
    if let Some(transfer) = transfer {
        return Ok(sockopt::ip_mtu(&transfer.socket)?);
    }
    let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.connect(&peer.into())?;
    Ok(sockopt::ip_mtu(&socket)?)
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Finds the local address and the destination address of a datagram in its control messages.
fn packet_info(mut control: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    loop {
        let (length, rest) = control.split_first_chunk::<WORD>()?;
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (kind, _) = rest.split_first_chunk::<4>()?;
        let length = usize::from_ne_bytes(*length);
        let payload = control.get(CONTROL_HEADER..length)?;
        let kind = (c_int::from_ne_bytes(*level), c_int::from_ne_bytes(*kind));
        if kind == (IPPROTO_IP, IP_PKTINFO) {
            let [_, _, _, _, a, b, c, d, e, f, g, h] = *payload.first_chunk::<12>()?;
            return Some((Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h)));
        }
        control = control.get(length.next_multiple_of(WORD)..)?;
    }
}

/// Sets an integer option of a socket to 1.
fn enable(socket: &socket2::Socket, level: c_int, option: c_int) -> io::Result<()> {
    // Neither rustix nor socket2 supports IP_PKTINFO.
    unsafe extern "C" {
        fn setsockopt(
            socket: c_int,
            level: c_int,
            option: c_int,
            value: *const c_void,
            length: u32,
        ) -> c_int;
    }
    let one: c_int = 1;
    // SAFETY: `value` points to `length` bytes for the duration of the call.
    let result = unsafe {
        setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(&one).cast(),
            mem::size_of_val(&one) as u32,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packet_info_is_found_behind_other_control_messages() {
        let mut control = ControlMessages::new();
        control.push(SOL_UDP, UDP_SEGMENT, &[1, 2]);
        control.push(
            IPPROTO_IP,
            IP_PKTINFO,
            &[9, 0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 255],
        );
        assert_eq!(
            packet_info(control.bytes()),
            Some((Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 255)))
        );
        assert_eq!(packet_info(&control.bytes()[..20]), None);
    }

    #[test]
    fn one_call_sends_a_window() {
        let here = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let sender = Socket::requests(here, false).expect("a socket");
        let receiver = Socket::requests(here, false).expect("a socket");
        let route = ReplyRoute::new(receiver.local_address().expect("an address"), None);
        let window: Vec<u8> = (0..64 * 1000 + 7).map(|n: u32| (n / 3) as u8).collect();
        let (first, rest) = window.split_at(12_345);
        let buffers = [IoSlice::new(first), IoSlice::new(rest)];
        sender.send(&route, &buffers, Some(1004)).expect("a send");
        let mut lengths = Vec::new();
        let mut bytes = Vec::new();
        let mut buffer = PacketBuffer::new();
        while let Ok(Some(datagram)) = receiver.receive(&mut buffer) {
            lengths.push(datagram.bytes.len());
            bytes.extend_from_slice(datagram.bytes);
        }
        assert_eq!(lengths[..63], [1004; 63]);
        assert_eq!(lengths[63..], [64_007 - 63 * 1004]);
        assert!(bytes == window);
    }

    proptest! {
        #[test]
        fn arbitrary_control_messages_never_panic(
            length in 0..40usize, rest in prop::collection::vec(any::<u8>(), 0..64)
        ) {
            packet_info(&rest);
            packet_info(&[&length.to_ne_bytes(), rest.as_slice()].concat());
        }
    }
}
