use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use serde_json::json;

use super::size::size;
use super::store;
use crate::bundle::{BundleStore, BundlesInUse, Garbage, GarbageRules};
use crate::cli::error::{CommandError, CommandResult};
use crate::cli::inventory::{Good, load_settled, state};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::plural;
use crate::provision::{need_installs, need_inventory};
use crate::store::SqliteStore;

/// Remove retired bundles and unreferenced files
#[derive(Debug, Args)]
#[command(after_help = "\
Keeps every bundle that the inventory names or an open install uses. Removes
nothing if it cannot read the inventory or the state store, or if the state
store is missing or knows none of the inventory's hosts: it may not be the one
of the site's servers. If other inventories share the bundle store, name each
of them with --also.

Examples:
  pxectl bundle gc --dry-run
  pxectl bundle gc --also ../rack-b --yes
  pxectl bundle gc --also ../rack-c=/srv/rack-c/state")]
pub struct Gc {
    /// Show what would be removed, without removing it
    #[arg(long)]
    dry_run: bool,
    /// Remove without a prompt
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
    /// Remove unused bundles that are not retired, too
    #[arg(long)]
    unused: bool,
    /// Minimum age of unreferenced files, and of unused bundles that are not retired
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_age)]
    min_age: Duration,
    /// Another inventory that uses the bundle store, and its state store if that is elsewhere
    #[arg(long, value_name = "DIR[=STATE]")]
    also: Vec<String>,
    /// Assert that no install is running, for a site without a state store
    #[arg(long)]
    no_running_installs: bool,
}

fn parse_age(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok();
    let age = parsed.and_then(|value| Duration::try_from(value).ok());
    age.ok_or_else(|| "use a time such as `90m` or `24h`".to_owned())
}

impl Gc {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let store = store::open(global, output)?;
        let rules = GarbageRules {
            unused: self.unused,
            least_age: self.min_age,
        };
        let in_use = self.in_use(global, output)?;
        let found = store.garbage(&in_use, rules)?;
        self.report_kept(&store, &in_use, &found, output)?;
        if self.dry_run || found.is_empty() {
            let verb = if self.dry_run {
                "would remove"
            } else {
                "removed"
            };
            report(output, verb, &found);
            return Ok(Exit::Done);
        }
        if !self.yes && !confirmed(output, &found)? {
            return Ok(Exit::No);
        }
        // Reads the users again: during the prompt, a host may have been armed, or git may have changed.
        let in_use_now = || self.in_use(global, output);
        let removed = store.collect(&found, rules, in_use_now)?;
        report(output, "removed", &removed);
        Ok(Exit::Done)
    }

    /// Prints why each remaining bundle stays.
    fn report_kept(
        &self,
        store: &BundleStore,
        in_use: &BundlesInUse,
        found: &Garbage,
        output: &Output,
    ) -> CommandResult<()> {
        let named = store.bundles()?;
        for (name, it) in named
            .iter()
            .filter(|(name, _)| !found.names.contains(*name))
        {
            let reason = match in_use.users(name) {
                [] if it.retired().is_none() && !self.unused => "not retired".to_owned(),
                [] => "younger than `--min-age`".to_owned(),
                users => users.join(", "),
            };
            output.note(&format!("kept {name}: {reason}"));
        }
        Ok(())
    }

    /// Lists the bundles that the inventories and the installs of their sites use.
    fn in_use(&self, global: &Global, output: &Output) -> CommandResult<BundlesInUse> {
        let mut in_use = BundlesInUse::default();
        self.keep(global, output, &mut in_use)?;
        for also in &self.also {
            let (directory, state) = match also.split_once('=') {
                Some((directory, state)) => (directory, Some(state.to_owned())),
                None => (also.as_str(), None),
            };
            // `--state` is for the first site only.
            let other = Global {
                inventory: directory.into(),
                state,
                ..global.clone()
            };
            self.keep(&other, output, &mut in_use)?;
        }
        Ok(in_use)
    }

    /// Adds the bundles that one inventory and the installs of its site use.
    fn keep(
        &self,
        global: &Global,
        output: &Output,
        in_use: &mut BundlesInUse,
    ) -> CommandResult<()> {
        let good = load_settled(global, output)?;
        need_inventory(in_use, &good.inventory);
        let directory = state(global, &good.inventory)?;
        let shown = directory.display();
        if !directory.join("state.db").exists() {
            return self.unknown_installs(&good, &format!("no state store at `{shown}`"), output);
        }
        let installs = SqliteStore::open(&directory)?;
        if need_installs(in_use, &good.inventory, &installs)? {
            return Ok(());
        }
        let reason = format!("the state store `{shown}` knows none of its hosts");
        self.unknown_installs(&good, &reason, output)
    }

    /// Stops because the open installs are unknown, unless the command line states that no install runs.
    fn unknown_installs(&self, good: &Good, reason: &str, output: &Output) -> CommandResult<()> {
        if self.no_running_installs {
            return Ok(());
        }
        let site = &good.inventory.site.name;
        let text = format!("cannot tell which installs of `{site}` are running: {reason}");
        let help = "name the state store of its servers with `--state DIR` or `--also DIR=STATE`; \
            or use `--no-running-installs` if no install is running";
        if self.dry_run {
            output.warning(&text, help);
            return Ok(());
        }
        Err(CommandError::failed(text).hint(help))
    }
}

fn confirmed(output: &Output, found: &Garbage) -> CommandResult<bool> {
    let what = summary(found);
    if !std::io::stdin().is_terminal() {
        output.error(
            &format!("cannot ask before removing {what}"),
            "use `--yes` to run without a prompt",
        );
        return Ok(false);
    }
    output.stderr(&format!("Remove {what}? [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn report(output: &Output, verb: &str, garbage: &Garbage) {
    if output.is_json() {
        output.json(&json!({
            "bundles": garbage.names, "files": garbage.blobs.len(), "bytes": garbage.bytes,
        }));
    } else {
        output.result(&format!("{verb} {}\n", summary(garbage)));
    }
}

fn summary(garbage: &Garbage) -> String {
    let names = if garbage.names.is_empty() {
        String::new()
    } else {
        let names: Vec<&str> = garbage.names.iter().map(String::as_str).collect();
        format!(" ({})", names.join(", "))
    };
    format!(
        "{}{names} and {} ({})",
        plural(garbage.names.len(), "bundle"),
        plural(garbage.blobs.len(), "file"),
        size(garbage.bytes)
    )
}
