//! What is shown as a boot token or a capability.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::token::StoreKey;

fuzz_target!(|text: &str| {
    let key = StoreKey::new([7; 32]);
    // Nobody guesses one.
    assert!(key.read_capability(text).is_none());
});
