use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::inventory::{Good, bundles, load, state};
use super::output::Output;
use super::select::Select;
use super::{Exit, Global};
use crate::decide::{Refusal, cancel, release, set_aside};
use crate::machine::{Event, EventKind, HostRecord, Phase};
use crate::provision::provision;
use crate::store::{EventQuery, HostUpdate, RunningServer, SqliteStore, Store};

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
Verifies every file of the hosts' bundles, and freezes host, profile, templates and bundle into a
session: what the inventory becomes later does not change this install.

Examples:
  pxectl host provision worker-01
  pxectl host provision -l role=worker --yes --deadline 2h")]
    Provision {
        #[command(flatten)]
        select: Select,
        /// How long the hosts are served their install; let it cover all of it [default:
        /// `provisioning.deadline` of the site]
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        deadline: Option<Duration>,
        /// Do not ask, also when many hosts are armed
        #[arg(short, long)]
        yes: bool,
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

fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|value| Duration::try_from(value).ok());
    parsed
        .filter(|value| !value.is_zero())
        .ok_or_else(|| "write a time such as `45m` or `2h`".to_owned())
}

impl Host {
    pub fn run(&self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let good = match load(global, output) {
            Ok(good) => good,
            Err(exit) => return Ok(exit),
        };
        let directory = state(global, &good.inventory)?;
        let store = SqliteStore::open(&directory)?;
        let work = Work {
            global,
            output,
            good: &good,
            store: &store,
            directory: &directory,
        };
        let ended = match &self.command {
            Command::List { select } => work.list(select),
            Command::Show { host } => work.show(host),
            Command::Provision {
                select,
                deadline,
                yes,
            } => work.provision(select, *deadline, *yes),
            Command::Cancel { select } => work.change(
                select,
                EventKind::Cancelled,
                "cancelled",
                &|_, record, now| cancel(record, now),
            ),
            Command::Quarantine { select, reason } => work.change(
                select,
                EventKind::Changed,
                "set aside",
                &|host, record, now| {
                    Ok(set_aside(
                        host,
                        record,
                        Phase::Quarantine,
                        reason.as_deref(),
                        now,
                    ))
                },
            ),
            Command::Retire { select } => work.change(
                select,
                EventKind::Changed,
                "retired",
                &|host, record, now| Ok(set_aside(host, record, Phase::Retired, None, now)),
            ),
            Command::Release { select } => {
                work.change(select, EventKind::Changed, "released", &|_, record, now| {
                    release(record, now)
                })
            }
        };
        // A selection that finds nothing has said so.
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

struct Work<'a> {
    global: &'a Global,
    output: &'a Output,
    good: &'a Good,
    store: &'a SqliteStore,
    directory: &'a Path,
}

type Change<'c> = dyn Fn(&str, Option<&HostRecord>, Timestamp) -> Result<HostRecord, Refusal> + 'c;

impl Work<'_> {
    fn list(&self, select: &Select) -> Result<Exit, Stop> {
        let everything = select.hosts.is_empty() && select.selector.is_empty();
        let hosts = match everything {
            true => self.good.inventory.hosts.values().collect(),
            false => select
                .find(&self.good.inventory, self.output)
                .map_err(said)?,
        };
        let records = self.store.hosts().map_err(fails)?;
        let now = Timestamp::now();
        let found = |name: &str| {
            let at = records
                .binary_search_by(|record| record.host.as_str().cmp(name))
                .ok()?;
            records.get(at)
        };
        if self.output.is_json() {
            let listed: Vec<Value> = hosts
                .iter()
                .map(|host| host_json(&host.name, &host.profile, found(&host.name)))
                .collect();
            self.output.json(&listed);
            return Ok(Exit::Done);
        }
        let mut table = Table::new();
        table
            .load_style(NOTHING)
            .set_header(["HOST", "PHASE", "PROFILE", "ADDRESS", "SINCE", "NOTE"]);
        for host in hosts {
            let record = found(&host.name);
            let phase = record.map_or(Phase::New, |record| record.phase);
            let address = host
                .boot_nic()
                .and_then(|nic| nic.ip)
                .map(|ip| ip.to_string());
            let since =
                record.map(|record| record.changed_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
            table.add_row([
                host.name.clone(),
                phase.to_string(),
                host.profile.clone(),
                address.unwrap_or_default(),
                since.unwrap_or_default(),
                record.map(|record| note(record, now)).unwrap_or_default(),
            ]);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.output.result(&format!("{}\n", table.trim_fmt()));
        Ok(Exit::Done)
    }

    fn show(&self, name: &str) -> Result<Exit, Stop> {
        let select = Select {
            hosts: vec![name.to_owned()],
            selector: Vec::new(),
            all: false,
        };
        let hosts = select
            .find(&self.good.inventory, self.output)
            .map_err(said)?;
        let Some(host) = hosts.first() else {
            return Ok(Exit::No);
        };
        let record = self.store.host(name).map_err(fails)?;
        let query = EventQuery {
            after: 0,
            host: Some(name.to_owned()),
            limit: 10,
            latest: true,
        };
        let latest = &self.store.events(&query).map_err(fails)?;
        if self.output.is_json() {
            let mut shown = host_json(name, &host.profile, record.as_ref());
            shown["events"] = json!(latest);
            self.output.json(&shown);
            return Ok(Exit::Done);
        }
        let phase = record.as_ref().map_or(Phase::New, |record| record.phase);
        let mut text = format!(
            "{name}: {phase}\n  profile   {}\n  arch      {}\n",
            host.profile, host.arch
        );
        for nic in &host.nics {
            let ip = nic
                .ip
                .map(|ip| ip.to_string())
                .unwrap_or_else(|| "from the pool".into());
            let boot = if nic.boot { ", boots" } else { "" };
            text.push_str(&format!(
                "  nic       {} on {}, {ip}{boot}\n",
                nic.mac, nic.network
            ));
        }
        if let Some(record) = &record {
            if let Some(reason) = &record.reason {
                text.push_str(&format!("  reason    {reason}\n"));
            }
            if let Some(session) = &record.session {
                text.push_str(&format!(
                    "  session   {}, {}\n",
                    session.id,
                    note(record, Timestamp::now())
                ));
            }
        }
        for event in latest {
            let at = event.event.at.strftime("%Y-%m-%d %H:%M:%SZ");
            text.push_str(&format!(
                "  {at}  {:<10} {}\n",
                event.event.kind, event.event.message
            ));
        }
        self.output.result(&text);
        Ok(Exit::Done)
    }

    fn provision(
        &self,
        select: &Select,
        deadline: Option<Duration>,
        yes: bool,
    ) -> Result<Exit, Stop> {
        let inventory = &self.good.inventory;
        let hosts = select.find(inventory, self.output).map_err(said)?;
        let deadline = deadline.unwrap_or(inventory.site.provisioning.deadline);
        if hosts.len() > 1 && !yes && !self.confirmed(&hosts, deadline)? {
            return Ok(Exit::No);
        }
        let bundles = bundles(self.global, self.good).map_err(fails)?;
        let outcomes = provision(
            inventory,
            &bundles,
            self.store,
            &hosts,
            deadline,
            &mut |bundle| {
                self.output
                    .note(&format!("verifying the files of bundle `{bundle}`"));
            },
        )
        .map_err(fails)?;
        let armed = outcomes
            .iter()
            .filter(|(_, outcome)| outcome.is_ok())
            .count();
        let mut listed = Vec::new();
        for (name, outcome) in &outcomes {
            match outcome {
                Ok(session) => {
                    listed.push(json!({ "host": name, "armed": true, "session": session.id, "deadline": session.deadline }));
                    if !self.output.is_json() {
                        let text = format!(
                            "{name}: armed until {:.0} (session {})\n",
                            session.deadline, session.id
                        );
                        self.output.result(&text);
                    }
                }
                Err(why) => {
                    listed.push(json!({ "host": name, "armed": false, "reason": why.to_string() }));
                    self.output
                        .error(&format!("`{name}` was not armed: {why}"), why.help());
                }
            }
        }
        if self.output.is_json() {
            self.output.json(&listed);
        }
        if armed > 0 {
            self.warn_without_server();
        }
        Ok(exit_for(armed, outcomes.len()))
    }

    fn confirmed(
        &self,
        hosts: &[&crate::inventory::Host],
        deadline: Duration,
    ) -> Result<bool, Stop> {
        let names: Vec<&str> = hosts
            .iter()
            .take(8)
            .map(|host| host.name.as_str())
            .collect();
        let more = if hosts.len() > names.len() {
            format!(" and {} more", hosts.len() - names.len())
        } else {
            String::new()
        };
        let what = format!(
            "{} hosts will be overwritten when they boot within {}: {}{more}",
            hosts.len(),
            spelled(deadline),
            names.join(", ")
        );
        if !std::io::stdin().is_terminal() {
            self.output.error(
                &what,
                "give `--yes` to arm so many where nobody can be asked",
            );
            return Ok(false);
        }
        self.output.stderr(&format!("{what}\nArm them? [y/N] "));
        let mut answer = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(fails)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Changes hosts by one rule, in one transaction.
    fn change(
        &self,
        select: &Select,
        kind: EventKind,
        done: &str,
        change: &Change<'_>,
    ) -> Result<Exit, Stop> {
        let hosts = select
            .find(&self.good.inventory, self.output)
            .map_err(said)?;
        let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        let now = Timestamp::now();
        let mut outcomes = Vec::new();
        self.store
            .update(
                &names,
                &mut |name, record| match change(name, record, now) {
                    Ok(record) => {
                        let message = record.reason.clone().unwrap_or_else(|| done.to_owned());
                        let session = record.session.as_ref().map(|session| session.id);
                        let event = Event {
                            at: now,
                            kind,
                            host: Some(name.to_owned()),
                            mac: None,
                            session,
                            message,
                        };
                        outcomes.push((name.to_owned(), Ok(record.phase)));
                        Some(HostUpdate {
                            record,
                            plan: None,
                            events: vec![event],
                        })
                    }
                    Err(refusal) => {
                        outcomes.push((name.to_owned(), Err(refusal)));
                        None
                    }
                },
            )
            .map_err(fails)?;
        let good = outcomes
            .iter()
            .filter(|(_, outcome)| outcome.is_ok())
            .count();
        for (name, outcome) in &outcomes {
            match outcome {
                Ok(phase) if !self.output.is_json() => self
                    .output
                    .result(&format!("{name}: {done}, its phase is {phase}\n")),
                Ok(_) => {}
                Err(refusal) => self
                    .output
                    .error(&format!("`{name}` was not {done}: {refusal}"), ""),
            }
        }
        if self.output.is_json() {
            let listed: Vec<Value> = outcomes
                .iter()
                .map(|(name, outcome)| match outcome {
                    Ok(phase) => json!({ "host": name, "phase": phase }),
                    Err(refusal) => json!({ "host": name, "reason": refusal.to_string() }),
                })
                .collect();
            self.output.json(&listed);
        }
        if good > 0 {
            self.warn_without_server();
        }
        Ok(exit_for(good, outcomes.len()))
    }

    fn warn_without_server(&self) {
        let running = RunningServer::list(self.directory).unwrap_or_default();
        if !running.iter().any(|server| server.role == "http") {
            let what = format!(
                "no running server uses the store `{}`",
                self.directory.display()
            );
            self.output.warning(
                &what,
                "start `pxectl serve all` with the same `--state`, as the same user",
            );
        }
    }
}

/// Writes a length of time as people do: `45m`, `1h 30m`.
fn spelled(time: Duration) -> String {
    SignedDuration::try_from(time).map_or_else(|_| format!("{time:?}"), |time| format!("{time:#}"))
}

fn exit_for(good: usize, all: usize) -> Exit {
    match good {
        0 if all > 0 => Exit::No,
        good if good < all => Exit::Partly,
        _ => Exit::Done,
    }
}

fn host_json(name: &str, profile: &str, record: Option<&HostRecord>) -> Value {
    json!({
        "host": name,
        "profile": profile,
        "phase": record.map_or(Phase::New, |record| record.phase),
        "reason": record.and_then(|record| record.reason.clone()),
        "changed_at": record.map(|record| record.changed_at),
        "session": record.and_then(|record| record.session.clone()),
    })
}

/// Says in a few words where a host's session stands.
fn note(record: &HostRecord, now: Timestamp) -> String {
    match (record.phase, &record.session) {
        (Phase::Provisioning, Some(session)) if now >= session.deadline => {
            format!("its deadline passed at {:.0}", session.deadline)
        }
        (Phase::Provisioning, Some(session)) => {
            let left = session.deadline.duration_since(now).as_secs().max(0) / 60;
            match session.attempts {
                0 => format!("armed, {left} min left"),
                attempts => format!("attempt {attempts} under way, {left} min left"),
            }
        }
        _ => record.reason.clone().unwrap_or_default(),
    }
}
