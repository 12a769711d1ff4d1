use proptest::prelude::*;

use super::*;
use crate::wire::frame::udp_frame;

const SERVER: (MacAddress, SocketAddrV4) = (
    MacAddress::new([0x52, 0x54, 0, 0, 0, 1]),
    SocketAddrV4::new(Ipv4Addr::new(10, 20, 0, 10), 67),
);
const CLIENT: (MacAddress, SocketAddrV4) = (
    MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
    SocketAddrV4::new(Ipv4Addr::new(10, 20, 0, 58), 68),
);

fn frame(payload: &[u8]) -> Vec<u8> {
    udp_frame(SERVER, CLIENT, payload).unwrap()
}

/// Puts bytes between the addresses of a frame and its type.
fn tagged(frame: &[u8], tags: &[u8]) -> Vec<u8> {
    [&frame[..12], tags, &frame[12..]].concat()
}

/// Makes an IPv4 datagram of any protocol.
fn datagram(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(&[])[14..34].to_vec();
    let length = u16::try_from(20 + payload.len()).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[9] = protocol;
    bytes.extend(payload);
    bytes
}

fn expected(payload: &[u8]) -> Packet<'_> {
    Packet {
        source_mac: SERVER.0,
        destination_mac: CLIENT.0,
        vlans: VlanTags::default(),
        source: SERVER.1,
        destination: CLIENT.1,
        transport: Transport::Udp(payload),
        length: payload.len(),
        fragmented: false,
        cut: false,
    }
}

#[test]
fn a_frame_of_ours_reads_back_and_its_padding_is_left_out() {
    let mut bytes = frame(b"odd");
    assert_eq!(
        Packet::parse(LinkType::Ethernet, &bytes),
        Ok(expected(b"odd"))
    );
    bytes.resize(60, 0);
    assert_eq!(
        Packet::parse(LinkType::Ethernet, &bytes),
        Ok(expected(b"odd"))
    );
}

#[test]
fn tags_are_read_outermost_first_and_no_more_than_two() {
    let plain = frame(b"a");
    let (c, s) = ([0x81, 0, 0xe0, 20], [0x88, 0xa8, 0, 100]);
    for (tags, vlans, shown) in [
        (c.to_vec(), VlanTags::new(Some(20), None), "20"),
        (
            [s, c].concat(),
            VlanTags::new(Some(100), Some(20)),
            "100.20",
        ),
        (
            [[0x91, 0, 0, 100], c].concat(),
            VlanTags::new(Some(100), Some(20)),
            "100.20",
        ),
        // A priority is no VLAN: the answer to it comes without a tag.
        (vec![0x81, 0, 0xe0, 0], VlanTags::NONE, ""),
        (
            [[0x81, 0, 0xe0, 0], c].concat(),
            VlanTags::new(Some(20), None),
            "20",
        ),
    ] {
        let bytes = tagged(&plain, &tags);
        let packet = Packet::parse(LinkType::Ethernet, &bytes).unwrap();
        assert_eq!(
            packet,
            Packet {
                vlans,
                ..expected(b"a")
            }
        );
        assert_eq!(packet.vlans.to_string(), shown);
    }
    let three = tagged(&plain, &[s, c, c].concat());
    assert_eq!(
        Packet::parse(LinkType::Ethernet, &three),
        Err(PacketError::Tags)
    );
}

#[test]
fn cooked_and_raw_frames_are_read_with_the_addresses_that_they_have() {
    let plain = frame(b"a");
    let none = MacAddress::new([0; 6]);
    let cooked = [
        &[0, 4, 0, 1, 0, 6],
        &SERVER.0.octets()[..],
        &[0, 0, 8, 0],
        &plain[14..],
    ]
    .concat();
    let cooked2 = [
        &[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6],
        &SERVER.0.octets()[..],
        &[0, 0],
        &plain[14..],
    ]
    .concat();
    let raw = &plain[14..];
    for (link, bytes, source_mac) in [
        (LinkType::LinuxCooked, &cooked[..], SERVER.0),
        (LinkType::LinuxCooked2, &cooked2[..], SERVER.0),
        (LinkType::RawIp, raw, none),
    ] {
        let packet = Packet {
            source_mac,
            destination_mac: none,
            ..expected(b"a")
        };
        assert_eq!(Packet::parse(link, bytes), Ok(packet), "{link:?}");
        assert_eq!(LinkType::from_number(link.number()), link);
    }
    assert_eq!(
        Packet::parse(LinkType::from_number(105), raw),
        Err(PacketError::LinkType(105))
    );
}

