//! More connections than the HTTP server can have: machines are served anyway.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use socket2::{Domain, Socket, Type};

use crate::serve::PATIENCE;
use crate::serve::server::Server;
use crate::support::rack::Rack;
use crate::support::requirements::missing;

/// The address of `worker-01`.
const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 51);
/// An address that the inventory does not know.
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
/// What attackers send: the start of a head, a head without its body, and a request that leaves
/// the connection idle.
const BEGINNINGS: [&str; 3] = [
    "GET /files/snponly.efi HTTP/1.1\r\nHo",
    "POST /s/AAAA/progress HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\nx",
    "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
];
/// How often attackers send one more byte.
const DRIP: Duration = Duration::from_secs(1);
/// How many connections attackers open again at once, and how long they pause then.
const BURST: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);
const REQUESTS: usize = 300;

/// Runs a test in a network of its own, where every address that it uses is local.
fn in_network(test: impl FnOnce() + Send) {
    if missing(&["root", "ip"]) {
        return;
    }
    let network = || {
        // SAFETY: only the network is unshared; descriptors and memory stay as they are.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        for words in [
            "link set lo up",
            "route add local 10.99.0.0/16 dev lo",
            "route add local 10.98.0.0/24 dev lo",
            "route add local 10.20.0.0/24 dev lo",
        ] {
            let status = Command::new("ip").args(words.split(' ')).status().unwrap();
            assert!(status.success(), "ip {words}");
        }
        test();
    };
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(network);
        let fault = |fault| std::panic::resume_unwind(fault);
        thread.join().unwrap_or_else(fault);
    });
}

/// Starts `serve http` on every address, under another command or none.
fn start(rack: &Rack, wrapper: &[&str]) -> (Server, SocketAddrV4) {
    let words = ["serve", "http", "--http-port", "0", "--log-format", "json"];
    let mut command = rack.command_under(wrapper, &words);
    let server = Server::start_with(&mut command, "http");
    let port = server.address("http").port();
    (
        server,
        SocketAddrV4::new(Ipv4Addr::new(10, 20, 0, 10), port),
    )
}

fn connect(from: Ipv4Addr, to: SocketAddrV4) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&SocketAddr::from(to).into(), PATIENCE)?;
    Ok(socket.into())
}

