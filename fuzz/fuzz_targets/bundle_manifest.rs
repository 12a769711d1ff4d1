//! A bundle's manifest with its signatures, as a registry or a tar file brings it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::inventory::{Bundle, SignaturePolicy};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::from_manifest(bytes) {
        let again = Bundle::from_manifest(&bundle.envelope());
        assert_eq!(again.map(|it| it.manifest()), Ok(bundle.manifest()));
        let _ = SignaturePolicy::default().check(&bundle);
    }
});
