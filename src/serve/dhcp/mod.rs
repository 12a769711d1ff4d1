//! The DHCP server's shell: receive, respond, make leases durable, send.

mod answers;
mod ledger;
mod port;
mod probe;
mod promises;
mod watch;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::live::Live;
use super::log::{Level, Line, Log};
use super::shutdown::Shutdown;
use super::sizes::Sizes;
use crate::respond::access::{Resource, admit};
use crate::respond::dhcp::{
    DhcpResponder, Ingress, OtherServers, ProbesDue, chosen_server, other_server,
    respond_as_boot_server,
};
use crate::store::LeaseStore;
use crate::token::StoreKey;
use crate::wire::dhcp::DhcpMessage;

use answers::{Answer, Answers};
use ledger::Ledger;
use probe::Probed;
use promises::Promises;

pub use port::{DhcpPort, PortRole, addresses, interfaces, server_address};
pub use probe::Prober;
pub use watch::Watcher;

/// How many messages are taken before anything else is looked at.
const BATCH: usize = 256;
/// How often probes are looked at while no message comes.
const HEARTBEAT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// How often it is looked at which addresses should be probed, while messages come.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// A DHCP server that is ready to run.
pub struct DhcpServer {
    answers: Arc<Answers>,
    promises: Promises,
    probers: Vec<Prober>,
    /// When it was last looked at which addresses should be probed.
    probed_at: Option<Instant>,
    watchers: Vec<Watcher>,
    others: OtherServers,
    /// Which port's turn it is to be served first.
    first: usize,
    responder: DhcpResponder,
    sizes: Sizes,
    live: Live,
    key: StoreKey,
    log: Log,
}

impl DhcpServer {
    /// Takes the ports to serve on, and the leases that were promised before.
    ///
    /// # Errors
    /// When the leases cannot be read.
    pub fn new(
        ports: Vec<DhcpPort>,
        leases: Box<dyn LeaseStore>,
        live: Live,
        key: StoreKey,
        log: Log,
    ) -> anyhow::Result<Self> {
        let responder = DhcpResponder::new(leases.load().context("cannot read the leases")?);
        let answers = Arc::new(Answers {
            ports,
            log: log.clone(),
        });
        let ledger = Ledger::new(leases, log.clone());
        Ok(Self {
            promises: Promises::start(ledger, Arc::clone(&answers)),
            answers,
            probers: Vec::new(),
            probed_at: None,
            watchers: Vec::new(),
            others: OtherServers::default(),
            first: 0,
            responder,
            sizes: Sizes::start(),
            live,
            key,
            log,
        })
    }

