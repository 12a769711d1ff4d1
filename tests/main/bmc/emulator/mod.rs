//! Emulated Redfish BMCs with state, which refuse what real BMCs refuse. A test can inject faults.
//! Each one has its own port on loopback and logs its requests.

mod certificate;
mod fault;
mod logs;
mod machine;
pub mod profile;
mod resources;
mod responses;
mod server;
mod settings;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

use certificate::ActiveCertificate;
pub use certificate::Certificate;
pub use fault::{BodyKind, Fault, Faults};
pub use logs::{EmulatedLog, log_entry};
pub use machine::{EmulatedController, EmulatedMachine, Operations, SettingsResource};
use profile::Profile;
pub use responses::EmulatorRequest;

/// The password of every BMC.
pub const PASSWORD: &str = crate::support::run_output::BMC_PASSWORD;

/// Several BMCs, which end with the test.
pub struct Emulator {
    runtime: Runtime,
    directory: tempfile::TempDir,
    certificate: Certificate,
    other_certificate: Arc<Certificate>,
    busy: Arc<AtomicUsize>,
    busiest: Arc<AtomicUsize>,
    number: usize,
}

/// One BMC.
#[derive(Clone)]
pub struct Bmc {
    shared: Arc<Shared>,
    pub port: u16,
    pub number: usize,
    pub profile: Profile,
}

/// A request and the status of its response.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    pub connection: usize,
    pub status: u16,
    pub request: EmulatorRequest,
}

struct Shared {
    controller: Mutex<EmulatedController>,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<LoggedRequest>>,
    certificate: Arc<ActiveCertificate>,
    other_certificate: Arc<Certificate>,
    refused_handshakes: AtomicUsize,
    busy: Arc<AtomicUsize>,
    busiest: Arc<AtomicUsize>,
}

impl Shared {
    fn rotate(&self) {
        self.certificate.change(&self.other_certificate);
    }
}

impl Emulator {
    /// Starts an emulator without BMCs.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
            certificate: Certificate::own(directory.path(), "bmc"),
            other_certificate: Arc::new(Certificate::own(directory.path(), "other")),
            directory,
            busy: Arc::default(),
            busiest: Arc::default(),
            number: 0,
        }
    }

    /// Adds a BMC with a self-signed certificate.
    pub fn add(&mut self, profile: Profile) -> Bmc {
        let certificate = ActiveCertificate::new(&self.certificate);
        self.add_with(profile, certificate)
    }

    /// Adds a BMC with a certificate of the authority in [`Self::authority`].
    pub fn add_signed(&mut self, profile: Profile) -> Bmc {
        let signed = Certificate::signed(self.directory.path(), "signed");
        self.add_with(profile, ActiveCertificate::new(&signed))
    }

    /// Adds a BMC with an outdated kind of certificate. Returns the SHA-256 digest of the
    /// certificate, too.
    pub fn add_old(&mut self, profile: Profile) -> (Bmc, String) {
        let old = Certificate::old(self.directory.path(), "old");
        (
            self.add_with(profile, ActiveCertificate::new(&old)),
            old.fingerprint(),
        )
    }

    fn add_with(&mut self, profile: Profile, certificate: Arc<ActiveCertificate>) -> Bmc {
        self.number += 1;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let shared = Arc::new(Shared {
            controller: Mutex::new(EmulatedController::new(profile, self.number, PASSWORD)),
            faults: Mutex::default(),
            requests: Mutex::default(),
            certificate,
            other_certificate: Arc::clone(&self.other_certificate),
            refused_handshakes: AtomicUsize::new(0),
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

    /// Returns the file of the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// Returns the SHA-256 digests of the certificate that a BMC presents at first, and of the one
    /// that it presents after a rotation.
    pub fn fingerprints(&self) -> [String; 2] {
        [
            self.certificate.fingerprint(),
            self.other_certificate.fingerprint(),
        ]
    }

    /// Returns the number of requests in progress.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::SeqCst)
    }

    /// Returns the highest number of requests that were in progress at once.
    pub fn busiest(&self) -> usize {
        self.busiest.load(Ordering::SeqCst)
    }
}

impl Bmc {
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Reads or changes the BMC.
    pub fn controller<T>(&self, with: impl FnOnce(&mut EmulatedController) -> T) -> T {
        with(&mut self.shared.controller.lock().expect("the controller"))
    }

    /// Reads or changes its first machine.
    pub fn machine<T>(&self, with: impl FnOnce(&mut EmulatedMachine) -> T) -> T {
        self.controller(|controller| with(&mut controller.machines[0]))
    }

    /// Changes its faults.
    pub fn change_faults(&self, with: impl FnOnce(&mut Faults)) {
        with(&mut self.shared.faults.lock().expect("faults"));
    }

    pub fn set_latency(&self, latency: Duration) {
        self.change_faults(|faults| faults.latency = latency);
    }

    pub fn set_fault(&self, at: &'static str, fault: Fault) {
        self.change_faults(|faults| faults.fault = Some((at, fault)));
    }

    /// Presents the other certificate from the next connection on.
    pub fn rotate(&self) {
        self.shared.rotate();
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.shared.requests.lock().expect("the log").clone()
    }

    pub fn clear_requests(&self) {
        self.shared.requests.lock().expect("the log").clear();
    }

    /// Returns the number of connections that the client refused because of the certificate.
    pub fn refused_handshakes(&self) -> usize {
        self.shared.refused_handshakes.load(Ordering::SeqCst)
    }

    /// Returns the requests that change something, except logins and logouts: method, path and
    /// body.
    pub fn changes(&self) -> Vec<(String, String, Value)> {
        let requests = self.requests().into_iter().map(|it| it.request);
        requests
            .filter(|request| request.method != "GET" && !request.path.contains("/Sessions"))
            .map(|request| (request.method, request.path, request.body))
            .collect()
    }

    /// Returns the bodies of the PATCH requests, in order.
    pub fn patches(&self) -> Vec<Value> {
        let changes = self.changes().into_iter();
        changes
            .filter(|(method, ..)| method == "PATCH")
            .map(|(.., body)| body)
            .collect()
    }
}
