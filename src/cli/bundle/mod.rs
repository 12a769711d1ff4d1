mod build;
mod build_progress;
mod document;
mod fetch;
mod gc;
mod keygen;
mod list;
mod outdated;
mod publish;
mod pull;
mod retire;
mod sign;
mod size;
mod store;
mod transfer_progress;
mod verify;

use clap::{Args, Subcommand};

use super::Global;
use super::output::Output;
use crate::cli::error::CommandResult;
use crate::inventory::is_name;

/// Build, sign, copy and clean up bundles: versioned, pinned sets of files to install
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Bundle {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Build),
    Fetch(fetch::Fetch),
    Publish(publish::Publish),
    Pull(pull::Pull),
    List(list::List),
    Outdated(outdated::Outdated),
    Verify(verify::Verify),
    Sign(sign::Sign),
    Keygen(keygen::Keygen),
    Retire(retire::Retire),
    Gc(gc::Gc),
}

impl Bundle {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        match &self.command {
            Command::Build(command) => command.run(global, output),
            Command::Fetch(command) => command.run(global, output),
            Command::Publish(command) => command.run(global, output),
            Command::Pull(command) => command.run(global, output),
            Command::List(command) => command.run(global, output),
            Command::Outdated(command) => command.run(global, output),
            Command::Verify(command) => command.run(global, output),
            Command::Sign(command) => command.run(global, output),
            Command::Keygen(command) => command.run(output),
            Command::Retire(command) => command.run(global, output),
            Command::Gc(command) => command.run(global, output),
        }
    }
}

/// Parses a name for an inventory.
fn parse_name(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("use letters, digits, `.`, `_` and `-`, at most 128 characters".to_owned())
    }
}
