use std::cell::Cell;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::transfer_progress::{Progress, size};
use super::{Stop, fails, store};
use crate::bundle::transfer::Watch;
use crate::bundle::{BundleStoreError, Verifier};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::{Bundle, plural};

const GOOD_COPY: &str = "`pxectl bundle fetch` or `bundle pull` brings a good copy";

/// Hash every file of bundles again, each once, and check their signatures
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pxectl bundle verify
  pxectl bundle verify ubuntu-24.04-a --format json

Exit status: 0 when all is as it was, 1 when something is not.")]
pub struct Verify {
    /// The bundles [default: all of the store]
    names: Vec<String>,
}

impl Verify {
    pub fn run(&self, global: &Global, output: &Output) -> Result<Exit, Stop> {
        let store = store::open(global, output)?;
        let policy = store::policy(global);
        if policy.is_none() {
            output.warning(
                "no signature was checked: no inventory says whose signatures count",
                "`-i DIR` names the inventory; `pxectl validate` lists its errors",
            );
        }
        let mut named = store.bundles().map_err(fails)?;
        if !self.names.is_empty() {
            for name in &self.names {
                if !named.contains_key(name) {
                    return Err(fails(BundleStoreError::UnknownName {
                        root: store.root().to_owned(),
                        name: name.clone(),
                    }));
                }
            }
            named.retain(|name, _| self.names.contains(name));
        }
        let progress = Progress::new(output);
        let watch: Arc<dyn Watch> = progress.clone();
        // What it has found good is not hashed again below.
        let verifier = Verifier::default();
        let octets = verifier.hash_all(
            &store,
            &named,
            &|files, octets| watch.begins(files, octets, files),
            &|name, file| {
                let part = watch.file(&format!("{name}: {}", file.path), file.size);
                let at = Cell::new(0);
                Box::new(move |octets| {
                    at.set(at.get() + octets);
                    part.at(at.get());
                })
            },
        );
        let (mut listed, mut bad) = (Vec::new(), 0);
        for (name, it) in &named {
            let mut faults = Vec::new();
            match &it.bundle {
                // What others keep here is theirs, unless it is asked about.
                Err(BundleStoreError::NotABundle { .. }) if self.names.is_empty() => continue,
                Err(error) => faults.push((error.to_string(), GOOD_COPY.to_owned())),
                Ok(bundle) => {
                    for file in bundle.files.values() {
                        let opened = verifier.open(&store, file);
                        let bad = opened.err().map(|error| error.to_string());
                        faults.extend(bad.map(|fault| (fault, GOOD_COPY.to_owned())));
                    }
                    let signed = policy
                        .as_ref()
                        .map(|policy| policy.check(bundle).map(|_| ()));
                    let refused = signed.and_then(Result::err);
                    faults.extend(refused.map(|error| (error.to_string(), error.help(name))));
                }
            }
            bad += usize::from(!faults.is_empty());
            listed.push((name, faults));
        }
        progress.clear();
        for (name, faults) in &listed {
            for (fault, help) in faults {
                output.error(&format!("bundle `{name}`: {fault}"), help);
            }
        }
        if output.is_json() {
            let listed = listed.iter().map(|(name, faults)| {
                let faults: Vec<&String> = faults.iter().map(|(fault, _)| fault).collect();
                json!({ "bundle": name, "faults": faults })
            });
            output.json(&listed.collect::<Vec<_>>());
        } else {
            let good = listed.len() - bad;
            output.result(&format!(
                "{good} of {} good, {} hashed\n",
                plural(listed.len(), "bundle"),
                size(octets)
            ));
        }
        Ok(if bad == 0 { Exit::Done } else { Exit::No })
    }
}

/// Adds up the octets of a bundle's files.
pub fn total(bundle: &Bundle) -> u64 {
    let sizes = bundle.files.values().map(|file| file.size);
    sizes.fold(0, u64::saturating_add)
}
