//! The authentication challenge of a registry, and the locations that people write.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::bundle::transfer::BundleLocation;
use pxectl::bundle::{Challenge, RegistryAddress};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = Challenge::parse(text);
    if let Ok(address) = text.parse::<RegistryAddress>() {
        assert_eq!(address.to_string().parse(), Ok(address));
    }
    let _ = text.parse::<BundleLocation>();
});
