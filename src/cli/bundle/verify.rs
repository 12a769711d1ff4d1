use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::travel::{Progress, size};
use super::{Stop, fails, store};
use crate::bundle::transport::Watch;
use crate::bundle::{BundleStoreError, Verifier};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::{Bundle, plural};

/// Hash every file of bundles again, and check their signatures
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
        let policy = store::rules_if_good(global).map(|good| good.site.signatures);
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
        let octets = named.values().filter_map(|it| it.bundle.as_ref().ok());
        let octets = octets.map(total).sum();
        let progress = Progress::new(output);
        let watch: Arc<dyn Watch> = progress.clone();
        watch.begins(named.len(), octets, named.len());
        // One for all: a file that several bundles have is hashed once.
        let verifier = Verifier::default();
        let (mut listed, mut bad) = (Vec::new(), 0);
        for (name, it) in &named {
            let mut faults = Vec::new();
            match &it.bundle {
                Err(BundleStoreError::NotABundle { .. }) => continue,
                Err(error) => faults.push(error.to_string()),
                Ok(bundle) => {
                    let part = watch.file(name, total(bundle));
                    let mut done = 0;
                    for file in bundle.files.values() {
                        let opened = verifier.open(&store, file);
                        faults.extend(opened.err().map(|error| error.to_string()));
                        done += file.size;
                        part.at(done);
                    }
                    let signed = policy
                        .as_ref()
                        .map(|policy| policy.check(bundle).map(|_| ()));
                    faults.extend(signed.and_then(Result::err).map(|error| error.to_string()));
                }
            }
            bad += usize::from(!faults.is_empty());
            listed.push((name, faults));
        }
        progress.clear();
        for (name, faults) in &listed {
            for fault in faults {
                let help = "`pxectl bundle fetch` or `bundle pull` brings a good copy";
                output.error(&format!("bundle `{name}`: {fault}"), help);
            }
        }
        if output.is_json() {
            let listed = listed
                .iter()
                .map(|(name, faults)| json!({ "bundle": name, "faults": faults }));
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
