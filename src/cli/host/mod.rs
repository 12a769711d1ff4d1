mod change;
mod list;
mod provision;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use change::Change;
use clap::{Args, Subcommand};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::inventory::{known, load_settled, state};
use super::output::Output;
use super::select::Select;
use super::{Exit, Global};
use crate::cli::error::CommandResult;
use crate::decide::{Standing, cancel, release, set_aside};
use crate::inventory;
use crate::machine::{EventKind, HostRecord, Phase};
use crate::store::{RunningServer, SqliteStore, Store};

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
and bundle into a session: what the inventory becomes later does not change
this install. A bundle that was retired is refused.

Examples:
  pxectl host provision worker-01
  pxectl host provision -l role=worker --yes --deadline 2h")]
    Provision {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        ask: provision::Ask,
    },
    /// Take an arming back
    #[command(after_help = "Examples:\n  pxectl host cancel worker-01\n  pxectl host cancel --all")]
    Cancel {
        #[command(flatten)]
        select: Select,
    },
    /// Set hosts aside: they boot nothing until they are released
    #[command(
        after_help = "Examples:\n  pxectl host quarantine worker-01 --reason \"smells of smoke\""
    )]
    Quarantine {
        #[command(flatten)]
        select: Select,
        /// Why, for the machine's screen
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take hosts out of service for good: they boot nothing
    #[command(after_help = "Examples:\n  pxectl host retire worker-01")]
    Retire {
        #[command(flatten)]
        select: Select,
    },
    /// Take hosts back that were set aside
    #[command(after_help = "Examples:\n  pxectl host release worker-01")]
    Release {
        #[command(flatten)]
        select: Select,
    },
}

pub(in crate::cli) fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|value| Duration::try_from(value).ok());
    parsed
        .filter(|value| !value.is_zero())
        .ok_or_else(|| "write a time such as `45m` or `2h`".to_owned())
}

impl Host {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let opened = || -> CommandResult<_> {
            let known = known(global, output)?;
            Ok((Work::open(output, known.state.clone())?, known))
        };
        let change = |select, kind, done, change: &Change<'_>| {
            let (work, known) = opened()?;
            work.change(&known, select, kind, done, change)
        };
        match &self.command {
            Command::List { select } => {
                let (work, known) = opened()?;
                work.warn_of_impediment()?;
                work.list(&known, select)
            }
            Command::Show { host } => {
                let (work, known) = opened()?;
                work.show(&known, host)
            }
            Command::Provision { select, ask } => {
                let good = load_settled(global, output)?;
                let directory = state(global, &good.inventory)?;
                let work = Work::open(output, directory)?;
                work.settle()?;
                work.provision(global, &good, select, ask)
            }
            Command::Cancel { select } => change(
                select,
                EventKind::Cancelled,
                "cancelled",
                &|_, record, now| cancel(record, now),
            ),
            Command::Quarantine { select, reason } => change(
                select,
                EventKind::Changed,
                "set aside",
                &|host, record, now| {
                    let reason = reason.as_deref();
                    Ok(set_aside(host, record, Phase::Quarantine, reason, now))
                },
            ),
            Command::Retire { select } => change(
                select,
                EventKind::Changed,
                "retired",
                &|host, record, now| Ok(set_aside(host, record, Phase::Retired, None, now)),
            ),
            Command::Release { select } => {
                change(select, EventKind::Changed, "released", &|_, record, now| {
                    release(record, now)
                })
            }
        }
    }
}

struct Work<'a> {
    output: &'a Output,
    store: SqliteStore,
    directory: PathBuf,
}

impl<'a> Work<'a> {
    fn open(output: &'a Output, directory: PathBuf) -> CommandResult<Self> {
        let store = SqliteStore::open(&directory)?;
        Ok(Self {
            output,
            store,
            directory,
        })
    }
}

impl Work<'_> {
    /// Gives a store that was restored, copied or moved a new identity before hosts are armed in it,
    /// and warns of the sessions that this suspends. A running server does that itself: it may find
    /// the store and its witness file at other paths than this process does.
    fn settle(&self) -> CommandResult<()> {
        let servers = RunningServer::list(&self.directory)?;
        if servers.iter().any(|server| server.uses(&self.store)) {
            return Ok(());
        }
        let settled = self.store.settle()?;
        if let Some(doubt) = settled.doubt {
            let hosts = match settled.suspended.as_slice() {
                [] => "no session was open".to_owned(),
                hosts => format!("suspended the sessions of {}", hosts.join(", ")),
            };
            self.output.warning(&format!("{doubt}; {hosts}"), "");
        }
        Ok(())
    }

    /// Warns where nothing destructive is served to any host.
    fn warn_of_impediment(&self) -> CommandResult<()> {
        let standing = self.store.standing()?;
        if let Some(impediment) = standing.impediment() {
            let what = format!("no host can install: {impediment}");
            self.output.warning(&what, impediment.help());
        }
        Ok(())
    }
}

fn exit_for(good: usize, all: usize) -> Exit {
    match good {
        0 if all > 0 => Exit::No,
        good if good < all => Exit::Partly,
        _ => Exit::Done,
    }
}

/// What programs are told of a host; one that the inventory does not show has no profile.
fn host_json(name: &str, host: Option<&inventory::Host>, record: Option<&HostRecord>) -> Value {
    json!({
        "host": name,
        "profile": host.map(|host| &host.profile),
        "phase": record.map_or(Phase::New, |record| record.phase),
        "reason": record.and_then(|record| record.reason.clone()),
        "changed_at": record.map(|record| record.changed_at),
        "session": record.and_then(|record| record.session.clone()),
    })
}

/// Says in a few words where a host's session stands.
fn note(record: &HostRecord, standing: &Standing) -> String {
    match (record.phase, &record.session) {
        (Phase::Provisioning, Some(session)) if standing.is_past_deadline(session) => {
            format!("its deadline passed at {:.0}", session.deadline)
        }
        (Phase::Provisioning, Some(session)) if session.suspended.is_some() => format!(
            "suspended: {}",
            session.suspended.as_deref().unwrap_or_default()
        ),
        (Phase::Provisioning, Some(session)) => {
            let left = session.deadline.duration_since(standing.now());
            let left = left.as_secs().max(0) / 60;
            match session.attempts {
                0 => format!("armed, {left} min left"),
                attempts => format!("attempt {attempts} under way, {left} min left"),
            }
        }
        _ => record.reason.clone().unwrap_or_default(),
    }
}