/// Fetches a file on a new connection, from an address.
fn fetch(from: Ipv4Addr, to: SocketAddrV4, target: &str) -> Result<Vec<u8>, String> {
    let exchange = || {
        let mut stream = connect(from, to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error: std::io::Error| error.to_string())?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    match end {
        Some(end) if answer.starts_with(b"HTTP/1.1 200") => Ok(answer[end + 4..].to_vec()),
        _ => Err(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// Attackers who hold connections, and open each again that the server closes.
struct Attack {
    /// How many were opened, again or for the first time.
    opened: AtomicUsize,
    is_over: AtomicBool,
}

impl Attack {
    fn new() -> Self {
        Self {
            opened: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Holds a connection from each source, until the attack is over, and returns once all were opened.
    fn begin<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        sources: Vec<Ipv4Addr>,
        to: SocketAddrV4,
    ) {
        let count = sources.len();
        scope.spawn(move || self.hold(&sources, to));
        let until = Instant::now() + PATIENCE;
        while self.opened.load(Ordering::Relaxed) < count {
            assert!(Instant::now() < until, "the attack does not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn hold(&self, sources: &[Ipv4Addr], to: SocketAddrV4) {
        let until = Instant::now() + 2 * PATIENCE;
        let mut held: Vec<Option<TcpStream>> = sources.iter().map(|_| None).collect();
        let mut dripped = Instant::now();
        while !self.is_over.load(Ordering::Relaxed) && Instant::now() < until {
            let drips = dripped.elapsed() >= DRIP;
            if drips {
                dripped = Instant::now();
            }
            let mut burst = BURST;
            for (number, stream) in held.iter_mut().enumerate() {
                if stream
                    .as_mut()
                    .is_some_and(|stream| is_open(stream, drips && number % 3 < 2))
                {
                    continue;
                }
                if self.opened.load(Ordering::Relaxed) >= sources.len() {
                    if burst == 0 {
                        continue;
                    }
                    burst -= 1;
                }
                *stream = open(sources[number], to, BEGINNINGS[number % 3]);
                self.opened.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn open(from: Ipv4Addr, to: SocketAddrV4, beginning: &str) -> Option<TcpStream> {
    let mut stream = connect(from, to).ok()?;
    stream.write_all(beginning.as_bytes()).ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

fn is_open(stream: &mut TcpStream, drips: bool) -> bool {
    if drips && stream.write(b"x").is_err() {
        return false;
    }
    match stream.read(&mut [0; 512]) {
        Ok(read) => read > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Asserts that every request of a machine, and of a stranger who means well, is served during an
/// attack.
fn serves_everyone_during(sources: Vec<Ipv4Addr>) {
    in_network(|| {
        let rack = Rack::beside_store();
        let (mut server, to) = start(&rack, &[]);
        let loader = std::fs::read(rack.file("boot/snponly.efi")).unwrap();
        assert_eq!(fetch(MACHINE, to, "/files/snponly.efi"), Ok(loader.clone()));
        let memory = server.memory();
        let began = Instant::now();
        let attack = Attack::new();
        let failures: Vec<String> = std::thread::scope(|scope| {
            attack.begin(scope, sources, to);
            let requests = (0..REQUESTS).map(|number| {
                let served = fetch(MACHINE, to, "/files/snponly.efi")?;
                assert!(served == loader);
                match number % 10 {
                    0 => fetch(STRANGER, to, "/healthz"),
                    _ => Ok(Vec::new()),
                }
            });
            let failures = requests.filter_map(Result::err).collect();
            attack.is_over.store(true, Ordering::Relaxed);
            failures
        });
        assert!(
            failures.is_empty(),
            "{} of {REQUESTS} failed: {:?}",
            failures.len(),
            &failures[..1]
        );
        let grown = server.memory().saturating_sub(memory);
        assert!(
            grown < 160 << 20,
            "{grown} bytes for the attack's connections"
        );
        let line = server.wait_for(0, |line| line["event"] == "http-evicted");
        let message = line["message"].as_str().unwrap();
        assert_eq!(line["level"], "warn");
        assert!(
            message.starts_with("evicted ") && message.contains("; 10.99."),
            "{message}"
        );
        assert_eq!(server.count("http-busy"), 0, "{}", server.log());
        let periods = began.elapsed().as_secs() / 10 + 1;
        assert!(server.count("http-evicted") as u64 <= periods);
        server.stop();
    });
}

#[test]
fn attackers_from_2000_addresses_keep_no_request_from_being_served() {
    let address = |number: u16| Ipv4Addr::from_bits(0x0a63_0000 + u32::from(number));
    // Some of the addresses have two connections: more than the server has in total.
    let sources = (0..2112).map(|number: u16| {
        let number = number % 2000;
        address(256 * (number / 250) + number % 250 + 1)
    });
    serves_everyone_during(sources.collect());
}

#[test]
fn thirty_three_addresses_with_64_connections_each_keep_no_request_from_being_served() {
    let sources = (0..33 * 64).map(|number: u32| Ipv4Addr::new(10, 99, 0, 1 + (number % 33) as u8));
    serves_everyone_during(sources.collect());
}

#[test]
fn downloads_that_nobody_reads_yield_and_never_take_the_machines_share() {
    in_network(|| {
        let rack = Rack::beside_store();
        std::fs::write(rack.file("boot/large.img"), vec![7; 16 << 20]).unwrap();
        let limited = ["sh", "-c", "ulimit -n 384; exec \"$@\"", "sh"];
        let (mut server, to) = start(&rack, &limited);
        let warning = "the limit of 384 open files allows 64 HTTP connections instead of 2048";
        assert!(server.log().contains(warning), "{}", server.log());
        // A quarter is for machines.
        let readers: Vec<_> = (100..148)
            .map(|number| {
                let mut stream = connect(Ipv4Addr::new(10, 20, 0, number), to).unwrap();
                let request = "GET /files/large.img HTTP/1.1\r\nHost: x\r\n\r\n";
                stream.write_all(request.as_bytes()).unwrap();
                let mut start = [0; 12];
                stream.read_exact(&mut start).unwrap();
                assert_eq!(&start, b"HTTP/1.1 200");
                stream
            })
            .collect();
        for _ in 0..20 {
            fetch(MACHINE, to, "/files/snponly.efi").unwrap();
        }
        // A stranger waits until they have stalled for long enough.
        let until = Instant::now() + PATIENCE;
        while fetch(STRANGER, to, "/healthz").is_err() {
            assert!(Instant::now() < until, "{}", server.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        let message = server.event(0, "http-busy");
        assert!(message.contains("all 64 slots are in use"), "{message}");
        drop(readers);
        server.stop();
    });
}

#[test]
fn a_lack_of_file_descriptors_closes_idle_connections_and_not_the_server() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "http");
    let idle: Vec<_> = (0..100)
        .map(|_| {
            let mut web = server.web();
            assert_eq!(web.get("/healthz").status(), 200);
            web
        })
        .collect();
    let pid = Pid::from_raw(server.pid() as i32);
    let limit = Rlimit {
        current: Some(60),
        maximum: Some(60),
    };
    prlimit(pid, Resource::Nofile, limit).unwrap();
    for _ in 0..20 {
        let answer = server.web().get("/files/snponly.efi");
        assert_eq!((answer.status(), answer.body.len()), (200, 7500));
    }
    drop(idle);
    let line = server.event(0, "http-accept");
    assert!(line.contains("raise the limit of open files"), "{line}");
    server.stop();
}
