//! Wireshark's dissector and our decoders agree, field by field, on every capture that is kept here; and
//! it finds no fault with what we write.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use pxectl::wire::capture_file::{CaptureFile, CaptureStep};
use pxectl::wire::dhcp::{DhcpMessage, OptionCode};
use pxectl::wire::fragments::Fragments;
use pxectl::wire::packet::{Ipv4Datagram, Packet, Transport};
use pxectl::wire::tftp;

use crate::capture::command::capture;
use crate::capture::sample::{frames, pcapng};
use crate::support::requirements::missing;
use crate::support::tool::run_tool;

/// What both say of a frame: a field, and its value as text.
type Fields = BTreeMap<&'static str, String>;

/// The fields that are compared.
const FIELDS: [&str; 29] = [
    "frame.time_epoch",
    "frame.len",
    "frame.cap_len",
    "eth.src",
    "eth.dst",
    "vlan.id",
    "ieee8021ad.id",
    "ip.src",
    "ip.dst",
    "udp.srcport",
    "udp.dstport",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.window_size_value",
    "tcp.len",
    "icmp.code",
    "dhcp.id",
    "dhcp.type",
    "dhcp.hw.mac_addr",
    "dhcp.ip.client",
    "dhcp.ip.your",
    "dhcp.ip.server",
    "dhcp.ip.relay",
    "dhcp.option.dhcp",
    "dhcp.option.dhcp_server_id",
    "tftp.opcode",
];

/// Asks the dissector.
fn theirs(path: &Path) -> Vec<Fields> {
    let mut words = vec![
        OsStr::new("-r"),
        path.as_os_str(),
        OsStr::new("-n"),
        OsStr::new("-T"),
        OsStr::new("fields"),
        OsStr::new("-E"),
        OsStr::new("occurrence=a"),
        OsStr::new("-E"),
        OsStr::new("separator=|"),
        // As they stand in the segment.
        OsStr::new("-o"),
        OsStr::new("tcp.desegment_tcp_streams:FALSE"),
    ];
    for field in FIELDS {
        words.extend([OsStr::new("-e"), OsStr::new(field)]);
    }
    let said = run_tool("tshark", &words);
    let values = said.lines().map(|line| line.split('|').map(str::to_owned));
    values
        .map(|values| {
            let fields = FIELDS.into_iter().zip(values);
            fields.filter(|(_, value)| !value.is_empty()).collect()
        })
        .collect()
}

/// Decodes a file as `pxectl capture` does.
fn ours(file: &[u8]) -> Vec<Fields> {
    let (mut reader, mut at) = CaptureFile::start(&file[..24]).expect("a capture");
    let mut fragments = Fragments::default();
    let mut found = Vec::new();
    while at < file.len() {
        match reader.step(&file[at..], true) {
            CaptureStep::Passed(length) | CaptureStep::Missed(length, _) => at += length,
            CaptureStep::Frame(length, frame) => {
                at += length;
                let mut fields = Fields::new();
                let nanoseconds = frame.at.as_nanosecond();
                let time = format!(
                    "{}.{:09}",
                    nanoseconds / 1_000_000_000,
                    nanoseconds % 1_000_000_000
                );
                fields.insert("frame.time_epoch", time);
                fields.insert("frame.len", frame.sent.to_string());
                fields.insert("frame.cap_len", frame.bytes.len().to_string());
                if let Ok(datagram) = Ipv4Datagram::parse(frame.link, frame.bytes) {
                    link(&datagram, &mut fields);
                    let whole;
                    let packet = if datagram.is_fragment() {
                        whole = fragments.take(frame.at, &datagram);
                        whole.as_ref().and_then(|it| it.datagram().packet().ok())
                    } else {
                        datagram.packet().ok()
                    };
                    if let Some(packet) = packet {
                        transport(&packet, &mut fields);
                    }
                }
                found.push(fields);
            }
            other => panic!("{other:?}"),
        }
    }
    found
}

