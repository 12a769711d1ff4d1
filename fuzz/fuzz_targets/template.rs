//! A template of an inventory, from a pull request.
#![no_main]

use libfuzzer_sys::fuzz_target;

use std::collections::BTreeMap;

use pxectl::render::{Templates, sample_errors};

fuzz_target!(|text: &str| {
    let texts = BTreeMap::from([("hold.ipxe.hbs".to_owned(), text.to_owned())]);
    if let Ok(templates) = Templates::compile(&texts) {
        let _ = sample_errors(&templates);
    }
});
