//! Tar archives: those that bundles are built from, layers of images, and layouts of which only the requested
//! files are read.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use pxectl::wire::tar::{NAME_LIMIT, Tar};

fuzz_target!(|bytes: &[u8]| {
    for mut tar in [Tar::new(bytes), Tar::without_end(bytes)] {
        while let Ok(Some(entry)) = tar.entry() {
            // Each byte that is not UTF-8 becomes three; a long name may lack its zero.
            assert!(entry.path.len() <= 3 * (NAME_LIMIT + 1));
            let _ = tar.by_ref().take(1 << 20).read_to_end(&mut Vec::new());
        }
    }
    let mut tar = Tar::new(Cursor::new(bytes));
    while let Ok(Some(entry)) = tar.entry() {
        assert!(entry.start.checked_add(entry.size).is_some());
        if tar.skip_content().is_err() {
            break;
        }
    }
});
