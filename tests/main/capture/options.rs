//! What is asked for, and where it is written.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use pxectl::machine::MacAddress;
use pxectl::respond::dhcp::search;
use pxectl::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode};
use pxectl::wire::frame::udp_frame;
use serde_json::Value;

use crate::capture::command::{CaptureOutput, capture, capture_with};
use crate::capture::sample::{
    CLIENT, CLIENT_IP, Frame, OTHER_CLIENT, SERVER, START, XID, frames, pcapng,
};

const SITE: &str = "\
kind: Site
name: rack-a
server: {address: 10.20.0.10}
networks:
  - {name: prov0, subnet: 10.20.0.0/24, interface: eth1}
loaders: {uefi-x64: snponly.efi}
---
kind: Profile
name: worker
installer: preseed
bundle: debian
---
kind: Bundle
name: debian
arch: x86_64
files:
  kernel: {path: linux, size: 1, sha256: 1111111111111111111111111111111111111111111111111111111111111111}
  initrd: {path: initrd, size: 1, sha256: 2222222222222222222222222222222222222222222222222222222222222222}
---
kind: Host
name: worker-01
profile: worker
uuid: 4c4c4544-0035-5a10-8054-1a2b3c4d0132
arch: uefi-x64
disk: {serial: S1}
nics: [{mac: '52:54:00:12:34:56', network: prov0, ip: 10.20.0.58, boot: true}]
";

/// A directory with the sample.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("in"), pcapng(&frames())).expect("a file");
    directory
}

/// Returns which frames of the sample a run keeps, by their numbers.
fn kept(directory: &Path, arguments: &[&str]) -> Vec<usize> {
    let all = ["--read", "in", "--write", "out", "--force"];
    let ran = capture(directory, &[&all[..], arguments].concat());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let out = ["--read", "out", "--write", "-"];
    let again = capture(directory, &out);
    comments(&again.stdout)
}

/// Finds the comments of the sample in a file.
fn comments(file: &[u8]) -> Vec<usize> {
    let needle = b"frame ";
    let found = (0..file.len()).filter(|at| file[*at..].starts_with(needle));
    let digits = found.map(|at| {
        let rest = &file[at + needle.len()..];
        let digits = rest.iter().take_while(|it| it.is_ascii_digit());
        String::from_utf8(digits.copied().collect()).expect("digits")
    });
    digits.filter_map(|digits| digits.parse().ok()).collect()
}

/// Lists the frames that meet a condition.
fn wanted(meets: impl Fn(&Frame) -> bool) -> Vec<usize> {
    let frames = frames();
    let numbers = frames.iter().zip(1..).filter(|(frame, _)| meets(frame));
    numbers.map(|(_, number)| number).collect()
}

fn is_of_client(frame: &Frame) -> bool {
    let mac = CLIENT.octets();
    frame.bytes[..6] == mac || frame.bytes[6..12] == mac
}

fn is_arp(frame: &Frame) -> bool {
    frame
        .bytes
        .windows(2)
        .skip(12)
        .take(6)
        .any(|it| it == [8, 6])
}

#[test]
fn a_machine_is_followed_by_its_address_of_either_kind() {
    let directory = directory();
    let expected = wanted(|frame| is_of_client(frame) && !is_arp(frame));
    assert_eq!(expected.len(), 22);
    let mac = CLIENT.to_string();
    assert_eq!(kept(directory.path(), &["--mac", &mac]), expected);
    std::fs::write(directory.path().join("site.yaml"), SITE).expect("a file");
    assert_eq!(kept(directory.path(), &["--host", "worker-01"]), expected);
    let ran = capture(directory.path(), &["--read", "in", "--host", "worker-1"]);
    assert_eq!(ran.status, 1);
    let expected =
        "error: host `worker-1` is not in the inventory\n  = help: did you mean `worker-01`?\n";
    assert_eq!(ran.stderr, expected);
}

#[test]
fn a_machine_behind_a_router_is_followed_by_the_address_that_it_was_given() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut frames = frames();
    // Behind its router, everything bears the router's Ethernet address.
    for frame in frames.iter_mut().filter(|it| is_of_client(it)) {
        for at in [0, 6] {
            if frame.bytes[at..at + 6] == CLIENT.octets() {
                frame.bytes[at..at + 6].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
            }
        }
    }
    std::fs::write(directory.path().join("in"), pcapng(&frames)).expect("a file");
    let address = CLIENT_IP.octets();
    let names_address = |frame: &Frame| frame.bytes.windows(4).any(|it| it == address);
    let mut expected = wanted(|frame| names_address(frame) && !is_arp(frame));
    // The DISCOVER names nothing but the machine.
    expected.insert(0, 1);
    let mac = CLIENT.to_string();
    assert_eq!(kept(directory.path(), &["--mac", &mac]), expected);
}

