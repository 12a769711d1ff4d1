//! The target of an HTTP request, and its Range.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::respond::http::{Conditions, RangeSelection, route, select};

fuzz_target!(|text: &str| {
    let (target, range) = text.split_once('\n').unwrap_or((text, text));
    for method in ["GET", "POST"] {
        let _ = route(method, target);
    }
    let conditions = Conditions {
        range: Some(range),
        if_range: None,
        if_none_match: None,
    };
    if let RangeSelection::Part(part) = select(1000, None, conditions) {
        assert!(part.start < part.end && part.end <= 1000);
    }
});
