//! A datagram for a port of TFTP.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::wire::tftp::Packet;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(packet) = Packet::parse(bytes) {
        let written = packet.to_bytes();
        assert_eq!(Packet::parse(&written).as_ref(), Ok(&packet));
    }
});
