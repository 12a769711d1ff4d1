//! Peers that lose packets, forge them, leave, or start over.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use pxectl::respond::tftp::TftpOutcome;
use pxectl::wire::tftp::{BlockNumber, ErrorCode, Packet};
use pxectl::workspace::files::{FileRoots, Surroundings};

use crate::tftp::fixture::{Fixture, Peer};

/// Longer than any retransmission timer of these tests.
const SILENCE: Duration = Duration::from_millis(300);

fn error_code(bytes: &[u8]) -> ErrorCode {
    match Packet::parse(bytes) {
        Ok(Packet::Error { code, .. }) => code,
        other => panic!("no error but {other:?}"),
    }
}

#[test]
fn a_request_that_is_never_answered_gets_one_datagram() {
    let fixture = Fixture::new();
    fixture.add("file", 100_000);
    for options in ["", "windowsize=64 tsize=0"] {
        let mut peer = Peer::new(fixture.address());
        peer.request("file", options);
        peer.receive();
        assert_eq!(peer.receive_within(Duration::from_secs(2)), None);
    }
}

#[test]
fn a_repeated_request_is_answered_again_and_begins_no_second_transfer() {
    let fixture = Fixture::new();
    fixture.add("file", 700);
    let mut peer = Peer::new(fixture.address());
    peer.request("file", "");
    let first = peer.receive();
    let transfers = peer.server;
    peer.server = fixture.address();
    peer.request("file", "");
    assert_eq!(peer.receive(), first);
    assert_eq!(peer.server, transfers);
    peer.ack(1);
    assert_eq!(peer.data().0, 2);
    peer.ack(2);
    assert!(matches!(
        fixture.report().outcome,
        TftpOutcome::Sent { bytes: 700, .. }
    ));
    assert!(fixture.is_silent());
}

#[test]
fn a_peer_that_requests_another_file_gets_that_file() {
    let fixture = Fixture::new();
    fixture.add("first", 5_000);
    fixture.write("second", b"2");
    let mut peer = Peer::new(fixture.address());
    peer.request("first", "");
    peer.data();
    peer.server = fixture.address();
    peer.request("second", "");
    assert_eq!(peer.data(), (1, b"2".to_vec()));
    assert!(matches!(
        fixture.report().outcome,
        TftpOutcome::Aborted { probe: true, .. }
    ));
    peer.ack(1);
    assert!(matches!(
        fixture.report().outcome,
        TftpOutcome::Sent { bytes: 1, .. }
    ));
}

#[test]
fn repeated_acks_send_nothing_and_lost_ones_cost_a_timeout() {
    let fixture = Fixture::new();
    fixture.add("file", 5_000);
    let mut peer = Peer::new(fixture.address());
    peer.request("file", "timeout=1 windowsize=2");
    peer.receive();
    for _ in 0..3 {
        peer.ack(0);
    }
    let begin = Instant::now();
    assert_eq!((peer.data().0, peer.data().0), (1, 2));
    assert_eq!(peer.receive_within(SILENCE), None);
    assert_eq!((peer.data().0, peer.data().0), (1, 2));
    let waited = begin.elapsed().as_millis();
    assert!((900..1500).contains(&waited), "{waited}");
    peer.ack(1);
    assert_eq!((peer.data().0, peer.data().0), (2, 3));
}

#[test]
fn a_probe_for_the_size_is_not_a_failure() {
    let fixture = Fixture::new();
    fixture.add("file", 4_711);
    let mut peer = Peer::new(fixture.address());
    peer.request("file", "tsize=0 blksize=1468");
    assert_eq!(peer.receive(), b"\0\x06tsize\x004711\0blksize\x001468\0");
    peer.send(b"\0\x05\0\x08User aborted the transfer\0");
    assert!(matches!(
        fixture.report().outcome,
        TftpOutcome::Aborted { probe: true, .. }
    ));
}

#[test]
fn malformed_and_forged_packets_leave_the_server_standing() {
    let fixture = Fixture::new();
    fixture.write("file", b"still here");
    let mut peer = Peer::new(fixture.address());
    for bytes in [
        &b""[..],
        b"\0",
        b"\0\x01",
        b"\0\x01file\0",
        b"\0\x09rubbish",
        b"\0\x04\0\x01",
        &[0xff; 1_400],
        &[0; 60_000],
    ] {
        peer.send(bytes);
        assert!(matches!(
            fixture.report().outcome,
            TftpOutcome::Malformed { .. }
        ));
    }
    peer.request("file", "");
    assert_eq!(peer.data().1, b"still here");
    // Rubbish and another peer's packets on the transfer's port change nothing.
    let stranger = Peer::new(peer.server);
    stranger.ack(1);
    stranger.send(b"\0\x05\0\0bye\0");
    peer.send(b"\xff");
    peer.ack(1);
    assert!(matches!(fixture.report().outcome, TftpOutcome::Sent { .. }));
}

