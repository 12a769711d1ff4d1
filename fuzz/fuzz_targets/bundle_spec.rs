//! A spec of a bundle, as a pull request may bring it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::inventory::{SourceFile, Sources, parse_spec};

fuzz_target!(|text: &str| {
    let file = SourceFile {
        name: "spec.yaml".to_owned(),
        text: text.to_owned(),
    };
    let (_, diagnostics) = parse_spec(&file);
    let sources = Sources::new(std::slice::from_ref(&file), &diagnostics);
    for diagnostic in &diagnostics {
        diagnostic.to_text(&sources, false);
    }
});
