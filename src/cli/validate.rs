use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use serde_json::json;

use super::output::Output;
use super::{Exit, Global, inventory};
use crate::bundle::{BundleStore, BundleStoreError};
use crate::cli::error::CommandResult;
use crate::clock::wall_time;
use crate::inventory::{
    Bundle, BundleFile, Diagnostic, Inventory, Severity, Sources, plural, sort,
};
use crate::lint;
use crate::workspace::files::{Surroundings, refused_roots};
use crate::workspace::{bundle_directory, read_loaders};

/// Check an inventory, and report all errors at once
#[derive(Debug, Args)]
#[command(after_help = "\
For the files of bundles, validate checks only the size. `host provision`
hashes every file of a bundle before it arms a host.

Examples:
  pxectl validate -i rack-a
  pxectl validate -i rack-a --deny warnings --format json

Exit status:
  0  no errors
  1  errors, or warnings with --deny warnings
  3  the inventory cannot be read")]
pub struct Validate {
    /// Treat warnings as errors
    #[arg(long, value_name = "WHAT")]
    deny: Option<Deny>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Exit with status 1 if there are warnings
    Warnings,
}

impl Validate {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let snapshot = inventory::read(&global.inventory)?;
        let mut checked = snapshot.check();
        if let Some((inventory, _)) = &checked.good {
            let directory = snapshot.directory();
            let store = bundle_directory(directory, inventory, global.bundles.as_deref());
            // Without a store directory, there is no store that could be served.
            let state = super::inventory::state(global, inventory).ok();
            let surroundings =
                Surroundings::new(directory, inventory, store.as_deref(), state.as_deref());
            let refused = refused_roots(inventory, directory, &surroundings);
            let place = |index: usize| checked.spans.roots.get(index).copied();
            let refused = refused
                .iter()
                .map(|(index, why)| why.diagnostic(place(*index)));
            checked.diagnostics.extend(refused);
            let files = read_loaders(inventory, directory, surroundings);
            let findings = lint::loaders(inventory, &checked.spans, &files);
            checked.diagnostics.extend(findings);
            let today = wall_time().to_zoned(TimeZone::UTC).date();
            let expired = lint::expiry(inventory, &checked.spans, today);
            checked.diagnostics.extend(expired);
            sort(&mut checked.diagnostics, snapshot.files());
            checked.diagnostics.extend(
                store
                    .map(|path| bundles(inventory, &path))
                    .unwrap_or_default(),
            );
        }
        let diagnostics = checked.diagnostics;
        let count = |severity| {
            diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.severity == severity)
                .count()
        };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let files = snapshot.files();
        let sources = Sources::new(files, &diagnostics);
        if output.is_json() {
            let listed: Vec<_> = diagnostics
                .iter()
                .map(|diagnostic| diagnostic.to_json(&sources))
                .collect();
            output.json(&json!({ "errors": errors, "warnings": warnings, "diagnostics": listed }));
        } else {
            let color = output.stdout_color();
            let text: String = diagnostics
                .iter()
                .map(|diagnostic| diagnostic.to_text(&sources, color) + "\n")
                .collect();
            output.result(&text);
            let what = match &checked.good {
                Some((inventory, _)) => summary(inventory),
                None => format!("{} files", files.len()),
            };
            output.result(&format!(
                "{what}: {}, {}\n",
                plural(errors, "error"),
                plural(warnings, "warning")
            ));
        }
        let denied = self.deny == Some(Deny::Warnings) && warnings > 0;
        Ok(if errors > 0 || denied {
            Exit::No
        } else {
            Exit::Done
        })
    }
}

fn summary(inventory: &Inventory) -> String {
    format!(
        "{}: {}, {}, {}",
        inventory.site.name,
        plural(inventory.hosts.len(), "host"),
        plural(inventory.profiles.len(), "profile"),
        plural(inventory.bundles.len(), "bundle"),
    )
}

/// Checks that the bundle store has every blob. CI has no blobs, so a missing store is only a note.
fn bundles(inventory: &Inventory, path: &std::path::Path) -> Vec<Diagnostic> {
    let store = match BundleStore::open(path) {
        Ok(store) => store,
        Err(error @ BundleStoreError::Absent(_)) => {
            let note = Diagnostic::new(Severity::Note, "no-bundle-store", None, error.to_string());
            return vec![note.help("blobs are not checked; use `--bundles DIR` for another store")];
        }
        Err(error) => {
            return vec![Diagnostic::new(
                Severity::Error,
                "bundle-store",
                None,
                error.to_string(),
            )];
        }
    };
    let mut diagnostics = retired(inventory, &store);
    diagnostics.extend(inventory.bundles.values().flat_map(|it| blobs(it, &store)));
    diagnostics
}

/// Checks that the store has every file of a bundle. If all files are missing, reports one error.
fn blobs(bundle: &Bundle, store: &BundleStore) -> Vec<Diagnostic> {
    let name = &bundle.name;
    let error = |message, missing: &[&BundleFile]| {
        let help = if missing.iter().all(|file| file.source.is_some()) {
            format!("run `pxectl bundle fetch {name}` to download the missing files")
        } else {
            format!(
                "not every file has a `source`: run `pxectl bundle pull`, or `pxectl bundle fetch \
                 {name} --from URL-OR-DIR`, or build a bundle with another name"
            )
        };
        Diagnostic::new(Severity::Error, "bundle-blob", None, message).help(help)
    };
    let files: Vec<&BundleFile> = bundle.files.values().collect();
    let nothing = |file: &&BundleFile| store.blob_size(&file.sha256).is_none();
    if files.len() > 1 && files.iter().all(nothing) {
        let root = store.root().display();
        let message = format!("bundle `{name}`: all files are missing from the store `{root}`");
        return vec![error(message, &files)];
    }
    let errors = files.iter().filter_map(|file| {
        let cause = store.open_blob(file).err()?;
        Some(error(format!("bundle `{name}`: {cause}"), &[*file]))
    });
    errors.collect()
}

/// Warns about profiles whose bundle is retired.
fn retired(inventory: &Inventory, store: &BundleStore) -> Vec<Diagnostic> {
    // The check of the blobs reports a broken index.
    let named = store.bundles().unwrap_or_default();
    let used = inventory.profiles.values().filter_map(|profile| {
        let why = named.get(&profile.bundle)?.retired()?;
        let message = format!(
            "profile `{}` uses bundle `{}`, which is retired: {why}",
            profile.name, profile.bundle
        );
        let warning = Diagnostic::new(Severity::Warning, "bundle-retired", None, message);
        Some(warning.help("use a newer bundle; run `pxectl bundle list` to list them"))
    });
    used.collect()
}
