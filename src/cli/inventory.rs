//! Reading the inventory for a command: a broken one is refused with its diagnostics.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Global;
use super::output::Output;
use crate::bundle::BundleStore;
use crate::cli::error::{CommandError, CommandResult};
use crate::inventory::{Host, Inventory, Names, Sources, nearest};
use crate::render::Templates;
use crate::store::{RunningServer, SqliteStore};
use crate::workspace::{Checked, Snapshot, bundle_directory, state_directory};

/// An inventory that a command can work with.
pub struct Good {
    pub snapshot: Snapshot,
    pub inventory: Inventory,
    pub templates: Templates,
}

/// What is known of the hosts where the inventory may be broken.
pub struct Known {
    /// The inventory, if it is good.
    pub inventory: Option<Inventory>,
    /// The hosts that it names, good or not.
    pub hosts: BTreeSet<String>,
    /// The directory of the store.
    pub state: PathBuf,
}

impl Known {
    /// Finds a host. Returns `None` while the inventory has errors.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.inventory.as_ref()?.hosts.get(name)
    }
}

/// Reads and checks the inventory; prints every fault, and returns `Err` with how to exit when one
/// is an error.
pub fn load(global: &Global, output: &Output) -> CommandResult<Good> {
    check(read(&global.inventory)?, global, output)
}

/// Like [`load`], once the directory has settled: nothing may come of half a checkout.
pub fn load_settled(global: &Global, output: &Output) -> CommandResult<Good> {
    let snapshot = Snapshot::read_settled(&global.inventory, || true);
    check(snapshot?, global, output)
}

/// Checks what was read; see [`load`].
pub fn check(snapshot: Snapshot, global: &Global, output: &Output) -> CommandResult<Good> {
    let Checked {
        good, diagnostics, ..
    } = snapshot.check();
    if good.is_none() {
        let sources = Sources::new(snapshot.files(), &diagnostics);
        for diagnostic in &diagnostics {
            let text = diagnostic.to_text(&sources, output.stderr_color());
            output.stderr(&format!("{text}\n"));
        }
    }
    match good {
        Some((inventory, templates)) => Ok(Good {
            snapshot,
            inventory,
            templates,
        }),
        None => Err(CommandError::no(format!(
            "the inventory `{}` has errors; nothing was done",
            global.inventory.display()
        ))
        .hint("fix the errors above, then run `pxectl validate`")),
    }
}

/// Reads the inventory for a command that can do without: where none is named and none is here, says
/// so; if it has errors, warns.
///
/// # Errors
/// How to exit where one is named that cannot be read, which is printed.
pub fn known_or_none(global: &Global, output: &Output) -> CommandResult<Option<Good>> {
    let directory = &global.inventory;
    let snapshot = read(directory)?;
    if snapshot.files().is_empty() || is_unasked(global) && !looks_like_one(&snapshot) {
        let place = directory.display();
        output.note(&format!(
            "no inventory in `{place}`: showing machines by their addresses"
        ));
        return Ok(None);
    }
    let Some((inventory, templates)) = snapshot.check().good else {
        output.warning(
            &format!(
                "ignoring the inventory `{}`, which has errors",
                directory.display()
            ),
            "run `pxectl validate` to list the errors",
        );
        return Ok(None);
    };
    Ok(Some(Good {
        snapshot,
        inventory,
        templates,
    }))
}

/// Reports whether nobody named an inventory: we are just there.
fn is_unasked(global: &Global) -> bool {
    global.inventory == Path::new(".") && std::env::var_os("PXECTL_INVENTORY").is_none()
}

/// Reports whether a directory holds a document of ours, or one that was meant to be: other programs
/// keep YAML too.
fn looks_like_one(snapshot: &Snapshot) -> bool {
    const KINDS: [&str; 4] = ["Site", "Profile", "Host", "Bundle"];
    let kinds = snapshot.files().iter().flat_map(|file| file.text.lines());
    let mut kinds = kinds.filter_map(|line| {
        let line = line.trim_start_matches(['{', ' ', '"', '\'']);
        let value = line
            .strip_prefix("kind")?
            .trim_start_matches(['"', '\'', ' ']);
        let value = value.strip_prefix(':')?.split([',', '}', '#']).next()?;
        Some(value.trim().trim_matches(['"', '\'']))
    });
    kinds.any(|kind| nearest(kind, KINDS).is_some())
}

/// Reads what it can of the inventory: a host must be stopped also while it is broken. Warns then;
/// prints why where the store cannot be found.
///
/// # Errors
/// As [`state`].
pub fn known(global: &Global, output: &Output) -> CommandResult<Known> {
    let (fault, names, inventory) = match Snapshot::read(&global.inventory) {
        Ok(snapshot) => {
            let inventory = snapshot.check().good.map(|(inventory, _)| inventory);
            let text = format!("the inventory `{}` has errors", global.inventory.display());
            (text, snapshot.names(), inventory)
        }
        Err(error) if global.state.is_none() => return Err(error.into()),
        Err(error) => (error.to_string(), Names::default(), None),
    };
    let state = match (&global.state, &names.site) {
        (Some(url), _) => state_named(url)?,
        (None, Some(site)) => state_directory(site)?,
        (None, None) => {
            let text = format!("{fault}, and the name of its site cannot be read");
            return Err(
                CommandError::no(text).hint("name the store of the site with `--state DIR`")
            );
        }
    };
    if inventory.is_none() {
        output.warning(
            &format!("{fault}; using the host names that it and the store contain"),
            "run `pxectl validate` to list the errors",
        );
    }
    Ok(Known {
        inventory,
        hosts: names.hosts,
        state,
    })
}

/// Reads the inventory; prints why it cannot be.
pub fn read(directory: &Path) -> CommandResult<Snapshot> {
    Ok(Snapshot::read(directory)?)
}

/// Returns the directory of the store that a command works with.
///
/// # Errors
/// When `--state` names something that is no directory, and when it is left out and there is no
/// place for a store.
pub fn state(global: &Global, inventory: &Inventory) -> CommandResult<PathBuf> {
    match global.state.as_deref() {
        None => Ok(state_directory(&inventory.site.name)?),
        Some(url) => state_named(url),
    }
}

fn state_named(url: &str) -> CommandResult<PathBuf> {
    match url.strip_prefix("sqlite:") {
        Some(path) => Ok(PathBuf::from(path)),
        None if url.contains("://") => Err(CommandError::failed(format!(
            "`--state {url}`: this version keeps its store in a directory only"
        ))),
        None => Ok(PathBuf::from(url)),
    }
}

/// Opens the bundle store of an inventory.
///
/// # Errors
/// When no store is named, and when the one that is cannot be opened.
pub fn bundles(global: &Global, good: &Good) -> CommandResult<BundleStore> {
    let path = bundle_directory(
        good.snapshot.directory(),
        &good.inventory,
        global.bundles.as_deref(),
    );
    match path {
        Some(path) => Ok(BundleStore::open(&path)?),
        None => Err(CommandError::failed("no bundle store is configured")
            .hint("add `bundles: DIR` to the site, or use `--bundles DIR`")),
    }
}

/// Warns where no running server uses the store that was changed: machines would ask in vain.
pub fn warn_without_server(store: &SqliteStore, directory: &Path, output: &Output) {
    let running = RunningServer::list(directory).unwrap_or_default();
    let mut running = running.iter().filter(|server| server.role == "http");
    if running.any(|server| server.uses(store.file())) {
        return;
    }
    let what = format!("no running server uses the store `{}`", directory.display());
    output.warning(
        &what,
        "start `pxectl serve all` with the same `--state`, as the same user",
    );
}
