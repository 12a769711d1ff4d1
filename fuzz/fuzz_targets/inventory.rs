//! The documents of an inventory, from a pull request.
#![no_main]

use libfuzzer_sys::fuzz_target;

use std::collections::BTreeMap;

use pxectl::inventory::{SourceFile, Sources, parse};

fuzz_target!(|text: &str| {
    let files = [SourceFile {
        name: "fuzz.yaml".to_owned(),
        text: text.to_owned(),
    }];
    let diagnostics = parse(&files, BTreeMap::new()).diagnostics;
    let sources = Sources::new(&files, &diagnostics);
    for diagnostic in &diagnostics {
        let _ = diagnostic.to_text(&sources, false);
        let _ = diagnostic.to_json(&sources);
    }
});