fn link(datagram: &Ipv4Datagram<'_>, fields: &mut Fields) {
    fields.insert("eth.src", datagram.source_mac.to_string());
    fields.insert("eth.dst", datagram.destination_mac.to_string());
    let vlans: Vec<String> = datagram.vlans.ids().map(|id| id.to_string()).collect();
    if !vlans.is_empty() {
        fields.insert("vlan.id", vlans.join(","));
    }
    fields.insert("ip.src", datagram.source.to_string());
    fields.insert("ip.dst", datagram.destination.to_string());
}

fn transport(packet: &Packet<'_>, fields: &mut Fields) {
    let ports = (packet.source.port(), packet.destination.port());
    match packet.transport {
        Transport::Udp(payload) => {
            fields.insert("udp.srcport", ports.0.to_string());
            fields.insert("udp.dstport", ports.1.to_string());
            let is_dhcp = [67, 68, 4011]
                .iter()
                .any(|it| [ports.0, ports.1].contains(it));
            if let (true, Ok(message)) = (is_dhcp, DhcpMessage::parse(payload)) {
                dhcp(&message, fields);
            } else if let Ok(packet) = tftp::Packet::parse(payload) {
                let opcode = packet.to_bytes()[1];
                fields.insert("tftp.opcode", opcode.to_string());
            }
        }
        Transport::Tcp(segment) => {
            fields.insert("tcp.srcport", ports.0.to_string());
            fields.insert("tcp.dstport", ports.1.to_string());
            fields.insert("tcp.seq_raw", segment.sequence.to_string());
            fields.insert("tcp.ack_raw", segment.acknowledgement.to_string());
            fields.insert("tcp.flags", format!("0x{:04x}", segment.flags.0));
            fields.insert("tcp.window_size_value", segment.window.to_string());
            fields.insert("tcp.len", packet.length.to_string());
        }
        Transport::Unreachable {
            code,
            source,
            destination,
            ..
        } => {
            fields.insert("icmp.code", code.to_string());
            // It lists the addresses and ports of the packet inside behind those of the one outside.
            let outer = (packet.source.ip(), packet.destination.ip());
            fields.insert("ip.src", format!("{},{}", outer.0, source.ip()));
            fields.insert("ip.dst", format!("{},{}", outer.1, destination.ip()));
            fields.insert("udp.srcport", source.port().to_string());
            fields.insert("udp.dstport", destination.port().to_string());
        }
    }
}

fn dhcp(message: &DhcpMessage, fields: &mut Fields) {
    let operation = message.write(1472).expect("a message")[0];
    fields.insert("dhcp.id", format!("0x{}", message.transaction_id));
    fields.insert("dhcp.type", operation.to_string());
    if let Some(mac) = message.hardware_address.mac() {
        fields.insert("dhcp.hw.mac_addr", mac.to_string());
    }
    for (field, address) in [
        ("dhcp.ip.client", message.client_address),
        ("dhcp.ip.your", message.your_address),
        ("dhcp.ip.server", message.server_address),
        ("dhcp.ip.relay", message.relay_address),
    ] {
        fields.insert(field, address.to_string());
    }
    if let Some(kind) = message.options.message_type() {
        fields.insert("dhcp.option.dhcp", u8::from(kind).to_string());
    }
    if let Some(server) = message.options.address(OptionCode::ServerIdentifier) {
        fields.insert("dhcp.option.dhcp_server_id", server.to_string());
    }
}

