use std::cell::Cell;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::size::size;
use super::store;
use super::transfer_progress::TransferBars;
use crate::bundle::transfer::TransferProgress;
use crate::bundle::{BundleStoreError, Verifier};
use crate::cli::error::CommandResult;
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::plural;

const RESTORE: &str = "restore it with `pxectl bundle fetch` or `pxectl bundle pull`";

/// Hash all files of the bundles in the store, and check the signatures
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pxectl bundle verify
  pxectl bundle verify ubuntu-24.04-a --format json

Exit status:
  0  all files and signatures are valid
  1  a file is missing or damaged, or a signature is not valid")]
pub struct Verify {
    /// Bundles to verify [default: all of the store]
    names: Vec<String>,
}

impl Verify {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let store = store::open(global, output)?;
        let policy = store::policy(global);
        if policy.is_none() {
            output.warning(
                "signatures not checked: no inventory names the trusted keys",
                "name the inventory with `-i DIR`, and run `pxectl validate` to see its errors",
            );
        }
        let mut named = store.bundles()?;
        if !self.names.is_empty() {
            for name in &self.names {
                if !named.contains_key(name) {
                    return Err(BundleStoreError::UnknownName {
                        root: store.root().to_owned(),
                        name: name.clone(),
                    }
                    .into());
                }
            }
            named.retain(|name, _| self.names.contains(name));
        }
        let progress = TransferBars::new(output);
        let shared_progress: Arc<dyn TransferProgress> = progress.clone();
        // It does not hash intact files again below.
        let verifier = Verifier::default();
        let bytes = verifier.hash_all(
            &store,
            &named,
            &|files, bytes| shared_progress.begin(files, bytes, files),
            &|name, file| {
                let file_progress =
                    shared_progress.begin_file(&format!("{name}: {}", file.path), file.size);
                let at = Cell::new(0);
                Box::new(move |bytes| {
                    at.set(at.get() + bytes);
                    file_progress.set_position(at.get());
                })
            },
        );
        let (mut listed, mut bad) = (Vec::new(), 0);
        for (name, it) in &named {
            let mut faults = Vec::new();
            match &it.bundle {
                // Other programs' images are ignored, unless the command names them.
                Err(BundleStoreError::NotABundle { .. }) if self.names.is_empty() => continue,
                Err(error) => faults.push((error.to_string(), RESTORE.to_owned())),
                Ok(bundle) => {
                    for file in bundle.files.values() {
                        let opened = verifier.open(&store, file);
                        let bad = opened.err().map(|error| error.to_string());
                        faults.extend(bad.map(|fault| (fault, RESTORE.to_owned())));
                    }
                    let signed = policy
                        .as_ref()
                        .map(|policy| policy.check(bundle).map(|_| ()));
                    let error = signed.and_then(Result::err);
                    faults.extend(error.map(|error| (error.to_string(), error.help(name))));
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
                "{good} of {} intact, {} hashed\n",
                plural(listed.len(), "bundle"),
                size(bytes)
            ));
        }
        Ok(if bad == 0 { Exit::Done } else { Exit::No })
    }
}