#[test]
fn a_peer_whose_port_is_closed_does_not_disturb_the_others() {
    let fixture = Fixture::new();
    fixture.add("file", 50_000);
    for _ in 0..20 {
        let mut peer = Peer::new(fixture.address());
        peer.request("file", "windowsize=8");
        peer.receive();
        peer.ack(0);
    }
    let mut peer = Peer::new(fixture.address());
    peer.request("file", "blksize=1468");
    peer.receive();
    peer.ack(0);
    for block in 1..=35 {
        peer.block(block);
        peer.ack(block);
    }
    assert!(matches!(
        fixture.report().outcome,
        TftpOutcome::Sent { bytes: 50_000, .. }
    ));
}

#[test]
fn a_file_that_becomes_shorter_ends_the_transfer_with_an_error() {
    let fixture = Fixture::new();
    fixture.add("file", 1_000_000);
    let mut peer = Peer::new(fixture.address());
    peer.request("file", "blksize=1000");
    peer.receive();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(fixture.served("file"));
    file.and_then(|file| file.set_len(500)).expect("a cut");
    peer.ack(0);
    assert_eq!(error_code(&peer.receive()), ErrorCode::NotDefined);
    let TftpOutcome::Refused { code, reason } = fixture.report().outcome else {
        panic!("not refused");
    };
    assert_eq!(code, ErrorCode::NotDefined);
    assert!(reason.contains("shorter"), "{reason}");
}

#[test]
fn one_transfer_more_than_allowed_waits_for_the_peers_retry() {
    let fixture = Fixture::with(|config| config.most_transfers = 1);
    fixture.add("file", 600);
    let mut first = Peer::new(fixture.address());
    let mut second = Peer::new(fixture.address());
    first.request("file", "");
    first.block(1);
    first.ack(1);
    first.block(2);
    second.request("file", "");
    assert_eq!(fixture.report().outcome, TftpOutcome::Busy);
    first.ack(2);
    assert!(matches!(fixture.report().outcome, TftpOutcome::Sent { .. }));
    second.request("file", "");
    assert_eq!(second.data().0, 1);
}

#[test]
fn a_transfer_without_a_response_yields_its_slot() {
    let fixture = Fixture::with(|config| config.most_transfers = 1);
    fixture.add("file", 600);
    let mut silent = Peer::new(fixture.address());
    let mut second = Peer::new(fixture.address());
    silent.request("file", "");
    silent.data();
    second.request("file", "");
    assert_eq!(second.data().0, 1);
    assert_eq!(fixture.report().outcome, TftpOutcome::Displaced);
    // What it says now comes too late, and its request begins anew.
    silent.ack(1);
    second.ack(1);
    assert_eq!(second.data().0, 2);
    second.ack(2);
    assert!(matches!(fixture.report().outcome, TftpOutcome::Sent { .. }));
    silent.server = fixture.address();
    silent.request("file", "");
    assert_eq!(silent.data().0, 1);
}

#[test]
fn a_request_whose_sender_does_not_listen_frees_its_slot() {
    let fixture = Fixture::new();
    fixture.add("file", 600);
    let gone = Peer::new(fixture.address());
    gone.request("file", "");
    drop(gone);
    // Where the kernel was faster, the answer was not refused, and the timeout ends it.
    let outcome = fixture.report().outcome;
    let block = BlockNumber::new(0);
    let expected = [TftpOutcome::Unreachable, TftpOutcome::TimedOut { block }];
    assert!(expected.contains(&outcome), "{outcome:?}");
}

#[test]
fn every_transfer_has_a_port_of_its_own_that_is_drawn_for_it() {
    for range in [None, Some("21300-21999")] {
        let fixture = Fixture::with(|config| {
            config.ports = range.map(|range| range.parse().expect("a range"));
        });
        fixture.add("file", 600);
        let mut peers: Vec<_> = (0..50).map(|_| Peer::new(fixture.address())).collect();
        let mut ports = BTreeSet::new();
        let mut last = None;
        let mut near = 0;
        for peer in &mut peers {
            peer.request("file", "");
            peer.data();
            let port = peer.server.port();
            near += usize::from(last.is_some_and(|last: u16| last.abs_diff(port) < 4));
            last = Some(port);
            ports.insert(port);
        }
        assert!(near < 10, "{ports:?}");
        assert!(!ports.contains(&fixture.address().port()));
        let most_shared = if range.is_some() { 10 } else { 0 };
        assert!(ports.len() >= peers.len() - most_shared, "{ports:?}");
        if range.is_some() {
            assert!(ports.iter().all(|port| (21_300..=21_999).contains(port)));
        }
    }
}

