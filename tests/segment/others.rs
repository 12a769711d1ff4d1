//! Another DHCP server, where we own the addresses.

use std::net::{Ipv4Addr, SocketAddrV4};

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::wire::dhcp::TransactionId;

use crate::client::Port;
use crate::machines::{Dnsmasq, Server};
use crate::segment::{SITE, Segment};

#[test]
fn another_server_is_reported_once_with_its_address_before_any_client_comes() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    segment.plug("addresses", "52:54:00:86:00:02", Some("10.86.0.2/24"));
    let _dnsmasq = Dnsmasq::start(&segment, "addresses", "10.86.0.100,10.86.0.150,1h");
    let mut server = Server::start(&segment, SITE);
    let line = server.wait_for_event("dhcp-other-server");
    for fact in [r#""address":"10.86.0.2""#, r#""network":"prov0""#] {
        assert!(line.contains(fact), "no {fact} in {line}");
    }
    let (leases, log) = server.stop_with_log();
    assert_eq!(log.matches("dhcp-other-server").count(), 1, "{log}");
    // Our own question must not take an address of our own pool.
    assert!(!log.contains(r#""event":"dhcp-offer""#), "{log}");
    assert_eq!(leases, 0);
}

#[test]
fn nobody_is_reported_where_we_are_alone() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    segment.plug("squatter", "52:54:00:86:00:c8", Some("10.86.0.200/24"));
    let mut server = Server::start(&segment, SITE);
    // A probe takes longer than our own question takes to come back.
    server.wait_for_event("dhcp-address-taken");
    let (_, log) = server.stop_with_log();
    assert!(!log.contains("dhcp-other-server"), "{log}");
    assert!(!log.contains(r#""event":"dhcp-offer""#), "{log}");
}

#[test]
fn a_server_that_comes_later_is_reported_when_it_answers_a_client() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    segment.plug("addresses", "52:54:00:86:00:02", Some("10.86.0.2/24"));
    segment.plug("client", "52:54:00:86:00:07", None);
    let mut server = Server::start(&segment, SITE);
    let _dnsmasq = Dnsmasq::start(&segment, "addresses", "10.86.0.100,10.86.0.150,1h");
    let client = Client {
        kind: ClientKind::BiosPxe,
        mac: "52:54:00:86:00:07".parse().unwrap(),
        uuid: None,
    };
    let mut discover = client.discover(TransactionId(0x2a));
    discover.broadcast = true;
    let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let offers = segment.on("client", || {
        let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
        port.ask(everybody, &discover, 2)
    });
    assert_eq!(offers.len(), 2);
    let line = server.wait_for_event("dhcp-other-server");
    assert!(line.contains(r#""address":"10.86.0.2""#), "{line}");
    server.stop();
}
