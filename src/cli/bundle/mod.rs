mod build;
mod build_progress;
mod document;
mod fetch;
mod gc;
mod keygen;
mod list;
mod publish;
mod pull;
mod retire;
mod sign;
mod store;
mod transfer_progress;
mod verify;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::output::Output;
use super::{Exit, Global};
use crate::inventory::is_name;
use crate::workspace::Snapshot;

/// Build, sign, move and keep bundles: the versioned, pinned sets of files that hosts install
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
    Verify(verify::Verify),
    Sign(sign::Sign),
    Keygen(keygen::Keygen),
    Retire(retire::Retire),
    Gc(gc::Gc),
}

impl Bundle {
    pub fn run(&self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let ended = match &self.command {
            Command::Build(command) => command.run(global, output),
            Command::Fetch(command) => return command.run(global, output),
            Command::Publish(command) => command.run(global, output),
            Command::Pull(command) => command.run(global, output),
            Command::List(command) => command.run(global, output),
            Command::Verify(command) => command.run(global, output),
            Command::Sign(command) => command.run(global, output),
            Command::Keygen(command) => command.run(output),
            Command::Retire(command) => command.run(global, output),
            Command::Gc(command) => command.run(global, output),
        };
        // What has been said already is no error.
        ended.or_else(|stop| stop)
    }
}

/// Why a command stops: what it has said already (`Ok`), or an error to print (`Err`).
type Stop = Result<Exit, anyhow::Error>;

fn said(exit: Exit) -> Stop {
    Ok(exit)
}

fn fails(error: impl Into<anyhow::Error>) -> Stop {
    Err(error.into())
}

/// Reads a name that is to stand in an inventory.
fn parse_name(text: &str) -> Result<String, String> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("use letters, digits, `.`, `_` and `-`, at most 128".to_owned()),
    }
}

/// Finds the bundle store, also where the inventory is at fault: it may name the very bundle that is
/// to be built.
///
/// # Errors
/// When neither the command line nor the inventory names one.
fn store_directory(global: &Global) -> anyhow::Result<PathBuf> {
    if let Some(path) = &global.bundles {
        return Ok(path.clone());
    }
    let snapshot = Snapshot::read(&global.inventory)?;
    match snapshot.names().bundles {
        Some(path) => Ok(snapshot.directory().join(path)),
        None => bail!(
            "no bundle store is named: add `bundles: DIR` to the site, or give `--bundles DIR`"
        ),
    }
}
