use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pxectl::serve::tftp::{TftpConfig, TftpFiles, TftpReport, TftpServer};
use pxectl::shutdown::Shutdown;
use pxectl::wire::tftp::{BlockNumber, Packet};
use pxectl::workspace::files::{FileRoots, Surroundings};

/// How long anything that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Octets of which no two blocks are alike.
fn pattern(size: usize) -> Vec<u8> {
    (0..size as u64)
        .map(|n| (n.wrapping_mul(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

/// A server on loopback with a directory of its own; dropping it shuts the server down.
pub struct Fixture {
    base: tempfile::TempDir,
    address: SocketAddrV4,
    reports: Mutex<Receiver<TftpReport>>,
    shutdown: Shutdown,
    server: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// Starts a server whose configuration `change` has changed.
    pub fn with(change: impl Fn(&mut TftpConfig)) -> Self {
        Self::serving(change, |root| {
            Arc::new(FileRoots::new(vec![root], Surroundings::machine()))
        })
    }

    /// The same, with what `files` makes of its directory.
    pub fn serving<F: TftpFiles + 'static>(
        change: impl Fn(&mut TftpConfig),
        files: impl FnOnce(PathBuf) -> Arc<F>,
    ) -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let root = base.path().join("root");
        std::fs::create_dir(&root).expect("a directory");
        std::fs::write(base.path().join("secret"), "secret").expect("a file");
        let mut config = TftpConfig::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
        change(&mut config);
        let (sender, reports) = channel();
        let report = Box::new(move |report| {
            let _ = sender.send(report);
        });
        let server = TftpServer::bind(config, files(root), report).expect("a bound server");
        let mut address = server.local_address();
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST);
        }
        let shutdown = Shutdown::new().expect("a descriptor");
        let stop = shutdown.clone();
        Self {
            base,
            address,
            reports: Mutex::new(reports),
            shutdown,
            server: Some(std::thread::spawn(move || server.run(&stop))),
        }
    }

    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.served(name), bytes).expect("a file");
    }

    /// Serves a file of `size` bytes, which are returned.
    pub fn add(&self, name: &str, size: usize) -> Vec<u8> {
        let bytes = pattern(size);
        self.write(name, &bytes);
        bytes
    }

    /// The path of a served file.
    pub fn served(&self, name: &str) -> PathBuf {
        self.base.path().join("root").join(name)
    }

    /// A path that is not served, where nothing lies.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.base.path().join(name);
        let _ = std::fs::remove_file(&path);
        path
    }

    /// Waits for the next report.
    pub fn report(&self) -> TftpReport {
        let reports = self.reports.lock().expect("no other panic");
        reports.recv_timeout(PATIENCE).expect("a report")
    }

    /// Reports that no report has come.
    pub fn is_silent(&self) -> bool {
        let reports = self.reports.lock().expect("no other panic");
        reports.try_recv().is_err()
    }

    /// Asks the server to shut down.
    pub fn request_stop(&self) {
        self.shutdown.request();
    }

    /// Waits until the server has ended by itself; returns what ended it.
    pub fn join(mut self) -> std::thread::Result<anyhow::Result<()>> {
        let server = self.server.take().expect("it runs");
        let begin = Instant::now();
        while !server.is_finished() {
            assert!(begin.elapsed() < PATIENCE, "the server runs on");
            std::thread::sleep(Duration::from_millis(1));
        }
        server.join()
    }

    /// Shuts the server down and waits until it has ended.
    pub fn stop(&mut self) {
        self.shutdown.request();
        if let Some(server) = self.server.take() {
            server
                .join()
                .expect("no panic")
                .expect("the server ends well");
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// A client that sends what it is told to.
pub struct Peer {
    socket: UdpSocket,
    /// Where its packets go: the request port, and then the port that answered.
    pub server: SocketAddrV4,
}

impl Peer {
    pub fn new(server: SocketAddrV4) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        Self { socket, server }
    }

    pub fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).expect("a send");
    }

    /// Asks for a file; options are `name=value` words.
    pub fn request(&self, name: &str, options: &str) {
        let options = options.replace(['=', ' '], "\0");
        self.send(format!("\0\x01{name}\0octet\0{options}\0").as_bytes());
    }

    pub fn ack(&self, block: u16) {
        let block = BlockNumber::new(block);
        self.send(&Packet::Acknowledgement { block }.to_bytes());
    }

    /// Waits for a datagram, and sends to its source from here on.
    pub fn receive(&mut self) -> Vec<u8> {
        self.receive_within(PATIENCE).expect("a datagram")
    }

    /// Waits for a datagram for a while.
    pub fn receive_within(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        self.socket
            .set_read_timeout(Some(patience))
            .expect("a timeout");
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        if let SocketAddr::V4(from) = from {
            self.server = from;
        }
        buffer.truncate(length);
        Some(buffer)
    }

    /// Waits for a DATA packet; returns its number and its payload.
    pub fn data(&mut self) -> (u16, Vec<u8>) {
        let bytes = self.receive();
        match Packet::parse(&bytes) {
            Ok(Packet::Data { block, payload }) => (block.number(), payload.to_vec()),
            other => panic!("no data but {other:?}"),
        }
    }

    /// Waits for this block, past repetitions of others, which a machine under load may provoke.
    pub fn block(&mut self, number: u16) -> Vec<u8> {
        loop {
            match self.data() {
                (seen, payload) if seen == number => return payload,
                _ => {}
            }
        }
    }
}
