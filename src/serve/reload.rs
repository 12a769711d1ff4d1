//! The replacement of the inventory in force when its directory changes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context;
use notify::{RecursiveMode, Watcher};

use super::live::{Live, Loaded};
use super::log::{Level, Line, Log};
use super::shutdown::Shutdown;
use crate::inventory::{DhcpMode, Diagnostic, Network, Server, Severity, SourceFile, plural};
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
    trigger: ReloadTrigger,
    watch: Watch,
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
        let watch = Watch::start(directory, &trigger, &log);
        let bundles = bundles.map(Path::to_owned);
        let reloader = Self {
            directory: directory.to_owned(),
            bundles,
            live,
            log,
            changes,
            trigger: trigger.clone(),
            watch,
        };
        (reloader, trigger)
    }

    /// Runs until `shutdown` is requested.
    pub fn run(mut self, shutdown: &Shutdown) {
        let mut unsettled = false;
        let mut forced = false;
        while !shutdown.is_requested() {
            match self.changes.recv_timeout(HEARTBEAT) {
                Ok(wanted) => {
                    forced |= wanted == Wanted::All || self.settle(shutdown);
                    // Before the reading: what changes after it must be seen.
                    self.follow();
                }
                // Nobody tells us when git lets go of its lock, nor when a link leads elsewhere.
                Err(RecvTimeoutError::Timeout) if self.follow() || unsettled => {}
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            unsettled = !self.reload(shutdown, unsettled, forced);
            forced &= unsettled;
        }
    }

    /// Watches again where the watched directory is gone and another one stands under its name: one
    /// that was made anew, or to which a link leads now. Reports whether there is another.
    fn follow(&mut self) -> bool {
        if !self.watch.is_lost(&self.directory) {
            return false;
        }
        self.watch = Watch::start(&self.directory, &self.trigger, &self.log);
        let text = format!("`{}` is another directory now", self.directory.display());
        self.log.say(Level::Debug, "serve", "watch", text);
        true
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
                if again {
                    let text = "the inventory can be read again";
                    self.log.say(Level::Info, "serve", "readable", text);
                }
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
                log_diagnostic(&self.log, diagnostic, snapshot.files());
            }
            let errors = plural(errors, "error");
            self.log.say(
                Level::Error,
                "serve",
                "reload-refused",
                format!("the inventory has {errors}; the last good one stays in force"),
            );
            return;
        };
        let (old, new) = (&before.inventory.site, &inventory.site);
        if let Some(why) = moves(&old.server, &new.server) {
            let text = format!(
                "{why}; restart to serve there, until then the last good inventory stays in force"
            );
            self.log.say(Level::Error, "serve", "reload-refused", text);
            return;
        }
        if ports(&old.networks) != ports(&new.networks) {
            let text = "the interface or the mode of a network changed; restart to serve it so";
            self.log.say(Level::Warn, "serve", "restart-needed", text);
        }
        let hosts = plural(inventory.hosts.len(), "host");
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
                true => format!("the inventory changed: {hosts}"),
                false => format!("the inventory is unchanged, and in force anew: {hosts}"),
            },
        );
    }
}

/// Says what of a server's address changes, if anything does: in force, it would send machines to
/// where nobody serves before a restart.
fn moves(old: &Server, new: &Server) -> Option<String> {
    if old.address != new.address {
        let (old, new) = (old.address, new.address);
        return Some(format!("`server.address` changes from {old} to {new}"));
    }
    let (old, new) = (old.http_port, new.http_port);
    (old != new).then(|| format!("`server.http_port` changes from {old} to {new}"))
}

/// What of the networks was settled when the ports were opened.
fn ports(networks: &[Network]) -> Vec<(&str, Option<&str>, DhcpMode)> {
    networks
        .iter()
        .map(|network| {
            (
                network.name.as_str(),
                network.interface.as_deref(),
                network.mode,
            )
        })
        .collect()
}

/// Logs a fault: for people as `validate` prints it, for programs as one line with its facts.
fn log_diagnostic(log: &Log, diagnostic: &Diagnostic, files: &[SourceFile]) {
    let level = match diagnostic.severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warn,
        Severity::Note => Level::Info,
    };
    if log.is_json() {
        let line = Line::new(level, "serve", "diagnostic", diagnostic.message.as_str());
        return log.write(&line.facts(&diagnostic.to_json(files)));
    }
    for line in diagnostic.to_text(files, false).lines() {
        log.say(level, "serve", "diagnostic", line);
    }
}

