use std::path::Path;

/// Returns the path of a file that `tests/run` installs below `target/`: Python packages, and
/// documents of BMCs.
pub fn installed(name: &str) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let path = target.expect("target/tmp is in target").join(name);
    path.into_os_string()
        .into_string()
        .expect("a path in UTF-8")
}
