//! Reading the inventory for a command: a broken one is refused with its diagnostics.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::output::Output;
use super::{Exit, Global};
use crate::bundle::BundleStore;
use crate::inventory::Inventory;
use crate::render::Templates;
use crate::serve::live::bundle_directory;
use crate::workspace::{Checked, Snapshot, SnapshotError, state_directory};

/// An inventory that a command can work with.
pub struct Good {
    pub snapshot: Snapshot,
    pub inventory: Inventory,
    pub templates: Templates,
}

/// Reads and checks the inventory; prints every fault, and returns `Err` with how to exit when one
/// is an error.
pub fn load(global: &Global, output: &Output) -> Result<Good, Exit> {
    checked(global, output, read(&global.inventory, output)?)
}

/// As [`load`], but waits while git writes the directory.
pub fn load_settled(global: &Global, output: &Output) -> Result<Good, Exit> {
    let read = Snapshot::read_settled(&global.inventory, || true);
    checked(global, output, said(read, output)?)
}

fn checked(global: &Global, output: &Output, snapshot: Snapshot) -> Result<Good, Exit> {
    let Checked { good, diagnostics } = snapshot.check();
    if good.is_none() {
        for diagnostic in &diagnostics {
            let text = diagnostic.to_text(snapshot.files(), output.stderr_color());
            output.stderr(&format!("{text}\n"));
        }
    }
    match good {
        Some((inventory, templates)) => Ok(Good {
            snapshot,
            inventory,
            templates,
        }),
        None => {
            let text = format!(
                "the inventory `{}` is at fault; nothing was done",
                global.inventory.display()
            );
            output.error(
                &text,
                "mend what is listed above; `pxectl validate` lists it again",
            );
            Err(Exit::No)
        }
    }
}

/// Reads the inventory; prints why it cannot be.
pub fn read(directory: &Path, output: &Output) -> Result<Snapshot, Exit> {
    said(Snapshot::read(directory), output)
}

fn said(read: Result<Snapshot, SnapshotError>, output: &Output) -> Result<Snapshot, Exit> {
    read.map_err(|error| {
        let help = match &error {
            SnapshotError::Absent(_) => {
                "name it with `-i DIR`, or make an example with `pxectl init DIR`"
            }
            SnapshotError::GitAtWork(_) => {
                "try again when git is done; a lock that a crash has left behind can be removed"
            }
            SnapshotError::Unsettled(_) => "try again when it no longer changes",
            SnapshotError::Io { .. } => "",
        };
        output.error(&error.to_string(), help);
        Exit::Failed
    })
}

/// Returns the directory of the store that a command works with.
///
/// # Errors
/// When `--state` names something that is no directory.
pub fn state(global: &Global, inventory: &Inventory) -> anyhow::Result<PathBuf> {
    match global.state.as_deref() {
        None => Ok(state_directory(&inventory.site.name)),
        Some(url) => match url.strip_prefix("sqlite:") {
            Some(path) => Ok(PathBuf::from(path)),
            None if url.contains("://") => {
                bail!("`--state {url}`: this version keeps its store in a directory only")
            }
            None => Ok(PathBuf::from(url)),
        },
    }
}

/// Opens the bundle store of an inventory.
///
/// # Errors
/// When no store is named, and when the one that is cannot be opened.
pub fn bundles(global: &Global, good: &Good) -> anyhow::Result<BundleStore> {
    let path = bundle_directory(
        good.snapshot.directory(),
        &good.inventory,
        global.bundles.as_deref(),
    );
    match path {
        Some(path) => Ok(BundleStore::open(&path)?),
        None => bail!(
            "no bundle store is named: add `bundles: DIR` to the site, or give `--bundles DIR`"
        ),
    }
}
