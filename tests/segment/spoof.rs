//! Requests that name another machine as their sender: that machine gets no more than was sent for
//! it, until it has answered itself.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::{Architecture, MacAddress};
use pxectl::wire::dhcp::{DhcpMessage, MessageType, OptionCode, TransactionId};
use pxectl::wire::frame::udp_frame;
use socket2::{Domain, Protocol, Socket, Type};

use crate::client::Port;
use crate::machines::Server;
use crate::segment::Segment;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 1);
const VICTIM: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 8);
/// Longer than the first retransmission timers of a TFTP server.
const SILENCE: Duration = Duration::from_secs(4);
/// How often each request is forged.
const TIMES: u32 = 20;

fn site(mode: &str, files: &std::path::Path) -> String {
    format!(
        "kind: Site\n\
         name: rack-a\n\
         server: {{address: 10.86.0.1, files: ['{}']}}\n\
         networks:\n  - {{name: prov0, subnet: 10.86.0.0/24, interface: prov0{mode}}}\n\
         loaders: {{bios: undionly.kpxe, uefi-x64: snponly.efi}}\n",
        files.display()
    )
}

/// A server, a victim, and a machine that speaks in the victim's name.
struct Scene {
    segment: Segment,
    server: Server,
    _files: tempfile::TempDir,
}

impl Scene {
    fn new(mode: &str) -> Option<Self> {
        let mut segment = Segment::new("10.86.0.1/24")?;
        segment.plug("victim", "52:54:00:86:00:08", Some("10.86.0.8/24"));
        segment.plug("attacker", "52:54:00:86:00:09", Some("10.86.0.9/24"));
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("file"), vec![0x5a; 1_000_000]).unwrap();
        let server = Server::start(&segment, &site(mode, files.path()));
        Some(Self {
            segment,
            server,
            _files: files,
        })
    }

    /// Sends a datagram to a port of the server, as if the victim had from one of its own.
    fn forge(&self, from: u16, to: u16, payload: &[u8]) {
        let nobody = MacAddress::new([0; 6]);
        let source = (nobody, SocketAddrV4::new(VICTIM, from));
        let server = (nobody, SocketAddrV4::new(SERVER, to));
        let frame = udp_frame(source, server, payload).unwrap();
        // The kernel writes the Ethernet header.
        let packet = &frame[14..];
        self.segment.on("attacker", || {
            let raw = Some(Protocol::from(255));
            let socket = Socket::new(Domain::IPV4, Type::RAW, raw).unwrap();
            let to = SocketAddr::from((SERVER, 0));
            socket.send_to(packet, &to.into()).unwrap();
        });
    }

    fn victim(&self, port: u16) -> Port {
        self.segment.on("victim", || Port::open(VICTIM, port))
    }
}

fn client() -> Client {
    Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac: MacAddress::new([0x52, 0x54, 0, 0x86, 0, 8]),
        uuid: None,
    }
}

/// Counts the answers to each of the first `TIMES` transactions, up to that to the last one.
fn answers(port: &Port, last: TransactionId) -> Vec<usize> {
    let mut counts = vec![0; TIMES as usize];
    loop {
        let (octets, _) = port.receive_within(Duration::from_secs(60)).unwrap();
        let answer = DhcpMessage::parse(&octets).unwrap();
        if answer.transaction_id == last {
            return counts;
        }
        counts[answer.transaction_id.0 as usize] += 1;
    }
}

#[test]
fn a_forged_read_request_gets_one_datagram_and_no_more() {
    let Some(scene) = Scene::new("") else {
        return;
    };
    let requests = [
        &b"\0\x01file\0octet\0"[..],
        b"\0\x01file\0octet\0blksize\x001468\0windowsize\x0064\0tsize\x000\0",
        b"\0\x01file\0octet\0timeout\x001\0windowsize\x0064\0",
        b"\0\x01missing\0octet\0",
        b"\0\x02file\0octet\0",
    ];
    let ports: Vec<Port> = (0..)
        .zip(requests)
        .map(|(number, request)| {
            let port = scene.victim(5000 + number);
            scene.forge(5000 + number, 69, request);
            port
        })
        .collect();
    for (port, request) in ports.iter().zip(requests) {
        let shown = String::from_utf8_lossy(request);
        let first = port.receive_within(Duration::from_secs(60));
        let (octets, _) = first.unwrap_or_else(|| panic!("nothing for {shown}"));
        assert!(octets.len() <= 516, "{shown}: {}", octets.len());
    }
    // All of them at once.
    let first = ports[0].receive_within(SILENCE);
    assert_eq!(first, None);
    for (port, request) in ports.iter().zip(requests) {
        let more = port.receive_within(Duration::from_millis(1));
        assert_eq!(more, None, "{}", String::from_utf8_lossy(request));
    }
    scene.server.stop();
}

