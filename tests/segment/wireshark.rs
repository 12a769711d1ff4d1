//! Wireshark's dissector watches a client's interface, and finds no fault with anything we send.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Command;

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::Architecture;
use pxectl::wire::dhcp::{DhcpMessage, MessageType, OptionCode, TransactionId};

use crate::client::Port;
use crate::machines::{Program, Server};
use crate::segment::{INTERFACE, Segment};

const PROGRAMS: [&str; 3] = ["/usr/bin/tshark", "/usr/bin/busybox", "/usr/bin/atftp"];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 1);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 7);
const MAC: &str = "52:54:00:86:00:07";
const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
/// A port to which nobody listens: what is sent there is the last that is looked at.
const DISCARD: u16 = 9;
/// From where a broken message is sent.
const BROKEN: u16 = 6868;

/// One datagram, as the dissector sees it.
#[derive(Debug)]
struct Datagram {
    source: String,
    ports: (u16, u16),
    /// DHCP's message type or TFTP's opcode.
    kind: Kind,
    /// What is wrong with it; nothing when all is well.
    complaint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dhcp(u8),
    Tftp(u8),
    Other,
}

impl Datagram {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('|').collect();
        let [source, from, to, dhcp, tftp, expert, malformed] = fields[..] else {
            return None;
        };
        let kind = match (dhcp.parse(), tftp.parse()) {
            (Ok(number), _) => Kind::Dhcp(number),
            (_, Ok(number)) => Kind::Tftp(number),
            _ => Kind::Other,
        };
        Some(Self {
            source: source.to_owned(),
            ports: (from.parse().ok()?, to.parse().ok()?),
            kind,
            complaint: format!("{expert}{malformed}"),
        })
    }
}

/// The dissector, on the interface of the client.
struct Dissector(Program);

impl Dissector {
    fn start(segment: &Segment) -> Self {
        let mut command = segment.command("client", "/bin/sh");
        command.args(["-c", "exec tshark \"$@\" >&2", "sh"]);
        command.args(["-i", INTERFACE, "-l", "-f", "udp", "-T", "fields"]);
        command.args(["-E", "separator=|", "-E", "occurrence=a"]);
        // Those of UDP are left to the card, which is none.
        command.args(["-o", "ip.check_checksum:TRUE"]);
        for field in [
            "ip.src",
            "udp.srcport",
            "udp.dstport",
            "dhcp.option.dhcp",
            "tftp.opcode",
            "_ws.expert.message",
            "_ws.malformed",
        ] {
            command.args(["-e", field]);
        }
        let mut program = Program::start(command);
        program.wait_for(&["Capture started"]);
        Self(program)
    }

    /// Lists every datagram so far.
    fn end(mut self, segment: &Segment) -> Vec<Datagram> {
        segment.on("client", || {
            let port = Port::open(OWN, BROKEN);
            // This option reaches beyond the message.
            let client = client(&ClientKind::BiosPxe).discover(TransactionId(99));
            let mut broken = client.write(1500).unwrap();
            broken.truncate(240);
            broken.extend([53, 1, 1, 55, 200, 0]);
            port.send(SocketAddrV4::new(SERVER, 67), &broken);
            port.send(SocketAddrV4::new(SERVER, DISCARD), b"the end");
        });
        let last = format!("{OWN}|{BROKEN}|{DISCARD}|");
        self.0.wait_for(&[&last]);
        let lines = self.0.said().iter();
        lines.filter_map(|line| Datagram::parse(line)).collect()
    }
}

/// Asserts that nothing of ours is at fault, and that the dissector can tell.
fn assert_flawless(seen: &[Datagram]) {
    let ours: Vec<&Datagram> = seen
        .iter()
        .filter(|it| it.source == SERVER.to_string())
        .collect();
    // That there is an ERROR is remarkable to Wireshark, and the only remark that we may earn.
    let is_refusal =
        |it: &Datagram| it.kind == Kind::Tftp(5) && it.complaint == "TFTP ERROR packet";
    // Whatever goes to one of a hundred ports, which the kernel may choose, could be a traceroute.
    let is_guess = |it: &Datagram| it.complaint.starts_with("Possible traceroute");
    let faulty: Vec<_> = ours
        .iter()
        .filter(|it| !it.complaint.is_empty() && !is_refusal(it) && !is_guess(it))
        .collect();
    assert!(faulty.is_empty(), "{faulty:#?}");
    // All of it was understood.
    let strange: Vec<_> = ours.iter().filter(|it| it.kind == Kind::Other).collect();
    assert!(strange.is_empty(), "{strange:#?}");
    let broken = seen.iter().find(|it| it.ports == (BROKEN, 67)).unwrap();
    assert!(!broken.complaint.is_empty(), "{broken:?}");
}

