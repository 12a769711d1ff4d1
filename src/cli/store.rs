use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::inventory::known;
use super::output::Output;
use super::witness::WitnessOption;
use super::{Exit, Global};
use crate::cli::error::{CommandError, CommandResult};
use crate::decide::Impediment;
use crate::store::{SettleReport, SqliteStore, Store, restore};

/// Create, back up, restore and copy the store of a site
///
/// The store is a directory. Its file `state.db` holds which hosts are armed, until when, and what
/// happened to them; `leases.db` holds the leases of DHCP. A store that was restored, copied or
/// moved suspends its open sessions: no host installs before `pxectl host provision` arms it again.
/// See pxectl-store(7).
#[derive(Debug, Args)]
#[command(name = "store", arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  pxectl store backup -i rack-a /srv/backup/rack-a.db
  pxectl store restore -i rack-a /srv/backup/rack-a.db")]
pub struct StoreCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an empty store, in which no host is armed
    ///
    /// `pxectl serve` creates a store that is missing, too. Use this command to change hosts before
    /// the first server runs. An existing store is not replaced.
    #[command(after_help = "Examples:\n  pxectl store create -i rack-a")]
    Create {
        #[command(flatten)]
        witness: WitnessOption,
    },
    /// Back up the store and the leases to one file, while servers run
    ///
    /// The backup is consistent. It holds the key of all tokens and capabilities, and only its owner
    /// can read it: keep it as safe as the store itself.
    #[command(after_help = "\
Examples:
  pxectl store backup -i rack-a /srv/backup/rack-a-2026-11-29.db")]
    Backup {
        /// File to create; an existing file is not replaced
        file: PathBuf,
    },
    /// Create the store from a backup, with its open sessions suspended
    ///
    /// Stop the servers and move the old state directory away first: an existing store is not
    /// replaced. Hosts that were armed in the backup do not install before `pxectl host provision`
    /// arms them again. Reports of installs that had begun still count.
    #[command(after_help = "Examples:\n  pxectl store restore -i rack-a /srv/backup/rack-a.db")]
    Restore {
        /// Backup that `pxectl store backup` wrote
        file: PathBuf,

        #[command(flatten)]
        witness: WitnessOption,
    },
    /// Copy the store to another directory, with open sessions suspended in the copy
    ///
    /// The original stays as it is, and its servers go on. `--state` names the original; `--witness`
    /// is for the copy.
    #[command(after_help = "Examples:\n  pxectl store copy -i rack-a /srv/pxectl/rack-a")]
    Copy {
        /// State directory of the copy; it must not hold a store
        directory: PathBuf,

        #[command(flatten)]
        witness: WitnessOption,
    },
    /// Accept a clock that is behind the store's latest time, after closing all sessions
    ///
    /// Use it if the clock is right now and was ahead before. A clock that is behind needs no command
    /// once it catches up. Hosts whose install had begun become `failed`; the others return to the
    /// phase before their arming.
    #[command(after_help = "Examples:\n  pxectl store accept-clock -i rack-a")]
    AcceptClock,
}

impl StoreCommand {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let state = known(global, output)?.state;
        match &self.command {
            Command::Create { witness } => {
                let store = SqliteStore::create(&state, witness.place()?)?;
                let text = format!("created `{}`\n", store.location());
                done(output, &text, json!({ "store": store.location() }));
            }
            Command::Backup { file } => {
                SqliteStore::open(&state)?.back_up(&state, file)?;
                warn_if_readable(output, file);
                let text = format!("backed up `{}` to `{}`\n", state.display(), file.display());
                done(output, &text, json!({ "file": file }));
            }
            Command::Restore { file, witness } => {
                let settled = restore(file, &state, witness.place()?)?;
                report(output, &format!("restored `{}`", state.display()), &settled);
                output.note(
                    "next, start `pxectl serve`, check the phases with `pxectl host list`, and arm \
                     the hosts that should install with `pxectl host provision`",
                );
            }
            Command::Copy { directory, witness } => {
                let store = SqliteStore::open(&state)?;
                let settled = store.copy_to(&state, directory, witness.place()?)?;
                let what = format!("copied `{}` to `{}`", state.display(), directory.display());
                report(output, &what, &settled);
                output.note(&format!(
                    "to use the copy, add `--state {}`; `pxectl host provision` arms its hosts again",
                    directory.display()
                ));
            }
            Command::AcceptClock => {
                let store = SqliteStore::open(&state)?;
                let is_behind = matches!(
                    store.standing()?.impediment(),
                    Some(Impediment::ClockBehind { .. })
                );
                if !is_behind {
                    return Err(CommandError::no(
                        "the clock is not behind the latest time of the store",
                    )
                    .hint("there is nothing to accept; no session was closed"));
                }
                let closed = store.accept_clock()?;
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

fn report(output: &Output, what: &str, settled: &SettleReport) {
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
    if output.is_json() {
        output.json(&value);
    } else {
        output.result(text);
    }
}

/// Warns about a backup on a file system without file modes, such as FAT: others can read the key.
fn warn_if_readable(output: &Output, file: &Path) {
    let mode = file.metadata().map(|found| found.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        let what = format!(
            "other users can read the backup `{}`: its file system does not keep file modes",
            file.display()
        );
        let help = "the backup contains the key of all tokens; move it to a protected place";
        output.warning(&what, help);
    }
}
