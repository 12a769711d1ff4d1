//! The replacement of the inventory in force when its directory changes.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::live::{Live, Loaded};
use super::log::{Level, Line, Log};
use super::shutdown::Shutdown;
use super::watch::Watch;
use crate::inventory::{DhcpMode, Diagnostic, Network, Server, Severity, Site, Sources, plural};
use crate::workspace::files::{Surroundings, refused_roots};
use crate::workspace::{Checked, Snapshot, bundle_directory};

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
        let watch = watch(directory, &trigger, &log);
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
        self.watch = watch(&self.directory, &self.trigger, &self.log);
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
        // An inventory that was put back revokes no more than it says.
        if !changed && !forced && !before.revokes_more() {
            return;
        }
        let Checked {
            good,
            mut diagnostics,
            spans,
        } = snapshot.check();
        let good = good.filter(|(inventory, _)| {
            let directory = snapshot.directory();
            let bundles = bundle_directory(directory, inventory, self.bundles.as_deref());
            let state = Some(before.state());
            let surroundings = Surroundings::new(directory, inventory, bundles.as_deref(), state);
            let refused = refused_roots(inventory, directory, &surroundings);
            let place = |index: usize| spans.roots.get(index).copied();
            diagnostics.extend(
                refused
                    .iter()
                    .map(|(index, why)| why.diagnostic(place(*index))),
            );
            refused.is_empty()
        });
        let Some((inventory, templates)) = good else {
            self.revoke(snapshot, &before);
            let errors = diagnostics
                .iter()
                .filter(|d| d.severity == Severity::Error)
                .count();
            let sources = Sources::new(snapshot.files(), &diagnostics);
            for diagnostic in &diagnostics {
                log_diagnostic(&self.log, diagnostic, &sources);
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
            self.revoke(snapshot, &before);
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
        let transfers =
            |site: &Site| (site.server.tftp_single_port, site.server.tftp_ports.clone());
        if transfers(old) != transfers(new) {
            let text = "the ports of TFTP transfers changed; restart to use them";
            self.log.say(Level::Warn, "serve", "restart-needed", text);
        }
        let hosts = plural(inventory.hosts.len(), "host");
        self.live.replace(Loaded::new(
            snapshot,
            inventory,
            templates,
            self.bundles.as_deref(),
            before.state(),
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

    /// Revokes the keys that an inventory revokes although it cannot be loaded: it may be refused
    /// for the very bundles that such a key has signed.
    fn revoke(&self, snapshot: &Snapshot, before: &Loaded) {
        let Some(policy) = snapshot.names().signatures else {
            return;
        };
        for name in before.revoke(&policy.revoked) {
            let text = format!(
                "key `{name}` is revoked: no file of a bundle that it alone has signed is served"
            );
            self.log.say(Level::Warn, "serve", "key-revoked", text);
        }
    }
}

fn watch(directory: &Path, trigger: &ReloadTrigger, log: &Log) -> Watch {
    let trigger = trigger.clone();
    Watch::start(directory, move || trigger.pull(), log)
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
fn log_diagnostic(log: &Log, diagnostic: &Diagnostic, sources: &Sources<'_>) {
    let level = match diagnostic.severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warn,
        Severity::Note => Level::Info,
    };
    if log.is_json() {
        let line = Line::new(level, "serve", "diagnostic", diagnostic.message.as_str());
        return log.write(&line.facts(&diagnostic.to_json(sources)));
    }
    for line in diagnostic.to_text(sources, false).lines() {
        log.say(level, "serve", "diagnostic", line);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn only_an_address_that_nobody_serves_waits_for_a_restart() {
        let old = Server {
            address: Ipv4Addr::new(10, 20, 0, 10),
            http_port: 8080,
            base_url: "http://10.20.0.10:8080".to_owned(),
            tftp_single_port: false,
            allow: Vec::new(),
            trusted_proxies: Vec::new(),
            tftp_ports: None,
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
}
