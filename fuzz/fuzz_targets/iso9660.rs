//! An ISO image that a bundle is built from. The input is the part from its first volume descriptor on.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use pxectl::wire::iso9660::Iso9660;

fuzz_target!(|bytes: &[u8]| {
    let mut image = vec![0; 16 * 2048];
    image.extend_from_slice(bytes);
    let Ok(mut iso) = Iso9660::open(Cursor::new(image)) else {
        return;
    };
    for path in ["a", "casper/vmlinuz", "A/B/C/D"] {
        if let Ok(file) = iso.find(path) {
            let _ = iso.read(&file).take(1 << 20).read_to_end(&mut Vec::new());
        }
    }
});
