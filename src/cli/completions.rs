use clap::Args;
use clap_complete::Shell;

use super::output::Output;
use super::{Exit, command};
use crate::cli::error::CommandResult;

/// Print the completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pxectl completions bash > /etc/bash_completion.d/pxectl
  pxectl completions zsh > \"${fpath[1]}/_pxectl\"
  pxectl completions fish > ~/.config/fish/completions/pxectl.fish")]
pub struct Completions {
    /// Shell to generate the script for
    shell: Shell,
}

impl Completions {
    pub fn run(&self, output: &Output) -> CommandResult {
        output.data(&completion_script(self.shell));
        Ok(Exit::Done)
    }
}

/// Generates the completion script for a shell.
pub fn completion_script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "pxectl", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
