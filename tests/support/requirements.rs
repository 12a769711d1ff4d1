//! Requirements of the tests: root, files, programs.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

/// Where programs lie.
const DIRECTORIES: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin"];

/// Reports, loudly, whether something is missing here; the test must then return. A need is the word
/// `root`, a file by its absolute path, or a program by its name.
///
/// # Panics
/// When something is missing and `PXECTL_REQUIRE_FIRMWARE=1` forbids that.
pub fn missing<N: AsRef<str>>(needs: &[N]) -> bool {
    let needs = needs.iter().map(AsRef::as_ref);
    let lacks: BTreeSet<&str> = needs.filter(|it| !is_here(it)).collect();
    if lacks.is_empty() {
        return false;
    }
    let lacks: Vec<String> = lacks.iter().map(|it| format!("`{it}`")).collect();
    let message = format!("needs {}; `tests/run` as root has it", lacks.join(", "));
    let required = std::env::var_os("PXECTL_REQUIRE_FIRMWARE").is_some_and(|value| value == "1");
    assert!(!required, "{message}");
    // Straight to stderr: the test runner would keep what `eprintln!` prints to itself.
    let _ = writeln!(io::stderr(), "SKIPPED, nothing is proved: {message}");
    true
}

fn is_here(need: &str) -> bool {
    let mut programs = DIRECTORIES.iter().map(|it| Path::new(it).join(need));
    match need {
        "root" => rustix::process::geteuid().is_root(),
        // Joined to a directory, an absolute path stays itself.
        _ => programs.any(|path| path.exists()),
    }
}