#[test]
fn transactions_times_and_counts_are_kept_to() {
    let directory = directory();
    assert_eq!(
        kept(directory.path(), &["--xid", "0x1a2b3c4d"]),
        [1, 2, 3, 4]
    );
    assert_eq!(kept(directory.path(), &["--xid", "7"]).len(), 4);
    let second = "2026-02-02T02:40:00";
    let since = format!("{second}.126456Z");
    let until = format!("{second}.128457Z");
    let words = ["--since", &since, "--until", &until];
    assert_eq!(kept(directory.path(), &words), [4, 5, 6]);
    assert_eq!(kept(directory.path(), &["--count", "3"]), [1, 2, 3]);
    let many = kept(directory.path(), &["--duration", "9ms"]);
    assert_eq!(many, Vec::from_iter(1..=10));
}

#[test]
fn a_file_is_never_replaced_by_accident_and_never_by_itself() {
    let directory = directory();
    let before = std::fs::read(directory.path().join("in")).expect("the file");
    std::fs::write(directory.path().join("out"), b"mine").expect("a file");
    for (arguments, error) in [
        (
            &["--read", "in", "--write", "out"][..],
            "error: `out` already exists\n  = help: choose another name, or use `--force` to replace the file\n",
        ),
        (
            &["--read", "in", "--write", "./in", "--force"],
            "error: `./in` is the input file\n  = help: choose another output file\n",
        ),
        (
            &["--read", "in", "--write", "no/such/place"],
            "error: cannot write to `no/such/place`: No such file or directory (os error 2)\n",
        ),
    ] {
        let ran = capture(directory.path(), arguments);
        assert_eq!(ran.status, 3, "{arguments:?}");
        assert!(ran.stderr.ends_with(error), "{}", ran.stderr);
    }
    assert_eq!(
        std::fs::read(directory.path().join("in")).expect("the file"),
        before
    );
    assert_eq!(
        std::fs::read(directory.path().join("out")).expect("the file"),
        b"mine"
    );
}