/// Asserts that we sent so many at the least.
#[track_caller]
fn assert_sent(seen: &[Datagram], kind: Kind, from: Option<u16>, to: Option<u16>, least: usize) {
    let is_one = |it: &&Datagram| {
        it.source == SERVER.to_string()
            && it.kind == kind
            && from.is_none_or(|port| it.ports.0 == port)
            && to.is_none_or(|port| it.ports.1 == port)
    };
    let count = seen.iter().filter(is_one).count();
    assert!(
        count >= least,
        "{count} {kind:?} {from:?} {to:?}: {seen:#?}"
    );
}

fn dhcp(kind: MessageType) -> Kind {
    Kind::Dhcp(kind.into())
}

fn client(kind: &ClientKind) -> Client {
    Client {
        kind: kind.clone(),
        mac: MAC.parse().unwrap(),
        uuid: "4c4c4544-0035-5a10-8054-b4c04f4e0132".parse().ok(),
    }
}

fn kinds() -> [ClientKind; 5] {
    [
        ClientKind::BiosPxe,
        ClientKind::EdkPxe(Architecture::UefiX64),
        ClientKind::EdkHttp(Architecture::HttpX64),
        ClientKind::ipxe(Architecture::Bios),
        ClientKind::ipxe(Architecture::UefiX64),
    ]
}

fn site(mode: &str, files: &Path) -> String {
    format!(
        "kind: Site\n\
         name: rack-a\n\
         server: {{address: 10.86.0.1, files: ['{}']}}\n\
         networks:\n  - {{name: prov0, subnet: 10.86.0.0/24, interface: prov0{mode}}}\n\
         loaders: {{bios: undionly.kpxe, uefi-x64: snponly.efi}}\n",
        files.display()
    )
}

/// With everything an operator can put into an answer.
const AUTHORITATIVE: &str = ", relays: [10.86.0.7], pool: 10.86.0.200-10.86.0.209, gateway: 10.86.0.1, \
     dns: [10.86.0.1, 10.86.0.2], ntp: [10.86.0.1], domain: rack.example, mtu: 1500, \
     search: [rack.example, example.org], routes: [{to: 10.87.0.0/16, via: 10.86.0.2}]";

fn is(answer: &DhcpMessage, kind: MessageType) {
    assert_eq!(answer.options.message_type(), Some(kind), "{answer:?}");
}

#[test]
fn wireshark_finds_no_fault_with_any_dhcp_reply_of_a_server_of_addresses() {
    let Some(mut segment) = Segment::with_programs("10.86.0.1/24", &PROGRAMS) else {
        return;
    };
    segment.plug("client", MAC, Some("10.86.0.7/24"));
    let files = tempfile::tempdir().unwrap();
    let server = Server::start(&segment, &site(AUTHORITATIVE, files.path()));
    let dissector = Dissector::start(&segment);
    for (number, kind) in (0..).zip(kinds()) {
        let client = client(&kind);
        let xid = |step: u32| TransactionId(10 * number + step);
        segment.on("client", || {
            let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
            let ask = |mut message: DhcpMessage| {
                message.broadcast = true;
                port.ask(EVERYBODY, &message, 1).remove(0).1
            };
            let offer = ask(client.discover(xid(1)));
            is(&offer, MessageType::Offer);
            let request = client.request(xid(2), &offer);
            is(&ask(request.clone()), MessageType::Ack);
            let mut wrong = request;
            wrong.transaction_id = xid(3);
            let elsewhere = Ipv4Addr::new(192, 168, 1, 1);
            let options = &mut wrong.options;
            options.set_address(OptionCode::RequestedIpAddress, elsewhere);
            is(&ask(wrong), MessageType::Nak);
        });
        segment.on("client", || {
            // From an address that it has already.
            let port = Port::open(OWN, 68);
            let mut inform = client.discover(xid(4));
            inform.options.set_message_type(MessageType::Inform);
            inform.client_address = OWN;
            let to = SocketAddrV4::new(SERVER, 67);
            is(&port.ask(to, &inform, 1).remove(0).1, MessageType::Ack);
        });
        segment.on("client", || {
            // As a relay with its own word on where the client is.
            let port = Port::open(OWN, 67);
            let mut relayed = client.discover(xid(5));
            relayed.relay_address = OWN;
            let circuit = b"\x01\x04eth7\x02\x06\x00\x01\x02\x03\x04\x05";
            let options = &mut relayed.options;
            options.set_raw(OptionCode::RelayAgentInformation, circuit);
            let to = SocketAddrV4::new(SERVER, 67);
            is(&port.ask(to, &relayed, 1).remove(0).1, MessageType::Offer);
        });
    }
    // One that reads frames, since it has no address: it is answered by frames of ours.
    let mut udhcpc = segment.command("client", "/usr/bin/busybox");
    udhcpc.args([
        "udhcpc",
        "-f",
        "-q",
        "-n",
        "-i",
        INTERFACE,
        "-s",
        "/bin/true",
    ]);
    udhcpc.args(["-x", "0x5d:0007", "-V", "PXEClient:Arch:00007:UNDI:003016"]);
    assert!(udhcpc.status().unwrap().success());
    let seen = dissector.end(&segment);
    assert_flawless(&seen);
    for (kind, to, least) in [
        (MessageType::Offer, 68, 6),
        (MessageType::Ack, 68, 11),
        (MessageType::Nak, 68, 5),
        (MessageType::Offer, 67, 5),
    ] {
        assert_sent(&seen, dhcp(kind), Some(67), Some(to), least);
    }
    server.stop();
}

