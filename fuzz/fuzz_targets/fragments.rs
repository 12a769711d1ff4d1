//! Fragments of datagrams, as raw IP packets, each with the seconds that passed before it.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pxectl::wire::fragments::Fragments;
use pxectl::wire::packet::{Ipv4Datagram, LinkType};

fuzz_target!(|packets: Vec<(u8, Vec<u8>)>| {
    let mut fragments = Fragments::default();
    let mut seconds = 0;
    for (passed, bytes) in &packets {
        seconds += i64::from(*passed);
        let at = Timestamp::from_second(seconds).expect("a time");
        if let Ok(datagram) = Ipv4Datagram::parse(LinkType::RawIp, bytes)
            && datagram.is_fragment()
            && let Some(whole) = fragments.take(at, &datagram)
        {
            let _ = whole.datagram().packet();
        }
    }
    assert!(fragments.finish().total() <= packets.len() as u64);
});