#[test]
fn a_file_on_standard_output_is_alone_there() {
    let directory = directory();
    let ran = capture(directory.path(), &["--read", "in", "--write", "-"]);
    assert_eq!(comments(&ran.stdout), Vec::from_iter(1..=frames().len()));
    assert_eq!(ran.stdout[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    assert!(ran.stderr.contains(&CLIENT.to_string()), "{}", ran.stderr);
    let again = capture_with(
        directory.path(),
        &["--read", "-", "--format", "json"],
        &ran.stdout,
    );
    assert_eq!(again.counts()["frames"], frames().len());
}

#[test]
fn no_line_is_left_out_however_many_come_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let is_dhcp = |frame: &Frame| frame.bytes.len() > 300 && frame.bytes[34..38].contains(&67);
    let boot: Vec<Frame> = frames().into_iter().filter(is_dhcp).collect();
    let mut all = Vec::new();
    // Each time a transaction of its own.
    for transaction in 100u32..1600 {
        for mut frame in boot.clone() {
            frame.bytes[46..50].copy_from_slice(&transaction.to_be_bytes());
            all.push(frame);
        }
    }
    std::fs::write(directory.path().join("in"), pcapng(&all)).expect("a file");
    let objects = capture(directory.path(), &["--read", "in", "--format", "json"]).objects();
    let events = objects.iter().filter(|it| it["type"] == "event").count();
    assert!(
        events >= all.len(),
        "{events} lines of {} packets",
        all.len()
    );
    assert_eq!(objects[objects.len() - 1]["report"]["lines_left_out"], 0);
}

#[test]
fn every_object_of_json_says_what_it_is() {
    let directory = directory();
    let objects = capture(directory.path(), &["--read", "in", "--format", "json"]).objects();
    let kinds: Vec<&str> = objects
        .iter()
        .filter_map(|it| it["type"].as_str())
        .collect();
    assert_eq!(kinds.len(), objects.len());
    for kind in ["event", "machine", "end"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let machines = objects.iter().filter(|it| it["type"] == "machine").count();
    assert_eq!(machines, 2);
    let events = objects.iter().filter(|it| it["type"] == "event");
    for event in events {
        for field in ["at", "packet", "machine", "what", "text"] {
            assert!(!event[field].is_null(), "{event}");
        }
    }
}

#[test]
fn a_summary_is_one_table_with_a_row_for_each_machine() {
    let directory = directory();
    let ran = capture(directory.path(), &["--read", "in", "--summary"]);
    let lines: Vec<&str> = ran.text().lines().collect();
    assert!(lines[0].starts_with("MACHINE "));
    let starts = |line: &&&str| line.starts_with("52:54:00:12:34:5");
    assert_eq!(lines.iter().filter(starts).count(), 2, "{}", ran.text());
    let widest = lines.iter().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|width| width <= 100), "{}", ran.text());
    let rows = capture(
        directory.path(),
        &["--read", "in", "--summary", "--format", "json"],
    );
    let rows: Vec<Value> = rows.objects();
    let summaries = rows.iter().filter(|it| it["type"] == "summary").count();
    assert_eq!(summaries, 2);
    let first = &rows[rows
        .iter()
        .position(|it| it["type"] == "summary")
        .expect("one")];
    // The sample's file is none for its firmware.
    let finding = first["finding"].as_str().unwrap_or_default();
    assert!(finding.contains("wrong-loader"), "{first}");
    assert_eq!(first["offers"][0], "10.20.0.10", "{first}");
    assert!(first["transfers"]["good"].is_u64(), "{first}");
    assert_eq!(first["transfers"]["good"], first["transfers"]["wanted"]);
    let all = capture(directory.path(), &["--read", "in", "--format", "json"]);
    let all = all.objects();
    let machine = all.iter().find(|it| it["type"] == "machine");
    let machine = machine.expect("a machine").to_string();
    assert!(machine.contains("\"outcome\":\"whole\""), "{machine}");
}

#[test]
fn our_own_search_for_other_servers_is_no_machine_unless_one_answers() {
    let us = (SERVER, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68));
    let all = (
        MacAddress::new([0xff; 6]),
        SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
    );
    let search = search(SERVER, XID);
    let question = udp_frame(us, all, &search.write(576).expect("it fits")).expect("a frame");
    let mut like_it = search.clone();
    like_it.options.set_raw(OptionCode::Hostname, *b"worker");
    let like_it = udp_frame(us, all, &like_it.write(576).expect("it fits")).expect("a frame");
    let mut offer = DhcpMessage::new(Operation::Reply, SERVER, XID);
    offer.your_address = CLIENT_IP;
    offer.options.set_message_type(MessageType::Offer);
    let rogue = Ipv4Addr::new(10, 20, 0, 99);
    offer
        .options
        .set_address(OptionCode::ServerIdentifier, rogue);
    let from = (OTHER_CLIENT, SocketAddrV4::new(rogue, 67));
    let to = (all.0, SocketAddrV4::new(Ipv4Addr::BROADCAST, 68));
    let offer = udp_frame(from, to, &offer.write(576).expect("it fits")).expect("a frame");

    let ran = |frames: &[&Vec<u8>]| {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |index: usize| {
            let start = jiff::Timestamp::new(START, 0).expect("a time");
            start + jiff::SignedDuration::from_secs(index as i64)
        };
        let frames: Vec<Frame> = frames
            .iter()
            .enumerate()
            .map(|(index, bytes)| Frame {
                at: at(index),
                bytes: bytes.to_vec(),
            })
            .collect();
        std::fs::write(directory.path().join("in"), pcapng(&frames)).expect("a file");
        let words = ["--read", "in", "--server", "10.20.0.10", "--fail-on"];
        capture(
            directory.path(),
            &[&words[..], &["no-answer,rogue"]].concat(),
        )
    };
    let alone = ran(&[&question]);
    assert_eq!(alone.status, 0, "{}", alone.stderr);
    assert!(!alone.text().contains("no-answer"), "{}", alone.text());
    assert!(alone.stderr.contains("0 machines"), "{}", alone.stderr);
    let machine = ran(&[&like_it]);
    assert_eq!(machine.status, 1, "{}", machine.stderr);
    assert!(machine.text().contains("no-answer"), "{}", machine.text());
    let answered = ran(&[&question, &offer]);
    assert_eq!(answered.status, 1, "{}", answered.stderr);
    assert!(answered.text().contains("[rogue]"), "{}", answered.text());
}