#[test]
fn a_peer_that_falls_silent_gets_a_bounded_number_of_repetitions() {
    let Some(mut scene) = Scene::new("") else {
        return;
    };
    let window = 4;
    let port = scene.victim(5000);
    let request = b"\0\x01file\0octet\0timeout\x001\0windowsize\x004\0";
    scene.forge(5000, 69, request);
    let (_, transfer) = port.receive_within(Duration::from_secs(60)).unwrap();
    // Somebody guessed the port of the transfer: the most that a forged answer can cause.
    scene.forge(5000, transfer.port(), b"\0\x04\0\0");
    scene.server.wait_for_event("tftp-timeout");
    let mut count = 0;
    while port.receive_within(Duration::from_millis(100)).is_some() {
        count += 1;
    }
    // A window, and then again after each of two seconds; an ERROR may end it.
    assert!((window..=3 * window + 1).contains(&count), "{count}");
    scene.server.stop();
}

#[test]
fn a_forged_dhcp_request_gets_one_answer_and_no_more() {
    let pool = ", relays: [10.86.0.8], pool: 10.86.0.200-10.86.0.240";
    let Some(scene) = Scene::new(pool) else {
        return;
    };
    let server = SocketAddrV4::new(SERVER, 67);
    // As if the victim were a relay.
    let port = scene.victim(67);
    let through_relay = |number: u32| {
        let mut discover = client().discover(TransactionId(number));
        discover.relay_address = VICTIM;
        discover.write(1500).unwrap()
    };
    for number in 0..TIMES {
        scene.forge(67, 67, &through_relay(number));
    }
    port.send(server, &through_relay(1000));
    assert_eq!(answers(&port, TransactionId(1000)), [1; TIMES as usize]);
    drop(port);
    // As if it had an address, and asked about it.
    let port = scene.victim(68);
    let inform = |number: u32| {
        let mut inform = client().discover(TransactionId(number));
        inform.options.set_message_type(MessageType::Inform);
        inform.client_address = VICTIM;
        inform.write(1500).unwrap()
    };
    for number in 0..TIMES {
        scene.forge(68, 67, &inform(number));
    }
    port.send(server, &inform(1000));
    assert_eq!(answers(&port, TransactionId(1000)), [1; TIMES as usize]);
    // A renewal of what it never had: refused, to everybody, once.
    let renewal = |number: u32| {
        let mut request = client().discover(TransactionId(number));
        request.options.set_message_type(MessageType::Request);
        request.options.remove(OptionCode::RequestedIpAddress);
        request.client_address = VICTIM;
        request.write(1500).unwrap()
    };
    for number in 0..TIMES {
        scene.forge(68, 67, &renewal(number));
    }
    port.send(server, &inform(1000));
    let counts = answers(&port, TransactionId(1000));
    assert!(counts.iter().all(|count| *count <= 1), "{counts:?}");
    scene.server.stop();
}

#[test]
fn a_forged_request_to_port_4011_gets_one_answer_and_no_more() {
    let Some(scene) = Scene::new(", mode: proxy") else {
        return;
    };
    let port = scene.victim(4011);
    let request = |number: u32| {
        let request = client().ask_boot_server(TransactionId(number), VICTIM, SERVER);
        request.write(1500).unwrap()
    };
    for number in 0..TIMES {
        scene.forge(4011, 4011, &request(number));
    }
    port.send(SocketAddrV4::new(SERVER, 4011), &request(1000));
    assert_eq!(answers(&port, TransactionId(1000)), [1; TIMES as usize]);
    scene.server.stop();
}
