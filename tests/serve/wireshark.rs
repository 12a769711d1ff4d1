//! Wireshark's dissector reads our replies without a complaint.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::{Architecture, MacAddress};
use pxectl::wire::dhcp::TransactionId;

use crate::client::Dhcp;
use crate::rack::Rack;
use crate::server::Server;

/// A capture file of UDP datagrams from port 67 to 68. Source: draft-ietf-opsawg-pcap §4.
fn capture(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0xffff, 1] {
        file.extend(word.to_le_bytes());
    }
    for payload in payloads {
        let mut frame = vec![0xff; 6];
        frame.extend([2, 0, 0, 0, 0, 1, 0x08, 0x00]);
        let (udp, ip) = (8 + payload.len() as u16, 28 + payload.len() as u16);
        frame.extend([0x45, 0]);
        frame.extend(ip.to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 20, 0, 10, 255, 255, 255, 255]);
        frame.extend([0, 67, 0, 68]);
        frame.extend(udp.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(payload);
        let length = frame.len() as u32;
        for word in [0, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// What the dissector has to say of each packet; nothing when all is well.
fn complaints(rack: &Rack, payloads: &[Vec<u8>]) -> Vec<String> {
    let path = rack.base().join("replies.pcap");
    fs::write(&path, capture(payloads)).unwrap();
    let fields = ["frame.protocols", "_ws.expert.message", "_ws.malformed"];
    let fields = fields.iter().flat_map(|field| ["-e", field]);
    let output = Command::new("tshark")
        .arg("-r")
        .arg(path)
        .args(["-T", "fields"])
        .args(fields)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), payloads.len(), "{text}");
    for line in &lines {
        assert!(line.starts_with("eth:ethertype:ip:udp:dhcp"), "{line}");
    }
    let complaint = |line: &String| {
        line.split_once('\t')
            .map(|(_, rest)| rest.trim().to_owned())
    };
    lines
        .iter()
        .filter_map(complaint)
        .filter(|it| !it.is_empty())
        .collect()
}

#[test]
fn wireshark_finds_no_fault_with_any_reply() {
    if !Path::new("/usr/bin/tshark").exists() {
        let required = std::env::var_os("PXECTL_REQUIRE_FIRMWARE").is_some_and(|it| it == "1");
        assert!(!required, "needs `tshark`; `tests/run` as root has it");
        let _ = writeln!(io::stderr(), "SKIPPED, nothing is proved: needs `tshark`");
        return;
    }
    let rack = Rack::new();
    let server = Server::start(&rack, "dhcp");
    let dhcp = Dhcp::connect(server.address("dhcp"));
    let mut replies = Vec::new();
    for (number, kind) in [
        ClientKind::BiosPxe,
        ClientKind::EdkPxe(Architecture::UefiX64),
        ClientKind::EdkHttp(Architecture::HttpX64),
        ClientKind::ipxe(Architecture::Bios),
        ClientKind::ipxe(Architecture::UefiX64),
    ]
    .into_iter()
    .enumerate()
    {
        for mac in [[0x52, 0x54, 0, 0x85, 0, 1], [2, 0, 0, 0, 0, number as u8]] {
            let client = Client {
                kind: kind.clone(),
                mac: MacAddress::new(mac),
                uuid: "4c4c4544-0035-5a10-8054-b4c04f4e0132".parse().ok(),
            };
            let transaction = TransactionId(number as u32);
            let (octets, offer) = dhcp.ask(&client.discover(transaction)).unwrap();
            replies.push(octets);
            let request = client.request(transaction, &offer);
            replies.push(dhcp.ask(&request).unwrap().0);
            let mut wrong = request.clone();
            wrong.options.set_address(
                pxectl::wire::dhcp::OptionCode::RequestedIpAddress,
                [192, 168, 1, 1].into(),
            );
            replies.push(dhcp.ask(&wrong).unwrap().0);
        }
    }
    assert_eq!(complaints(&rack, &replies), Vec::<String>::new());
    // It does complain where there is a fault: this option reaches beyond the packet.
    let mut broken = replies[0].clone();
    broken.truncate(240);
    broken.extend([53, 1, 2, 51, 200, 0]);
    assert_eq!(complaints(&rack, &[broken]).len(), 1);
    server.stop();
}
