//! A frame of a capture, of every link type that is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::wire::packet::{Ipv4Datagram, LinkType};

fuzz_target!(|input: (u16, &[u8])| {
    let (link, frame) = input;
    if let Ok(datagram) = Ipv4Datagram::parse(LinkType::from_number(link), frame) {
        assert!(datagram.payload.len() <= frame.len());
        let _ = datagram.packet();
    }
});
