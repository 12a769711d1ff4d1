//! A tar archive that a bundle is built from.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use pxectl::wire::tar::Tar;

fuzz_target!(|octets: &[u8]| {
    let mut tar = Tar::new(octets);
    while let Ok(Some(_)) = tar.entry() {
        let _ = tar.by_ref().take(1 << 20).read_to_end(&mut Vec::new());
    }
});
