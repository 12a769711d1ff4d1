use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::machines::{PATIENCE, Program};
use crate::program::run_program;
use crate::requirements::missing;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What the tests run.
const PROGRAMS: [&str; 7] = [
    "/usr/lib/ipxe/snponly.efi",
    "/usr/sbin/ip",
    "/usr/sbin/dnsmasq",
    "/usr/sbin/dhcrelay",
    "/usr/bin/busybox",
    "/usr/bin/curl",
    "/usr/bin/python3",
];
/// The interface of every machine but the server.
pub const INTERFACE: &str = "eth0";
/// The server's interface.
pub const SERVER_INTERFACE: &str = "prov0";
/// A site that gives three addresses to the segment.
pub const SITE: &str = "\
kind: Site
name: rack-a
server: {address: 10.86.0.1}
networks:
  - {name: prov0, subnet: 10.86.0.0/24, interface: prov0, pool: 10.86.0.200-10.86.0.202}
loaders: {bios: undionly.kpxe, uefi-x64: snponly.efi}
";

/// An Ethernet segment: namespaces around a bridge, removed by name when dropped.
pub struct Segment {
    prefix: String,
    members: Vec<String>,
    taggers: Vec<Program>,
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
        // Root, for network namespaces.
        if missing(&[&["root"][..], &PROGRAMS, programs].concat()) {
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut segment = Self {
            prefix: format!("pxectl-segment-{}-{number}", std::process::id()),
            members: Vec::new(),
            taggers: Vec::new(),
        };
        segment.add_namespace("rack");
        segment.add_wire("rack", SERVER_INTERFACE, server);
        Some(segment)
    }

    /// Gives a machine another wire to plug machines into, with its own address there.
    pub fn add_wire(&mut self, machine: &str, wire: &str, address: &str) {
        let machine = self.namespace(machine);
        ip(&[
            "-n",
            &machine,
            "link",
            "add",
            wire,
            "type",
            "bridge",
            "forward_delay",
            "0",
        ]);
        ip(&["-n", &machine, "addr", "add", address, "dev", wire]);
        ip(&["-n", &machine, "link", "set", wire, "up"]);
    }

    /// Plugs another machine in, with an address such as `10.86.0.2/24` or without one.
    pub fn plug(&mut self, name: &str, mac: &str, address: Option<&str>) {
        self.plug_into(("rack", SERVER_INTERFACE), name, mac, address);
    }

    /// Plugs another machine into a machine's wire.
    pub fn plug_into(
        &mut self,
        (owner, wire): (&str, &str),
        name: &str,
        mac: &str,
        address: Option<&str>,
    ) {
        let (owner, machine) = (self.namespace(owner), self.add_namespace(name));
        let port = format!("to-{name}");
        ip(&[
            "-n", &owner, "link", "add", &port, "type", "veth", "peer", "name", INTERFACE, "netns",
            &machine,
        ]);
        ip(&["-n", &owner, "link", "set", &port, "master", wire, "up"]);
        // Datagrams that leave in one piece arrive as many, as they do from a real card.
        ip(&["-n", &owner, "link", "set", &port, "gso_max_segs", "1"]);
        self.hear_everything(name, INTERFACE);
        ip(&[
            "-n", &machine, "link", "set", INTERFACE, "address", mac, "up",
        ]);
        if let Some(address) = address {
            self.set_address(name, address);
        }
    }

    /// Makes a machine pass on what is for others.
    pub fn route_through(&self, name: &str) {
        let forward = || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        self.on(name, forward);
    }

    /// Tells a machine the way to a network.
    pub fn add_route(&self, name: &str, network: &str, via: &str) {
        ip(&[
            "-n",
            &self.namespace(name),
            "route",
            "add",
            network,
            "via",
            via,
        ]);
    }

    /// Adds the sub-interface `parent.id` for a VLAN to a machine: the kernel's, or, where it is built
    /// without VLANs, one in user space.
    pub fn add_vlan(&mut self, name: &str, parent: &str, id: u16, address: Option<&str>) {
        let machine = self.namespace(name);
        let (interface, tag) = (format!("{parent}.{id}"), id.to_string());
        let mut kernel = Command::new("ip");
        kernel.args(["-n", &machine, "link", "add", "link", parent, "name"]);
        kernel.args([&interface, "type", "vlan", "id", &tag]);
        if !kernel.output().unwrap().status.success() {
            let tagger = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/segment/tagger.py");
            let mut command = self.command(name, "/usr/bin/python3");
            command.args([tagger, parent, &interface, &tag]);
            let mut program = Program::start(command);
            program.wait_for(&["ready"]);
            self.taggers.push(program);
            let show = ["-n", &machine, "-o", "link", "show", parent];
            let shown = run_program(Command::new("ip").args(show));
            let mut words = shown.split_whitespace();
            words.find(|word| *word == "link/ether");
            let mac = words.next().unwrap();
            ip(&["-n", &machine, "link", "set", &interface, "address", mac]);
        }
        self.hear_everything(name, &interface);
        if let Some(address) = address {
            ip(&["-n", &machine, "addr", "add", address, "dev", &interface]);
        }
        ip(&["-n", &machine, "link", "set", &interface, "up"]);
    }

    /// Lets a machine without an address hear what is broadcast.
    fn hear_everything(&self, name: &str, interface: &str) {
        self.on(name, || {
            for conf in ["all", "default", interface] {
                let path = format!("/proc/sys/net/ipv4/conf/{conf}/rp_filter");
                std::fs::write(path, "0").unwrap();
            }
        });
    }

    /// Runs `ip` on a machine with these words, separated by spaces.
    pub fn ip(&self, name: &str, words: &str) {
        let namespace = self.namespace(name);
        let words = words.split_whitespace();
        ip(&["-n", &namespace]
            .into_iter()
            .chain(words)
            .collect::<Vec<_>>());
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
                run_program(Command::new("ip").args(words))
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
        self.taggers.clear();
        for namespace in &self.members {
            // A failure here must not hide the test's own.
            let _ = Command::new("ip")
                .args(["netns", "delete", namespace])
                .status();
        }
    }
}

fn ip(args: &[&str]) {
    run_program(Command::new("ip").args(args));
}
