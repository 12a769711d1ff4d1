//! Compares our decoders with Wireshark's dissector on the same captures.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use pxectl::wire::dhcp::{DhcpMessage, Operation};
use pxectl::wire::http::{RequestHead, ResponseHead};
use pxectl::wire::packet::{LinkType, Packet, Transport};
use pxectl::wire::tftp::{Packet as TftpPacket, TransferOption};
use serde_json::Value;

use crate::conversation::fixture::{self, CAPTURE};
use crate::support::requirements::missing;

const TSHARK: &str = "/usr/bin/tshark";
/// The separators of fields, and of the values of one field.
const FIELD: char = '\u{1f}';
const VALUE: char = '\u{1e}';

fn tshark(capture: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(TSHARK);
    command.arg("-r").arg(capture).args(arguments);
    // Wireshark must decode each segment at once, as we do.
    command.args(["-o", "tcp.desegment_tcp_streams:FALSE"]);
    let run = command.output().unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{command:?}: {errors}");
    String::from_utf8(run.stdout).unwrap()
}

/// Returns fields of the packets that match a filter, by frame number.
fn fields(capture: &Path, filter: &str, names: &[&str]) -> BTreeMap<usize, Vec<String>> {
    let (separator, aggregator) = (format!("separator={FIELD}"), format!("aggregator={VALUE}"));
    let mut arguments = vec!["-Y", filter, "-T", "fields", "-E", "occurrence=a"];
    arguments.extend(["-E", &separator, "-E", &aggregator, "-e", "frame.number"]);
    for name in names {
        arguments.extend(["-e", name]);
    }
    let output = tshark(capture, &arguments);
    let rows = output.lines().map(|line| {
        let mut fields = line.split(FIELD).map(str::to_owned);
        let number = fields.next().unwrap().parse().unwrap();
        (number, fields.collect())
    });
    rows.collect()
}

