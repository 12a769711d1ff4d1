use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::machines::PATIENCE;

/// What all of the tests run.
const PROGRAMS: [&str; 3] = ["/usr/sbin/ip", "/usr/sbin/dnsmasq", "/usr/bin/curl"];
/// The interface of every machine but the server.
pub const INTERFACE: &str = "eth0";
/// The server's interface.
pub const SERVER_INTERFACE: &str = "prov0";

/// An Ethernet segment: namespaces around a bridge, removed by name when dropped.
pub struct Segment {
    prefix: String,
    members: Vec<String>,
}

impl Segment {
    /// Makes a segment with the server's bridge on it; `None` where this machine cannot, which is
    /// said loudly.
    ///
    /// # Panics
    /// When something is missing and `PXECTL_REQUIRE_FIRMWARE=1` forbids that.
    pub fn new(server: &str) -> Option<Self> {
        Self::with_programs(server, &[])
    }

    /// The same, for a test that runs more programs than the others; with absolute paths.
    ///
    /// # Panics
    /// As [`Segment::new`] does.
    pub fn with_programs(server: &str, programs: &[&str]) -> Option<Self> {
        if is_missing(programs) {
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut segment = Self {
            prefix: format!("pxectl-segment-{}-{number}", std::process::id()),
            members: Vec::new(),
        };
        let rack = segment.add_namespace("rack");
        ip(&[
            "-n",
            &rack,
            "link",
            "add",
            SERVER_INTERFACE,
            "type",
            "bridge",
            "forward_delay",
            "0",
        ]);
        ip(&["-n", &rack, "addr", "add", server, "dev", SERVER_INTERFACE]);
        ip(&["-n", &rack, "link", "set", SERVER_INTERFACE, "up"]);
        Some(segment)
    }

    /// Plugs another machine in, with an address such as `10.86.0.2/24` or without one.
    pub fn plug(&mut self, name: &str, mac: &str, address: Option<&str>) {
        let (rack, machine) = (self.namespace("rack"), self.add_namespace(name));
        let port = format!("to-{name}");
        ip(&[
            "-n", &rack, "link", "add", &port, "type", "veth", "peer", "name", INTERFACE, "netns",
            &machine,
        ]);
        ip(&[
            "-n",
            &rack,
            "link",
            "set",
            &port,
            "master",
            SERVER_INTERFACE,
            "up",
        ]);
        // Datagrams that leave in one piece arrive as many, as they do from a real card.
        ip(&["-n", &rack, "link", "set", &port, "gso_max_segs", "1"]);
        // A machine without an address must still hear what is broadcast.
        self.on(name, || {
            for conf in ["all", "default", INTERFACE] {
                let path = format!("/proc/sys/net/ipv4/conf/{conf}/rp_filter");
                std::fs::write(path, "0").unwrap();
            }
        });
        ip(&[
            "-n", &machine, "link", "set", INTERFACE, "address", mac, "up",
        ]);
        if let Some(address) = address {
            self.set_address(name, address);
        }
    }

    /// Gives a machine an address in place of what it has.
    pub fn set_address(&self, name: &str, address: &str) {
        let machine = self.namespace(name);
        ip(&["-n", &machine, "addr", "flush", "dev", INTERFACE]);
        ip(&["-n", &machine, "addr", "add", address, "dev", INTERFACE]);
    }

    /// Takes a machine's address away.
    pub fn clear_address(&self, name: &str) {
        ip(&[
            "-n",
            &self.namespace(name),
            "addr",
            "flush",
            "dev",
            INTERFACE,
        ]);
    }

    /// Waits until a machine has an address and a default route; returns both as `ip` prints them.
    ///
    /// # Panics
    /// When it does not get them in time.
    pub fn wait_for_configuration(&self, name: &str, address: &str) -> String {
        let machine = self.namespace(name);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = ["addr", "route"].map(|what| {
                let words = ["-4", "-o", "-n", &machine, what, "show", "dev", INTERFACE];
                run(Command::new("ip").args(words))
            });
            let [addresses, routes] = &shown;
            if addresses.contains(address) && routes.contains("default") {
                return shown.concat();
            }
            assert!(Instant::now() < deadline, "not configured: {shown:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns a command that runs on a machine; `ip` replaces itself, so the child is the program.
    pub fn command(&self, name: &str, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(name)]);
        command.arg(program.as_ref());
        command
    }

    /// Does something on a machine, in this process: sockets that it opens are the machine's.
    pub fn on<T: Send>(&self, name: &str, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.namespace(name))).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network).unwrap();
                act()
            });
            thread
                .join()
                .unwrap_or_else(|fault| std::panic::resume_unwind(fault))
        })
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn add_namespace(&mut self, name: &str) -> String {
        let namespace = self.namespace(name);
        ip(&["netns", "add", &namespace]);
        self.members.push(namespace.clone());
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        namespace
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        for namespace in &self.members {
            // A failure here must not hide the test's own.
            let _ = Command::new("ip")
                .args(["netns", "delete", namespace])
                .status();
        }
    }
}

fn ip(args: &[&str]) {
    run(Command::new("ip").args(args));
}

/// Runs a command to its end and returns its output.
///
/// # Panics
/// When the command fails, with what it printed.
pub fn run(command: &mut Command) -> String {
    let run = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let stdout = String::from_utf8_lossy(&run.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success(),
        "{command:?}: {}\n{stdout}{stderr}",
        run.status
    );
    stdout
}

fn is_missing(programs: &[&str]) -> bool {
    let root = (!rustix::process::geteuid().is_root()).then_some("root, for network namespaces");
    let programs = PROGRAMS.iter().chain(programs).copied();
    let programs = programs.filter(|path| !Path::new(path).exists());
    let lacks: Vec<&str> = root.into_iter().chain(programs).collect();
    if lacks.is_empty() {
        return false;
    }
    let message = format!("needs {}; `tests/run` as root has it", lacks.join(", "));
    let required = std::env::var_os("PXECTL_REQUIRE_FIRMWARE").is_some_and(|value| value == "1");
    assert!(!required, "{message}");
    // Straight to stderr: the test runner would keep what `eprintln!` prints to itself.
    let _ = writeln!(io::stderr(), "SKIPPED, nothing is proved: {message}");
    true
}
