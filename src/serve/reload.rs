//! Reloads the active inventory when its directory changes.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::active::{ActiveInventory, LoadedInventory};
use super::log::{Level, Log, LogLine};
use super::watch::Watch;
use crate::inventory::{DhcpMode, Diagnostic, Network, Server, Severity, Site, Sources, plural};
use crate::shutdown::Shutdown;
use crate::workspace::files::{Surroundings, refused_roots};
use crate::workspace::{Checked, Snapshot, bundle_directory};

/// Time between the last change of the directory and the reload.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Limit of that delay while changes continue.
const DEBOUNCE_LIMIT: Duration = Duration::from_secs(2);
/// Interval at which the waiting thread checks for shutdown.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// Reloads the inventory whenever its directory changes, until shutdown. Refuses an invalid inventory
/// with its diagnostics, and keeps the last valid one.
pub struct Reloader {
    directory: PathBuf,
    bundles: Option<PathBuf>,
    active: ActiveInventory,
    log: Log,
    changes: mpsc::Receiver<ReloadRequest>,
    trigger: ReloadTrigger,
    watch: Watch,
}

/// Requests a reload from a [`Reloader`].
#[derive(Clone)]
pub struct ReloadTrigger(mpsc::Sender<ReloadRequest>);

/// A requested reload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReloadRequest {
    /// Reload if the inventory changed.
    IfChanged,
    /// Reload even if the inventory did not change.
    Always,
}

impl ReloadTrigger {
    /// Requests a reload if the inventory changed; has no effect after the reloader ended.
    pub fn if_changed(&self) {
        let _ = self.0.send(ReloadRequest::IfChanged);
    }

    /// Requests a reload even if the inventory did not change.
    pub fn force(&self) {
        let _ = self.0.send(ReloadRequest::Always);
    }
}

impl Reloader {
    /// Watches the directory. If that fails, SIGHUP still reloads.
    pub fn new(
        directory: &Path,
        bundles: Option<&Path>,
        active: ActiveInventory,
        log: Log,
    ) -> (Self, ReloadTrigger) {
        let (sender, changes) = mpsc::channel();
        let trigger = ReloadTrigger(sender);
        let watch = watch(directory, &trigger, &log);
        let bundles = bundles.map(Path::to_owned);
        let reloader = Self {
            directory: directory.to_owned(),
            bundles,
            active,
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
                Ok(request) => {
                    forced |= request == ReloadRequest::Always || self.settle(shutdown);
                    // Before the read, so that later changes are noticed.
                    self.follow();
                }
                // No event reports that git released its lock, or that a symbolic link changed.
                Err(RecvTimeoutError::Timeout) if self.follow() || unsettled => {}
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            unsettled = !self.reload(shutdown, unsettled, forced);
            forced &= unsettled;
        }
    }

    /// Watches the new directory if another one replaced the watched directory: one that was created
    /// again, or the new target of a symbolic link. Reports whether it was replaced.
    fn follow(&mut self) -> bool {
        if !self.watch.is_lost(&self.directory) {
            return false;
        }
        self.watch = watch(&self.directory, &self.trigger, &self.log);
        let text = format!("watching the new directory `{}`", self.directory.display());
        self.log.event(Level::Debug, "serve", "watch", text);
        true
    }

    /// Waits for a short time until changes stop, since changes rarely come alone. Reports whether an
    /// unconditional reload was requested meanwhile.
    fn settle(&self, shutdown: &Shutdown) -> bool {
        let limit = Instant::now() + DEBOUNCE_LIMIT;
        while !shutdown.is_requested() && Instant::now() < limit {
            match self.changes.recv_timeout(DEBOUNCE) {
                Ok(ReloadRequest::Always) => return true,
                Ok(ReloadRequest::IfChanged) => {}
                Err(_) => break,
            }
        }
        false
    }

    /// Reads the directory and activates its inventory if it is valid. Reports whether it could be
    /// read. A repeated read error (`again`) is not logged.
    fn reload(&self, shutdown: &Shutdown, again: bool, forced: bool) -> bool {
        let is_wanted = || !shutdown.is_requested();
        match Snapshot::read_settled(&self.directory, is_wanted) {
            Ok(snapshot) => {
                if again {
                    let text = "inventory is readable again";
                    self.log.event(Level::Info, "serve", "readable", text);
                }
                self.activate(&snapshot, forced);
                true
            }
            Err(error) => {
                if is_wanted() && !again {
                    let text = format!("{error}; keeping the last valid inventory");
                    self.log
                        .event(Level::Error, "serve", "reload-refused", text);
                }
                false
            }
        }
    }

