//! A state directory whose disk is full, or that lets nobody write any more: what cannot be made
//! durable is not promised, the log says why, and everything else goes on.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use pxectl::machine::{MacAddress, Phase};
use pxectl::store::{LeaseStore, SqliteLeases};
use pxectl::token::Purpose;
use pxectl::wire::dhcp::{DhcpMessage, MessageType, OptionCode, TransactionId};

use crate::serve::client::{Dhcp, firmware, first_block};
use crate::serve::preflight::refused;
use crate::serve::server::Server;
use crate::support::rack::Rack;
use crate::support::requirements::missing;

const KNOWN: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x85, 0, 1]);
const GUEST: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 1]);

/// A file system at the state directory of a rack; taken away when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(rack: &Rack, what: &[&str]) -> Self {
        fs::create_dir(rack.state()).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(what).arg(rack.state()).status().unwrap();
        assert!(mounted.success(), "{mount:?}");
        drop(rack.store());
        Self(rack.state())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A failure here must not hide the test's own; a server may use it yet.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Does something to the state directory in a mount namespace of its own, and becomes a command
/// there.
fn in_namespace(rack: &Rack, set_up: &str) -> Vec<String> {
    let script = format!("set -e; {set_up}; exec \"$@\"");
    let state = rack.state().display().to_string();
    ["unshare", "--mount", "sh", "-c", &script, &state]
        .map(str::to_owned)
        .to_vec()
}

/// Writes to a file until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [64 << 10, 1] {
        let error = loop {
            if let Err(error) = file.write_all(&vec![0x55; size]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }
}

/// A DHCPREQUEST of a machine that has an address and wants to keep it.
fn renewal(mac: MacAddress, ack: &DhcpMessage, transaction: u32) -> DhcpMessage {
    let mut request = firmware(mac).request(TransactionId(transaction), ack);
    request.options.remove(OptionCode::RequestedIpAddress);
    request.options.remove(OptionCode::ServerIdentifier);
    request.client_address = ack.your_address;
    request
}

/// A server whose store cannot be written still does all that promises nothing.
fn serves_what_it_safely_can(server: &mut Server, dhcp: &Dhcp, known: &DhcpMessage, kernel: &str) {
    let mark = server.mark();
    // An offer is no promise, and neither is a refusal; a renewal is one.
    let guest = firmware(GUEST);
    let (_, offer) = dhcp.ask(&guest.discover(TransactionId(10))).unwrap();
    assert_eq!(offer.options.message_type(), Some(MessageType::Offer));
    for request in [
        guest.request(TransactionId(11), &offer),
        renewal(KNOWN, known, 12),
    ] {
        let mark = server.mark();
        dhcp.send(&request.write(1500).unwrap());
        let mac = request.hardware_address.mac().unwrap().to_string();
        let line = server.wait_for(mark, |line| {
            line["event"] == "dhcp-ignored" && line["mac"] == *mac
        });
        let expected = "ignored a request: cannot make its lease durable";
        assert_eq!(line["message"], expected);
    }
    let mut wrong = guest.request(TransactionId(13), &offer);
    let elsewhere = [192, 168, 1, 1].into();
    wrong
        .options
        .set_address(OptionCode::RequestedIpAddress, elsewhere);
    dhcp.send(&wrong.write(1500).unwrap());
    // The next thing that comes is the refusal: the two requests before were not answered.
    let next = dhcp.next();
    assert_eq!(next.transaction_id, TransactionId(13), "{next:?}");
    assert_eq!(next.options.message_type(), Some(MessageType::Nak));

    let mut web = server.web();
    assert_eq!(web.get("/files/snponly.efi").body.len(), 7500);
    let script = web.get(&local_disk_url(2));
    assert_eq!(script.status(), 200);
    assert!(script.text().contains("exit 1"), "{}", script.text());
    server.event(mark, "local-disk");
    server.event(mark, "event-lost");
    // An attempt that cannot be noted does not begin.
    let refused = web.get(kernel);
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.text(), "the store is not available\n");
    server.event(mark, "store-failed");
    let block = first_block(server.address("tftp"));
    assert!(block.starts_with(&[0, 3, 0, 1]), "{block:?}");
}

/// Arms a host, and returns the path of the file with which its attempt begins.
fn armed_kernel(rack: &Rack) -> String {
    rack.done(&["host", "provision", "worker-01"]);
    let seed = rack.capability("worker-01", Purpose::Seed);
    format!("/s/{seed}/files/kernel")
}

/// What a host that nobody armed asks for.
fn local_disk_url(number: u8) -> String {
    format!(
        "/boot.ipxe?mac=52:54:00:85:00:0{number}&uuid=4c4c4544-0035-5a10-8054-b4c04f4e0{number}32\
         &platform=efi&buildarch=x86_64"
    )
}

