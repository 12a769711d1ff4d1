//! Which store and whose rules a command works with.

use std::path::PathBuf;

use super::{Stop, fails, said};
use crate::bundle::BundleStore;
use crate::cli::inventory::{Good, check, read};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::{Bundle, Inventory, SignaturePolicy};
use crate::workspace::Snapshot;

/// Returns where the bundle store lies. A broken inventory says so too: what breaks it may be the
/// signature that a command is about to make.
pub fn directory(global: &Global, output: &Output) -> Result<PathBuf, Stop> {
    if let Some(path) = &global.bundles {
        return Ok(path.clone());
    }
    let snapshot = read(&global.inventory, output).map_err(said)?;
    match snapshot.names().bundles {
        Some(path) => Ok(snapshot.directory().join(path)),
        None => {
            let text = format!(
                "the inventory `{}` names no bundle store",
                global.inventory.display()
            );
            output.error(
                &text,
                "add `bundles: DIR` to the site, or give `--bundles DIR`",
            );
            Err(said(Exit::No))
        }
    }
}

/// Opens the store.
pub fn open(global: &Global, output: &Output) -> Result<BundleStore, Stop> {
    BundleStore::open(&directory(global, output)?).map_err(fails)
}

/// Reads the inventory whose rules hold. There is none where the directory holds no documents and
/// the store is named apart, as where bundles are only passed on.
///
/// # Errors
/// When it is at fault, which has been said: its rules are not known then.
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

/// Reads whose signatures count, also where the inventory is otherwise at fault: what is wrong with
/// it may be the very signature. None where no site says it, or what it says cannot be read.
pub fn policy(global: &Global) -> Option<SignaturePolicy> {
    Snapshot::read(&global.inventory).ok()?.names().signatures
}

/// Checks a bundle that need not be signed yet: no signature of it may be wrong, and none that
/// counts may be by a revoked key.
///
/// # Errors
/// When it is refused, which has been printed.
pub fn check_unsigned(bundle: &Bundle, global: &Global, output: &Output) -> Result<(), Stop> {
    let policy = policy(global).unwrap_or_default().for_unsigned();
    policy.check(bundle).map(drop).map_err(|error| {
        let text = format!("bundle `{}`: {error}", bundle.name);
        output.error(&text, &error.help(&bundle.name));
        said(Exit::No)
    })
}

/// Reads the inventory if it is good; says nothing where it is not.
pub fn rules_if_good(global: &Global) -> Option<Inventory> {
    let snapshot = Snapshot::read(&global.inventory).ok()?;
    snapshot.check().good.map(|(inventory, _)| inventory)
}
