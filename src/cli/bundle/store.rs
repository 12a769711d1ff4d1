//! The store and the signature rules that a command works with.

use std::path::PathBuf;

use anyhow::bail;

use super::{Stop, fails, said};
use crate::bundle::BundleStore;
use crate::cli::inventory::{Good, check, read};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::{Bundle, Inventory, SignaturePolicy};
use crate::workspace::Snapshot;

/// Returns the path of the bundle store, even if the inventory has errors: the cause may be the missing
/// signature that a command is about to make.
///
/// # Errors
/// When neither the command line nor the inventory names a store; prints the error.
pub fn directory(global: &Global, output: &Output) -> Result<PathBuf, Stop> {
    if let Some(path) = &global.bundles {
        return Ok(path.clone());
    }
    let snapshot = read(&global.inventory, output).map_err(said)?;
    match snapshot.names().bundles {
        Some(path) => Ok(snapshot.directory().join(path)),
        None => {
            let text = format!(
                "inventory `{}` has no bundle store",
                global.inventory.display()
            );
            output.error(
                &text,
                "add `bundles: DIR` to the site, or use `--bundles DIR`",
            );
            Err(said(Exit::No))
        }
    }
}

/// Finds the bundle store, even if the inventory has errors: it may name the bundle that is about to be
/// built.
///
/// # Errors
/// When neither the command line nor the inventory names a store.
pub fn directory_for_new_files(global: &Global) -> anyhow::Result<PathBuf> {
    if let Some(path) = &global.bundles {
        return Ok(path.clone());
    }
    let snapshot = Snapshot::read(&global.inventory)?;
    match snapshot.names().bundles {
        Some(path) => Ok(snapshot.directory().join(path)),
        None => bail!(
            "no bundle store is configured: add `bundles: DIR` to the site, or use `--bundles DIR`"
        ),
    }
}

/// Opens the store.
pub fn open(global: &Global, output: &Output) -> Result<BundleStore, Stop> {
    BundleStore::open(&directory(global, output)?).map_err(fails)
}

/// Reads the inventory whose rules apply. Returns `None` if the directory has no documents and the command
/// line names the store, as on a machine that only passes bundles on.
///
/// # Errors
/// When the inventory has errors, because its rules are unknown then; prints the errors.
pub fn rules(global: &Global, output: &Output) -> Result<Option<Good>, Stop> {
    if global.bundles.is_some() {
        let read = Snapshot::read(&global.inventory);
        if !read.is_ok_and(|snapshot| !snapshot.files().is_empty()) {
            return Ok(None);
        }
    }
    let snapshot = read(&global.inventory, output).map_err(said)?;
    check(snapshot, global, output).map(Some).map_err(said)
}

/// Reads the rules for signatures, even if the inventory has other errors: the cause may be a missing
/// signature. Returns `None` if there is no site, or its rules cannot be read.
pub fn policy(global: &Global) -> Option<SignaturePolicy> {
    Snapshot::read(&global.inventory).ok()?.names().signatures
}

/// Checks a bundle that need not be signed yet: it must not have an invalid signature, nor only one by a
/// revoked key.
///
/// # Errors
/// When the bundle is refused; prints the error.
pub fn check_unsigned(bundle: &Bundle, global: &Global, output: &Output) -> Result<(), Stop> {
    let policy = policy(global).unwrap_or_default().for_unsigned();
    policy.check(bundle).map(drop).map_err(|error| {
        let text = format!("bundle `{}`: {error}", bundle.name);
        output.error(&text, &error.help(&bundle.name));
        said(Exit::No)
    })
}

/// Reads the inventory if it is valid; prints nothing if it is not.
pub fn rules_if_good(global: &Global) -> Option<Inventory> {
    let snapshot = Snapshot::read(&global.inventory).ok()?;
    snapshot.check().good.map(|(inventory, _)| inventory)
}
