//! A datagram for a port of TFTP.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::wire::tftp::Packet;

fuzz_target!(|octets: &[u8]| {
    if let Ok(packet) = Packet::parse(octets) {
        let written = packet.to_bytes();
        assert_eq!(Packet::parse(&written).as_ref(), Ok(&packet));
    }
});