/// The watch over a directory: it sees the directory itself, whatever comes to stand under its name.
struct Watch {
    /// The device and the number of the directory, links followed.
    of: Option<(u64, u64)>,
    /// Whether the directory was seen to go away; its number may then be given to another.
    is_gone: Arc<AtomicBool>,
    /// Kept so that the watch lasts.
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Watch {
    /// Starts it. Where it cannot be, that is logged, and SIGHUP still reloads.
    fn start(directory: &Path, trigger: &ReloadTrigger, log: &Log) -> Self {
        let is_gone = Arc::new(AtomicBool::new(false));
        // Before the watch begins: one that replaces it meanwhile is watched again.
        let of = identity(directory);
        let watcher = watch(directory, trigger.clone(), Arc::clone(&is_gone));
        let watcher = watcher.map_err(|error| {
            let text = format!("{error:#}; send SIGHUP to reload");
            log.say(Level::Warn, "serve", "watch-failed", text);
        });
        Self {
            of,
            is_gone,
            _watcher: watcher.ok(),
        }
    }

    /// Reports whether there is a directory, and it is not the one that is watched.
    fn is_lost(&mut self, directory: &Path) -> bool {
        let now = identity(directory);
        if now.is_none() || self.is_gone.swap(false, Ordering::SeqCst) {
            self.of = None;
        }
        now.is_some() && now != self.of
    }
}

fn identity(directory: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(directory).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn watch(
    directory: &Path,
    trigger: ReloadTrigger,
    is_gone: Arc<AtomicBool>,
) -> anyhow::Result<notify::RecommendedWatcher> {
    let context = || format!("cannot watch `{}`", directory.display());
    let watched = directory.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if event.kind.is_remove() && event.paths.contains(&watched) {
            is_gone.store(true, Ordering::SeqCst);
        }
        // Reading the directory is an event too, and must not lead to reading it again.
        if !event.kind.is_access() && matters(&event, &watched) {
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
    use std::net::Ipv4Addr;

    use super::*;
    use crate::serve::log::LogFormat;

    #[test]
    fn only_an_address_that_nobody_serves_waits_for_a_restart() {
        let old = Server {
            address: Ipv4Addr::new(10, 20, 0, 10),
            http_port: 8080,
            base_url: "http://10.20.0.10:8080".to_owned(),
            files: Vec::new(),
        };
        let change = |change: fn(&mut Server)| {
            let mut new = old.clone();
            change(&mut new);
            moves(&old, &new)
        };
        let expected = "`server.address` changes from 10.20.0.10 to 10.20.0.11";
        let said = change(|new| new.address = Ipv4Addr::new(10, 20, 0, 11));
        assert_eq!(said.as_deref(), Some(expected));
        let expected = "`server.http_port` changes from 8080 to 80";
        let said = change(|new| new.http_port = 80);
        assert_eq!(said.as_deref(), Some(expected));
        // A proxy before us may be another one at once, and so may the directories.
        let said = change(|new| {
            new.base_url = "https://boot.example".to_owned();
            new.files.push("boot".to_owned());
        });
        assert_eq!(said, None);
    }

    #[test]
    fn a_watch_is_lost_when_another_directory_stands_under_its_name() {
        let base = tempfile::tempdir().unwrap();
        let path = |name: &str| base.path().join(name);
        let rename = |from: &str, to: &str| fs::rename(path(from), path(to)).unwrap();
        for name in ["one", "two"] {
            fs::create_dir(path(name)).unwrap();
        }
        std::os::unix::fs::symlink("one", path("link")).unwrap();
        for name in ["one", "link"] {
            let log = Log::new(LogFormat::Json, Level::Debug, Box::new(std::io::sink()));
            let (sender, _changes) = mpsc::channel();
            let start = || Watch::start(&path(name), &ReloadTrigger(sender.clone()), &log);
            let mut watch = start();
            assert!(!watch.is_lost(&path(name)));
            // It is away, and comes back.
            rename(name, "away");
            assert!(!watch.is_lost(&path(name)));
            rename("away", name);
            assert!(watch.is_lost(&path(name)), "{name} came back");
            watch = start();
            watch.is_gone.store(true, Ordering::SeqCst);
            assert!(watch.is_lost(&path(name)), "{name} was made anew");
            watch = start();
            match name {
                "link" => {
                    std::os::unix::fs::symlink("two", path("new")).unwrap();
                    rename("new", "link");
                }
                name => {
                    rename(name, "old");
                    rename("two", name);
                    rename("old", "two");
                }
            }
            assert!(watch.is_lost(&path(name)), "{name} is another");
        }
    }

    #[test]
    fn a_directory_that_is_removed_is_seen_to_go() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("rack");
        fs::create_dir(&path).unwrap();
        let log = Log::new(LogFormat::Json, Level::Debug, Box::new(std::io::sink()));
        let (sender, changes) = mpsc::channel();
        let watch = Watch::start(&path, &ReloadTrigger(sender), &log);
        fs::remove_dir(&path).unwrap();
        while !watch.is_gone.load(Ordering::SeqCst) {
            changes.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    }

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
