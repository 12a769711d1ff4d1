//! TFTP requests that name another machine as their sender: that machine gets little for them, and
//! every other machine is served meanwhile. Each test has a network of its own.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pxectl::machine::MacAddress;
use pxectl::wire::frame::udp_frame;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use socket2::{Domain, Protocol, Socket, Type};

use crate::serve::PATIENCE;
use crate::serve::server::{OPTIONS, Server};
use crate::support::rack::Rack;
use crate::support::requirements::missing;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
/// Has a reserved address.
const WORKER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 51);
/// Has an address of the pool.
const GUEST: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 201);
const VICTIM: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 99);
/// What IP and UDP add to a payload.
const HEADERS: usize = 28;

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status();
    assert!(status.expect("`ip` of iproute2").success(), "ip {words}");
}

/// Moves this thread, and what it starts, into a network of its own, with the addresses of the
/// server and of some machines; all others are there too, and never answer.
fn enter_network() {
    // SAFETY: only the network is unshared; descriptors and memory stay as they are.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("a network of our own");
    ip("link set lo up");
    ip("link add dark type veth peer name hole");
    ip("link set hole up");
    ip("link set dark arp off up");
    for address in [SERVER, WORKER, GUEST, VICTIM] {
        ip(&format!("addr add {address}/32 dev lo"));
    }
    ip("route add 10.0.0.0/8 dev dark");
}

/// Runs a test in a thread with a network of its own.
fn in_network(test: impl FnOnce() + Send + 'static) {
    if missing(&["root", "ip"]) {
        return;
    }
    let ended = std::thread::spawn(move || {
        enter_network();
        test();
    });
    if let Err(fault) = ended.join() {
        std::panic::resume_unwind(fault);
    }
}

/// Starts a server with a large file, and a line more in `server:`.
fn start(rack: &Rack, line: &str) -> (Server, SocketAddrV4) {
    if !line.is_empty() {
        let to = format!("  {line}\n  http_port");
        rack.rewrite("site.yaml", |text| text.replace("  http_port", &to));
    }
    std::fs::write(rack.file("boot/large"), vec![7; 5_000_000]).unwrap();
    std::fs::write(rack.file("boot/small"), vec![7; 20_000]).unwrap();
    let listen = SERVER.to_string();
    let options = OPTIONS.map(|word| if word == "127.0.0.1" { &listen } else { word });
    let words = [&["serve", "tftp"], &options[..]].concat();
    let server = Server::start_with(&mut rack.command(&words), "tftp");
    let port = server.address("tftp").port();
    (server, SocketAddrV4::new(SERVER, port))
}

/// The bytes of IP packets that a blind sender sent, and that its victim received.
struct Blind {
    victim: UdpSocket,
    sent: usize,
    received: usize,
}

impl Blind {
    fn new() -> Self {
        let victim = UdpSocket::bind((VICTIM, 0)).unwrap();
        Self {
            victim,
            sent: 0,
            received: 0,
        }
    }

    /// Sends in the victim's name.
    fn send(&mut self, server: SocketAddrV4, payload: &[u8]) {
        self.victim.send_to(payload, server).unwrap();
        self.sent += payload.len() + HEADERS;
    }

    fn ack(&mut self, ports: &[u16], block: u16) {
        let [high, low] = block.to_be_bytes();
        for port in ports {
            self.send(SocketAddrV4::new(SERVER, *port), &[0, 4, high, low]);
        }
    }

    /// Counts what the victim receives until nothing comes for a while; returns how much that was.
    fn count(&mut self, patience: Duration) -> usize {
        let mut buffer = vec![0; 65_536];
        self.victim.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = 0;
        while let Ok(length) = self.victim.recv(&mut buffer) {
            bytes += length + HEADERS;
        }
        self.received += bytes;
        bytes
    }

    fn ratio(&self) -> f64 {
        self.received as f64 / self.sent as f64
    }
}

