//! Other programs that a test runs to their end.

use std::process::Command;

/// Runs a command and returns its standard output.
///
/// # Panics
/// If the command fails, with its output.
#[track_caller]
pub fn run_program(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout
}
