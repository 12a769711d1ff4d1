//! The DHCP server's shell: receives, responds, makes leases durable, and sends.

mod commits;
mod ledger;
mod open;
mod port;
mod probe;
mod replies;
mod watch;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, poll};

use super::active::ActiveInventory;
use super::links::{LinkMonitor, timespec};
use super::log::{Level, Log, LogLine};
use super::sizes::Sizes;
use crate::clock::wall_time;
use crate::respond::access::{Resource, admit};
use crate::respond::dhcp::{
    DhcpResponder, Ingress, OtherServers, ProbesDue, chosen_server, other_server,
    respond_as_boot_server,
};
use crate::shutdown::Shutdown;
use crate::store::LeaseStore;
use crate::token::StoreKey;
use crate::wire::dhcp::DhcpMessage;

use commits::LeaseCommits;
use ledger::Ledger;
use probe::ProbeResult;
use replies::{PendingReply, ReplySender};
use watch::Watcher;

pub use open::DhcpSockets;
pub use port::{DhcpPort, PortRole};

/// Limit of messages that are received before other work is done.
const BATCH: usize = 256;
/// Interval at which probes are checked while no message arrives.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Interval at which due probes are started while messages arrive.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// A DHCP server that is ready to run.
pub struct DhcpServer {
    replies: Arc<ReplySender>,
    commits: LeaseCommits,
    sockets: DhcpSockets,
    /// Time of the last check for due probes.
    probed_at: Option<Instant>,
    others: OtherServers,
    /// Index of the port that is served first in the next batch.
    first: usize,
    responder: DhcpResponder,
    sizes: Sizes,
    active: ActiveInventory,
    key: StoreKey,
    log: Log,
}

impl DhcpServer {
    /// Creates a server for open sockets, and reads the granted leases.
    ///
    /// # Errors
    /// Fails when the leases cannot be read.
    pub fn new(
        sockets: DhcpSockets,
        leases: Box<dyn LeaseStore>,
        active: ActiveInventory,
        key: StoreKey,
        log: Log,
    ) -> anyhow::Result<Self> {
        let responder = DhcpResponder::new(leases.load().context("cannot read the leases")?);
        let replies = Arc::new(ReplySender::new(sockets.ports.clone(), log.clone()));
        let ledger = Ledger::new(leases, log.clone());
        Ok(Self {
            commits: LeaseCommits::start(ledger, Arc::clone(&replies)),
            replies,
            sockets,
            probed_at: None,
            others: OtherServers::default(),
            first: 0,
            responder,
            sizes: Sizes::start(),
            active,
            key,
            log,
        })
    }

    /// Returns the bound addresses, with their ports and interfaces, as text.
    ///
    /// # Errors
    /// Fails when the system cannot report an address.
    pub fn local_addresses(&self) -> anyhow::Result<String> {
        let ports = self.sockets.ports.iter();
        let addresses: anyhow::Result<Vec<String>> = ports.map(|port| port.describe()).collect();
        Ok(addresses?.join(", "))
    }

