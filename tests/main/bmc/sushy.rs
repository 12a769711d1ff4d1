//! sushy-tools with simulated machines. The test with a real machine is in tests/firmware/.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bmc::emulator::PASSWORD;
use crate::bmc::installed::installed;
use crate::bmc::rack::HostDocument;
use crate::support::rack::Rack;
use crate::support::requirements::missing;
use crate::support::run_output::RunOutput;

const PATIENCE: Duration = Duration::from_secs(60);

/// The emulator on a free loopback port, with TLS and a password; it ends with the test.
struct Sushy {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Sushy {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let path = |name: &str| directory.path().join(name).display().to_string();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
            .args([
                "-subj",
                "/CN=sushy",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ])
            .args(["-keyout", &path("key.pem"), "-out", &path("tls.pem")])
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{made:?}");
        let hash = "import bcrypt, sys; \
                    print(bcrypt.hashpw(sys.stdin.read().encode(), bcrypt.gensalt(4)).decode())";
        let python = installed("python/bin/python");
        let mut hashing = Command::new(python)
            .args(["-c", hash])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut input = hashing.stdin.take().expect("piped");
        std::io::Write::write_all(&mut input, PASSWORD.as_bytes()).expect("it reads");
        drop(input);
        let hashed = hashing.wait_with_output().expect("it ends");
        let hashed = String::from_utf8(hashed.stdout).expect("text");
        fs::write(path("users"), format!("admin:{hashed}")).expect("a file");
        let config = format!(
            "SUSHY_EMULATOR_AUTH_FILE = '{}'\nSUSHY_EMULATOR_STATE_DIR = '{}'\n",
            path("users"),
            directory.path().display()
        );
        fs::write(path("sushy.conf"), config).expect("a file");
        let log = fs::File::create(path("log")).expect("a log");
        let child = Command::new(installed("python/bin/sushy-emulator"))
            .args(["--fake", "--config", &path("sushy.conf")])
            .args(["--interface", "127.0.0.1", "--port", &port.to_string()])
            .args([
                "--ssl-certificate",
                &path("tls.pem"),
                "--ssl-key",
                &path("key.pem"),
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("it runs");
        let sushy = Self {
            child,
            port,
            directory,
        };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "{}", sushy.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        sushy
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Counts the requests in its log.
    fn count_requests(&self, method: &str) -> usize {
        let log = self.log();
        log.lines()
            .filter(|line| line.contains(&format!("{method} /redfish")))
            .count()
    }

    /// Reads the system with another client.
    fn system(&self) -> Value {
        let url = format!(
            "https://127.0.0.1:{}/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094",
            self.port
        );
        let output = Command::new("curl")
            .args(["--silent", "--insecure", "--max-time", "20", "--user"])
            .args([&format!("admin:{PASSWORD}"), &url])
            .output()
            .expect("curl runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

impl Drop for Sushy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sushy_tools_is_read_and_booted() {
    let needed = ["python", "sushy-emulator"].map(|it| installed(&format!("python/bin/{it}")));
    if missing(&needed) || missing(&["curl", "openssl"]) {
        return;
    }
    let sushy = Sushy::start();
    let rack = Rack::with_hosts(&[HostDocument {
        name: "fake".to_owned(),
        uuid: "27946b59-9e44-4fa7-8e91-f3527a1ef094".to_owned(),
        serial: "C7X9K2".to_owned(),
        mac: "00:5c:52:31:3a:9c".to_owned(),
        arch: "uefi-x64",
        bmc: format!(
            "{{url: \"https://127.0.0.1:{}\", username: admin, password: {{env: BMC_PASSWORD}}}}",
            sushy.port
        ),
    }]);
    rack.bmc(&["status", "fake"])
        .assert_success()
        .assert_contains(&["off"]);
    rack.bmc(&["boot-pxe", "fake", "--dry-run"])
        .assert_success()
        .assert_contains(&["PATCH", "Pxe"]);
    assert_eq!(
        sushy.count_requests("PATCH") + sushy.count_requests("POST"),
        0,
        "{}",
        sushy.log()
    );

    // The power changes up to eleven seconds late, and the command waits for it.
    rack.bmc(&["boot-pxe", "fake", "--yes"]).assert_success();
    let system = sushy.system();
    assert_eq!(system["PowerState"], "On", "{system}");
    assert_eq!(
        system["Boot"]["BootSourceOverrideTarget"], "Pxe",
        "{system}"
    );
    rack.bmc(&["inventory", "fake"])
        .assert_success()
        .assert_contains(&["00:5c:52:31:3a:9c"]);
    rack.bmc(&["power", "off", "fake", "--yes"])
        .assert_success();
    assert_eq!(sushy.system()["PowerState"], "Off");

    let mut wrong = rack.command(&["bmc", "status", "fake"]);
    wrong.env("BMC_PASSWORD", "another");
    RunOutput::of(&mut wrong)
        .assert_exit(3)
        .assert_contains(&["password"]);
}
