//! Interfaces of the server that are deleted, created again, renamed, and that lose their address or carrier.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::Architecture;
use pxectl::wire::dhcp::{DhcpMessage, OptionCode, TransactionId};

use crate::client::Port;
use crate::machines::Server;
use crate::program::run_program;
use crate::segment::{SERVER_INTERFACE, Segment};

const MAC: &str = "52:54:00:86:00:07";
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 1);
const SITE: &str = "\
kind: Site
name: rack-a
server: {address: 10.86.0.1, files: [/usr/lib/ipxe]}
networks:
  - {name: prov0, subnet: 10.86.0.0/24, interface: prov0, pool: 10.86.0.200-10.86.0.220}
loaders: {uefi-x64: snponly.efi}
";

fn client() -> Client {
    Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac: MAC.parse().unwrap(),
        uuid: None,
    }
}

/// Sends a DISCOVER that requests a broadcast reply, and returns the source of the offer with it.
fn offer(segment: &Segment) -> (SocketAddr, DhcpMessage) {
    let mut discover = client().discover(TransactionId(0x2b));
    discover.broadcast = true;
    let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    segment.on("client", || {
        let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
        port.ask(everybody, &discover, 1).remove(0)
    })
}

/// Requests the state of the server by HTTP and the offered loader by TFTP.
fn fetch(segment: &Segment, offer: &DhcpMessage) {
    let loader = client().boot_file(offer).unwrap().url();
    for (url, expected) in [("http://10.86.0.1:8080/healthz", "200"), (&*loader, "")] {
        let mut curl = segment.command("client", "/usr/bin/curl");
        curl.args(["--silent", "--show-error", "--max-time", "60"]);
        curl.args(["--output", "/dev/null", "--write-out", "%{http_code}", url]);
        let status = run_program(&mut curl);
        assert!(status.contains(expected), "{url}: {status}");
    }
}

#[test]
fn all_servers_work_again_on_an_interface_that_was_deleted_renamed_or_unplugged() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    segment.plug("client", MAC, Some("10.86.0.7/24"));
    let mut server = Server::start(&segment, SITE);
    let source = SocketAddr::from((SERVER, 67));
    let check = |segment: &Segment| {
        let (from, offer) = offer(segment);
        let ours = offer.options.address(OptionCode::ServerIdentifier);
        assert_eq!((from, ours), (source, Some(SERVER)));
        fetch(segment, &offer);
    };
    check(&segment);

    // The address goes, and comes back.
    segment.ip("rack", "addr del 10.86.0.1/24 dev prov0");
    server.wait_for_event_with("interface", &["lost the address 10.86.0.1"]);
    segment.ip("rack", "addr add 10.86.0.1/24 dev prov0");
    server.wait_for_event_with("interface", &["got the address 10.86.0.1"]);
    server.wait_for_event_with("ready", &["again"]);
    check(&segment);

    // The interface is set down and up, and then loses its carrier.
    segment.ip("rack", "link set prov0 down");
    server.wait_for_event_with("interface", &["prov0", "is down"]);
    segment.ip("rack", "link set prov0 up");
    server.wait_for_event_with("interface", &["prov0", "is up"]);
    server.wait_for_event_with("interface", &["prov0", "has a carrier"]);
    check(&segment);
    segment.ip("rack", "link set to-client down");
    server.wait_for_event_with("interface", &["prov0", "has no carrier"]);
    segment.ip("rack", "link set to-client up");
    server.wait_for_event_with("interface", &["prov0", "has a carrier"]);
    check(&segment);

    // It gets another name, and its name back.
    segment.ip("rack", "link set prov0 down");
    segment.ip("rack", "link set prov0 name lan0 up");
    server.wait_for_event_with("interface", &["was renamed to `lan0`"]);
    segment.ip("rack", "link set lan0 down");
    segment.ip("rack", "link set lan0 name prov0 up");
    server.wait_for_event_with("interface", &["prov0", "exists again"]);
    server.wait_for_event_with("interface", &["prov0", "has a carrier"]);
    check(&segment);

    // It is deleted, and created again.
    segment.ip("rack", "link delete prov0");
    server.wait_for_event_with("interface", &["prov0", "disappeared"]);
    segment.add_wire("rack", SERVER_INTERFACE, "10.86.0.1/24");
    segment.ip("rack", "link set to-client master prov0");
    server.wait_for_event_with("interface", &["prov0", "exists again"]);
    server.wait_for_event_with("ready", &["again"]);
    check(&segment);
    let (_, log) = server.stop_with_log();
    assert!(!log.contains(r#""level":"error""#), "{log}");
}

#[test]
fn a_broadcast_offer_leaves_from_the_servers_address_beside_another_primary_address() {
    let Some(mut segment) = Segment::new("10.86.0.99/24") else {
        return;
    };
    // The first address of a subnet is the primary one, which a route prefers.
    segment.ip("rack", "addr add 10.86.0.1/24 dev prov0");
    segment.plug("client", MAC, None);
    let server = Server::start(&segment, SITE);
    let (from, _) = offer(&segment);
    assert_eq!(from, SocketAddr::from((SERVER, 67)));
    server.stop();
}
