//! The documents of an inventory, from a pull request.
#![no_main]

use libfuzzer_sys::fuzz_target;

use std::collections::BTreeMap;

use pxectl::inventory::{SourceFile, parse};

fuzz_target!(|text: &str| {
    let files = [SourceFile {
        name: "fuzz.yaml".to_owned(),
        text: text.to_owned(),
    }];
    for diagnostic in parse(&files, BTreeMap::new()).diagnostics {
        let _ = diagnostic.to_text(&files, false);
        let _ = diagnostic.to_json(&files);
    }
});
