use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use serde_json::json;

use super::transfer_progress::size;
use super::{Stop, fails, said, store};
use crate::bundle::{BundleStore, BundleStoreError, Garbage, GarbageRules, Needed};
use crate::cli::inventory::{Good, load_settled, state};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::plural;
use crate::provision::{need_installs, need_inventory};
use crate::store::SqliteStore;

/// Remove what nothing needs: retired bundles, and files that belong to none
#[derive(Debug, Args)]
#[command(after_help = "\
Never removes what the inventory names, nor what an install that is open needs:
so it reads both, and removes nothing where it cannot. Nor does it where the
store of the installs is not that of the site's servers, because there is none,
or one that knows none of the inventory's hosts. Give the other inventories too
that share the bundle store.

Examples:
  pxectl bundle gc --dry-run
  pxectl bundle gc --also ../rack-b --yes
  pxectl bundle gc --also ../rack-c=/srv/rack-c/state")]
pub struct Gc {
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
    /// Remove bundles too that are not retired and that no inventory names
    #[arg(long)]
    unused: bool,
    /// How old must be what is not retired: a bundle that no inventory names yet, and files that
    /// belong to none, as a transfer that broke off leaves them
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_age)]
    min_age: Duration,
    /// Another inventory that uses the bundle store, and the store of its installs where that is not
    /// in its usual place
    #[arg(long, value_name = "DIR[=STATE]")]
    also: Vec<String>,
    /// No install runs that is not in the stores which are found: needed where there is none
    #[arg(long)]
    no_running_installs: bool,
}

fn parse_age(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok();
    let age = parsed.and_then(|value| Duration::try_from(value).ok());
    age.ok_or_else(|| "write a time such as `90m` or `24h`".to_owned())
}

impl Gc {
    pub fn run(&self, global: &Global, output: &Output) -> Result<Exit, Stop> {
        let store = store::open(global, output)?;
        let rules = GarbageRules {
            unused: self.unused,
            least_age: self.min_age,
        };
        let needed = self.needed(global, output)?;
        let found = store.garbage(&needed, rules).map_err(fails)?;
        self.tell_kept(&store, &needed, &found, output)?;
        if self.dry_run || found.is_empty() {
            let what = if self.dry_run { "would go" } else { "gone" };
            report(output, what, &found);
            return Ok(Exit::Done);
        }
        if !self.yes && !confirmed(output, &found)? {
            return Ok(Exit::No);
        }
        // Read again: since it was asked, a host may have been armed, and git may have gone back.
        let again = || self.needed(global, output).map_err(Ended::Stopped);
        let gone = store.collect(&found, rules, again);
        let gone = gone.map_err(|ended| match ended {
            Ended::Stopped(stop) => stop,
            Ended::Store(error) => fails(error),
        })?;
        report(output, "gone", &gone);
        Ok(Exit::Done)
    }

    /// Says of each bundle that stays why it does.
    fn tell_kept(
        &self,
        store: &BundleStore,
        needed: &Needed,
        found: &Garbage,
        output: &Output,
    ) -> Result<(), Stop> {
        let named = store.bundles().map_err(fails)?;
        for (name, it) in named
            .iter()
            .filter(|(name, _)| !found.names.contains(*name))
        {
            let why = match needed.why(name) {
                [] if it.retired().is_none() && !self.unused => "not retired".to_owned(),
                [] => "younger than `--min-age`".to_owned(),
                why => why.join(", "),
            };
            output.note(&format!("kept {name}: {why}"));
        }
        Ok(())
    }

    /// Lists what the inventories need, and the installs of their sites.
    fn needed(&self, global: &Global, output: &Output) -> Result<Needed, Stop> {
        let mut needed = Needed::default();
        self.keep(global, output, &mut needed)?;
        for also in &self.also {
            let (directory, state) = match also.split_once('=') {
                Some((directory, state)) => (directory, Some(state.to_owned())),
                None => (also.as_str(), None),
            };
            // `--state` is the store of one site: it tells nothing of another.
            let of_it = Global {
                inventory: directory.into(),
                state,
                ..global.clone()
            };
            self.keep(&of_it, output, &mut needed)?;
        }
        Ok(needed)
    }

    /// Keeps what one inventory, and the installs of its site, need.
    fn keep(&self, of_it: &Global, output: &Output, needed: &mut Needed) -> Result<(), Stop> {
        let good = load_settled(of_it, output).map_err(said)?;
        need_inventory(needed, &good.inventory);
        let place = state(of_it, &good.inventory).map_err(fails)?;
        let shown = place.display();
        if !place.join("state.db").exists() {
            return self.unknown(&good, &format!("there is no store `{shown}`"), output);
        }
        let installs = SqliteStore::open(&place).map_err(fails)?;
        match need_installs(needed, &good.inventory, &installs).map_err(fails)? {
            true => Ok(()),
            false => {
                let what = format!("the store `{shown}` knows none of its hosts");
                self.unknown(&good, &what, output)
            }
        }
    }

    /// Stops where it is not known which installs run, unless somebody says that none does.
    fn unknown(&self, good: &Good, what: &str, output: &Output) -> Result<(), Stop> {
        if self.no_running_installs {
            return Ok(());
        }
        let site = &good.inventory.site.name;
        let text = format!("it is not known which installs of `{site}` run: {what}");
        let help = "give the store of its servers: `--state DIR`, or `--also DIR=STATE`; or \
            `--no-running-installs` where none runs";
        if self.dry_run {
            output.warning(&text, help);
            return Ok(());
        }
        output.error(&text, help);
        Err(said(Exit::Failed))
    }
}

/// Why nothing was collected.
enum Ended {
    Stopped(Stop),
    Store(BundleStoreError),
}

impl From<BundleStoreError> for Ended {
    fn from(error: BundleStoreError) -> Self {
        Self::Store(error)
    }
}

fn confirmed(output: &Output, found: &Garbage) -> Result<bool, Stop> {
    let what = format!("these would go: {}", spelled(found));
    if !std::io::stdin().is_terminal() {
        output.error(
            &what,
            "give `--yes` to remove them where nobody can be asked",
        );
        return Ok(false);
    }
    output.stderr(&format!("{what}\nRemove them? [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(fails)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn report(output: &Output, what: &str, garbage: &Garbage) {
    if output.is_json() {
        output.json(&json!({
            "bundles": garbage.names, "files": garbage.blobs.len(), "octets": garbage.octets,
        }));
    } else {
        output.result(&format!("{what}: {}\n", spelled(garbage)));
    }
}

fn spelled(garbage: &Garbage) -> String {
    let names: Vec<&str> = garbage.names.iter().map(String::as_str).collect();
    let names = match names.as_slice() {
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    format!(
        "{}{names}, {} of {}",
        plural(garbage.names.len(), "bundle"),
        plural(garbage.blobs.len(), "file"),
        size(garbage.octets)
    )
}