#[test]
fn wireshark_finds_no_fault_with_any_reply_of_a_proxy() {
    let Some(mut segment) = Segment::with_programs("10.86.0.1/24", &PROGRAMS) else {
        return;
    };
    segment.plug("client", MAC, Some("10.86.0.7/24"));
    let files = tempfile::tempdir().unwrap();
    let server = Server::start(&segment, &site(", mode: proxy", files.path()));
    let dissector = Dissector::start(&segment);
    for (number, kind) in (0..).zip(kinds()) {
        let client = client(&kind);
        segment.on("client", || {
            let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
            let mut discover = client.discover(TransactionId(10 * number));
            discover.broadcast = true;
            is(
                &port.ask(EVERYBODY, &discover, 1).remove(0).1,
                MessageType::Offer,
            );
        });
        // HTTP boot has no such step.
        if matches!(kind, ClientKind::EdkHttp(_)) {
            continue;
        }
        segment.on("client", || {
            let port = Port::open(OWN, 4011);
            let request = client.ask_boot_server(TransactionId(10 * number + 1), OWN, SERVER);
            let to = SocketAddrV4::new(SERVER, 4011);
            is(&port.ask(to, &request, 1).remove(0).1, MessageType::Ack);
        });
    }
    let seen = dissector.end(&segment);
    assert_flawless(&seen);
    assert_sent(&seen, dhcp(MessageType::Offer), Some(67), Some(68), 5);
    assert_sent(&seen, dhcp(MessageType::Ack), Some(4011), Some(4011), 4);
    server.stop();
}

#[test]
fn wireshark_finds_no_fault_with_any_tftp_reply() {
    let Some(mut segment) = Segment::with_programs("10.86.0.1/24", &PROGRAMS) else {
        return;
    };
    segment.plug("client", MAC, Some("10.86.0.7/24"));
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("loader"), vec![0x5a; 30_000]).unwrap();
    let server = Server::start(&segment, &site(AUTHORITATIVE, files.path()));
    let dissector = Dissector::start(&segment);
    let got = files.path().with_extension("got").display().to_string();
    let fetch = |program: &str, words: &[&str]| -> Command {
        let mut command = segment.command("client", program);
        command.args(words);
        command
    };
    let url = format!("tftp://{SERVER}/");
    let server_address = SERVER.to_string();
    let own = "/etc/hostname";
    let curl = "/usr/bin/curl";
    let atftp = "/usr/bin/atftp";
    let from_atftp = ["--get", "--remote-file", "loader", "--local-file", &got];
    let windows = ["windowsize 8", "blksize 1468", "tsize", "timeout 3"];
    let windows: Vec<&str> = windows.iter().flat_map(|it| ["--option", it]).collect();
    for (mut command, is_served) in [
        (fetch(curl, &["-s", &format!("{url}loader")]), true),
        (
            fetch(curl, &["-s", "--tftp-no-options", &format!("{url}loader")]),
            true,
        ),
        (
            fetch(curl, &["-s", &format!("{url}loader;mode=netascii")]),
            true,
        ),
        (
            fetch(
                atftp,
                &[&windows[..], &from_atftp, &[&server_address]].concat(),
            ),
            true,
        ),
        (fetch(curl, &["-s", &format!("{url}missing")]), false),
        (
            fetch(curl, &["-s", "--path-as-is", &format!("{url}../secret")]),
            false,
        ),
        (fetch(curl, &["-s", "-T", own, &url]), false),
    ] {
        let output = command.output().unwrap();
        assert_eq!(
            output.status.success(),
            is_served,
            "{command:?}: {output:?}"
        );
    }
    let seen = dissector.end(&segment);
    assert_flawless(&seen);
    // 30,000 octets: 59 blocks of 512 three times, and 21 blocks in windows.
    for (opcode, least) in [(3, 3 * 59 + 21), (5, 3), (6, 3)] {
        assert_sent(&seen, Kind::Tftp(opcode), None, None, least);
    }
    let _ = std::fs::remove_file(got);
    server.stop();
}
