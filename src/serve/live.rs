//! The inventory in force, and its replacement when the directory changes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context;
use notify::{RecursiveMode, Watcher};

use super::log::{Level, Log};
use super::shutdown::Shutdown;
use crate::bundle::BundleStore;
use crate::inventory::{Bundle, Inventory, Severity};
use crate::machine::Sha256Digest;
use crate::render::Templates;
use crate::workspace::files::FileRoots;
use crate::workspace::{Checked, Snapshot};

/// How long after the last change of the directory it is read again.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How often a waiting thread looks whether it should end.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// An inventory with everything that serving it needs.
pub struct Loaded {
    /// The inventory.
    pub inventory: Inventory,
    /// Its templates, compiled.
    pub templates: Templates,
    /// The directories of `server.files`.
    pub roots: FileRoots,
    /// The bundle store, where there is one.
    pub bundles: Option<BundleStore>,
    manifests: HashMap<Sha256Digest, String>,
    digest: Sha256Digest,
}

impl Loaded {
    /// Prepares a checked inventory for serving. Relative paths are relative to its directory.
    pub fn new(
        snapshot: &Snapshot,
        inventory: Inventory,
        templates: Templates,
        bundles: Option<&Path>,
    ) -> Self {
        let directory = snapshot.directory();
        let roots = inventory
            .site
            .server
            .files
            .iter()
            .map(|root| directory.join(root))
            .collect();
        let store = bundle_directory(directory, &inventory, bundles);
        let manifests = inventory
            .bundles
            .values()
            .map(|bundle| (bundle.manifest_digest(), bundle.name.clone()))
            .collect();
        Self {
            templates,
            roots: FileRoots::new(roots),
            bundles: store.and_then(|path| BundleStore::open(&path).ok()),
            manifests,
            digest: snapshot.digest(),
            inventory,
        }
    }

    /// Finds a bundle by the digest of its manifest.
    pub fn bundle_by_manifest(&self, digest: &Sha256Digest) -> Option<&Bundle> {
        self.manifests
            .get(digest)
            .and_then(|name| self.inventory.bundles.get(name))
    }
}

/// Returns where the bundle store of an inventory lies: what the command line says, else what the
/// site says, relative to the inventory.
pub fn bundle_directory(
    directory: &Path,
    inventory: &Inventory,
    given: Option<&Path>,
) -> Option<PathBuf> {
    given.map(Path::to_owned).or_else(|| {
        inventory
            .site
            .bundles
            .as_ref()
            .map(|path| directory.join(path))
    })
}

/// The inventory in force. Clones see the same one.
#[derive(Clone)]
pub struct Live(Arc<RwLock<Arc<Loaded>>>);

impl Live {
    /// Starts with an inventory.
    pub fn new(loaded: Loaded) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(loaded))))
    }

    /// Returns the inventory in force now; it stays whole for as long as it is held.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(
            &self
                .0
                .read()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }

    fn replace(&self, loaded: Loaded) {
        *self
            .0
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(loaded);
    }
}

/// Puts the directory's new content in force whenever it changes, until `shutdown`. A broken one is
/// refused with its diagnostics, and the last good one stays in force.
pub struct Reloader {
    directory: PathBuf,
    bundles: Option<PathBuf>,
    live: Live,
    log: Log,
    changes: mpsc::Receiver<()>,
    /// Kept so that the watch lasts.
    _watcher: Option<notify::RecommendedWatcher>,
}

/// Asks a [`Reloader`] to look now.
#[derive(Clone)]
pub struct ReloadTrigger(mpsc::Sender<()>);

impl ReloadTrigger {
    /// Asks; a reloader that is gone does not mind.
    pub fn pull(&self) {
        let _ = self.0.send(());
    }
}

impl Reloader {
    /// Watches the directory. Where it cannot be watched, SIGHUP still reloads.
    pub fn new(
        directory: &Path,
        bundles: Option<&Path>,
        live: Live,
        log: Log,
    ) -> (Self, ReloadTrigger) {
        let (sender, changes) = mpsc::channel();
        let trigger = ReloadTrigger(sender);
        let watcher = watch(directory, trigger.clone())
            .map_err(|error| {
                log.say(
                    Level::Warn,
                    "serve",
                    "watch-failed",
                    format!("{error:#}; send SIGHUP to reload"),
                );
            })
            .ok();
        let bundles = bundles.map(Path::to_owned);
        let reloader = Self {
            directory: directory.to_owned(),
            bundles,
            live,
            log,
            changes,
            _watcher: watcher,
        };
        (reloader, trigger)
    }

    /// Runs until `shutdown` is requested.
    pub fn run(self, shutdown: &Shutdown) {
        let mut unsettled = false;
        while !shutdown.is_requested() {
            match self.changes.recv_timeout(HEARTBEAT) {
                Ok(()) => {
                    // A change rarely comes alone: wait until they stop.
                    while self.changes.recv_timeout(DEBOUNCE).is_ok() {}
                    unsettled = !self.reload(shutdown, unsettled);
                }
                // Nobody tells us when git lets go of its lock.
                Err(RecvTimeoutError::Timeout) if unsettled => {
                    unsettled = !self.reload(shutdown, unsettled);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Puts what the directory holds in force, if it is good. Reports whether it could be read;
    /// after a time when it could not be, that is not said `again`.
    fn reload(&self, shutdown: &Shutdown, again: bool) -> bool {
        let is_wanted = || !shutdown.is_requested();
        match Snapshot::read_settled(&self.directory, is_wanted) {
            Ok(snapshot) => {
                self.put_in_force(&snapshot);
                true
            }
            Err(error) => {
                if is_wanted() && !again {
                    let text = format!(
                        "{error}; until it can be read, the last good inventory stays in force"
                    );
                    self.log.say(Level::Error, "serve", "reload-refused", text);
                }
                false
            }
        }
    }

    fn put_in_force(&self, snapshot: &Snapshot) {
        let before = self.live.current();
        if snapshot.digest() == before.digest {
            return;
        }
        let Checked { good, diagnostics } = snapshot.check();
        let Some((inventory, templates)) = good else {
            let errors = diagnostics
                .iter()
                .filter(|d| d.severity == Severity::Error)
                .count();
            for diagnostic in &diagnostics {
                let text = diagnostic.to_text(snapshot.files(), false);
                for line in text.lines() {
                    self.log.say(Level::Error, "serve", "diagnostic", line);
                }
            }
            self.log.say(
                Level::Error,
                "serve",
                "reload-refused",
                format!("the inventory has {errors} errors; the last good one stays in force"),
            );
            return;
        };
        if inventory.site.server != before.inventory.site.server
            || inventory.site.networks != before.inventory.site.networks
        {
            let message = "the site's server or networks changed; restart to serve on new addresses and interfaces";
            self.log
                .say(Level::Warn, "serve", "restart-needed", message);
        }
        let hosts = inventory.hosts.len();
        self.live.replace(Loaded::new(
            snapshot,
            inventory,
            templates,
            self.bundles.as_deref(),
        ));
        self.log.say(
            Level::Info,
            "serve",
            "reloaded",
            format!("the inventory changed: {hosts} hosts"),
        );
    }
}

fn watch(directory: &Path, trigger: ReloadTrigger) -> anyhow::Result<notify::RecommendedWatcher> {
    let context = || format!("cannot watch `{}`", directory.display());
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the directory is an event too, and must not lead to reading it again.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            trigger.pull();
        }
    })
    .with_context(context)?;
    watcher
        .watch(directory, RecursiveMode::NonRecursive)
        .with_context(context)?;
    Ok(watcher)
}
