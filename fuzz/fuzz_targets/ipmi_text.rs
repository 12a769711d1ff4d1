//! What `ipmitool` printed, with what a controller put into it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::bmc::{IpmiText, parse_sel};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let _ = parse_sel(&text);
    let text = IpmiText::new(&text);
    let _ = (text.power(), text.guid(), text.boot());
    let field = text.field(&["Product Serial", "Chassis Serial"]);
    assert!(field.is_none_or(|it| it.len() <= 64));
});