/// Calls a test with each packet of a capture that we can read, by its frame's number from 1.
fn each_packet(capture: &Path, mut test: impl FnMut(usize, &Packet<'_>)) {
    for (index, frame) in fixture::frames(capture).iter().enumerate() {
        if let Ok(packet) = Packet::parse(LinkType::Ethernet, frame) {
            test(index + 1, &packet);
        }
    }
}

#[test]
fn dhcp_fields_and_options_are_those_of_wireshark() {
    if missing(&[TSHARK]) {
        return;
    }
    const FIELDS: [&str; 12] = [
        "dhcp.type",
        "dhcp.hw.type",
        "dhcp.hw.len",
        "dhcp.hops",
        "dhcp.id",
        "dhcp.secs",
        "dhcp.ip.client",
        "dhcp.ip.your",
        "dhcp.ip.server",
        "dhcp.ip.relay",
        "dhcp.hw.mac_addr",
        "dhcp.file",
    ];
    let mut compared = 0;
    for directory in fixture::all() {
        let capture = directory.join(CAPTURE);
        let theirs = fields(&capture, "dhcp", &FIELDS);
        let options = options_of_wireshark(&capture);
        let mut ours = 0;
        each_packet(&capture, |number, packet| {
            let Transport::Udp(payload) = packet.transport else {
                return;
            };
            let Ok(message) = DhcpMessage::parse(payload) else {
                return;
            };
            ours += 1;
            let boot_file = String::from_utf8(message.boot_file.clone()).unwrap();
            let own = [
                match message.operation {
                    Operation::Request => "1".to_owned(),
                    Operation::Reply => "2".to_owned(),
                },
                format!("{:#04x}", message.hardware_type),
                message.hardware_address.octets().len().to_string(),
                message.hops.to_string(),
                format!("{:#010x}", message.transaction_id.0),
                message.seconds.to_string(),
                message.client_address.to_string(),
                message.your_address.to_string(),
                message.server_address.to_string(),
                message.relay_address.to_string(),
                message.hardware_address.to_string(),
                boot_file,
            ];
            let place = format!("{}, frame {number}", directory.display());
            let theirs = theirs.get(&number).unwrap_or_else(|| panic!("{place}"));
            // What option 61 holds comes a second time under the names of the header's fields.
            let first = |text: &String| text.split(VALUE).next().unwrap_or_default().to_owned();
            let theirs: Vec<String> = theirs.iter().map(first).collect();
            assert_eq!(theirs[..], own, "{place}");

            let own: BTreeMap<u8, Vec<u8>> = message
                .options
                .iter()
                .map(|(code, value)| (code.into(), value.to_vec()))
                .collect();
            assert_eq!(options[&number], own, "{place}");
            compared += own.len();
        });
        assert_eq!(ours, theirs.len(), "{}", directory.display());
    }
    assert!(compared > 500, "{compared} options");
}

/// Returns the bytes of each option by its code, PAD and END left out, by the frames' numbers.
fn options_of_wireshark(capture: &Path) -> BTreeMap<usize, BTreeMap<u8, Vec<u8>>> {
    let arguments = ["-Y", "dhcp", "-T", "jsonraw", "--no-duplicate-keys"];
    let packets: Value = serde_json::from_str(&tshark(capture, &arguments)).unwrap();
    let numbers = fields(capture, "dhcp", &["dhcp.type"]).into_keys();
    let mut found = BTreeMap::new();
    for (number, packet) in numbers.zip(packets.as_array().unwrap()) {
        let raw = &packet["_source"]["layers"]["dhcp"]["dhcp.option.type_raw"];
        let mut options = BTreeMap::new();
        for option in raw.as_array().unwrap() {
            // Code, length and value, as hexadecimal digits.
            let bytes = option[0].as_str().unwrap();
            let bytes = data_encoding::HEXLOWER.decode(bytes.as_bytes()).unwrap();
            match bytes[..] {
                [0 | 255, ..] | [] => {}
                [code, _, ref value @ ..] => {
                    options.insert(code, value.to_vec());
                }
                [code] => panic!("option {code} without a length"),
            }
        }
        found.insert(number, options);
    }
    found
}

#[test]
fn tftp_packets_are_those_of_wireshark() {
    if missing(&[TSHARK]) {
        return;
    }
    const FIELDS: [&str; 8] = [
        "tftp.opcode",
        "tftp.source_file",
        "tftp.type",
        "tftp.option.name",
        "tftp.option.value",
        "tftp.block",
        "tftp.error.code",
        "tftp.error.message",
    ];
    let mut compared = 0;
    for directory in fixture::all() {
        let capture = directory.join(CAPTURE);
        let theirs = fields(&capture, "tftp", &FIELDS);
        let lengths = fields(&capture, "tftp", &["udp.length"]);
        each_packet(&capture, |number, packet| {
            let Some(theirs) = theirs.get(&number) else {
                return;
            };
            let Transport::Udp(payload) = packet.transport else {
                panic!("frame {number} is no datagram");
            };
            let place = format!("{}, frame {number}", directory.display());
            let parsed =
                TftpPacket::parse(payload).unwrap_or_else(|error| panic!("{place}: {error}"));
            let own = spelled(&parsed);
            // It repeats the name of the file with every packet of the transfer.
            let is_request = matches!(parsed, TftpPacket::Request(_));
            let mut theirs = theirs.clone();
            if !is_request {
                theirs[1].clear();
            }
            assert_eq!(theirs[..], own, "{place}");
            let length: usize = lengths[&number][0].parse().unwrap();
            assert_eq!(packet.length + 8, length, "{place}");
            compared += 1;
        });
    }
    assert!(compared > 500, "{compared} packets");
}

fn spelled(packet: &TftpPacket<'_>) -> [String; 8] {
    let mut own: [String; 8] = Default::default();
    let set_options = |own: &mut [String; 8], options: &[TransferOption]| {
        let joined = |texts: Vec<&str>| texts.join(&VALUE.to_string());
        own[3] = joined(options.iter().map(|it| it.name.text()).collect());
        own[4] = joined(options.iter().map(|it| it.value.as_str()).collect());
    };
    match packet {
        TftpPacket::Request(request) => {
            own[0] = "1".to_owned();
            own[1] = String::from_utf8(request.name.clone()).unwrap();
            own[2] = request.mode.text().to_owned();
            set_options(&mut own, &request.options);
        }
        TftpPacket::Data { block, .. } => {
            own[0] = "3".to_owned();
            own[5] = block.to_string();
        }
        TftpPacket::Acknowledgement { block } => {
            own[0] = "4".to_owned();
            own[5] = block.to_string();
        }
        TftpPacket::Error { code, message } => {
            own[0] = "5".to_owned();
            own[6] = code.number().to_string();
            own[7] = message.clone();
        }
        TftpPacket::OptionAcknowledgement(options) => {
            own[0] = "6".to_owned();
            set_options(&mut own, options);
        }
    }
    own
}

#[test]
fn http_heads_are_those_of_wireshark() {
    if missing(&[TSHARK]) {
        return;
    }
    const FIELDS: [&str; 6] = [
        "http.request.method",
        "http.request.uri",
        "http.host",
        "http.user_agent",
        "http.response.code",
        "http.content_length_header",
    ];
    let mut compared = 0;
    for directory in fixture::all() {
        let capture = directory.join(CAPTURE);
        let filter = "http.request || http.response";
        let theirs = fields(&capture, filter, &FIELDS);
        let mut ours = BTreeMap::new();
        each_packet(&capture, |number, packet| {
            let Transport::Tcp(segment) = packet.transport else {
                return;
            };
            let text = |text: Option<String>| text.unwrap_or_default();
            let head = RequestHead::parse(segment.payload).map(|head| {
                let (host, agent) = (text(head.host), text(head.user_agent));
                vec![
                    head.method,
                    head.target,
                    host,
                    agent,
                    text(None),
                    text(None),
                ]
            });
            let head = head.or_else(|| {
                let head = ResponseHead::parse(segment.payload)?;
                let length = head.length.map(|it| it.to_string());
                let mut own = vec![String::new(); 4];
                own.extend([head.status.to_string(), text(length)]);
                Some(own)
            });
            if let Some(head) = head {
                ours.insert(number, head);
            }
        });
        for (number, head) in &theirs {
            let place = format!("{}, frame {number}", directory.display());
            assert_eq!(ours.get(number), Some(head), "{place}");
        }
        for (number, head) in &ours {
            // It does not look into segments that were sent again.
            let is_known = theirs.values().any(|it| it == head);
            assert!(is_known, "{}, frame {number}", directory.display());
        }
        compared += theirs.len();
    }
    assert!(compared > 20, "{compared} heads");
}

/// What we tell of HTTP comes from streams put together; Wireshark's list of requests is the measure.
#[test]
fn every_request_in_wireshark_is_reported_with_its_status() {
    if missing(&[TSHARK]) {
        return;
    }
    for directory in fixture::all() {
        let capture = directory.join(CAPTURE);
        let names = ["http.request.method", "http.request.uri"];
        let requests = fields(&capture, "http.request", &names);
        let statuses = fields(&capture, "http.response", &["http.response.code"]);
        let theirs: Vec<String> = requests
            .values()
            .zip(statuses.values())
            .map(|(request, status)| {
                let shown = pxectl::wire::path::shown_path(&request[1]);
                format!("{} `{shown}` {}", request[0], status[0])
            })
            .collect();
        let report = fixture::observed(&capture).report;
        let entries = report.machines.iter().flat_map(|it| &it.timeline);
        let ours = entries.filter(|entry| entry.what == "http").map(|entry| {
            let (request, answer) = entry.text.split_once(" from ").unwrap();
            let (_, answer) = answer.split_once(": ").unwrap();
            let status: String = answer.chars().take_while(char::is_ascii_digit).collect();
            format!("{request} {status}")
        });
        assert_eq!(ours.collect::<Vec<_>>(), theirs, "{}", directory.display());
    }
}
