use std::io::{self, Write};
use std::path::Path;

/// Reports, loudly, whether a program is missing here; the test must then return.
///
/// # Panics
/// When one is missing and `PXECTL_REQUIRE_FIRMWARE=1` forbids that.
pub fn missing(programs: &[&str]) -> bool {
    let directories = ["/usr/bin", "/usr/sbin"];
    let is_there = |program: &&str| {
        let mut places = directories.iter().map(|it| Path::new(it).join(program));
        places.any(|path| path.exists())
    };
    let lacks: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|it| !is_there(it))
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
