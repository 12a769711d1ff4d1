//! Links that carry less than Ethernet does.

use std::process::Command;

use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::support::requirements::missing;
use crate::tftp::fixture::{Fixture, Peer};

/// Moves this thread, and those that it starts, into a network of its own with nothing but
/// loopback.
fn enter_network(mtu: &str) {
    // SAFETY: only the network is unshared; descriptors and memory stay as they are.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("a network of our own");
    let words = ["link", "set", "lo", "up", "mtu", mtu];
    let status = Command::new("ip").args(words).status();
    assert!(status.expect("`ip` of iproute2").success());
}

#[test]
fn blocks_fit_into_the_datagrams_of_our_own_link() {
    if missing(&["root", "ip"]) {
        return;
    }
    for (mtu, expected) in [("1300", "1268"), ("9000", "1468"), ("600", "568")] {
        std::thread::spawn(move || {
            enter_network(mtu);
            let fixture = Fixture::new();
            fixture.add("file", 10_000);
            let mut peer = Peer::new(fixture.address());
            peer.request("file", "blksize=1468");
            let expected = format!("\0\x06blksize\0{expected}\0");
            assert_eq!(peer.receive(), expected.as_bytes());
        })
        .join()
        .expect("no panic");
    }
}
