use std::net::{Ipv4Addr, SocketAddrV4};

use jiff::Timestamp;
use proptest::prelude::*;

use super::play::*;
use crate::conversation::{Observer, Options};
use crate::machine::MacAddress;
use crate::wire::dhcp::TransactionId;
use crate::wire::packet::{Packet, TcpFlags, TcpSegment, Transport, VlanTags};

#[test]
fn machines_beyond_the_limit_are_forgotten_and_counted() {
    let mut play = Play::new();
    for number in 0..20_000u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let mut client = uefi();
        client.mac = MacAddress::new([0x52, 0, 0, a, b, c]);
        client.uuid = None;
        play.ask(&client.discover(TransactionId(number)));
    }
    let report = play.finish();
    assert!(report.machines.len() <= 4096, "{}", report.machines.len());
    let all = report.machines.len() as u64 + report.totals.machines_evicted;
    assert_eq!(all, 20_000);
    let last = report.machines.last().map(|it| it.name.clone());
    assert_eq!(last.as_deref(), Some("52:00:00:00:4e:1f"));
}

#[test]
fn an_endless_machine_has_a_bounded_timeline() {
    let mut play = Play::new();
    for number in 0..3000 {
        play.ask(&uefi().discover(TransactionId(number)));
        play.tftp_request("x", &[]);
    }
    let report = play.finish();
    let machine = &report.machines[0];
    assert!(machine.timeline.len() <= 500);
    assert!(machine.timeline_left_out > 0);
    assert!(machine.stages.len() <= 32);
    assert!(report.findings.len() <= 4096);
}

#[test]
fn endless_transfers_and_connections_are_forgotten() {
    let mut play = Play::new();
    for number in 0..30_000u32 {
        let address = Ipv4Addr::from(0x0a00_0000 + number);
        let client = SocketAddrV4::new(address, 2000);
        play.tftp_request_from(client, "boot.efi", &[]);
        play.tcp(client, false, segment(1, SYN, b""));
    }
    let report = play.finish();
    assert!(report.totals.transfers_evicted > 30_000);
}

/// Ports and payloads that reach deep into each protocol.
fn packets() -> impl Strategy<Value = (u16, u16, u8, u32, Vec<u8>, usize, bool)> {
    let port = prop::sample::select(vec![67, 68, 69, 4011, 80, 2000, 3000]);
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        (0..8u8, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(opcode, rest)| [
            &[0, opcode][..],
            &rest
        ]
        .concat()),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|options| {
            let mut message = bytes(&uefi().discover(TransactionId(1)));
            message.truncate(240);
            message[0] = 1 + options.first().map_or(0, |byte| byte % 2);
            message.extend(options);
            message
        }),
        prop::sample::select(vec![
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"5\r\nabcde\r\n",
            b"\x16\x03\x01",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    (
        port.clone(),
        port,
        any::<u8>(),
        0..64u32,
        payload,
        0..4000usize,
        any::<bool>(),
    )
}

proptest! {
    #[test]
    fn arbitrary_packets_never_panic(
        packets in prop::collection::vec((packets(), -20_000i64..20_000), 0..60),
        transport in any::<u64>(),
    ) {
        let mut observer = Observer::new(None, Options { comment_blocks: true, ..Options::default() });
        let mut at = Timestamp::UNIX_EPOCH;
        for (index, ((from, to, flags, sequence, payload, length, cut), step)) in
            packets.into_iter().enumerate()
        {
            at += jiff::SignedDuration::from_millis(step);
            let source = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, flags & 3), from);
            let destination = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 4), to);
            let transport = match transport >> (index % 32) & 3 {
                0 | 1 => Transport::Udp(&payload),
                2 => Transport::Tcp(TcpSegment {
                    sequence,
                    acknowledgement: 0,
                    flags: TcpFlags(flags),
                    window: 0,
                    payload: &payload,
                }),
                _ => Transport::Unreachable { code: flags, protocol: 17, source, destination },
            };
            let packet = Packet {
                source_mac: MAC,
                destination_mac: SERVER_MAC,
                vlans: VlanTags::new(Some(u16::from(flags & 1)), None),
                source,
                destination,
                transport,
                length: length.max(payload.len()),
                fragmented: cut,
                cut,
            };
            observer.observe(at, index as u64, &packet);
        }
        let report = observer.finish(at);
        let _ = (report.to_string(), report.summary());
        prop_assert!(serde_json::to_string(&report).is_ok());
    }

    #[test]
    fn our_secrets_are_never_shown(token in "[A-Za-z0-9_-]{20,40}") {
        let mut play = Play::new();
        let path = format!("m/52-54-00-12-34-56/{token}/bootx64.efi");
        play.exchange(&uefi(), &path, |_| {});
        play.tftp(&path, &program(600));
        play.tftp_missing(&format!("m/52-54-00-12-34-56/{token}/grubx64.efi"));
        let get = format!("GET /s/{token}/user-data HTTP/1.1\r\n\r\n");
        play.http(&get, &[b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]);
        let lines = format!("{:?} {:?}", play.lines(), play.comments);
        let report = play.finish();
        let all = format!("{lines} {report} {}", serde_json::to_string(&report).unwrap());
        prop_assert!(!all.contains(&token), "{}", all);
    }
}
