//! Tools that make or judge what pxectl reads or writes.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::program::run_program;

/// Runs a tool that must succeed, and returns its standard output.
#[track_caller]
pub fn run_tool<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> String {
    run_program(Command::new(program).args(arguments).stdin(Stdio::null()))
}

/// Runs a tool in a directory.
#[track_caller]
pub fn run_tool_in(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    run_program(command.stdin(Stdio::null()))
}
