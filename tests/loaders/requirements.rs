use std::io::{self, Write};
use std::path::Path;

/// Reports, loudly, whether one of the files is missing here; the test must then return.
///
/// # Panics
/// When one is missing and `PXECTL_REQUIRE_FIRMWARE=1` forbids that.
pub fn missing<'a>(files: impl IntoIterator<Item = &'a str>) -> bool {
    let lacks: Vec<String> = files
        .into_iter()
        .filter(|file| !Path::new(file).exists())
        .map(|file| format!("`{file}`"))
        .collect();
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
