//! The store and the signature rules that a command works with.

use std::path::PathBuf;

use crate::bundle::BundleStore;
use crate::cli::error::{CommandError, CommandResult};
use crate::cli::inventory::{Good, check, read};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::{Bundle, Inventory, SignaturePolicy, nearest};
use crate::workspace::Snapshot;

/// Returns the path of the bundle store, even if the inventory has errors: the cause may be the missing
/// signature that a command is about to make.
///
/// # Errors
/// When neither the command line nor the inventory names a store; prints the error.
pub fn directory(global: &Global, output: &Output) -> CommandResult<PathBuf> {
    if let Some(path) = &global.bundles {
        return Ok(path.clone());
    }
    let snapshot = read(&global.inventory)?;
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
            Err(CommandError::reported(Exit::No))
        }
    }
}

/// Finds the bundle store, even if the inventory has errors: it may name the bundle that is about to be
/// built.
///
/// # Errors
/// When neither the command line nor the inventory names a store.
pub fn directory_for_new_files(global: &Global) -> CommandResult<PathBuf> {
    if let Some(path) = &global.bundles {
        return Ok(path.clone());
    }
    let snapshot = Snapshot::read(&global.inventory)?;
    match snapshot.names().bundles {
        Some(path) => Ok(snapshot.directory().join(path)),
        None => Err(CommandError::failed("no bundle store is configured")
            .hint("add `bundles: DIR` to the site, or use `--bundles DIR`")),
    }
}

/// Returns the inventory's bundles with these names, or all of them if there are no names.
///
/// # Errors
/// When the inventory has no bundle with a name.
pub fn pinned_bundles<'i>(
    inventory: &'i Inventory,
    names: &[String],
) -> CommandResult<Vec<&'i Bundle>> {
    let known = &inventory.bundles;
    if let Some(name) = names.iter().find(|name| !known.contains_key(*name)) {
        let error = CommandError::no(format!("the inventory has no bundle `{name}`"));
        let near = nearest(name, known.keys().map(String::as_str));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        return Err(error.hint(help.unwrap_or_default()));
    }
    let bundles = known.values();
    Ok(bundles
        .filter(|it| names.is_empty() || names.contains(&it.name))
        .collect())
}

/// Opens the store.
pub fn open(global: &Global, output: &Output) -> CommandResult<BundleStore> {
    Ok(BundleStore::open(&directory(global, output)?)?)
}

/// Reads the inventory whose rules apply. Returns `None` if the directory has no documents and the command
/// line names the store, as on a machine that only passes bundles on.
///
/// # Errors
/// When the inventory has errors, because its rules are unknown then; prints the errors.
pub fn rules(global: &Global, output: &Output) -> CommandResult<Option<Good>> {
    if global.bundles.is_some() {
        let read = Snapshot::read(&global.inventory);
        if !read.is_ok_and(|snapshot| !snapshot.files().is_empty()) {
            return Ok(None);
        }
    }
    let snapshot = read(&global.inventory)?;
    check(snapshot, global, output).map(Some)
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
/// When the bundle is refused.
pub fn check_unsigned(bundle: &Bundle, global: &Global) -> CommandResult<()> {
    let policy = policy(global).unwrap_or_default().for_unsigned();
    policy.check(bundle).map(drop).map_err(|error| {
        let text = format!("bundle `{}`: {error}", bundle.name);
        CommandError::no(text).hint(error.help(&bundle.name))
    })
}

/// Reads the inventory if it is valid; prints nothing if it is not.
pub fn rules_if_good(global: &Global) -> Option<Inventory> {
    let snapshot = Snapshot::read(&global.inventory).ok()?;
    snapshot.check().good.map(|(inventory, _)| inventory)
}
