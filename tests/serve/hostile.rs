//! Clients that are broken or mean no good: the service goes on for everybody else.

use pxectl::machine::MacAddress;
use pxectl::wire::dhcp::TransactionId;

use crate::client::{Dhcp, firmware};
use crate::rack::Rack;
use crate::server::Server;

fn is_well(server: &Server) {
    let answer = server.web().get("/readyz");
    assert_eq!((answer.status(), answer.text()), (200, "ready\n"));
}

#[test]
fn malformed_requests_and_endless_heads_hurt_nobody() {
    let rack = Rack::new();
    let server = Server::start(&rack, "http");
    let long = vec![b'x'; 64 << 10];
    let head = [b"GET /healthz HTTP/1.1\r\nX: ", &long[..], b"\r\n\r\n"].concat();
    let target = [b"GET /", &long[..], b" HTTP/1.1\r\n\r\n"].concat();
    let endless = vec![b'y'; 4 << 20];
    let unfinished = [b"GET / HTTP/1.1\r\nX: ", &endless[..]].concat();
    for (request, expected) in [
        (&b"\0\xff\xfe\r\n\r\n"[..], &["400"][..]),
        (b"HELO\r\n\r\n", &["400"]),
        (b"GET / HTTP/9.9\r\n\r\n", &["400", "closed"]),
        (b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", &["400"]),
        (&head, &["200", "431"]),
        (&target, &["404", "414"]),
        (&unfinished, &["431", "closed"]),
    ] {
        let mut web = server.web();
        web.send_some(request);
        web.send_some(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
        let answer = web.read_to_end();
        let shown = String::from_utf8_lossy(&request[..request.len().min(40)]);
        let status = answer.split(' ').nth(1).unwrap_or("closed");
        assert!(expected.contains(&status), "{shown:?}: {answer}");
        is_well(&server);
    }
    server.stop();
}

#[test]
fn a_client_that_sends_nothing_keeps_nobody_waiting() {
    let rack = Rack::new();
    let server = Server::start(&rack, "http");
    let mut idle: Vec<_> = (0..100).map(|_| server.web()).collect();
    for web in &mut idle[..50] {
        web.send(b"GET /files/snponly.efi HTTP/1.1\r\nHo");
    }
    is_well(&server);
    // They were only slow.
    for web in &mut idle[..50] {
        web.send(b"st: x\r\n\r\n");
        assert_eq!(web.answer(false).body.len(), 7500);
    }
    server.stop();
}

#[test]
fn malformed_dhcp_packets_are_logged_and_the_next_one_is_answered() {
    let rack = Rack::new();
    let mut server = Server::start(&rack, "dhcp");
    let mac: MacAddress = "52:54:00:85:00:01".parse().unwrap();
    let dhcp = Dhcp::connect(server.address("dhcp"));
    let good = firmware(mac)
        .discover(TransactionId(1))
        .write(1500)
        .unwrap();
    let mark = server.mark();
    for length in 0..240 {
        dhcp.send(&good[..length]);
    }
    dhcp.send(&vec![0xff; 1400]);
    let ack = dhcp.lease(&firmware(mac), 2).unwrap();
    assert_eq!(ack.your_address.to_string(), "10.20.0.51");
    server.event(mark, "dhcp-ack");
    // A refusal for each of them, and each before the answer.
    assert_eq!(server.count("dhcp-malformed"), 241);
    server.stop();
}
