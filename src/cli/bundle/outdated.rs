use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::build::read_spec;
use super::store::{directory_for_new_files, pinned_bundles};
use crate::bundle::BundleStore;
use crate::bundle::builder::{NewerRelease, ReleaseState, SpecOfBundle, WebClient, check_releases};
use crate::cli::error::{CommandError, CommandResult};
use crate::cli::output::Output;
use crate::cli::{Exit, Global, inventory};
use crate::inventory::{Bundle, nearest, plural};
use crate::machine::shown_line;

/// List the inventory's bundles whose publisher has a newer release
#[derive(Debug, Args)]
#[command(after_help = "\
The publisher's list of checksums is read and verified again, as in a build. It
is found by the recorded sources: those of a preset, also on a mirror, or a URL
with `/releases/download/TAG/`. For other bundles, name the specs with --spec.
Nothing else is downloaded, and nothing changes.

A publisher that cannot be reached does not stop the command: the bundle is
listed with the reason.

Examples:
  pxectl bundle outdated
  pxectl bundle outdated --spec ubuntu.spec.yaml --format json

Exit status:
  0  no newer release was found
  1  a bundle is outdated, or the inventory has errors
  3  no bundle is outdated, but not every publisher could be checked")]
pub struct Outdated {
    /// Bundles to check [default: all of the inventory]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Find the publisher by the spec that the bundle with its name was built from
    #[arg(long = "spec", value_name = "FILE")]
    specs: Vec<PathBuf>,

    /// List all bundles, also those with the newest release
    #[arg(long)]
    all: bool,

    /// Number of bundles to check at the same time
    #[arg(short, long, value_name = "NUMBER", default_value = "8", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// Number of retries for a publisher that does not respond
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    retries: u32,
}

impl Outdated {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let good = inventory::load(global, output)?;
        let bundles = pinned_bundles(&good.inventory, &self.names)?;
        let Some(specs) = self.read_specs(&good.inventory.bundles, output)? else {
            return Ok(Exit::No);
        };
        let store = ReadStore::open(global)?;
        let web = WebClient::new(self.retries)?;
        let policy = &good.inventory.site.signatures;
        let jobs = usize::from(self.jobs);
        let mut checked = check_releases(&store.store, &web, &bundles, &specs, jobs, policy);
        let count = |matches: fn(&ReleaseState) -> bool| {
            let states = checked.iter().map(|(_, state)| state);
            states.filter(|state| matches(state)).count()
        };
        let outdated = count(|state| matches!(state, ReleaseState::Outdated(_)));
        let failed = count(|state| matches!(state, ReleaseState::Failed(_)));
        let unknown = count(|state| matches!(state, ReleaseState::Unknown(_)));
        if !self.all {
            checked.retain(|(_, state)| !matches!(state, ReleaseState::Current));
        }
        if output.is_json() {
            output.json(&checked.iter().map(json).collect::<Vec<_>>());
        } else {
            if !checked.is_empty() {
                output.result(&format!("{}\n", table(&checked)));
            }
            output.note(&format!(
                "checked {}: {outdated} outdated, {failed} not reached, {unknown} unknown",
                plural(bundles.len(), "bundle")
            ));
        }
        Ok(match (outdated, failed) {
            (0, 0) => Exit::Done,
            (0, _) => Exit::Failed,
            _ => Exit::No,
        })
    }

    /// Reads the specs by the names of their bundles, and prints their errors; `None` if there are any.
    fn read_specs(
        &self,
        known: &BTreeMap<String, Bundle>,
        output: &Output,
    ) -> CommandResult<Option<BTreeMap<String, SpecOfBundle>>> {
        let mut specs = BTreeMap::new();
        for path in &self.specs {
            let Some(spec) = read_spec(path, output)? else {
                return Ok(None);
            };
            if !known.contains_key(&spec.name) {
                let text = format!(
                    "the inventory has no bundle `{}`, which `{}` describes",
                    spec.name,
                    path.display()
                );
                let near = nearest(&spec.name, known.keys().map(String::as_str));
                let help = near.map(|near| format!("did you mean `{near}`?"));
                return Err(CommandError::no(text).hint(help.unwrap_or_default()));
            }
            let base = path.parent().unwrap_or(Path::new("")).to_owned();
            specs.insert(spec.name.clone(), SpecOfBundle { spec, base });
        }
        Ok(Some(specs))
    }
}