/// Learns the port of a transfer that is not forged.
fn learn(server: SocketAddrV4) -> u16 {
    let socket = UdpSocket::bind((WORKER, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = b"\0\x01large\0octet\0blksize\x001468\0";
    socket.send_to(request, server).unwrap();
    let (_, from) = socket.recv_from(&mut [0; 2000]).unwrap();
    socket.send_to(b"\0\x05\0\x08enough\0", from).unwrap();
    from.port()
}

/// Forges a transfer, and acknowledges windows at these ports without seeing them.
fn forge(to: SocketAddrV4, ports: &[u16], window: u16, windows: u16) -> Blind {
    let mut blind = Blind::new();
    blind.send(
        to,
        b"\0\x01large\0octet\0blksize\x001468\0windowsize\x0064\0timeout\x001\0",
    );
    // So that the OACK is there before it is acknowledged, as a patient sender sees to.
    assert!(blind.count(Duration::from_millis(300)) > 0);
    for number in 0..windows {
        blind.ack(ports, number * window);
        blind.count(Duration::from_millis(20));
    }
    blind
}

/// Forges transfers of a server with a line more in `server:`, whose sender guesses these ports.
fn forge_with(
    line: &'static str,
    guessed: impl Iterator<Item = u16> + Send + 'static,
    window: u16,
) {
    in_network(move || {
        let rack = Rack::beside_store();
        let (mut server, to) = start(&rack, line);
        // The sender knows the ports of its own transfers, and the request port.
        let mut ports: Vec<u16> = [learn(to), to.port()].into_iter().chain(guessed).collect();
        ports.sort_unstable();
        ports.dedup();
        let many = if ports.len() > 1000 { 2 } else { 40 };
        let forged = [1, many].map(|windows| (windows, forge(to, &ports, window, windows)));
        for (windows, mut blind) in forged {
            // It is over when the server has given up.
            let victim = blind.victim.local_addr().unwrap().to_string();
            let ends = ["tftp-timeout", "tftp-displaced"];
            server.wait_for(0, |line| {
                let is_end = ends.iter().any(|end| line["event"] == *end);
                is_end
                    && line["message"]
                        .as_str()
                        .is_some_and(|it| it.contains(&victim))
            });
            blind.count(Duration::from_millis(100));
            let ratio = blind.ratio();
            let ports = ports.len();
            assert!(ratio < 30.0, "{ports} ports, {windows} windows: {ratio}");
        }
        server.stop();
    });
}

#[test]
fn the_ports_of_its_own_transfers_are_of_no_use_to_a_forger() {
    forge_with("", std::iter::empty(), 64);
}

#[test]
fn a_forger_that_tries_every_port_gets_less_than_thirty_times_what_it_sends() {
    forge_with("", 32_768..=60_999, 64);
}

#[test]
fn a_forger_that_tries_every_port_of_a_small_range_gets_less_than_thirty_times_what_it_sends() {
    forge_with("tftp_ports: 23000-23015", 23_000..=23_015, 9);
}

#[test]
fn a_forger_that_tries_every_port_of_a_range_gets_less_than_thirty_times_what_it_sends() {
    forge_with("tftp_ports: 23000-23099", 23_000..=23_099, 61);
}

#[test]
fn a_forger_that_knows_the_only_port_gets_less_than_thirty_times_what_it_sends() {
    forge_with("tftp_single_port: true", std::iter::empty(), 1);
}

/// Requests in the names of machines that never answer: how many, and in what time at least.
const FLOOD: u32 = 30_000;
const FLOOD_TIME: Duration = Duration::from_secs(8);

/// Sends the flood: strangers and addresses of the pool by turns, each from a port of its own.
fn flood(server: SocketAddrV4) {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).unwrap();
    let nobody = MacAddress::new([0; 6]);
    let to = SocketAddr::from((*server.ip(), 0));
    let begin = Instant::now();
    for number in 0..FLOOD {
        let source = match number % 2 {
            0 => Ipv4Addr::from_bits(0x0a3c_0000 | number),
            _ => Ipv4Addr::new(10, 20, 0, 210 + (number / 2 % 40) as u8),
        };
        let source = SocketAddrV4::new(source, 1024 + (number % 60_000) as u16);
        let options = if number % 3 == 0 {
            "blksize\x001468\0"
        } else {
            ""
        };
        let request = format!("\0\x01small\0octet\0{options}");
        let frame = udp_frame((nobody, source), (nobody, server), request.as_bytes()).unwrap();
        // The kernel writes the Ethernet header.
        socket.send_to(&frame[14..], &to.into()).unwrap();
        let due = FLOOD_TIME * number / FLOOD;
        if let Some(early) = due.checked_sub(begin.elapsed()) {
            std::thread::sleep(early);
        }
    }
}

/// Fetches the small file as a client does that waits for a second; returns how often it had to
/// repeat what it said.
fn fetch(from: Ipv4Addr, server: SocketAddrV4) -> usize {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let (mut to, mut last) = (server, b"\0\x01small\0octet\0".to_vec());
    let (mut have, mut repetitions, mut octets) = (0u16, 0, 0);
    let mut buffer = [0; 600];
    socket.send_to(&last, to).unwrap();
    loop {
        let Ok((length, SocketAddr::V4(source))) = socket.recv_from(&mut buffer) else {
            repetitions += 1;
            assert!(repetitions < 30, "nothing comes, at {octets} octets");
            socket.send_to(&last, to).unwrap();
            continue;
        };
        let [0, 3, high, low] = buffer[..4] else {
            panic!("not a block: {:?}", &buffer[..length]);
        };
        if u16::from_be_bytes([high, low]) != have + 1 {
            continue;
        }
        have += 1;
        octets += length - 4;
        (to, last) = (source, vec![0, 4, high, low]);
        socket.send_to(&last, to).unwrap();
        if length < 516 {
            assert_eq!(octets, 20_000);
            return repetitions;
        }
    }
}

#[test]
fn under_a_flood_of_forged_requests_every_machine_is_served() {
    in_network(|| {
        let rack = Rack::beside_store();
        let (mut server, to) = start(&rack, "");
        let ended = AtomicBool::new(false);
        // A scoped thread has the network of the one that starts it.
        let fetched: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let clients = [WORKER, GUEST].map(|from| {
                let ended = &ended;
                scope.spawn(move || {
                    let mut repetitions = Vec::new();
                    while !ended.load(Ordering::SeqCst) {
                        repetitions.push(fetch(from, to));
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    repetitions
                })
            });
            flood(to);
            ended.store(true, Ordering::SeqCst);
            clients.map(|client| client.join().unwrap()).into()
        });
        for repetitions in &fetched {
            let (most, count) = (repetitions.iter().max(), repetitions.len());
            assert!(count > 10, "only {count} files were fetched");
            assert!(most <= Some(&1), "{repetitions:?}");
        }
        // What it was is told without a line for each.
        let summary = server.wait_for(0, |line| line["event"] == "tftp-summary");
        assert_eq!(summary["level"], "warn");
        assert!(summary["requests"].as_u64() > Some(1000), "{summary}");
        let events = [
            "tftp-displaced",
            "tftp-timeout",
            "tftp-busy",
            "tftp-unreachable",
        ];
        let lines: usize = events.map(|event| server.count(event)).iter().sum();
        assert!(lines < 2_000, "{lines} lines");
        server.stop();
    });
}