#[test]
fn a_finding_that_is_asked_for_ends_with_1_and_its_help() {
    let directory = directory();
    let run = |arguments: &[&str]| -> CaptureOutput {
        capture(directory.path(), &[&["--read", "in"], arguments].concat())
    };
    assert_eq!(run(&["--fail-on", "rogue"]).status, 0);
    // Only 10.20.0.99 belongs here, not 10.20.0.10.
    let rogue = run(&["--server", "10.20.0.99", "--fail-on", "no-answer,rogue"]);
    assert_eq!(rogue.status, 1, "{}", rogue.stderr);
    assert!(
        rogue.stderr.contains("error: finding `rogue`: "),
        "{}",
        rogue.stderr
    );
    assert!(rogue.stderr.contains("  = help: "), "{}", rogue.stderr);
    let unknown = run(&["--fail-on", "rouge"]);
    assert_eq!(unknown.status, 2);
    assert!(unknown.stderr.contains("`rogue`"), "{}", unknown.stderr);
}

#[test]
fn a_missing_inventory_is_a_note_and_an_invalid_one_a_warning() {
    let directory = directory();
    let ran = capture(directory.path(), &["--read", "in"]);
    assert_eq!(ran.status, 0);
    assert!(ran.stderr.contains("no inventory in `.`"), "{}", ran.stderr);
    // Other programs use YAML files, too.
    let compose = directory.path().join("docker-compose.yaml");
    for text in [
        "services: {web: {image: nginx}}\n",
        "apiVersion: v1\nkind: Deployment\n",
    ] {
        std::fs::write(&compose, text).expect("a file");
        let ran = capture(directory.path(), &["--read", "in"]);
        assert_eq!(ran.status, 0);
        assert!(ran.stderr.contains("no inventory in `.`"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    }
    // A directory that is named must hold an inventory.
    let here = directory.path().to_str().expect("a name");
    let ran = capture(directory.path(), &["--read", "in", "-i", here]);
    assert!(ran.stderr.contains("has errors"), "{}", ran.stderr);
    std::fs::remove_file(&compose).expect("it is there");
    std::fs::write(directory.path().join("site.yaml"), "kind: Sit\n").expect("a file");
    let ran = capture(directory.path(), &["--read", "in"]);
    assert_eq!(ran.status, 0);
    let expected = "warning: ignoring the inventory `.`, which has errors";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    std::fs::write(directory.path().join("site.yaml"), SITE).expect("a file");
    let ran = capture(directory.path(), &["--read", "in"]);
    assert!(ran.text().contains("worker-01"), "{}", ran.text());
}

#[test]
fn the_interface_must_be_named_unless_the_inventory_has_exactly_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let none: [&str; 1] = ["-q"];
    let ran = capture(directory.path(), &none);
    let expected = "error: no interface to capture on\n  \
         = help: use `-I INTERFACE`, or read a file with `--read FILE`\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (2, expected));
    let two = "  - {name: prov1, subnet: 10.21.0.0/24, interface: eth2}\nloaders:";
    let site = SITE.replacen("loaders:", two, 1);
    std::fs::write(directory.path().join("site.yaml"), site).expect("a file");
    let ran = capture(directory.path(), &none);
    let expected = "error: no interface to capture on\n  = help: choose an interface with `-I`: `eth1`, `eth2`\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (2, expected));
    std::fs::write(directory.path().join("site.yaml"), SITE).expect("a file");
    let ran = capture(directory.path(), &none);
    assert!(ran.stderr.contains("`eth1`"), "{}", ran.stderr);
}

#[test]
fn more_ports_than_the_filter_holds_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let ports = (9001..=9058).map(|port| format!("--http-port={port}"));
    let words: Vec<String> = ["-q".to_owned(), "-I".to_owned(), "lo".to_owned()]
        .into_iter()
        .chain(ports)
        .collect();
    let ran = capture(directory.path(), &words);
    let expected = "error: the capture filter holds 60 HTTP ports, found 61\n  \
        = help: use fewer `--http-port` options; the site's port, 80, 443 and 8080 count, too\n";
    assert_eq!((ran.status, &ran.stderr[..]), (2, expected));
}