#[test]
fn a_full_disk_promises_nothing_stops_nothing_else_and_is_over_when_there_is_space() {
    if missing(&["root", "mount"]) {
        return;
    }
    let rack = Rack::without_store();
    let _disk = Mounted::new(&rack, &["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"]);
    let mut server = Server::start(&rack, "all");
    let kernel = armed_kernel(&rack);
    let dhcp = Dhcp::connect(server.address("dhcp"));
    let ack = dhcp.lease(&firmware(KNOWN), 1).unwrap();

    let filler = rack.state().join("filler");
    fill(&filler);
    let full = server.mark();
    serves_what_it_safely_can(&mut server, &dhcp, &ack, &kernel);
    assert_eq!(rack.session("worker-01").attempts, 0);
    for event in ["lease-lost", "event-lost", "store-failed"] {
        let message = server.event(full, event);
        for part in ["the disk is full", "free some space on its file system"] {
            assert!(message.contains(part), "{event}: {message}");
        }
    }
    let refused = rack.command(&["host", "provision", "worker-02"]).output();
    let refused = refused.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("the disk is full"), "{said}");
    assert_eq!(refused.status.code(), Some(3));
    assert_eq!(rack.record("worker-02"), None);

    fs::remove_file(filler).unwrap();
    let again = server.mark();
    let (_, renewed) = dhcp.ask(&renewal(KNOWN, &ack, 20)).unwrap();
    assert_eq!(renewed.options.message_type(), Some(MessageType::Ack));
    let guest = dhcp.lease(&firmware(GUEST), 21).unwrap();
    server.event(again, "lease-kept");
    let mut web = server.web();
    assert_eq!(web.get(&kernel).status(), 200);
    assert_eq!(rack.session("worker-01").attempts, 1);
    assert_eq!(web.get(&local_disk_url(3)).status(), 200);
    server.event(again, "event-kept");
    let leases = SqliteLeases::open_read_only(&rack.state()).unwrap();
    let leases = leases.expect("leases").load().unwrap();
    let held: Vec<_> = leases.iter().map(|it| (it.address, it.holder)).collect();
    let expected = [
        (ack.your_address, Some(KNOWN)),
        (guest.your_address, Some(GUEST)),
    ];
    assert_eq!(held, expected);
    server.stop();
}

#[test]
fn a_callback_that_could_not_be_stored_does_not_use_up_the_quota() {
    if missing(&["root", "mount"]) {
        return;
    }
    let rack = Rack::without_store();
    let _disk = Mounted::new(&rack, &["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"]);
    let server = Server::start(&rack, "http");
    rack.done(&["host", "provision", "worker-01"]);
    let callback = rack.capability("worker-01", Purpose::Callback);
    let filler = rack.state().join("filler");
    fill(&filler);
    let mut web = server.web();
    let mut post = |kind: &str, number: u32| {
        // Each needs a page of the database.
        let text = format!("{number} {}", "x".repeat(490));
        let answer = web.post(&format!("/s/{callback}/{kind}"), &text);
        (answer.status(), answer.text().to_owned())
    };
    let mut refused = 0;
    for number in 0..300 {
        let (status, text) = post("log", number);
        match status {
            503 => refused += 1,
            // What still fits into files that are there.
            _ => assert_eq!((status, text.as_str()), (200, "ok\n")),
        }
    }
    // More than a session may have stored at once.
    assert!(refused > 200, "{refused}");
    assert_eq!(post("installed", 0).0, 503);
    assert_eq!(
        rack.record("worker-01").map(|it| it.phase),
        Some(Phase::Provisioning)
    );

    fs::remove_file(filler).unwrap();
    for number in 300..300 + 20 {
        assert_eq!(post("log", number), (200, "ok\n".into()), "{number}");
    }
    assert_eq!(post("installed", 0), (200, "ok\n".into()));
    server.stop();
}

#[test]
fn a_file_system_that_turned_read_only_promises_nothing_and_stops_nothing_else() {
    if missing(&["root", "mount", "mkfs.ext4"]) {
        return;
    }
    let rack = Rack::without_store();
    let image = rack.base().join("image").display().to_string();
    File::create(&image).unwrap().set_len(16 << 20).unwrap();
    let mut mkfs = Command::new("mkfs.ext4");
    assert!(mkfs.args(["-q", "-F", &image]).status().unwrap().success());
    let disk = Mounted::new(&rack, &["-o", "loop", &image]);
    let mut server = Server::start(&rack, "all");
    let kernel = armed_kernel(&rack);
    let dhcp = Dhcp::connect(server.address("dhcp"));
    let ack = dhcp.lease(&firmware(KNOWN), 1).unwrap();

    // What ext4 does by itself after an error of its disk.
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,abort"]).arg(&disk.0);
    assert!(remount.status().unwrap().success());
    let aborted = server.mark();
    serves_what_it_safely_can(&mut server, &dhcp, &ack, &kernel);
    for event in ["lease-lost", "event-lost", "store-failed"] {
        let message = server.event(aborted, event);
        for part in [
            "the file or its file system is read-only",
            "make the file and its file system writable",
        ] {
            assert!(message.contains(part), "{event}: {message}");
        }
    }
    server.stop();
}

#[test]
fn a_store_that_cannot_be_written_is_named_with_its_mend_before_anything_is_served() {
    if missing(&["root", "unshare"]) {
        return;
    }
    let rack = Rack::without_store();
    Server::start(&rack, "all").stop();
    let read_only = in_namespace(&rack, "mount --bind -o ro \"$0\" \"$0\"");
    let full = in_namespace(
        &rack,
        "mount -t tmpfs -o size=64k tmpfs \"$0\"; \
         head -c 1M /dev/zero >\"$0/filler\" 2>/dev/null || true",
    );
    let store = rack.state().join("state.db");
    let ports = ["--dhcp-port", "0", "--tftp-port", "0", "--http-port", "0"];
    for (wrapper, fault, help) in [
        (
            read_only,
            "the file or its file system is read-only",
            "make the file and its file system writable, or name another store with `--state`",
        ),
        (
            full,
            "the disk is full",
            "free some space on its file system, then try again",
        ),
    ] {
        for service in ["dhcp", "tftp", "http"] {
            let words = [&["serve", service, "--listen", "127.0.0.1"], &ports[..]].concat();
            let expected = format!(
                "error: cannot use the store `{}`: {fault}\n  = help: {help}\n",
                store.display()
            );
            refused(&rack, &wrapper, &words, &expected);
        }
    }
    // Nothing of that has hurt it.
    assert_eq!(rack.record("worker-01").map(|it| it.phase), None::<Phase>);
    Server::start(&rack, "all").stop();
}
