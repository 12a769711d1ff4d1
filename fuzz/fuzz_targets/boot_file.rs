//! A loader that an inventory names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::lint::boot_file::{BootFile, PeImage};

fuzz_target!(|bytes: &[u8]| {
    let _ = BootFile::read(bytes);
    if let Ok(image) = PeImage::read(bytes) {
        let _ = image.signed_under();
    }
});
