use std::path::Path;

/// Where something lies that `tests/run` puts below `target/`: Python's packages, and documents of
/// controllers.
pub fn installed(name: &str) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let place = target.expect("target/tmp lies in target").join(name);
    place
        .into_os_string()
        .into_string()
        .expect("a path in UTF-8")
}
