use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::inventory::known;
use super::output::Output;
use super::witness::WitnessOption;
use super::{Exit, Global};
use crate::store::{Settled, SqliteStore, Store, restore};

/// Create, back up and restore the store of a site
#[derive(Debug, Args)]
#[command(name = "store", arg_required_else_help = true)]
pub struct StoreCommand {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    witness: WitnessOption,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an empty store, which arms no host
    #[command(after_help = "Examples:\n  pxectl store create -i rack-a")]
    Create,
    /// Write a consistent backup of the store and the leases to one file, while servers run
    #[command(after_help = "\
The file holds the store's key: keep it as safe as the store.

Examples:
  pxectl store backup -i rack-a /srv/backup/rack-a-2026-11-29.db")]
    Backup {
        /// File to create
        file: PathBuf,
    },
    /// Create the store from a backup; its open sessions are suspended, and no host is armed
    #[command(after_help = "Examples:\n  pxectl store restore -i rack-a /srv/backup/rack-a.db")]
    Restore {
        /// Backup to read
        file: PathBuf,
    },
    /// Copy the store to another state directory; no host is armed in the copy
    #[command(after_help = "Examples:\n  pxectl store copy -i rack-a /srv/pxectl/rack-a")]
    Copy {
        /// State directory to create the copy in
        directory: PathBuf,
    },
    /// Accept the clock although the store has seen a later time; closes every open session first
    #[command(after_help = "Examples:\n  pxectl store accept-clock -i rack-a")]
    AcceptClock,
}

impl StoreCommand {
    pub fn run(&self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let state = match known(global, output)? {
            Ok(known) => known.state,
            Err(exit) => return Ok(exit),
        };
        match &self.command {
            Command::Create => {
                let store = SqliteStore::create(&state, &self.witness.directory()?)?;
                let text = format!("created `{}`\n", store.location());
                done(output, &text, json!({ "store": store.location() }));
            }
            Command::Backup { file } => {
                SqliteStore::open(&state)?.back_up(&state, file)?;
                let text = format!("backed up `{}` to `{}`\n", state.display(), file.display());
                done(output, &text, json!({ "file": file }));
            }
            Command::Restore { file } => {
                let settled = restore(file, &state, &self.witness.directory()?)?;
                report(output, &format!("restored `{}`", state.display()), &settled);
            }
            Command::Copy { directory } => {
                let backup = directory.with_extension("copy");
                SqliteStore::open(&state)?.back_up(&state, &backup)?;
                let settled = restore(&backup, directory, &self.witness.directory()?);
                std::fs::remove_file(&backup)?;
                let what = format!("copied `{}` to `{}`", state.display(), directory.display());
                report(output, &what, &settled?);
            }
            Command::AcceptClock => {
                let closed = SqliteStore::open(&state)?.accept_clock()?;
                let hosts = match closed.as_slice() {
                    [] => "no session was open".to_owned(),
                    hosts => format!("closed the sessions of {}", hosts.join(", ")),
                };
                done(
                    output,
                    &format!("accepted the clock: {hosts}\n"),
                    json!({ "closed": closed }),
                );
            }
        }
        Ok(Exit::Done)
    }
}

fn report(output: &Output, what: &str, settled: &Settled) {
    let hosts = match settled.suspended.as_slice() {
        [] => "no session was open".to_owned(),
        hosts => format!("suspended the sessions of {}", hosts.join(", ")),
    };
    done(
        output,
        &format!("{what}: {hosts}\n"),
        json!({ "suspended": settled.suspended }),
    );
}

fn done(output: &Output, text: &str, value: serde_json::Value) {
    match output.is_json() {
        true => output.json(&value),
        false => output.result(text),
    }
}
