mod change;
mod description;
mod list;
mod open_store;
mod provision;
mod show;

use clap::{Args, Subcommand};

use super::Global;
use super::inventory::{known, load_settled, state};
use super::output::Output;
use super::select::Select;
use crate::cli::error::CommandResult;
use crate::decide::{cancel, release, set_aside};
use crate::machine::{EventKind, Phase};
use change::HostChange;
use open_store::OpenStore;

/// List hosts, arm them for an install, and set them aside
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Host {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List hosts with their phases
    #[command(
        after_help = "Examples:\n  pxectl host list\n  pxectl host list -l role=worker --format json"
    )]
    List {
        #[command(flatten)]
        select: Select,
    },
    /// Show one host: its phase, its session and its latest events
    #[command(
        after_help = "Examples:\n  pxectl host show worker-01\n  pxectl host show worker-01 --format json"
    )]
    Show {
        /// The host
        host: String,
    },
    /// Arm hosts: the next time one boots from the network, before the deadline, it installs
    #[command(after_help = "\
Verifies every file of the hosts' bundles, and freezes host, profile, templates
and bundle into a session: later changes of the inventory do not change this
install. A retired bundle is refused.

Examples:
  pxectl host provision worker-01
  pxectl host provision -l role=worker --yes --deadline 2h")]
    Provision {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        options: provision::ProvisionOptions,
    },
    /// Disarm hosts: their sessions end, and they no longer install
    ///
    /// With `--all` or a label, hosts that are not armed are counted and left alone.
    #[command(after_help = "Examples:\n  pxectl host cancel worker-01\n  pxectl host cancel --all")]
    Cancel {
        #[command(flatten)]
        select: Select,
    },
    /// Quarantine hosts: they boot nothing until they are released
    #[command(
        after_help = "Examples:\n  pxectl host quarantine worker-01 --reason \"smells of smoke\""
    )]
    Quarantine {
        #[command(flatten)]
        select: Select,
        /// Reason to show on the screen of the machine
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take hosts out of service for good: they boot nothing
    #[command(after_help = "Examples:\n  pxectl host retire worker-01")]
    Retire {
        #[command(flatten)]
        select: Select,
    },
    /// Release hosts that are quarantined or retired
    #[command(after_help = "Examples:\n  pxectl host release worker-01")]
    Release {
        #[command(flatten)]
        select: Select,
    },
}

impl Host {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let opened = || -> CommandResult<_> {
            let known = known(global, output)?;
            Ok((OpenStore::open(output, known.state.clone())?, known))
        };
        let change = |select, change: &HostChange<'_>| {
            let (store, known) = opened()?;
            store.change(&known, select, change)
        };
        match &self.command {
            Command::List { select } => {
                let (store, known) = opened()?;
                store.warn_of_impediment()?;
                store.list(&known, select)
            }
            Command::Show { host } => {
                let (store, known) = opened()?;
                store.show(&known, host)
            }
            Command::Provision { select, options } => {
                let good = load_settled(global, output)?;
                let directory = state(global, &good.inventory)?;
                let store = OpenStore::open(output, directory)?;
                store.settle()?;
                store.provision(global, &good, select, options)
            }
            Command::Cancel { select } => change(
                select,
                &HostChange {
                    kind: EventKind::Cancelled,
                    done: "cancelled",
                    otherwise: "not armed",
                    rule: &|_, record, now| cancel(record, now),
                },
            ),
            Command::Quarantine { select, reason } => change(
                select,
                &HostChange {
                    kind: EventKind::Changed,
                    done: "set aside",
                    otherwise: "set aside already",
                    rule: &|host, record, now| {
                        let reason = reason.as_deref();
                        Ok(set_aside(host, record, Phase::Quarantine, reason, now))
                    },
                },
            ),
            Command::Retire { select } => change(
                select,
                &HostChange {
                    kind: EventKind::Changed,
                    done: "retired",
                    otherwise: "retired already",
                    rule: &|host, record, now| {
                        Ok(set_aside(host, record, Phase::Retired, None, now))
                    },
                },
            ),
            Command::Release { select } => change(
                select,
                &HostChange {
                    kind: EventKind::Changed,
                    done: "released",
                    otherwise: "neither quarantined nor retired",
                    rule: &|_, record, now| release(record, now),
                },
            ),
        }
    }
}
