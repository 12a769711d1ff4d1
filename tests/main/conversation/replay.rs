use std::fmt::Write;
use std::fs;

use crate::conversation::fixture::{self, CAPTURE};

/// `UPDATE_FIXTURES=1` rewrites the timelines.
#[test]
fn each_capture_of_real_firmware_has_the_expected_report() {
    for directory in fixture::all() {
        let ended = fixture::observed(&directory.join(CAPTURE));
        assert!(ended.error.is_none(), "{:?}", ended.error);
        assert_eq!(ended.counts.faults, [""; 0], "{}", directory.display());
        let mut report = ended.report.to_string();
        for row in ended.report.summary() {
            writeln!(report, "{}", row.cells().join(" | ")).unwrap();
        }
        let path = directory.join("timeline.txt");
        if crate::support::fixture_updates::updates_fixtures() {
            fs::write(&path, &report).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            report == expected,
            "{} differs (UPDATE_FIXTURES=1 rewrites it):\n{report}",
            path.display()
        );
    }
}

#[test]
fn each_capture_names_its_source_and_is_small() {
    for directory in fixture::all() {
        let source = fs::read_to_string(directory.join("SOURCE.md")).unwrap_or_default();
        assert!(source.contains("Captured"), "{}", directory.display());
        let size = fs::metadata(directory.join(CAPTURE)).unwrap().len();
        assert!(size < 100 * 1024, "{}: {size} bytes", directory.display());
    }
}

#[test]
fn boot_tokens_of_a_capture_are_never_shown() {
    let mut count = 0;
    for directory in fixture::all() {
        let path = directory.join(CAPTURE);
        let frames = fixture::frames(&path);
        let ended = fixture::observed(&path);
        let report = format!(
            "{}{}",
            ended.report,
            serde_json::to_string(&ended.report).unwrap()
        );
        for token in frames.iter().flat_map(|frame| tokens(frame)) {
            assert!(!report.contains(&token), "{}: {token}", directory.display());
            count += 1;
        }
    }
    assert!(count > 10, "{count} tokens");
}

/// Finds the words after `token=` and after `m/MAC/`.
fn tokens(frame: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(frame);
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let after = |pattern: &'static str, skip: usize| {
        let found = text
            .match_indices(pattern)
            .map(move |(at, _)| at + pattern.len() + skip);
        found.collect::<Vec<_>>()
    };
    let places = [after("token=", 0), after("m/52-54-00-", "85-00-01/".len())].concat();
    let words = places.into_iter().filter_map(|at| {
        let rest = text.get(at..)?;
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        Some(rest[..end].to_owned()).filter(|token| token.len() > 20)
    });
    words.collect()
}
