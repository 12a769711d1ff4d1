//! `pxectl capture` on a wire: two servers that race, VLANs, a load, and every way in which it ends.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::Architecture;
use pxectl::wire::dhcp::TransactionId;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Port;
use crate::machines::{Dnsmasq, PATIENCE, Program, Server};
use crate::program::run_program;
use crate::segment::{INTERFACE, SERVER_INTERFACE, SITE, Segment};
use crate::udhcpc::Udhcpc;

const TSHARK: &str = "/usr/bin/tshark";
const PXECTL: &str = env!("CARGO_BIN_EXE_pxectl");
const MAC: &str = "52:54:00:86:00:07";
const OWN: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 1);

/// A capture that runs.
struct Capture {
    program: Program,
    directory: TempDir,
}

impl Capture {
    /// Starts one on an interface of a machine, and waits until it watches.
    fn start(segment: &Segment, machine: &str, interface: &str, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = segment.command(machine, "/bin/sh");
        command.current_dir(directory.path());
        command.args(["-c", "exec \"$@\" >out", "sh", PXECTL, "capture"]);
        command.args(["-I", interface, "--write", "file", "--format", "json"]);
        command.args(arguments);
        let mut program = Program::start(command);
        program.wait_for(&["capturing on"]);
        Self { program, directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("file")
    }

    /// Waits until so many frames are in its file.
    fn wait_for_frames(&self, count: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (objects, _) = read(&self.file());
            let frames = counts(&objects)["frames"].as_u64().unwrap();
            if frames >= count {
                return;
            }
            assert!(Instant::now() < deadline, "{frames} frames");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it as ^C does.
    fn interrupt(self) -> Ended {
        self.program.signal(Signal::INT);
        self.end()
    }

    fn end(self) -> Ended {
        let (status, said) = self.program.ended();
        let out = std::fs::read_to_string(self.directory.path().join("out")).unwrap();
        Ended {
            status,
            said,
            objects: objects(&out),
            directory: self.directory,
        }
    }
}

/// What came of one.
struct Ended {
    status: ExitStatus,
    said: String,
    objects: Vec<Value>,
    directory: TempDir,
}

fn objects(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn counts(objects: &[Value]) -> &Value {
    &objects.last().expect("an object")["capture"]
}

/// Reads a file with `pxectl capture`; returns its objects, and what it says.
fn read(file: &Path) -> (Vec<Value>, String) {
    let mut command = Command::new(PXECTL);
    command
        .args(["capture", "--format", "json", "--read"])
        .arg(file);
    let output = command
        .current_dir(file.parent().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (objects(&String::from_utf8(output.stdout).unwrap()), said)
}

/// Sends datagrams to a port where nobody listens, from one where somebody does.
fn send(segment: &Segment, count: usize, octets: &[u8]) {
    segment.on("client", || {
        let port = Port::open(OWN, 6868);
        for _ in 0..count {
            port.send(SocketAddrV4::new(SERVER, 9), octets);
        }
    });
}

fn segment(programs: &[&str]) -> Option<Segment> {
    let mut segment = Segment::with_programs("10.86.0.1/24", programs)?;
    segment.plug("client", MAC, Some("10.86.0.7/24"));
    Some(segment)
}

#[test]
fn two_servers_race_and_the_capture_names_both_and_the_one_that_does_not_belong_here() {
    let Some(mut segment) = segment(&[TSHARK]) else {
        return;
    };
    segment.plug("other", "52:54:00:86:00:08", Some("10.86.0.2/24"));
    let server = Server::start(&segment, SITE);
    let other = Dnsmasq::start(
        &segment,
        "other",
        "10.86.0.210,10.86.0.219,255.255.255.0,1h",
    );
    let words = ["--server", "10.86.0.1", "--fail-on", "no-answer,rogue"];
    let capture = Capture::start(&segment, "client", INTERFACE, &words);
    let client = Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac: MAC.parse().unwrap(),
        uuid: "4c4c4544-0035-5a10-8054-b4c04f4e0132".parse().ok(),
    };
    let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let answers = segment.on("client", || {
        let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
        let mut discover = client.discover(TransactionId(0x2a));
        discover.broadcast = true;
        let offers = port.ask(everybody, &discover, 2);
        let ours = offers.iter().find(|(from, _)| from.ip() == SERVER);
        let mut request = client.request(TransactionId(0x2a), &ours.unwrap().1);
        request.broadcast = true;
        port.ask(everybody, &request, 1).len()
    });
    assert_eq!(answers, 1);
    let ended = capture.interrupt();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.said);
    assert!(
        ended.said.contains("error: finding `rogue`"),
        "{}",
        ended.said
    );
    assert!(
        ended.said.contains(", 0 dropped by the kernel"),
        "{}",
        ended.said
    );
    let machine = ended
        .objects
        .iter()
        .find(|it| it["type"] == "machine")
        .unwrap();
    assert_eq!(machine["macs"], serde_json::json!([MAC]));
    let stage = &machine["stages"][0];
    let offers: Vec<&str> = stage["offers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|offer| offer["server"].as_str())
        .collect();
    assert!(
        offers.contains(&"10.86.0.1") && offers.contains(&"10.86.0.2"),
        "{offers:?}"
    );
    assert_eq!(stage["winner"], "10.86.0.1");
    let findings: Vec<&Value> = ended
        .objects
        .iter()
        .filter(|it| it["type"] == "finding")
        .collect();
    let rogue = findings.iter().find(|it| it["name"] == "rogue").unwrap();
    assert!(rogue.to_string().contains("10.86.0.2"), "{rogue}");
    // Another program reads what was written.
    let file = ended.directory.path().join("file");
    let mut tshark = Command::new(TSHARK);
    tshark.arg("-r").arg(&file);
    tshark.args([
        "-Y",
        "dhcp",
        "-T",
        "fields",
        "-e",
        "dhcp.option.dhcp",
        "-e",
        "frame.comment",
    ]);
    let said = run_program(&mut tshark);
    for kind in ["1\t", "2\t", "3\t", "5\t"] {
        let line = said.lines().find(|line| line.starts_with(kind));
        assert!(
            line.is_some_and(|line| line.len() > 2),
            "{kind:?} in {said}"
        );
    }
    server.stop();
    drop(other);
}

#[test]
fn who_waits_in_vain_is_told_while_the_wire_is_silent() {
    let Some(segment) = segment(&[]) else {
        return;
    };
    let words = ["--fail-on", "no-answer"];
    let capture = Capture::start(&segment, "client", INTERFACE, &words);
    let client = Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac: MAC.parse().unwrap(),
        uuid: None,
    };
    let discover = client.discover(TransactionId(1)).write(1500).unwrap();
    segment.on("client", || {
        let port = Port::open(OWN, 68);
        port.send(SocketAddrV4::new(SERVER, 67), &discover);
    });
    let out = capture.directory.path().join("out");
    let deadline = Instant::now() + PATIENCE;
    let is_told = |line: &str| line.contains(r#""what":"no-answer""#);
    while !std::fs::read_to_string(&out).unwrap().lines().any(is_told) {
        assert!(Instant::now() < deadline, "nothing was told");
        std::thread::sleep(Duration::from_millis(100));
    }
    let ended = capture.interrupt();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.said);
    let told = ended.objects.iter().filter(|it| it["what"] == "no-answer");
    assert_eq!(told.count(), 1, "{:?}", ended.objects);
}

#[test]
fn tags_that_the_system_takes_off_are_in_the_file() {
    let Some(mut segment) = segment(&[TSHARK]) else {
        return;
    };
    segment.add_vlan("rack", SERVER_INTERFACE, 20, Some("10.88.20.1/24"));
    segment.add_vlan("client", INTERFACE, 20, None);
    let site = SITE.replace(
        "10.86.0.0/24, interface: prov0",
        "10.88.20.0/24, interface: prov0.20",
    );
    let site = site.replace("10.86.0.200-10.86.0.202", "10.88.20.200-10.88.20.202");
    let server = Server::start(&segment, &site);
    let capture = Capture::start(&segment, "client", INTERFACE, &[]);
    let mut client = Udhcpc::start(&segment, "client", "eth0.20");
    client.bound();
    let ended = capture.interrupt();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    let mut tshark = Command::new(TSHARK);
    tshark.arg("-r").arg(ended.directory.path().join("file"));
    tshark.args([
        "-Y",
        "dhcp",
        "-T",
        "fields",
        "-e",
        "dhcp.option.dhcp",
        "-e",
        "vlan.id",
    ]);
    let said = run_program(&mut tshark);
    for kind in 1..=3 {
        assert!(said.contains(&format!("{kind}\t20\n")), "{said}");
    }
    assert!(said.lines().all(|line| line.ends_with("\t20")), "{said}");
    server.stop();
}

#[test]
fn a_capture_that_is_killed_leaves_a_file_that_can_be_read() {
    let Some(segment) = segment(&[]) else {
        return;
    };
    let capture = Capture::start(&segment, "client", INTERFACE, &[]);
    send(&segment, 50, b"a datagram");
    // What the server answers that nobody listens there comes as well.
    capture.wait_for_frames(50);
    capture.program.signal(Signal::KILL);
    let file = capture.file();
    let (objects, said) = read(&file);
    assert_eq!(counts(&objects)["faults"], serde_json::json!([]), "{said}");
    assert!(counts(&objects)["frames"].as_u64().unwrap() >= 50);
}

#[test]
fn a_hundred_thousand_datagrams_at_full_speed_are_all_accounted_for() {
    const COUNT: usize = 100_000;
    let Some(segment) = segment(&[]) else {
        return;
    };
    let capture = Capture::start(&segment, "client", INTERFACE, &[]);
    send(&segment, COUNT, &[7; 200]);
    let ended = capture.interrupt();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    let live = counts(&ended.objects).clone();
    let [frames, dropped] = ["frames", "dropped"].map(|it| live[it].as_u64().unwrap());
    let sent = COUNT as u64;
    assert!(frames + dropped >= sent, "{live}");
    // A busy machine may drop some, which the kernel counts and the summary reports.
    assert!(
        ended
            .said
            .contains(&format!(", {dropped} dropped by the kernel")),
        "{}",
        ended.said
    );
    let (objects, _) = read(&ended.directory.path().join("file"));
    assert_eq!(
        counts(&objects)["frames"],
        frames,
        "all of them are in the file"
    );
}

#[test]
fn a_capture_ends_by_count_and_by_time_and_sees_each_frame_of_loopback_once() {
    let Some(segment) = segment(&[]) else {
        return;
    };
    let words = ["--count", "3", "--promiscuous"];
    let capture = Capture::start(&segment, "client", INTERFACE, &words);
    let mut shown = segment.command("client", "/usr/sbin/ip");
    let shown = run_program(shown.args(["-d", "link", "show", "dev", INTERFACE]));
    assert!(shown.contains("promiscuity 1"), "{shown}");
    send(&segment, 5, b"a datagram");
    let ended = capture.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    assert_eq!(counts(&ended.objects)["packets"], 3);

    let capture = Capture::start(&segment, "client", INTERFACE, &["--duration", "1s"]);
    let ended = capture.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);

    let capture = Capture::start(&segment, "client", "lo", &[]);
    segment.on("client", || {
        let ports = [6868, 6869].map(|port| Port::open_on("lo", Ipv4Addr::LOCALHOST, port));
        for _ in 0..4 {
            ports[0].send(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6869), b"a datagram");
        }
    });
    let ended = capture.interrupt();
    assert_eq!(counts(&ended.objects)["frames"], 4);
}

#[test]
fn what_hinders_a_capture_says_how_to_mend_it() {
    let Some(segment) = segment(&["/usr/bin/setpriv"]) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let privileges = ["--bounding-set=-net_raw", "--inh-caps=-net_raw"];
    for (words, error) in [
        (
            &["/usr/bin/env"][..],
            "error: interface `eht0` does not exist\n  = help: did you mean `eth0`? The interfaces are `lo`, `eth0`\n",
        ),
        (
            &["/usr/bin/setpriv", privileges[0], privileges[1]],
            "error: cannot capture on `eth0`: Operation not permitted (os error 1)\n  \
             = help: run as root, or run `setcap cap_net_raw=+ep $(command -v pxectl)` once\n",
        ),
    ] {
        let interface = if words.len() == 1 { "eht0" } else { "eth0" };
        let mut command = segment.command("client", words[0]);
        command
            .args(&words[1..])
            .args([PXECTL, "capture", "-q", "-I", interface]);
        let output = command.current_dir(directory.path()).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), error);
        assert_eq!(output.status.code(), Some(3));
    }
}
