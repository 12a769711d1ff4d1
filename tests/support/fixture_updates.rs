//! Whether tests rewrite their fixtures. Every test that can do so includes this file.

use std::ffi::OsStr;

/// Reports whether this run rewrites fixtures: only with `UPDATE_FIXTURES=1`, and never in CI.
///
/// # Panics
/// If `UPDATE_FIXTURES=1` is set in CI: a run that rewrites what it checks would always pass.
pub fn updates_fixtures() -> bool {
    let variable = |name| std::env::var_os(name);
    decide(
        variable("UPDATE_FIXTURES").as_deref(),
        variable("CI").as_deref(),
    )
}

fn decide(update: Option<&OsStr>, ci: Option<&OsStr>) -> bool {
    let updates = update.is_some_and(|value| value == "1");
    let is_ci = ci.is_some_and(|value| !value.is_empty());
    assert!(
        !updates || !is_ci,
        "CI must not rewrite fixtures: unset UPDATE_FIXTURES"
    );
    updates
}

#[test]
fn only_the_value_1_outside_ci_rewrites_fixtures() {
    let decided = |update: Option<&str>, ci: Option<&str>| {
        let os = |text| OsStr::new(text);
        std::panic::catch_unwind(|| decide(update.map(os), ci.map(os))).ok()
    };
    for (update, ci, expected) in [
        (None, None, Some(false)),
        (Some("0"), None, Some(false)),
        (Some(""), None, Some(false)),
        (Some("true"), None, Some(false)),
        (Some("1"), None, Some(true)),
        (Some("1"), Some(""), Some(true)),
        (Some("1"), Some("true"), None),
        (Some("0"), Some("true"), Some(false)),
        (None, Some("true"), Some(false)),
    ] {
        assert_eq!(decided(update, ci), expected, "{update:?} {ci:?}");
    }
}