    /// Returns the addresses that were bound, with their ports and interfaces, for people.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addresses(&self) -> anyhow::Result<String> {
        let addresses: anyhow::Result<Vec<String>> =
            self.answers.ports.iter().map(DhcpPort::describe).collect();
        Ok(addresses?.join(", "))
    }

    /// Probes addresses of the pools on these networks before they are offered.
    pub fn with_probers(mut self, probers: Vec<Prober>) -> Self {
        self.probers = probers;
        self
    }

    /// Reports other servers of addresses on these networks.
    pub fn with_watchers(mut self, watchers: Vec<Watcher>) -> Self {
        self.watchers = watchers;
        self
    }

    /// Serves until `shutdown` is requested.
    ///
    /// # Errors
    /// When the system does not let us wait for packets.
    pub fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let heartbeat = (!self.probers.is_empty()).then_some(&HEARTBEAT);
        while !shutdown.is_requested() {
            self.probe()?;
            self.watch(&mut buffer);
            let mut waiting: Vec<PollFd<'_>> = self
                .answers
                .ports
                .iter()
                .map(DhcpPort::socket)
                .chain(self.watchers.iter().map(Watcher::socket))
                .map(|socket| PollFd::new(socket, PollFlags::IN))
                .collect();
            waiting.push(PollFd::new(shutdown, PollFlags::IN));
            match poll(&mut waiting, heartbeat) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for DHCP packets"),
            }
            while self.serve_batch(&mut buffer)? == BATCH && !shutdown.is_requested() {}
        }
        Ok(())
    }

    /// Takes what other servers have said to clients.
    fn watch(&mut self, buffer: &mut [u8]) {
        let now = Timestamp::now();
        let loaded = self.live.current();
        let site = &loaded.inventory.site;
        for watcher in &self.watchers {
            for _ in 0..BATCH {
                let Some((length, _)) = watcher.receive(buffer) else {
                    break;
                };
                let message = DhcpMessage::parse(&buffer[..length]).ok();
                let ours: Vec<Ipv4Addr> = self
                    .answers
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

    /// Takes what has come of probes, and asks for what is due.
    fn probe(&mut self) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let mut changes = Vec::new();
        for prober in &self.probers {
            for Probed { address, answered } in prober.answers() {
                let network = prober.network();
                let change = self.responder.probed(network, address, answered, now);
                if let (Some(change), Some(mac)) = (change, answered) {
                    changes.push(change);
                    let text = format!(
                        "another machine, {mac}, answers on {address} of the pool of `{network}`; \
                         it is set aside for an hour"
                    );
                    let line = Line::new(Level::Warn, "dhcp", "dhcp-address-taken", text);
                    let line = line.mac(answered).fact("address", address.to_string());
                    self.log.write(&line.fact("network", network));
                }
            }
        }
        for change in changes {
            self.promises.take(change, None)?;
        }
        let is_due = self.probed_at.is_none_or(|at| at.elapsed() >= PROBE_EVERY);
        if !self.probers.is_empty() && is_due {
            self.probed_at = Some(Instant::now());
            let inventory = &self.live.current().inventory;
            for ProbesDue { network, addresses } in self.responder.probes_due(inventory, now) {
                let mut probers = self.probers.iter();
                if let Some(prober) = probers.find(|prober| prober.network() == network) {
                    prober.ask(addresses);
                }
            }
        }
        Ok(())
    }

    /// Takes up to [`BATCH`] messages that have arrived, and returns how many there were. They are
    /// answered at once where nothing need be durable, else as soon as it is.
    fn serve_batch(&mut self, buffer: &mut [u8]) -> anyhow::Result<usize> {
        let answers = Arc::clone(&self.answers);
        let loaded = self.live.current();
        let mut received = 0;
        // Another port is first each time: a flood at one does not keep the others waiting.
        self.first = self.first.wrapping_add(1);
        for index in turns(self.first, answers.ports.len()) {
            let port = &answers.ports[index];
            while received < BATCH {
                let Some((length, from)) = port.receive(buffer) else {
                    break;
                };
                received += 1;
                // For each: the answer to what has just been sent may be among those that follow.
                let now = Timestamp::now();
                let message = match DhcpMessage::parse(&buffer[..length]) {
                    Ok(message) => message,
                    Err(error) => {
                        let text = format!("ignored {length} octets from {from}: {error}");
                        self.log.say(Level::Warn, "dhcp", "dhcp-malformed", text);
                        continue;
                    }
                };
                // Our own search for other servers comes back to us.
                let sender = message.hardware_address.mac();
                if sender.is_some() && sender == port.mac() {
                    continue;
                }
                let site = &loaded.inventory.site;
                // Where each answer goes back to its sender, that must be one whom we serve.
                let source = IpAddr::from(*from.ip());
                if port.answers_senders()
                    && let Err(why) = admit(source, Resource::Dhcp, &loaded.inventory)
                {
                    let text = format!("ignored {length} bytes from {from}: {why}");
                    self.log.say(Level::Warn, "dhcp", "dhcp-ignored", text);
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
                    && let Some(file) = reply.measured.take()
                    && let Some(octets) = self.sizes.size(&loaded, &file, Instant::now())
                {
                    reply.set_boot_file_size(octets);
                }
                let network = ingress.network.and_then(|name| site.network(name));
                if let (Some(network), Some(server)) = (network, chosen_server(&response))
                    && self.others.notice(network, server, now)
                {
                    self.log.write(&another_server(&network.name, server));
                }
                let change = response.commit.take();
                let answer = Answer {
                    port: index,
                    from,
                    response,
                };
                match change {
                    Some(change) => self.promises.take(change, Some(answer))?,
                    None => answers.send(answer),
                }
            }
        }
        Ok(received)
    }
}

fn another_server(network: &str, server: Ipv4Addr) -> Line {
    let text = format!(
        "another DHCP server, {server}, answers on `{network}`, and a machine takes whichever answer \
         it likes: stop one of the two, or write `mode: proxy` to leave the addresses to it"
    );
    Line::new(Level::Warn, "dhcp", "dhcp-other-server", text)
        .fact("address", server.to_string())
        .fact("network", network)
}

/// Goes through all of `count` ports, beginning with `first`.
fn turns(first: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |step| (first % count + step) % count)
}

#[cfg(test)]
mod tests {
    use super::turns;

    #[test]
    fn every_port_is_first_in_its_turn_and_none_is_left_out() {
        let batches: Vec<Vec<usize>> = (0..4).map(|first| turns(first, 3).collect()).collect();
        assert_eq!(batches, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
        assert_eq!(turns(5, 0).count(), 0);
        assert_eq!(turns(usize::MAX, 2).collect::<Vec<_>>(), [1, 0]);
    }
}
