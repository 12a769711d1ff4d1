mod build;
mod fetch;
mod progress;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::output::Output;
use super::{Exit, Global};
use crate::workspace::Snapshot;

/// Build bundles of pinned files, and bring them into the bundle store
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
}

impl Bundle {
    pub fn run(&self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        match &self.command {
            Command::Build(command) => command.run(global, output),
            Command::Fetch(command) => command.run(global, output),
        }
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
