//! Packets of any kind, in any order: what is told of them must come to an end.
#![no_main]

use std::net::SocketAddrV4;

use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use pxectl::conversation::{Observer, Options};
use pxectl::machine::MacAddress;
use pxectl::wire::packet::{Packet, TcpFlags, TcpSegment, Transport, VlanTags};

/// The ports between which machines and servers talk.
const PORTS: [u16; 8] = [67, 68, 69, 4011, 80, 2000, 2001, 3000];

fuzz_target!(|packets: Vec<(u8, u8, u8, u16, Vec<u8>)>| {
    let mut observer = Observer::new(None, Options::default());
    let mut at = Timestamp::UNIX_EPOCH;
    for (number, (ports, flags, kind, more, payload)) in packets.iter().enumerate() {
        at += SignedDuration::from_millis(i64::from(*more));
        let address = |last: u8, port: u8| {
            SocketAddrV4::new([10, 0, 0, last & 3].into(), PORTS[usize::from(port & 7)])
        };
        let (source, destination) = (address(*flags, *ports), address(flags >> 2, ports >> 3));
        let transport = match kind & 3 {
            0 | 1 => Transport::Udp(payload),
            2 => Transport::Tcp(TcpSegment {
                sequence: u32::from(*more),
                acknowledgement: 0,
                flags: TcpFlags(*flags),
                window: 0,
                payload,
            }),
            _ => Transport::Unreachable {
                code: *flags,
                protocol: 17,
                source,
                destination,
            },
        };
        let packet = Packet {
            source_mac: MacAddress::new([2, 0, 0, 0, 0, flags & 3]),
            destination_mac: MacAddress::new([2, 0, 0, 0, 0, flags >> 2 & 3]),
            vlans: VlanTags::new((kind & 4 != 0).then_some(20), None),
            source,
            destination,
            transport,
            length: payload.len() + usize::from(kind >> 4) * 100,
            fragmented: kind & 8 != 0,
            cut: kind >> 4 != 0,
        };
        observer.observe(at, number as u64, &packet);
    }
    let report = observer.finish(at);
    assert!(report.findings.len() <= 4096 && report.machines.len() <= 4096);
    let _ = report.to_string();
});
