//! A configuration that a server sends to a rehearsed PXELINUX.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::clients::pxelinux_config::PxelinuxConfig;

fuzz_target!(|text: &str| {
    if let Ok(config) = PxelinuxConfig::parse(text) {
        config.outcome();
    }
});
