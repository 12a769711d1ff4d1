//! Chooses the ports of transfers.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::config::TftpConfig;
use crate::inventory::PortRange;

/// The ports from which those of transfers are drawn.
#[derive(Clone, Debug)]
pub(super) enum TransferPorts {
    /// The system draws a port.
    System {
        /// Number of ports in the system's range.
        count: u32,
    },
    /// We draw a port of this range.
    Range(PortRange),
}

/// Limit of attempts to draw a port that no other program uses.
const DRAWS: u32 = 32;

/// File that contains Linux's own port range.
const SYSTEM_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

impl TransferPorts {
    /// Returns the ports of transfers; `None` if they use the request port.
    pub(super) fn of(config: &TftpConfig) -> Option<Self> {
        match &config.ports {
            _ if config.single_port => None,
            Some(range) => Some(Self::Range(range.clone())),
            None => Some(Self::System {
                count: system_count(std::fs::read_to_string(SYSTEM_RANGE).ok().as_deref()),
            }),
        }
    }

    /// Returns the number of ports among which an attacker must guess.
    pub(super) fn count(&self) -> u32 {
        match self {
            Self::System { count } => *count,
            Self::Range(range) => range.count(),
        }
    }

    /// Binds a socket to a local address, on a randomly drawn port.
    pub(super) fn bind(&self, socket: &socket2::Socket, address: Ipv4Addr) -> io::Result<()> {
        let bind = |port| socket.bind(&SocketAddrV4::new(address, port).into());
        let Self::Range(range) = self else {
            return bind(0);
        };
        // Transfers share ports if the range is smaller than their number. Each socket is connected to
        // its peer, which separates their packets.
        socket.set_reuse_address(true)?;
        let mut draws = 0;
        loop {
            draws += 1;
            let offset = getrandom::u32().map_err(io::Error::other)? % range.count();
            match bind(range.first() + offset as u16) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && draws < DRAWS => {}
                ended => return ended,
            }
        }
    }
}

/// Returns the number of ports in a range such as `32768 60999`.
fn system_count(text: Option<&str>) -> u32 {
    /// Default of Linux.
    const USUAL: u32 = 60_999 - 32_768 + 1;
    let mut ends = text.into_iter().flat_map(str::split_whitespace);
    let mut end = || ends.next()?.parse::<u16>().ok();
    match (end(), end()) {
        (Some(first), Some(last)) if first <= last => u32::from(last) - u32::from(first) + 1,
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use socket2::{Domain, Socket, Type};

    use super::*;

    fn bound(ports: &TransferPorts) -> (Socket, u16) {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        ports.bind(&socket, Ipv4Addr::LOCALHOST).expect("a port");
        let address = socket.local_addr().expect("an address");
        let port = address.as_socket_ipv4().map(|it| it.port());
        (socket, port.expect("a port"))
    }

    #[test]
    fn the_systems_range_is_read() {
        for (text, expected) in [
            (Some("32768\t60999\n"), 28_232),
            (Some("1024 65535"), 64_512),
            (Some("9 1"), 28_232),
            (Some("many"), 28_232),
            (None, 28_232),
        ] {
            assert_eq!(system_count(text), expected, "{text:?}");
        }
    }

    #[test]
    fn ports_are_drawn_from_the_range_and_shared() {
        let ports = TransferPorts::Range("21200-21231".parse().expect("a range"));
        let sockets: Vec<_> = (0..400).map(|_| bound(&ports)).collect();
        let drawn: BTreeSet<u16> = sockets.iter().map(|(_, port)| *port).collect();
        // The probability that 400 draws miss one of 32 ports is 1 in 10,000.
        assert!(drawn.len() > 30, "{drawn:?}");
        assert!(drawn.iter().all(|port| (21_200..=21_231).contains(port)));
    }

    #[test]
    fn the_system_draws_ports_that_do_not_follow_each_other() {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let ports = TransferPorts::of(&TftpConfig::new(address)).expect("ports of their own");
        let sockets: Vec<_> = (0..64).map(|_| bound(&ports)).collect();
        let numbers: Vec<i32> = sockets.iter().map(|(_, port)| i32::from(*port)).collect();
        let near = numbers
            .windows(2)
            .filter(|pair| (pair[1] - pair[0]).abs() < 16);
        assert!(near.count() < 16, "{numbers:?}");
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 64);
    }
}
