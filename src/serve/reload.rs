//! The replacement of the inventory in force when its directory changes.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context;
use notify::{RecursiveMode, Watcher};

use super::live::{Live, Loaded};
use super::log::{Level, Log};
use super::shutdown::Shutdown;
use crate::inventory::Severity;
use crate::workspace::{Checked, Snapshot};

/// How long after the last change of the directory it is read again.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How long changes that do not stop may put that off.
const DEBOUNCE_LIMIT: Duration = Duration::from_secs(2);
/// How often a waiting thread looks whether it should end.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// Puts the directory's new content in force whenever it changes, until `shutdown`. A broken one is
/// refused with its diagnostics, and the last good one stays in force.
pub struct Reloader {
    directory: PathBuf,
    bundles: Option<PathBuf>,
    live: Live,
    log: Log,
    changes: mpsc::Receiver<Wanted>,
    /// Kept so that the watch lasts.
    _watcher: Option<notify::RecommendedWatcher>,
}

/// Asks a [`Reloader`] to look now.
#[derive(Clone)]
pub struct ReloadTrigger(mpsc::Sender<Wanted>);

/// What a reloader is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// To put in force what has changed.
    Changes,
    /// To put all of it in force, whether it has changed or not.
    All,
}

impl ReloadTrigger {
    /// Asks for what has changed; a reloader that is gone does not mind.
    pub fn pull(&self) {
        let _ = self.0.send(Wanted::Changes);
    }

    /// Asks to put in force all there is, even when it looks the same.
    pub fn force(&self) {
        let _ = self.0.send(Wanted::All);
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
        let mut forced = false;
        while !shutdown.is_requested() {
            match self.changes.recv_timeout(HEARTBEAT) {
                Ok(wanted) => forced |= wanted == Wanted::All || self.settle(shutdown),
                // Nobody tells us when git lets go of its lock.
                Err(RecvTimeoutError::Timeout) if unsettled => {}
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            unsettled = !self.reload(shutdown, unsettled, forced);
            forced &= unsettled;
        }
    }

    /// Waits until changes stop, since one rarely comes alone, but not for long. Reports whether
    /// everything was asked for meanwhile.
    fn settle(&self, shutdown: &Shutdown) -> bool {
        let limit = Instant::now() + DEBOUNCE_LIMIT;
        while !shutdown.is_requested() && Instant::now() < limit {
            match self.changes.recv_timeout(DEBOUNCE) {
                Ok(Wanted::All) => return true,
                Ok(Wanted::Changes) => {}
                Err(_) => break,
            }
        }
        false
    }

    /// Puts what the directory holds in force, if it is good. Reports whether it could be read;
    /// after a time when it could not be, that is not said `again`.
    fn reload(&self, shutdown: &Shutdown, again: bool, forced: bool) -> bool {
        let is_wanted = || !shutdown.is_requested();
        match Snapshot::read_settled(&self.directory, is_wanted) {
            Ok(snapshot) => {
                self.put_in_force(&snapshot, forced);
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

    fn put_in_force(&self, snapshot: &Snapshot, forced: bool) {
        let before = self.live.current();
        let changed = snapshot.digest() != before.digest;
        if !changed && !forced {
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
            match changed {
                true => format!("the inventory changed: {hosts} hosts"),
                false => format!("the inventory is unchanged, and in force anew: {hosts} hosts"),
            },
        );
    }
}

fn watch(directory: &Path, trigger: ReloadTrigger) -> anyhow::Result<notify::RecommendedWatcher> {
    let context = || format!("cannot watch `{}`", directory.display());
    let watched = directory.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the directory is an event too, and must not lead to reading it again.
        if event.is_ok_and(|event| !event.kind.is_access() && matters(&event, &watched)) {
            trigger.pull();
        }
    })
    .with_context(context)?;
    watcher
        .watch(directory, RecursiveMode::NonRecursive)
        .with_context(context)?;
    Ok(watcher)
}

/// Reports whether an event can be about the inventory: an editor's own files are not.
fn matters(event: &notify::Event, directory: &Path) -> bool {
    let is_ours = |path: &PathBuf| {
        path == directory
            || path.file_name().is_some_and(|name| name == "index.lock")
            || path
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "hbs")
    };
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_inventory_is_made_of_leads_to_reading_it() {
        let directory = Path::new("/rack");
        for (name, expected) in [
            ("hosts.yaml", true),
            ("hold.ipxe.hbs", true),
            ("index.lock", true),
            ("", true),
            (".hosts.yaml.swp", false),
            ("4913", false),
            ("notes.txt", false),
        ] {
            let path = match name {
                "" => directory.to_owned(),
                name => directory.join(name),
            };
            let event = notify::Event::new(notify::EventKind::Any).add_path(path);
            assert_eq!(matters(&event, directory), expected, "{name}");
        }
    }
}