    fn activate(&self, snapshot: &Snapshot, forced: bool) {
        let before = self.active.current();
        let changed = snapshot.digest() != before.digest;
        // An inventory that was restored revokes only its own revoked keys.
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
            self.log.event(
                Level::Error,
                "serve",
                "reload-refused",
                format!("inventory has {errors}; keeping the last valid inventory"),
            );
            return;
        };
        let (old, new) = (&before.inventory.site, &inventory.site);
        if let Some(why) = address_change(&old.server, &new.server) {
            self.revoke(snapshot, &before);
            let text = format!("{why}; keeping the last valid inventory until a restart");
            self.log
                .event(Level::Error, "serve", "reload-refused", text);
            return;
        }
        if ports(&old.networks) != ports(&new.networks) {
            let text = "the interface or mode of a network changed; restart to apply the change";
            self.log.event(Level::Warn, "serve", "restart-needed", text);
        }
        let transfers =
            |site: &Site| (site.server.tftp_single_port, site.server.tftp_ports.clone());
        if transfers(old) != transfers(new) {
            let text = "the TFTP transfer ports changed; restart to apply the change";
            self.log.event(Level::Warn, "serve", "restart-needed", text);
        }
        let hosts = plural(inventory.hosts.len(), "host");
        self.active.replace(LoadedInventory::new(
            snapshot,
            inventory,
            templates,
            self.bundles.as_deref(),
            before.state(),
        ));
        self.log.event(
            Level::Info,
            "serve",
            "reloaded",
            if changed {
                format!("inventory reloaded: {hosts}")
            } else {
                format!("inventory reloaded, no changes: {hosts}")
            },
        );
    }

    /// Revokes the keys that an inventory revokes, even if the inventory cannot be loaded: it may be
    /// refused because of the bundles that such a key signed.
    fn revoke(&self, snapshot: &Snapshot, before: &LoadedInventory) {
        let Some(policy) = snapshot.names().signatures else {
            return;
        };
        for name in before.revoke(&policy.revoked) {
            let text = format!(
                "key `{name}` is revoked; bundles signed only by this key are no longer served"
            );
            self.log.event(Level::Warn, "serve", "key-revoked", text);
        }
    }
}

fn watch(directory: &Path, trigger: &ReloadTrigger, log: &Log) -> Watch {
    let trigger = trigger.clone();
    Watch::start(directory, move || trigger.if_changed(), log)
}

/// Describes a change of the server's address. An active inventory with such a change would send
/// machines to an address where nothing listens before a restart.
fn address_change(old: &Server, new: &Server) -> Option<String> {
    if old.address != new.address {
        let (old, new) = (old.address, new.address);
        return Some(format!("`server.address` changes from {old} to {new}"));
    }
    let (old, new) = (old.http_port, new.http_port);
    (old != new).then(|| format!("`server.http_port` changes from {old} to {new}"))
}

/// Lists the properties of the networks on which the open DHCP ports depend.
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

/// Logs a diagnostic: as text like `validate`, or as one JSON object with its fields.
fn log_diagnostic(log: &Log, diagnostic: &Diagnostic, sources: &Sources<'_>) {
    let level = match diagnostic.severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warn,
        Severity::Note => Level::Info,
    };
    if log.is_json() {
        let line = LogLine::new(level, "serve", "diagnostic", diagnostic.message.as_str());
        return log.write(&line.facts(&diagnostic.to_json(sources)));
    }
    for line in diagnostic.to_text(sources, false).lines() {
        log.event(level, "serve", "diagnostic", line);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn only_changes_of_the_listening_address_need_a_restart() {
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
            address_change(&old, &new)
        };
        let expected = "`server.address` changes from 10.20.0.10 to 10.20.0.11";
        let reason = change(|new| new.address = Ipv4Addr::new(10, 20, 0, 11));
        assert_eq!(reason.as_deref(), Some(expected));
        let expected = "`server.http_port` changes from 8080 to 80";
        let reason = change(|new| new.http_port = 80);
        assert_eq!(reason.as_deref(), Some(expected));
        // A reverse proxy and the served directories can change without a restart.
        let reason = change(|new| {
            new.base_url = "https://boot.example".to_owned();
            new.files.push("boot".to_owned());
        });
        assert_eq!(reason, None);
    }
}
