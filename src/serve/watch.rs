//! The watch over the directory of an inventory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use notify::{RecursiveMode, Watcher};

use super::log::{Level, Log};

/// The watch over a directory: it sees the directory itself, whatever comes to stand under its name.
pub struct Watch {
    /// The device and the number of the directory, links followed.
    of: Option<(u64, u64)>,
    /// Whether the directory was seen to go away; its number may then be given to another.
    is_gone: Arc<AtomicBool>,
    /// Kept so that the watch lasts.
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Watch {
    /// Starts it; `changed` is called for each change that can be about the inventory. Where it cannot be, that is logged, and SIGHUP still reloads.
    pub fn start(directory: &Path, changed: impl Fn() + Send + 'static, log: &Log) -> Self {
        let is_gone = Arc::new(AtomicBool::new(false));
        // Before the watch begins: one that replaces it meanwhile is watched again.
        let of = identity(directory);
        let watcher = watch(directory, changed, Arc::clone(&is_gone));
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
    pub fn is_lost(&mut self, directory: &Path) -> bool {
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
    changed: impl Fn() + Send + 'static,
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
            changed();
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
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::serve::log::LogFormat;

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
            let start = || Watch::start(&path(name), || (), &log);
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
        let watch = Watch::start(&path, move || sender.send(()).unwrap_or_default(), &log);
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
