//! Machines outside the site's networks: one that poses as a relay, a BMC, one behind a NAT.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::Architecture;
use pxectl::wire::dhcp::{DhcpMessage, MessageType, OptionCode, TransactionId};

use crate::client::Port;
use crate::machines::{PATIENCE, Program, Server};
use crate::program::run_program;
use crate::segment::Segment;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 7);
const VICTIM: &str = "52:54:00:86:00:08";
const UUID: &str = "11111111-2222-3333-4444-555555555555";
const BUNDLE: &str = "\
---
{kind: Profile, name: worker, installer: preseed, bundle: debian}
---
kind: Bundle
name: debian
arch: x86_64
files:
  kernel: {path: linux, sha256: 65d525282e5464f7b2388ac8395675aed00076628c1cd6c19e5d2f55b3f74a23, size: 4096}
  initrd: {path: initrd.gz, sha256: ed2da5548a8b0cec845bf330863a12a8f0eeb075d706ec1ad85fd0fef3aa42cd, size: 65536}
";

/// A site with one host, whose BMC is outside, and one file.
fn site(server: &str, network: &str, files: &Path) -> String {
    format!(
        "kind: Site\n\
         name: rack-a\n\
         server: {{address: {SERVER}, files: ['{}']{server}}}\n\
         networks:\n  - {{name: prov0, subnet: 10.86.0.0/24, interface: prov0{network}}}\n\
         loaders: {{bios: undionly.kpxe, uefi-x64: snponly.efi}}\n\
         ---\n\
         kind: Host\n\
         name: worker-01\n\
         profile: worker\n\
         uuid: {UUID}\n\
         arch: uefi-x64\n\
         nics: [{{mac: '{VICTIM}', network: prov0, ip: 10.86.0.8, boot: true}}]\n\
         disk: {{serial: A}}\n\
         bmc: {{url: 'https://10.99.0.9', username: admin, password: {{env: BMC_0001}}}}\n\
         {BUNDLE}",
        files.display()
    )
}

/// A router on the server's wire, and behind it a wire that the inventory does not know.
fn segment() -> Option<Segment> {
    let mut segment = Segment::new("10.86.0.1/24")?;
    segment.plug("router", "52:54:00:86:00:03", Some("10.86.0.3/24"));
    segment.add_wire("router", "far0", "10.99.0.1/24");
    segment.route_through("router");
    segment.add_route("rack", "10.99.0.0/24", "10.86.0.3");
    for (name, number) in [("outsider", 7), ("nat", 8), ("bmc", 9)] {
        let mac = format!("52:54:00:99:00:0{number}");
        let address = format!("10.99.0.{number}/24");
        segment.plug_into(("router", "far0"), name, &mac, Some(&address));
        segment.add_route(name, "10.86.0.0/24", "10.99.0.1");
    }
    Some(segment)
}

fn files() -> tempfile::TempDir {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("file"), [0x5a; 4000]).unwrap();
    files
}

fn victim(kind: ClientKind) -> Client {
    Client {
        kind,
        mac: VICTIM.parse().unwrap(),
        uuid: UUID.parse().ok(),
    }
}

/// A DISCOVER in the victim's name, as a relay at `giaddr` sends it, with its option 82.
fn forged(transaction: u32, giaddr: Ipv4Addr, information: &[u8]) -> DhcpMessage {
    let client = victim(ClientKind::ipxe(Architecture::UefiX64));
    let mut discover = client.discover(TransactionId(transaction));
    discover.relay_address = giaddr;
    if !information.is_empty() {
        let code = OptionCode::RelayAgentInformation;
        discover.options.set_raw(code, information);
    }
    discover
}

