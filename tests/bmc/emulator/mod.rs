//! Redfish controllers with a state, which refuse what real ones refuse, and which a test can
//! disturb. Each has a port of its own on loopback; what it was asked is kept.

mod answers;
mod certificate;
mod machine;
pub mod profile;
mod resources;
mod server;
mod settings;
mod trouble;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

pub use answers::Ask;
pub use certificate::Certificate;
use certificate::Shown;
pub use machine::{Controller, Machine};
use profile::Profile;
pub use trouble::{Kind, Trouble, Unwell};

/// The password of every controller.
pub const PASSWORD: &str = "s3cret-of-the-bmc";

/// Some controllers, which end with the test.
pub struct Emulator {
    runtime: Runtime,
    directory: tempfile::TempDir,
    certificate: Certificate,
    other: Arc<Certificate>,
    busy: Arc<AtomicUsize>,
    busiest: Arc<AtomicUsize>,
    number: usize,
}

/// One controller.
#[derive(Clone)]
pub struct Bmc {
    shared: Arc<Shared>,
    pub port: u16,
    pub number: usize,
    pub profile: Profile,
}

/// A request that came in, and the status of its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    pub connection: usize,
    pub status: u16,
    pub ask: Ask,
}

struct Shared {
    controller: Mutex<Controller>,
    trouble: Mutex<Trouble>,
    asked: Mutex<Vec<Asked>>,
    shown: Arc<Shown>,
    other: Arc<Certificate>,
    handshakes_refused: AtomicUsize,
    busy: Arc<AtomicUsize>,
    busiest: Arc<AtomicUsize>,
}

impl Shared {
    fn rotate(&self) {
        self.shown.change(&self.other);
    }
}

impl Emulator {
    /// Starts none yet.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
            certificate: Certificate::own(directory.path(), "bmc"),
            other: Arc::new(Certificate::own(directory.path(), "other")),
            directory,
            busy: Arc::default(),
            busiest: Arc::default(),
            number: 0,
        }
    }

    /// Adds a controller that shows a certificate of its own signing.
    pub fn add(&mut self, profile: Profile) -> Bmc {
        let shown = Shown::new(&self.certificate);
        self.add_with(profile, shown)
    }

    /// Adds one with a certificate of the authority in [`Self::authority`].
    pub fn add_signed(&mut self, profile: Profile) -> Bmc {
        let signed = Certificate::signed(self.directory.path(), "signed");
        self.add_with(profile, Shown::new(&signed))
    }

    /// Adds one with a certificate that is as old as some controllers; its SHA-256 comes with it.
    pub fn add_old(&mut self, profile: Profile) -> (Bmc, String) {
        let old = Certificate::old(self.directory.path(), "old");
        (self.add_with(profile, Shown::new(&old)), old.fingerprint())
    }

    fn add_with(&mut self, profile: Profile, shown: Arc<Shown>) -> Bmc {
        self.number += 1;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let shared = Arc::new(Shared {
            controller: Mutex::new(Controller::new(profile, self.number, PASSWORD)),
            trouble: Mutex::default(),
            asked: Mutex::default(),
            shown,
            other: Arc::clone(&self.other),
            handshakes_refused: AtomicUsize::new(0),
            busy: Arc::clone(&self.busy),
            busiest: Arc::clone(&self.busiest),
        });
        let _inside = self.runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        self.runtime
            .spawn(server::serve(listener, Arc::clone(&shared)));
        Bmc {
            shared,
            port,
            number: self.number,
            profile,
        }
    }

    /// The file of the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// The SHA-256 of the certificate that a controller shows, and of that which it shows after it
    /// rotated.
    pub fn fingerprints(&self) -> [String; 2] {
        [self.certificate.fingerprint(), self.other.fingerprint()]
    }

    /// How many requests are under way.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::SeqCst)
    }

    /// The most requests that ever were under way at once.
    pub fn busiest(&self) -> usize {
        self.busiest.load(Ordering::SeqCst)
    }
}

impl Bmc {
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Looks at the controller or changes it.
    pub fn controller<T>(&self, with: impl FnOnce(&mut Controller) -> T) -> T {
        with(&mut self.shared.controller.lock().expect("the controller"))
    }

    /// Looks at its first machine or changes it.
    pub fn machine<T>(&self, with: impl FnOnce(&mut Machine) -> T) -> T {
        self.controller(|controller| with(&mut controller.machines[0]))
    }

    /// Disturbs it.
    pub fn trouble(&self, with: impl FnOnce(&mut Trouble)) {
        with(&mut self.shared.trouble.lock().expect("troubles"));
    }

    pub fn slow(&self, latency: Duration) {
        self.trouble(|trouble| trouble.latency = latency);
    }

    pub fn unwell(&self, at: &'static str, unwell: Unwell) {
        self.trouble(|trouble| trouble.unwell = Some((at, unwell)));
    }

    /// Shows its other certificate from the next connection on.
    pub fn rotate(&self) {
        self.shared.rotate();
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("the log").clone()
    }

    pub fn forget(&self) {
        self.shared.asked.lock().expect("the log").clear();
    }

    /// How many connections ended before the client was content with the certificate.
    pub fn handshakes_refused(&self) -> usize {
        self.shared.handshakes_refused.load(Ordering::SeqCst)
    }

    /// What changed anything, but for log-ins and log-outs: method, path and body.
    pub fn changes(&self) -> Vec<(String, String, Value)> {
        let asked = self.asked().into_iter().map(|it| it.ask);
        asked
            .filter(|ask| ask.method != "GET" && !ask.path.contains("/Sessions"))
            .map(|ask| (ask.method, ask.path, ask.body))
            .collect()
    }

    /// The bodies of the PATCH requests, in order.
    pub fn patches(&self) -> Vec<Value> {
        let changes = self.changes().into_iter();
        changes
            .filter(|(method, ..)| method == "PATCH")
            .map(|(.., body)| body)
            .collect()
    }
}
