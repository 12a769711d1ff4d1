use std::io::{self, Write};
use std::path::Path;

/// Reports, loudly, whether a program is missing here; the check that needs it is then left out.
///
/// # Panics
/// When it is missing and `PXECTL_REQUIRE_FIRMWARE=1` forbids that.
pub fn missing(program: &str) -> bool {
    let directories = ["/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin"];
    if directories
        .iter()
        .any(|directory| Path::new(directory).join(program).exists())
    {
        return false;
    }
    let message = format!("needs the program `{program}`; `tests/run` as root has it");
    let required = std::env::var_os("PXECTL_REQUIRE_FIRMWARE").is_some_and(|value| value == "1");
    assert!(!required, "{message}");
    // Straight to stderr: the test runner would keep what `eprintln!` prints to itself.
    let _ = writeln!(io::stderr(), "SKIPPED, nothing is proved: {message}");
    true
}
