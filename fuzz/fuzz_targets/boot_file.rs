//! A loader that an inventory names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::lint::boot_file::{BootFile, PeImage};

fuzz_target!(|octets: &[u8]| {
    let _ = BootFile::read(octets);
    if let Ok(image) = PeImage::read(octets) {
        let _ = image.signed_under();
    }
});
