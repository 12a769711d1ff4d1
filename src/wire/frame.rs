//! Ethernet frames for clients that cannot answer ARP yet.

use std::net::SocketAddrV4;

use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, UdpHeader};

use crate::machine::MacAddress;

const TIME_TO_LIVE: u8 = 64;

/// The payload does not fit into one IPv4 datagram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a payload of {have} bytes does not fit into one IPv4 UDP datagram")]
pub struct FrameError {
    /// The length of the payload in bytes.
    pub have: usize,
}

/// Builds an Ethernet II frame with an IPv4 and a UDP header, both with checksums.
///
/// The frame holds both addresses of the destination, so a client without an IP stack receives it without
/// ARP. The time to live is 64, and the datagram may be fragmented on its way.
///
/// # Errors
/// When the payload does not fit into one datagram.
///
/// Source: RFC 2131 §4.1; RFC 768; RFC 791 §3.1.
pub fn udp_frame(
    source: (MacAddress, SocketAddrV4),
    destination: (MacAddress, SocketAddrV4),
    payload: &[u8],
) -> Result<Vec<u8>, FrameError> {
    let refused = || FrameError {
        have: payload.len(),
    };
    let (source_ip, destination_ip) = (source.1.ip().octets(), destination.1.ip().octets());

    let datagram_length = u16::try_from(UdpHeader::LEN + payload.len()).map_err(|_| refused())?;
    let mut ipv4 = Ipv4Header::new(
        datagram_length,
        TIME_TO_LIVE,
        IpNumber::UDP,
        source_ip,
        destination_ip,
    )
    .map_err(|_| refused())?;
    ipv4.dont_fragment = false;
    ipv4.header_checksum = ipv4.calc_header_checksum();

    let udp = UdpHeader::with_ipv4_checksum(source.1.port(), destination.1.port(), &ipv4, payload)
        .map_err(|_| refused())?;

    let ethernet = Ethernet2Header {
        source: source.0.octets(),
        destination: destination.0.octets(),
        ether_type: EtherType::IPV4,
    };

    let mut frame = Vec::with_capacity(
        Ethernet2Header::LEN + Ipv4Header::MIN_LEN + usize::from(datagram_length),
    );
    frame.extend_from_slice(&ethernet.to_bytes());
    frame.extend_from_slice(&ipv4.to_bytes());
    frame.extend_from_slice(&udp.to_bytes());
    frame.extend_from_slice(payload);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    const SERVER: (MacAddress, SocketAddrV4) = (
        MacAddress::new([0x52, 0x54, 0, 0, 0, 1]),
        SocketAddrV4::new(Ipv4Addr::new(10, 20, 0, 10), 67),
    );
    const CLIENT: (MacAddress, SocketAddrV4) = (
        MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
        SocketAddrV4::new(Ipv4Addr::new(10, 20, 0, 58), 68),
    );

    #[test]
    fn a_frame_reads_back_as_it_was_built() {
        let frame = udp_frame(SERVER, CLIENT, b"odd").unwrap();
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();

        let ethernet = packet
            .link
            .unwrap()
            .to_header()
            .unwrap()
            .ethernet2()
            .unwrap();
        assert_eq!(ethernet.source, SERVER.0.octets());
        assert_eq!(ethernet.destination, CLIENT.0.octets());

        let Some(NetSlice::Ipv4(slice)) = packet.net else {
            panic!("no IPv4 header");
        };
        let ipv4 = slice.header().to_header();
        assert_eq!(ipv4.header_checksum, ipv4.calc_header_checksum());
        assert_eq!((ipv4.time_to_live, ipv4.dont_fragment), (64, false));
        assert_eq!(Ipv4Addr::from(ipv4.source), *SERVER.1.ip());
        assert_eq!(Ipv4Addr::from(ipv4.destination), *CLIENT.1.ip());

        let Some(TransportSlice::Udp(udp)) = packet.transport else {
            panic!("no UDP header");
        };
        assert_eq!((udp.source_port(), udp.destination_port()), (67, 68));
        assert_eq!(udp.payload(), b"odd");
        let header = udp.to_header();
        assert_eq!(
            Ok(header.checksum),
            header.calc_checksum_ipv4(&ipv4, udp.payload())
        );
    }

    #[test]
    fn a_payload_over_the_limit_of_ipv4_is_refused() {
        let largest = usize::from(u16::MAX) - Ipv4Header::MIN_LEN - UdpHeader::LEN;
        assert!(udp_frame(SERVER, CLIENT, &vec![0; largest]).is_ok());
        assert_eq!(
            udp_frame(SERVER, CLIENT, &vec![0; largest + 1]),
            Err(FrameError { have: largest + 1 })
        );
    }
}
