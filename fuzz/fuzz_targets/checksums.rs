//! A publisher's list of checksums: the first line of the input is a path or pattern, the rest is the list.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::bundle::builder::Checksums;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let (path, list) = bytes.split_at(end);
    let path = String::from_utf8_lossy(path);
    let list = Checksums::parse(list);
    let _ = list.find(&path, "https://a.example/SHA256SUMS");
    if let Ok(newest) = list.resolve(&path) {
        // The newest name is in the list, though a shorter path may be ambiguous.
        let _ = list.find(&newest, "https://a.example/SHA256SUMS");
    }
});