/// Compares what both say, for every frame that holds what we follow.
fn assert_agreement(path: &Path, file: &[u8]) -> usize {
    let (theirs, ours) = (theirs(path), ours(file));
    assert_eq!(theirs.len(), ours.len(), "{}", path.display());
    let mut compared = 0;
    for (number, (theirs, ours)) in theirs.into_iter().zip(ours).enumerate() {
        let place = format!("{}, frame {}", path.display(), number + 1);
        let mut theirs = theirs;
        // It calls an outer tag of 802.1ad by another name.
        if let Some(outer) = theirs.remove("ieee8021ad.id") {
            let inner = theirs.remove("vlan.id");
            let both = [Some(outer), inner].into_iter().flatten();
            theirs.insert("vlan.id", Vec::from_iter(both).join(","));
        }
        // What option 61 holds comes a second time under the names of the header's fields.
        for (field, value) in &mut theirs {
            if let Some((first, _)) = value.split_once(',').filter(|_| field.starts_with("dhcp.")) {
                *value = first.to_owned();
            }
        }
        let is_followed = ours.contains_key("udp.srcport")
            || ours.contains_key("tcp.srcport")
            || ours.contains_key("icmp.code");
        for field in FIELDS {
            let (theirs, ours) = (theirs.get(field), ours.get(field));
            // What we do not follow we say nothing about, and the payload of a segment and of a closed
            // port is not looked into.
            if ours.is_none() && (!is_followed || field.starts_with("tftp.")) {
                continue;
            }
            // A transfer is recognised by its first packet, of which a file may lack.
            if theirs.is_none() && field == "tftp.opcode" {
                continue;
            }
            assert_eq!(theirs, ours, "{field} of {place}");
            compared += 1;
        }
    }
    compared
}

/// Lists the captures that are kept below `fixtures/`.
fn kept() -> Vec<PathBuf> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if path.is_dir() {
                open.push(path);
            } else if name.ends_with(".pcapng.gz") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn our_decoders_agree_with_wireshark_field_by_field_on_the_sample() {
    if missing(&["tshark"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("sample");
    let file = pcapng(&frames());
    std::fs::write(&path, &file).expect("a file");
    let compared = assert_agreement(&path, &file);
    assert!(compared > 500, "{compared} values");
}

#[test]
fn our_decoders_agree_with_wireshark_field_by_field_on_every_capture_that_is_kept() {
    if missing(&["tshark"]) {
        return;
    }
    let kept = kept();
    assert!(kept.len() >= 8, "{kept:?}");
    for path in kept {
        let mut file = Vec::new();
        let compressed = File::open(&path).expect("the file");
        let mut plain = MultiGzDecoder::new(compressed);
        plain.read_to_end(&mut file).expect("gzip");
        let compared = assert_agreement(&path, &file);
        assert!(compared > 50, "{}: {compared} values", path.display());
    }
}

#[test]
fn wireshark_shows_our_comments_beside_those_of_others_and_finds_no_fault() {
    if missing(&["tshark"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("in"), pcapng(&frames())).expect("a file");
    let ran = capture(directory.path(), &["--read", "in", "--write", "out"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let out = at("out");
    let mut words = vec![OsStr::new("-r"), out.as_os_str(), OsStr::new("-n")];
    words.extend(["-T", "fields", "-E", "separator=|", "-e"].map(OsStr::new));
    words.extend(
        [
            "frame.comment",
            "-e",
            "_ws.malformed",
            "-e",
            "frame.interface_name",
        ]
        .map(OsStr::new),
    );
    let said = run_tool("tshark", &words);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), frames().len());
    let mut ours = 0;
    for (index, line) in lines.iter().enumerate() {
        let [comment, malformed, interface] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let theirs = format!("frame {}", index + 1);
        assert!(comment.starts_with(&theirs), "{line}");
        ours += usize::from(comment.len() > theirs.len());
        assert_eq!((malformed, interface), ("", "eth7"), "{line}");
    }
    // Of each machine: DISCOVER, OFFER, REQUEST, ACK, the read request, its answer and the end.
    assert!(ours >= 14, "{ours} comments of ours:\n{said}");
    let [input, output] = [at("in"), at("out")].map(|path| theirs(&path));
    assert_eq!(input, output, "the frames are what they were");
}