fn table(checked: &[(&Bundle, ReleaseState)]) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(["BUNDLE", "STATE", "FILES", "PINNED", "NEWEST", "NOTE"]);
    let mut add = |bundle: &Bundle, state: &str, release: [&str; 3], note: &str| {
        let [files, pinned, newest] = release;
        let cells = [bundle.name.as_str(), state, files, pinned, newest, note];
        table.add_row(cells.map(|cell| shown_line(cell).into_owned()));
    };
    for (bundle, state) in checked {
        let name = state_name(state);
        match state {
            ReleaseState::Current => add(bundle, name, ["", "", ""], ""),
            ReleaseState::Outdated(releases) => {
                for release in releases {
                    let files = release.files.join(", ");
                    let (pinned, newest) = short_names(release);
                    add(bundle, name, [&files, &pinned, &newest], "");
                }
            }
            ReleaseState::Unknown(reason) => add(bundle, name, ["", "", ""], reason),
            ReleaseState::Failed(error) => add(bundle, name, ["", "", ""], &error.to_string()),
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn state_name(state: &ReleaseState) -> &'static str {
    match state {
        ReleaseState::Current => "current",
        ReleaseState::Outdated(_) => "outdated",
        ReleaseState::Unknown(_) => "unknown",
        ReleaseState::Failed(_) => "failed",
    }
}

/// Shortens two URLs to the parts in which they differ, and digests to 12 digits.
fn short_names(release: &NewerRelease) -> (String, String) {
    let is_digest = |text: &str| text.starts_with("sha256:");
    let shorten = |text: &str| text.chars().take(7 + 12).collect();
    let (pinned, newest) = (release.pinned.as_str(), release.newest.as_str());
    if is_digest(pinned) {
        let newest = if is_digest(newest) {
            shorten(newest)
        } else {
            newest.to_owned()
        };
        return (shorten(pinned), newest);
    }
    let parts = pinned.split('/').zip(newest.split('/'));
    let same = parts.take_while(|(a, b)| a == b).count();
    let rest = |text: &str| text.split('/').skip(same).collect::<Vec<_>>().join("/");
    (rest(pinned), rest(newest))
}

fn json((bundle, state): &(&Bundle, ReleaseState)) -> Value {
    let (newer, reason) = match state {
        ReleaseState::Current => (&[][..], None),
        ReleaseState::Outdated(newer) => (newer.as_slice(), None),
        ReleaseState::Unknown(reason) => (&[][..], Some(reason.clone())),
        ReleaseState::Failed(error) => (&[][..], Some(error.to_string())),
    };
    json!({
        "bundle": bundle.name,
        "state": state_name(state),
        "newer": newer,
        "reason": reason,
    })
}

/// The bundle store. If there is none, as in CI, an empty store holds the temporary files.
struct ReadStore {
    store: BundleStore,
    /// The directory to remove.
    scratch: Option<PathBuf>,
}

impl ReadStore {
    fn open(global: &Global) -> CommandResult<Self> {
        let directory = directory_for_new_files(global).ok();
        if let Some(directory) = directory.filter(|directory| directory.exists()) {
            let store = BundleStore::open(&directory)?;
            return Ok(Self {
                store,
                scratch: None,
            });
        }
        // Another user of this machine cannot have made the directory before.
        let mut suffix = [0; 8];
        getrandom::fill(&mut suffix).context("no random number for a temporary directory")?;
        let name = format!("pxectl-{:016x}", u64::from_ne_bytes(suffix));
        let scratch = std::env::temp_dir().join(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&scratch);
        made.with_context(|| format!("cannot create `{}`", scratch.display()))?;
        Ok(Self {
            store: BundleStore::open_or_create(&scratch)?,
            scratch: Some(scratch),
        })
    }
}

impl Drop for ReadStore {
    fn drop(&mut self) {
        if let Some(scratch) = &self.scratch {
            let _ = fs::remove_dir_all(scratch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shortened_to_their_differences() {
        for (pinned, newest, expected) in [
            (
                "https://a/9/x-9.iso",
                "https://a/9/x-10.iso",
                ("x-9.iso", "x-10.iso"),
            ),
            (
                "https://a/v1/linux",
                "https://a/v2/linux",
                ("v1/linux", "v2/linux"),
            ),
            ("v1.9.0", "v1.10.0", ("v1.9.0", "v1.10.0")),
            (
                "sha256:0123456789abcdef",
                "sha256:fedcba9876543210",
                ("sha256:0123456789ab", "sha256:fedcba987654"),
            ),
        ] {
            let release = NewerRelease {
                files: Vec::new(),
                pinned: pinned.to_owned(),
                newest: newest.to_owned(),
            };
            let (pinned, newest) = short_names(&release);
            assert_eq!((pinned.as_str(), newest.as_str()), expected);
        }
    }
}
