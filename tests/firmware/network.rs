use crate::program::run_program;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The address of the server in every network.
pub const SERVER: &str = "10.85.0.1";
/// The interface on which the server serves: a bridge.
pub const INTERFACE: &str = "prov0";
/// The tap in the bridge whose other end is the machine's NIC.
pub const CABLE: &str = "cable0";
/// The address of a server that stands behind a router.
pub const FAR_SERVER: &str = "10.88.0.1";
/// The router's interface towards that server.
const UPLINK: &str = "uplink0";
/// The address of the other server, where there is one.
pub const ADDRESS_SERVER: &str = "10.85.0.2";

/// A network namespace with a bridge and one cable in it; removed by name when dropped.
///
/// Only one exists at a time in a process: a machine under emulation wants every core.
pub struct Network {
    name: String,
    /// Where the server stands, unless that is on the machine's own wire.
    far: Option<String>,
    recordings: Vec<Child>,
    _turn: MutexGuard<'static, ()>,
}

impl Network {
    /// Makes a namespace that no other test uses.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pxectl-{}-{number}", std::process::id());
        ip(&["netns", "add", &name]);
        let mut network = Self {
            name,
            far: None,
            recordings: Vec::new(),
            _turn: turn,
        };
        let name = network.name.as_str();
        ip(&["-n", name, "link", "set", "lo", "up"]);
        ip(&["-n", name, "link", "add", INTERFACE, "type", "bridge"]);
        ip(&["-n", name, "tuntap", "add", CABLE, "mode", "tap"]);
        ip(&["-n", name, "link", "set", CABLE, "master", INTERFACE, "up"]);
        let address = format!("{SERVER}/24");
        ip(&["-n", name, "addr", "add", &address, "dev", INTERFACE]);
        ip(&["-n", name, "link", "set", INTERFACE, "up"]);
        network.record(INTERFACE);
        network
    }

    /// Records what passes an interface, where `PXECTL_KEEP_PACKETS` names a directory for it: the
    /// captures in `fixtures/packets/` are made this way.
    fn record(&mut self, interface: &str) {
        let Some(directory) = std::env::var_os("PXECTL_KEEP_PACKETS") else {
            return;
        };
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("main").replace("::", "-");
        let file = PathBuf::from(directory).join(format!("{test}-{interface}.pcapng"));
        let mut dumpcap = self.command("dumpcap");
        dumpcap.args(["-q", "-i", interface, "-w"]).arg(&file);
        let child = dumpcap.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        self.recordings.push(child.unwrap());
        let deadline = Instant::now() + crate::STEP;
        // It writes the header once it listens.
        while !file.metadata().is_ok_and(|it| it.len() > 0) {
            assert!(
                Instant::now() < deadline,
                "dumpcap writes no `{}`",
                file.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a namespace that is a router, with the server in another one behind it.
    pub fn behind_a_router() -> Self {
        let mut network = Self::new();
        let (router, far) = (network.name.clone(), format!("{}-far", network.name));
        ip(&["netns", "add", &far]);
        network.far = Some(far.clone());
        let peer = ["type", "veth", "peer", "name", "eth0", "netns", &far];
        ip(&[&["-n", &router, "link", "add", UPLINK][..], &peer].concat());
        for (name, interface, address) in [
            (&router, UPLINK, "10.88.0.2/24"),
            (&far, "eth0", "10.88.0.1/24"),
        ] {
            ip(&["-n", name, "addr", "add", address, "dev", interface]);
            ip(&["-n", name, "link", "set", interface, "up"]);
        }
        ip(&["-n", &far, "link", "set", "lo", "up"]);
        ip(&["-n", &far, "route", "add", "default", "via", "10.88.0.2"]);
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        run_program(network.command("/bin/sh").args(["-c", forward]));
        network.record(UPLINK);
        network
    }

    /// Returns the router's interfaces, the machine's wire first, and the server that it relays to.
    pub fn relayed(&self) -> (&'static str, &'static str, &'static str) {
        (INTERFACE, UPLINK, FAR_SERVER)
    }

    /// Returns a command that runs where the server stands.
    pub fn server_command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        let name = self.far.as_ref().unwrap_or(&self.name);
        command.args(["netns", "exec", name]);
        command.arg(program.as_ref());
        command
    }

    /// Returns a command that runs inside; `ip` replaces itself, so the child is the program.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]);
        command.arg(program.as_ref());
        command
    }

    /// Plugs in another machine, on which dnsmasq gives out addresses and nothing to boot.
    pub fn add_address_server(&self) -> AddressServer {
        let (rack, name) = (&self.name, format!("{}-addresses", self.name));
        ip(&["netns", "add", &name]);
        let peer = ["type", "veth", "peer", "name", "eth0", "netns", &name];
        ip(&[&["-n", rack, "link", "add", "to-addresses"][..], &peer].concat());
        ip(&[
            "-n",
            rack,
            "link",
            "set",
            "to-addresses",
            "master",
            INTERFACE,
            "up",
        ]);
        let address = format!("{ADDRESS_SERVER}/24");
        ip(&["-n", &name, "addr", "add", &address, "dev", "eth0"]);
        ip(&["-n", &name, "link", "set", "eth0", "up"]);
        let dnsmasq = Command::new("ip")
            .args(["netns", "exec", &name, "dnsmasq"])
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"])
            .args([
                "--user=root",
                "--bind-interfaces",
                "--leasefile-ro",
                "--pid-file",
            ])
            .args(["--no-ping", "--dhcp-authoritative", "--interface=eth0"])
            .arg("--dhcp-range=10.85.0.100,10.85.0.150,5m")
            .arg(format!("--dhcp-option=option:router,{SERVER}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        AddressServer { name, dnsmasq }
    }

    /// Fetches a URL from inside, as an installer fetches its seed.
    pub fn fetch(&self, url: &str) -> String {
        self.curl(&[url])
    }

    /// Posts nothing to a URL from inside, as an installer calls back.
    pub fn post(&self, url: &str) {
        self.curl(&["--request", "POST", "--data", "", url]);
    }

    fn curl(&self, args: &[&str]) -> String {
        let mut curl = self.command("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20"]);
        run_program(curl.args(args))
    }
}

/// Another server of addresses; killed and unplugged when dropped.
pub struct AddressServer {
    name: String,
    dnsmasq: Child,
}

impl Drop for AddressServer {
    fn drop(&mut self) {
        let _ = self.dnsmasq.kill();
        let _ = self.dnsmasq.wait();
        delete_namespace(&self.name);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if !self.recordings.is_empty() {
            // The kernel hands it what passes a quarter of a second late.
            std::thread::sleep(Duration::from_secs(1));
        }
        for recording in &mut self.recordings {
            // A signal that it takes for the end: it writes what it still holds.
            let _ = kill_process(Pid::from_child(recording), Signal::TERM);
            let _ = recording.wait();
        }
        self.far.iter().for_each(|far| delete_namespace(far));
        delete_namespace(&self.name);
    }
}

fn delete_namespace(name: &str) {
    // A failure here must not hide the test's own.
    let _ = Command::new("ip").args(["netns", "delete", name]).status();
}

fn ip(args: &[&str]) {
    run_program(Command::new("ip").args(args));
}
