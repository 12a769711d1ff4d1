use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What `tests/run` puts below `target/`: Python's packages, and documents of controllers.
pub fn installed(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.expect("target/tmp lies in target").join(name)
}

/// Reports, loudly, whether some files are missing here; the test must then return.
///
/// # Panics
/// When one is missing and `PXECTL_REQUIRE_FIRMWARE=1` forbids that.
pub fn missing(files: &[PathBuf]) -> bool {
    let absent = files.iter().filter(|file| !file.exists());
    let lacks: Vec<String> = absent.map(|file| format!("`{}`", file.display())).collect();
    if lacks.is_empty() {
        return false;
    }
    let message = format!("needs {}; `tests/run` as root has it", lacks.join(", "));
    let required = std::env::var_os("PXECTL_REQUIRE_FIRMWARE").is_some_and(|value| value == "1");
    assert!(!required, "{message}");
    // Straight to stderr: the test runner would keep what `eprintln!` prints to itself.
    let _ = writeln!(io::stderr(), "SKIPPED, nothing is proved: {message}");
    true
}
