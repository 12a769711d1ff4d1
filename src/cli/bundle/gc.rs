use std::io::{BufRead, IsTerminal};

use clap::Args;
use serde_json::json;

use super::travel::size;
use super::{Stop, fails, said, store};
use crate::bundle::{Garbage, Needed};
use crate::cli::inventory::{load_settled, state};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::plural;
use crate::machine::Phase;
use crate::render::Plan;
use crate::store::{SqliteStore, Store};

/// Remove what nothing needs: retired bundles, and files that belong to none
#[derive(Debug, Args)]
#[command(after_help = "\
Never removes what the inventory names, nor what an install that is open needs: so it reads both, and
does nothing where it cannot. Give the other inventories too that share the store.

Examples:
  pxectl bundle gc --dry-run
  pxectl bundle gc --also ../rack-b --yes")]
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
    /// Another inventory that uses the store
    #[arg(long, value_name = "DIR")]
    also: Vec<std::path::PathBuf>,
}

impl Gc {
    pub fn run(&self, global: &Global, output: &Output) -> Result<Exit, Stop> {
        let store = store::open(global, output)?;
        let mut needed = Needed::default();
        let directories = [&global.inventory].into_iter().chain(&self.also);
        for directory in directories {
            self.keep(global, directory, output, &mut needed)?;
        }
        let found = store.garbage(&needed, self.unused).map_err(fails)?;
        if self.dry_run || found.is_empty() {
            report(output, "would go", &found);
            return Ok(Exit::Done);
        }
        if !self.yes && !confirmed(output, &found)? {
            return Ok(Exit::No);
        }
        let gone = store.collect(&found, &needed, self.unused).map_err(fails)?;
        report(output, "gone", &gone);
        Ok(Exit::Done)
    }

    /// Keeps what one inventory, and the installs of its site, need.
    fn keep(
        &self,
        global: &Global,
        directory: &std::path::Path,
        output: &Output,
        needed: &mut Needed,
    ) -> Result<(), Stop> {
        let of_it = Global {
            inventory: directory.to_owned(),
            ..global.clone()
        };
        let good = load_settled(&of_it, output).map_err(said)?;
        for bundle in good.inventory.bundles.values() {
            needed.add(bundle);
        }
        let place = state(&of_it, &good.inventory).map_err(fails)?;
        if !place.join("state.db").exists() {
            output.warning(
                &format!(
                    "there is no store `{}`: no install of `{}` is known",
                    place.display(),
                    good.inventory.site.name
                ),
                "give `--state DIR` if its servers run elsewhere or as another user",
            );
            return Ok(());
        }
        let installs = SqliteStore::open(&place).map_err(fails)?;
        for record in installs.hosts().map_err(fails)? {
            let Some(session) = &record.session else {
                continue;
            };
            let open = session.ended_at.is_none() || record.phase == Phase::Provisioning;
            let stored = installs.session(session.id).map_err(fails)?;
            if let Some(stored) = stored.filter(|_| open) {
                let plan: Plan = serde_json::from_str(&stored.plan).map_err(fails)?;
                needed.add(&plan.bundle);
            }
        }
        Ok(())
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