#[test]
fn a_relay_that_is_not_listed_gets_no_offer_and_no_boot_token() {
    let Some(segment) = segment() else {
        return;
    };
    let files = files();
    let link = [5, 4, 10, 86, 0, 0];
    let to = SocketAddrV4::new(SERVER, 67);
    let inside = Ipv4Addr::new(10, 86, 0, 77);
    let mut server = Server::start(&segment, &site("", "", files.path()));
    let port = segment.on("outsider", || Port::open(OUTSIDE, 67));
    for (transaction, giaddr, information, expected) in [
        (
            0x71,
            OUTSIDE,
            &link[..],
            "relay `10.99.0.7` uses link selection (82.5), but no network lists the relay",
        ),
        (0x72, OUTSIDE, &[], "is not in any network of the inventory"),
        (
            0x73,
            inside,
            &[],
            "network `prov0` does not accept relay `10.86.0.77`",
        ),
        (
            0x74,
            OUTSIDE,
            &[11, 4, 10, 86, 0, 1],
            "server identifier override (82.11)",
        ),
    ] {
        let message = forged(transaction, giaddr, information);
        port.send(to, &message.write(1500).unwrap());
        let xid = TransactionId(transaction).to_string();
        let line = server.wait_for(&[r#""event":"dhcp-"#, &xid]);
        assert!(line.contains(r#""event":"dhcp-ignored""#), "{line}");
        assert!(line.contains(expected), "{line}");
    }
    // What was ignored is in the log, so an answer would be here by now.
    assert_eq!(port.receive_within(Duration::from_millis(500)), None);
    assert!(server.leases().is_empty());
    // The rest of the boot is not for that address either.
    let url = format!("http://{SERVER}:8080/boot.ipxe?mac={VICTIM}&uuid={UUID}");
    assert_eq!(status(&segment, "outsider", &url), "403");
    let (_, log) = server.stop_with_log();
    assert!(!log.contains("dhcp-offer"), "{log}");

    // The same words of a listed relay are answered, also with a token; and at that relay alone.
    let listed = site("", ", relays: [10.99.0.7]", files.path());
    let server = Server::start(&segment, &listed);
    let message = forged(0x75, OUTSIDE, &link);
    let offer = segment.on("outsider", || port.ask(to, &message, 1).remove(0).1);
    assert_eq!(offer.options.message_type(), Some(MessageType::Offer));
    assert_eq!(offer.your_address, Ipv4Addr::new(10, 86, 0, 8));
    let boot_file = String::from_utf8(offer.boot_file).unwrap();
    assert!(boot_file.contains("/boot.ipxe?token="), "{boot_file}");
    server.stop();
}

#[test]
fn port_4011_answers_nobody_outside() {
    let Some(segment) = segment() else {
        return;
    };
    let files = files();
    let mut server = Server::start(&segment, &site("", ", mode: proxy", files.path()));
    let client = victim(ClientKind::EdkPxe(Architecture::UefiX64));
    let request = client.ask_boot_server(TransactionId(0x81), OUTSIDE, SERVER);
    let port = segment.on("outsider", || Port::open(OUTSIDE, 4011));
    let to = SocketAddrV4::new(SERVER, 4011);
    port.send(to, &request.write(1500).unwrap());
    let xid = TransactionId(0x81).to_string();
    let line = server.wait_for(&[r#""event":"dhcp-"#, &xid]);
    let expected = "the source address 10.99.0.7 is outside the site's networks";
    assert!(
        line.contains("dhcp-ignored") && line.contains(expected),
        "{line}"
    );
    assert_eq!(port.receive_within(Duration::from_millis(500)), None);
    server.stop();
}

#[test]
fn dhcp_on_another_port_answers_nobody_outside() {
    let Some(segment) = segment() else {
        return;
    };
    let files = files();
    let directory = tempfile::tempdir().unwrap();
    let inventory = directory.path().join("inventory");
    std::fs::create_dir(&inventory).unwrap();
    let site = site(", allow: [10.99.0.8]", "", files.path());
    std::fs::write(inventory.join("site.yaml"), site).unwrap();
    let mut command = segment.command("rack", env!("CARGO_BIN_EXE_pxectl"));
    command.arg("-i").arg(&inventory);
    command.arg("--state").arg(directory.path().join("state"));
    command.env("PXECTL_WITNESS", directory.path().join("witness"));
    command.args(["serve", "dhcp", "--dhcp-port", "6767"]);
    let mut server = Program::start(command);
    server.wait_for(&["serving DHCP on"]);
    // Its words say that it is inside.
    let mut discover = forged(0x91, Ipv4Addr::UNSPECIFIED, &[]);
    discover.client_address = Ipv4Addr::new(10, 86, 0, 77);
    let to = SocketAddrV4::new(SERVER, 6767);
    let port = segment.on("outsider", || Port::open(OUTSIDE, 68));
    port.send(to, &discover.write(1500).unwrap());
    server.wait_for(&["the source address 10.99.0.7 is outside the site's networks"]);
    assert_eq!(port.receive_within(Duration::from_millis(500)), None);
    let nat = Ipv4Addr::new(10, 99, 0, 8);
    let port = segment.on("nat", || Port::open(nat, 68));
    let (_, offer) = port
        .ask(to, &forged(0x92, Ipv4Addr::UNSPECIFIED, &[]), 1)
        .remove(0);
    assert_eq!(offer.options.message_type(), Some(MessageType::Offer));
}

#[test]
fn each_source_is_served_what_is_meant_for_it() {
    let Some(segment) = segment() else {
        return;
    };
    let files = files();
    let mut server = Server::start(&segment, &site(", allow: [10.99.0.8]", "", files.path()));
    let base = format!("http://{SERVER}:8080");
    let script = format!("{base}/boot.ipxe?mac={VICTIM}");
    let file = format!("{base}/files/file");
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let blob = format!("{base}/b/{digest}/kernel");
    for (name, address, script_status, file_status, blob_status) in [
        ("rack", SERVER, "200", "200", "404"),
        ("router", Ipv4Addr::new(10, 86, 0, 3), "200", "200", "404"),
        ("nat", Ipv4Addr::new(10, 99, 0, 8), "200", "200", "404"),
        ("bmc", Ipv4Addr::new(10, 99, 0, 9), "403", "200", "404"),
        ("outsider", OUTSIDE, "403", "403", "403"),
    ] {
        for (url, expected) in [
            (&script, script_status),
            (&file, file_status),
            (&blob, blob_status),
            (&format!("{base}/healthz"), "200"),
            (&format!("{base}/readyz"), "200"),
        ] {
            assert_eq!(status(&segment, name, url), expected, "{name} {url}");
        }
        // A header says nothing, since the site has no proxy.
        let mut curl = curl(&segment, name, &script);
        let claimed = run_program(curl.args(["--header", "X-Forwarded-For: 10.86.0.8"]));
        assert_eq!(claimed, script_status, "{name}");
        // A callback is judged by its capability.
        let mut curl = curl_post(&segment, name, &format!("{base}/s/x/installed"));
        assert_eq!(run_program(&mut curl), "403");
        server.wait_for_event_with(
            "http-refused",
            &["the capability was not issued by this store"],
        );
        if name == "rack" {
            continue;
        }
        let first = segment.on(name, || first_block(address));
        if script_status == "200" {
            assert_eq!(first[..4], [0, 3, 0, 1], "{name}");
            continue;
        }
        // Error 2, "access violation". Source: RFC 1350, appendix.
        assert_eq!(first[..4], [0, 5, 0, 2], "{name}");
        let why = format!("the source address {address} is outside the site's networks");
        assert!(String::from_utf8_lossy(&first).contains(&why), "{name}");
        server.wait_for_event_with("tftp-refused", &[&why]);
    }
    server.stop();
}

/// Requests a file by TFTP, and returns the first packet that comes back.
fn first_block(own: Ipv4Addr) -> Vec<u8> {
    let port = Port::open(own, 5000);
    port.send(SocketAddrV4::new(SERVER, 69), b"\0\x01file\0octet\0");
    let (packet, from) = port.receive_within(PATIENCE).expect("a packet");
    let std::net::SocketAddr::V4(from) = from else {
        panic!("{from}");
    };
    port.send(from, b"\0\x05\0\0enough\0");
    packet
}

fn curl(segment: &Segment, name: &str, url: &str) -> std::process::Command {
    let mut curl = segment.command(name, "/usr/bin/curl");
    curl.args(["--silent", "--show-error", "--max-time", "60"]);
    curl.args(["--output", "/dev/null", "--write-out", "%{http_code}", url]);
    curl
}

fn curl_post(segment: &Segment, name: &str, url: &str) -> std::process::Command {
    let mut curl = curl(segment, name, url);
    curl.args(["--data", "done"]);
    curl
}

/// The status of a GET that a machine sends.
fn status(segment: &Segment, name: &str, url: &str) -> String {
    run_program(&mut curl(segment, name, url))
}
