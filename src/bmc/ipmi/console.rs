use std::process::{Command, ExitStatus};

use super::client::{PROGRAM, restrict_environment};
use crate::bmc::console::SolConsole;

/// Connects the terminal to a serial console, until the operator ends it with the escape character
/// and a period, or the BMC closes it.
///
/// # Errors
/// When `ipmitool` cannot be run.
pub fn open_sol_console(console: &SolConsole, escape: char) -> std::io::Result<ExitStatus> {
    let mut command = Command::new(PROGRAM);
    command
        .args(["-I", "lanplus", "-E", "-C", console.cipher_suite])
        .args(["-H", &console.host, "-p", &console.port.to_string()])
        .args(["-U", &console.username, "-e", &escape.to_string()])
        .args(["sol", "activate"]);
    restrict_environment(&mut command, &console.password);
    command.status()
}
