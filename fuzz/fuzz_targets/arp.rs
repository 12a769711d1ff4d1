//! A frame that answers a probe.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::wire::arp::sender;

fuzz_target!(|frame: &[u8]| {
    let _ = sender(frame);
});