    /// Serves until `shutdown` is requested.
    ///
    /// # Errors
    /// Fails when the system cannot wait for packets.
    pub fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while !shutdown.is_requested() {
            if self.sockets.follow() {
                self.replies.replace_ports(self.sockets.ports.clone());
            }
            self.probe()?;
            self.watch(&mut buffer);
            let ports = self.sockets.ports.iter().map(|port| port.socket());
            let watchers = self.sockets.watchers.iter().map(Watcher::socket);
            let mut waiting: Vec<PollFd<'_>> = ports
                .chain(watchers)
                .map(|socket| PollFd::new(socket, PollFlags::IN))
                .collect();
            waiting.push(PollFd::new(shutdown, PollFlags::IN));
            let monitor = self.sockets.monitor();
            waiting.extend(monitor.map(|it| PollFd::new(it, PollFlags::IN)));
            let heartbeat = (!self.sockets.probers.is_empty()).then_some(HEARTBEAT);
            let patience = heartbeat
                .into_iter()
                .chain(monitor.and_then(LinkMonitor::patience))
                .min()
                .map(timespec);
            match poll(&mut waiting, patience.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for DHCP packets"),
            }
            while self.serve_batch(&mut buffer)? == BATCH && !shutdown.is_requested() {}
        }
        Ok(())
    }

    /// Processes messages that other servers sent to clients.
    fn watch(&mut self, buffer: &mut [u8]) {
        let now = wall_time();
        let loaded = self.active.current();
        let site = &loaded.inventory.site;
        for watcher in &self.sockets.watchers {
            for _ in 0..BATCH {
                let Some((length, _)) = watcher.receive(buffer) else {
                    break;
                };
                let message = DhcpMessage::parse(&buffer[..length]).ok();
                let ours: Vec<Ipv4Addr> = self
                    .sockets
                    .ports
                    .iter()
                    .map(|it| it.address(site))
                    .collect();
                let server = message.and_then(|it| other_server(&it, &ours));
                let network = site.network(watcher.network());
                if let (Some(network), Some(server)) = (network, server)
                    && self.others.notice(network, server, now)
                {
                    self.log.write(&another_server(&network.name, server));
                }
            }
        }
    }

    /// Processes probe results, and starts due probes.
    fn probe(&mut self) -> anyhow::Result<()> {
        let now = wall_time();
        let mut changes = Vec::new();
        for prober in &self.sockets.probers {
            for ProbeResult { address, answered } in prober.results() {
                let network = prober.network();
                let change = self.responder.probed(network, address, answered, now);
                if let (Some(change), Some(mac)) = (change, answered) {
                    changes.push(change);
                    let text = format!(
                        "another machine ({mac}) uses {address} of the pool of `{network}`; \
                         reserving the address for an hour"
                    );
                    let line = LogLine::new(Level::Warn, "dhcp", "dhcp-address-taken", text);
                    let line = line.mac(answered).fact("address", address.to_string());
                    self.log.write(&line.fact("network", network));
                }
            }
        }
        for change in changes {
            self.commits.queue(change, None)?;
        }
        let is_due = self.probed_at.is_none_or(|at| at.elapsed() >= PROBE_EVERY);
        if !self.sockets.probers.is_empty() && is_due {
            self.probed_at = Some(Instant::now());
            let inventory = &self.active.current().inventory;
            for ProbesDue { network, addresses } in self.responder.probes_due(inventory, now) {
                let mut probers = self.sockets.probers.iter();
                if let Some(prober) = probers.find(|prober| prober.network() == network) {
                    prober.request(addresses);
                }
            }
        }
        Ok(())
    }

    /// Processes up to [`BATCH`] received messages, and returns their number. Replies without a lease
    /// change are sent immediately, the others once the change is durable.
    fn serve_batch(&mut self, buffer: &mut [u8]) -> anyhow::Result<usize> {
        let replies = Arc::clone(&self.replies);
        let loaded = self.active.current();
        let mut received = 0;
        // Each batch starts with another port, so that a flood at one port does not delay the others.
        self.first = self.first.wrapping_add(1);
        for index in turns(self.first, self.sockets.ports.len()) {
            let port = &self.sockets.ports[index];
            while received < BATCH {
                let Some((length, from)) = port.receive(buffer) else {
                    break;
                };
                received += 1;
                // For each message: a later one may respond to a reply that was just sent.
                let now = wall_time();
                let message = match DhcpMessage::parse(&buffer[..length]) {
                    Ok(message) => message,
                    Err(error) => {
                        let text = format!("ignored {length} bytes from {from}: {error}");
                        self.log.event(Level::Warn, "dhcp", "dhcp-malformed", text);
                        continue;
                    }
                };
                // We receive our own search for other servers.
                let sender = message.hardware_address.mac();
                if sender.is_some() && sender == port.mac() {
                    continue;
                }
                let site = &loaded.inventory.site;
                // A port that answers senders serves only allowed source addresses.
                let source = IpAddr::from(*from.ip());
                if port.answers_senders()
                    && let Err(why) = admit(source, Resource::Dhcp, &loaded.inventory)
                {
                    let text = format!("ignored {length} bytes from {from}: {why}");
                    self.log.event(Level::Warn, "dhcp", "dhcp-ignored", text);
                    continue;
                }
                let ingress = Ingress {
                    network: port.network(site, from),
                    address: port.address(site),
                };
                let (inventory, key) = (&loaded.inventory, &self.key);
                let mut response = match port.role() {
                    PortRole::Dhcp => self
                        .responder
                        .respond(inventory, key, ingress, &message, now),
                    PortRole::BootServer => {
                        respond_as_boot_server(inventory, key, ingress, from, &message, now)
                    }
                };
                if let Ok(reply) = &mut response.reply
                    && let Some(file) = reply.needs_size_of.take()
                    && let Some(size) = self.sizes.size(&loaded, &file, Instant::now())
                {
                    reply.set_boot_file_size(size);
                }
                let network = ingress.network.and_then(|name| site.network(name));
                if let (Some(network), Some(server)) = (network, chosen_server(&response))
                    && self.others.notice(network, server, now)
                {
                    self.log.write(&another_server(&network.name, server));
                }
                let change = response.commit.take();
                let answer = PendingReply {
                    port: Arc::clone(port),
                    from,
                    response,
                };
                match change {
                    Some(change) => self.commits.queue(change, Some(answer))?,
                    None => replies.send(answer),
                }
            }
        }
        Ok(received)
    }
}

fn another_server(network: &str, server: Ipv4Addr) -> LogLine {
    let text = format!(
        "another DHCP server ({server}) answers on `{network}`, and each machine chooses one of the \
         offers: stop one of the servers, or set `mode: proxy` so that the other one assigns addresses"
    );
    LogLine::new(Level::Warn, "dhcp", "dhcp-other-server", text)
        .fact("address", server.to_string())
        .fact("network", network)
}

/// Lists all of `count` ports once, starting with `first`.
fn turns(first: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |step| (first % count + step) % count)
}

#[cfg(test)]
mod tests {
    use super::turns;

    #[test]
    fn each_port_is_first_in_turn_and_all_are_served() {
        let batches: Vec<Vec<usize>> = (0..4).map(|first| turns(first, 3).collect()).collect();
        assert_eq!(batches, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
        assert_eq!(turns(5, 0).count(), 0);
        assert_eq!(turns(usize::MAX, 2).collect::<Vec<_>>(), [1, 0]);
    }
}