#[test]
fn transfers_that_share_a_port_do_not_meet() {
    let fixture = Fixture::with(|config| {
        config.ports = Some("22100-22115".parse().expect("a range"));
    });
    let files: Vec<_> = (0..64)
        .map(|number| fixture.add(&format!("file-{number}"), 3_000 + number))
        .collect();
    let mut peers: Vec<_> = files.iter().map(|_| Peer::new(fixture.address())).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.request(&format!("file-{number}"), "blksize=1468 windowsize=64");
        let options = peer.receive();
        assert_eq!(options, b"\0\x06blksize\x001468\0windowsize\x009\0");
    }
    for (peer, bytes) in peers.iter_mut().zip(&files) {
        peer.ack(0);
        let received = (1..=3).flat_map(|block| peer.block(block));
        assert!(received.collect::<Vec<_>>() == *bytes);
        peer.ack(3);
    }
    for _ in &peers {
        assert!(matches!(fixture.report().outcome, TftpOutcome::Sent { .. }));
    }
}

#[test]
fn a_single_port_answers_from_the_port_that_was_asked() {
    for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        let fixture = Fixture::with(|config| {
            config.single_port = true;
            config.address = SocketAddrV4::new(ip, 0);
        });
        fixture.add("file", 3_000);
        let mut peer = Peer::new(fixture.address());
        peer.request("file", "blksize=1468 windowsize=3");
        // Every ACK pays for one block of that size, see `Allowance`.
        assert_eq!(peer.receive(), b"\0\x06blksize\x00896\0windowsize\x001\0");
        for block in 0..4 {
            assert_eq!(peer.server, fixture.address());
            peer.ack(block);
            peer.block(block + 1);
        }
        peer.ack(4);
        assert!(matches!(fixture.report().outcome, TftpOutcome::Sent { .. }));
    }
}

#[test]
fn replies_come_from_the_address_that_was_asked() {
    let fixture = Fixture::with(|config| {
        config.address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    });
    fixture.add("file", 3_000);
    // All of 127.0.0.0/8 is ours; without care the reply would come from 127.0.0.1.
    let other = Ipv4Addr::new(127, 0, 0, 77);
    let mut peer = Peer::new(SocketAddrV4::new(other, fixture.address().port()));
    peer.request("file", "windowsize=6");
    peer.receive();
    assert_eq!(*peer.server.ip(), other);
    peer.ack(0);
    assert_eq!(peer.data().0, 1);
    assert_eq!(*peer.server.ip(), other);
}

#[test]
fn shutting_down_tells_the_peers() {
    let mut fixture = Fixture::new();
    fixture.add("file", 5_000);
    let mut peer = Peer::new(fixture.address());
    peer.request("file", "");
    peer.data();
    fixture.stop();
    assert_eq!(error_code(&peer.receive()), ErrorCode::NotDefined);
}

#[test]
fn a_second_server_on_the_same_port_is_refused() {
    let fixture = Fixture::new();
    let config = pxectl::serve::tftp::TftpConfig::new(fixture.address());
    let files = std::sync::Arc::new(FileRoots::new(Vec::new(), Surroundings::machine()));
    let second = pxectl::serve::tftp::TftpServer::bind(config, files, Box::new(|_| {}));
    let error = second.err().map(|error| format!("{error:#}"));
    assert!(error.is_some_and(|error| error.contains("in use")));
}

#[test]
fn a_window_that_a_datagram_cannot_hold_arrives_whole() {
    let fixture = Fixture::with(|config| config.mtu = 65_535);
    let bytes = fixture.add("file", 1_000_000);
    for (block_size, window) in [(1468, 64), (9_000, 9), (40_000, 3), (65_464, 4)] {
        let mut peer = Peer::new(fixture.address());
        peer.request("file", &format!("blksize={block_size} windowsize={window}"));
        peer.receive();
        peer.ack(0);
        let mut have = Vec::new();
        for index in 1.. {
            let block = BlockNumber::of_index(index).number();
            let payload = peer.block(block);
            have.extend_from_slice(&payload);
            let last = payload.len() < block_size;
            if last || index % window == 0 {
                peer.ack(block);
            }
            if last {
                break;
            }
        }
        assert!(have == bytes, "{block_size} {window}");
    }
}
