//! Whatever is shown on a screen or in a log, and frames that are looked through for secrets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::machine::{is_invisible, secret_runs, shown_line};

fuzz_target!(|bytes: &[u8]| {
    let last = secret_runs(bytes).last();
    assert!(last.is_none_or(|run| run.end <= bytes.len()));
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(!shown_line(text).contains(is_invisible));
    }
});
