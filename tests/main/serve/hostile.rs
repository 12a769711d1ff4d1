//! Clients that are broken or mean no good: the service goes on for everybody else.

use std::net::UdpSocket;

use pxectl::machine::MacAddress;
use pxectl::wire::dhcp::TransactionId;

use crate::serve::client::{Dhcp, firmware, first_block};
use crate::serve::server::Server;
use crate::support::rack::Rack;

fn is_well(server: &Server) {
    let answer = server.web().get("/readyz");
    assert_eq!((answer.status(), answer.text()), (200, "ready\n"));
}

#[test]
fn malformed_requests_and_endless_heads_hurt_nobody() {
    let rack = Rack::beside_store();
    let server = Server::start(&rack, "http");
    let long = vec![b'x'; 64 << 10];
    let start = b"GET /healthz HTTP/1.1\r\nX: ";
    let head = [start, &long[..], b"\r\n\r\n"].concat();
    let fitting = [start, &long[..15 << 10], b"\r\n\r\n"].concat();
    let target = [b"GET /", &long[..], b" HTTP/1.1\r\n\r\n"].concat();
    let endless = vec![b'y'; 4 << 20];
    let unfinished = [b"GET / HTTP/1.1\r\nX: ", &endless[..]].concat();
    for (request, expected) in [
        (&b"\0\xff\xfe\r\n\r\n"[..], &["400"][..]),
        (b"HELO\r\n\r\n", &["400"]),
        (b"GET / HTTP/9.9\r\n\r\n", &["400", "closed"]),
        (b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", &["400"]),
        (&fitting, &["200"]),
        (&head, &["431", "closed"]),
        (&target, &["431", "closed"]),
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
    let rack = Rack::beside_store();
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
    let rack = Rack::beside_store();
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

/// Datagrams of every length up to more than a network carries: made of nothing, of noise, and of
/// a good one that was cut off, that has rubbish behind it, or of which one octet is wrong.
fn hostile(good: &[u8]) -> Vec<Vec<u8>> {
    let mut state = 1_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut found = Vec::new();
    for length in 0..=1600 {
        found.push(vec![0; length]);
        found.push(vec![0xff; length]);
        found.push((0..length).map(|_| noise()).collect());
        // The first octets of a good one, so that the rest is looked at.
        let mut begun = good[..good.len().min(length)].to_vec();
        begun.resize_with(length, &mut noise);
        found.push(begun);
    }
    found.extend((0..good.len()).map(|length| good[..length].to_vec()));
    for at in 0..good.len() {
        for change in [0xff, 0x01, 0x80] {
            let mut wrong = good.to_vec();
            wrong[at] ^= change;
            found.push(wrong);
        }
    }
    found.extend([9_000, 40_000, 65_507].map(|length| vec![0x41; length]));
    found
}

#[test]
fn datagrams_of_every_length_and_kind_leave_dhcp_answering() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "all");
    let known = firmware("52:54:00:85:00:01".parse().unwrap());
    let dhcp = Dhcp::connect(server.address("dhcp"));
    let rubbish = Dhcp::connect(server.address("dhcp"));
    let (_, offer) = dhcp.ask(&known.discover(TransactionId(1))).unwrap();
    let mut renewal = known.request(TransactionId(2), &offer);
    renewal.client_address = [10, 20, 0, 51].into();
    let mut answered = 2;
    for good in [
        known.discover(TransactionId(1)),
        known.request(TransactionId(2), &offer),
        renewal,
    ] {
        for (number, octets) in hostile(&good.write(1500).unwrap()).iter().enumerate() {
            rubbish.send(octets);
            if number % 100 == 0 {
                answered += 1;
                let (_, offer) = dhcp.ask(&known.discover(TransactionId(answered))).unwrap();
                assert_eq!(offer.your_address.to_string(), "10.20.0.51");
            }
        }
    }
    let ack = dhcp.lease(&known, answered + 1).unwrap();
    assert_eq!(ack.your_address.to_string(), "10.20.0.51");
    assert!(server.count("dhcp-malformed") > 0);
    is_well(&server);
    server.stop();
}

#[test]
fn datagrams_of_every_length_and_kind_leave_tftp_answering() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "all");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let requests = [
        &b"\0\x01snponly.efi\0octet\0blksize\x001468\0windowsize\x004\0tsize\x000\0timeout\x005\0"
            [..],
        b"\0\x02snponly.efi\0netascii\0",
        b"\0\x03\0\x01data",
        b"\0\x04\0\x01",
        b"\0\x05\0\x01message\0",
        b"\0\x06blksize\x00512\0",
    ];
    for request in requests {
        for (number, octets) in hostile(request).iter().enumerate() {
            socket.send_to(octets, server.address("tftp")).unwrap();
            if number % 100 == 0 {
                assert!(first_block(server.address("tftp")).starts_with(&[0, 3, 0, 1]));
            }
        }
    }
    let block = first_block(server.address("tftp"));
    let loader = std::fs::read(rack.file("boot/snponly.efi")).unwrap();
    assert!(block[4..] == loader[..512]);
    assert!(server.count("tftp-malformed") > 0);
    is_well(&server);
    server.stop();
}
