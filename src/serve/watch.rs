//! Watches the directory of an inventory for changes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use notify::{RecursiveMode, Watcher};

use super::log::{Level, Log};

/// A watch on a directory. It follows the directory itself, not its name.
pub struct Watch {
    /// Device and inode number of the directory, after symbolic links.
    identity: Option<(u64, u64)>,
    /// Whether the directory was removed. Another directory may then have its inode number.
    is_removed: Arc<AtomicBool>,
    /// Kept alive for the duration of the watch.
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Watch {
    /// Starts the watch, which calls `changed` for each change that may concern the inventory. Logs a
    /// failure; SIGHUP still reloads then.
    pub fn start(directory: &Path, changed: impl Fn() + Send + 'static, log: &Log) -> Self {
        let is_removed = Arc::new(AtomicBool::new(false));
        // Before the watch begins, so that a directory that is replaced meanwhile is noticed.
        let identity = identity(directory);
        let watcher = watch(directory, changed, Arc::clone(&is_removed));
        let watcher = watcher.map_err(|error| {
            let text = format!("{error:#}; send SIGHUP to reload");
            log.event(Level::Warn, "serve", "watch-failed", text);
        });
        Self {
            identity,
            is_removed,
            _watcher: watcher.ok(),
        }
    }

    /// Reports whether the directory exists and is not the watched one.
    pub fn is_lost(&mut self, directory: &Path) -> bool {
        let now = identity(directory);
        if now.is_none() || self.is_removed.swap(false, Ordering::SeqCst) {
            self.identity = None;
        }
        now.is_some() && now != self.identity
    }
}

fn identity(directory: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(directory).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn watch(
    directory: &Path,
    changed: impl Fn() + Send + 'static,
    is_removed: Arc<AtomicBool>,
) -> anyhow::Result<notify::RecommendedWatcher> {
    let context = || format!("cannot watch `{}`", directory.display());
    let watched = directory.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if event.kind.is_remove() && event.paths.contains(&watched) {
            is_removed.store(true, Ordering::SeqCst);
        }
        // Reading the directory is an event too, and must not trigger another read.
        if !event.kind.is_access() && may_concern_inventory(&event, &watched) {
            changed();
        }
    })
    .with_context(context)?;
    watcher
        .watch(directory, RecursiveMode::NonRecursive)
        .with_context(context)?;
    Ok(watcher)
}

/// Reports whether an event may concern the inventory. An editor's temporary files do not.
fn may_concern_inventory(event: &notify::Event, directory: &Path) -> bool {
    let is_inventory = |path: &PathBuf| {
        path == directory
            || path.file_name().is_some_and(|name| name == "index.lock")
            || path
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "hbs")
    };
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(is_inventory)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::serve::log::LogFormat;

    #[test]
    fn watch_is_lost_when_another_directory_takes_the_name() {
        let base = tempfile::tempdir().unwrap();
        let path = |name: &str| base.path().join(name);
        let rename = |from: &str, to: &str| fs::rename(path(from), path(to)).unwrap();
        for name in ["one", "two"] {
            fs::create_dir(path(name)).unwrap();
        }
        std::os::unix::fs::symlink("one", path("link")).unwrap();
        for name in ["one", "link"] {
            let log = Log::new(LogFormat::Json, Level::Debug, Box::new(std::io::sink()));
            let start = || Watch::start(&path(name), || (), &log);
            let mut watch = start();
            assert!(!watch.is_lost(&path(name)));
            // The directory is renamed, and renamed back.
            rename(name, "away");
            assert!(!watch.is_lost(&path(name)));
            rename("away", name);
            assert!(watch.is_lost(&path(name)), "{name} came back");
            watch = start();
            watch.is_removed.store(true, Ordering::SeqCst);
            assert!(watch.is_lost(&path(name)), "{name} was created again");
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
    fn removal_of_the_directory_is_noticed() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("rack");
        fs::create_dir(&path).unwrap();
        let log = Log::new(LogFormat::Json, Level::Debug, Box::new(std::io::sink()));
        let (sender, changes) = mpsc::channel();
        let watch = Watch::start(&path, move || sender.send(()).unwrap_or_default(), &log);
        fs::remove_dir(&path).unwrap();
        while !watch.is_removed.load(Ordering::SeqCst) {
            changes.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    }

    #[test]
    fn only_inventory_files_trigger_a_reload() {
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
            assert_eq!(may_concern_inventory(&event, directory), expected, "{name}");
        }
    }
}