#[test]
fn a_cut_frame_is_read_as_far_as_it_was_captured() {
    let bytes = frame(b"abcdef");
    let packet = Packet::parse(LinkType::Ethernet, &bytes[..bytes.len() - 2]);
    let cut = Packet {
        cut: true,
        length: 6,
        ..expected(b"abcd")
    };
    assert_eq!(packet, Ok(cut));
    let headers = Packet::parse(LinkType::Ethernet, &bytes[..40]);
    assert_eq!(
        headers,
        Err(PacketError::Short {
            what: "a UDP header",
            need: 8,
            have: 6
        })
    );
}

#[test]
fn a_tcp_segment_is_read_past_its_options() {
    let mut segment = vec![0, 80, 4, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0x60, 0x12, 1, 0];
    segment.extend([0; 8]);
    segment.extend(b"GET");
    let bytes = datagram(TCP, &segment);
    let packet = Packet::parse(LinkType::RawIp, &bytes).unwrap();
    assert_eq!(
        (packet.source.port(), packet.destination.port()),
        (80, 1024)
    );
    let Transport::Tcp(tcp) = packet.transport else {
        panic!("{packet:?}");
    };
    assert_eq!((tcp.sequence, tcp.acknowledgement, tcp.window), (7, 9, 256));
    assert!(tcp.flags.is_syn() && tcp.flags.is_ack());
    assert!(!tcp.flags.is_fin() && !tcp.flags.is_rst());
    assert_eq!(tcp.payload, b"GET");
}

#[test]
fn an_unreachable_port_names_the_undelivered_packet() {
    let lost = datagram(UDP, &[0, 67, 0x08, 0x22, 0, 99, 0, 0]);
    let icmp = [&[3, 3, 0, 0, 0, 0, 0, 0], &lost[..]].concat();
    let bytes = datagram(ICMP, &icmp);
    let packet = Packet::parse(LinkType::RawIp, &bytes).unwrap();
    assert_eq!((packet.source.port(), packet.destination.port()), (0, 0));
    assert_eq!(
        packet.transport,
        Transport::Unreachable {
            code: 3,
            protocol: 17,
            source: SERVER.1,
            destination: SocketAddrV4::new(*CLIENT.1.ip(), 2082),
        }
    );
    let echo = datagram(ICMP, &[8, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        Packet::parse(LinkType::RawIp, &echo),
        Err(PacketError::Icmp(8))
    );
}

#[test]
fn unsupported_frames_have_a_reason() {
    let arp = tagged(&frame(b""), &[8, 6]);
    let mut fragment = frame(b"a");
    fragment[20] = 0x20;
    let mut version = frame(b"a");
    version[14] = 0x55;
    let mut header = frame(b"a");
    header[14] = 0x44;
    for (bytes, error, malformed) in [
        (&arp, PacketError::NotIpv4(0x0806), false),
        (&fragment, PacketError::Fragment, false),
        (&version, PacketError::Version(5), true),
        (
            &header,
            PacketError::Length {
                what: "an IPv4 header",
                length: 16,
            },
            true,
        ),
    ] {
        assert_eq!(Packet::parse(LinkType::Ethernet, bytes), Err(error));
        assert_eq!(error.is_malformed(), malformed, "{error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(
        link in prop::sample::select(vec![1, 101, 113, 276, 0]),
        frame in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let _ = Packet::parse(LinkType::from_number(link), &frame);
    }

    #[test]
    fn frames_that_were_changed_never_panic(at in 0usize..60, byte: u8, cut in 0usize..70) {
        let mut bytes = frame(&[7; 28]);
        bytes[at] = byte;
        bytes.truncate(cut);
        let _ = Packet::parse(LinkType::Ethernet, &bytes);
    }

    #[test]
    fn every_datagram_of_ours_reads_back(payload in prop::collection::vec(any::<u8>(), 0..1473)) {
        let bytes = frame(&payload);
        prop_assert_eq!(Packet::parse(LinkType::Ethernet, &bytes), Ok(expected(&payload)));
    }
}
