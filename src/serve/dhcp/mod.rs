//! The DHCP server's shell: receive, respond, make leases durable, send.

mod ledger;
mod port;
mod probe;
mod watch;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Context;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::live::Live;
use super::log::{Level, Line, Log};
use super::shutdown::Shutdown;
use crate::machine::LeaseChange;
use crate::respond::dhcp::{
    Delivery, DhcpResponder, Exchange, Ignored, Ingress, OtherServers, ProbesDue, Reply, Response,
    chosen_server, other_server, respond_as_boot_server,
};
use crate::store::LeaseStore;
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, MessageType};

use ledger::{Ledger, unpromised};
use probe::Probed;

pub use port::{DhcpPort, PortRole, addresses, interfaces, server_address};
pub use probe::Prober;
pub use watch::Watcher;

/// How many messages are answered with one sync of the disk.
const BATCH: usize = 256;
/// How often probes are looked at while no message comes.
const HEARTBEAT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// A DHCP server that is ready to run.
pub struct DhcpServer {
    ports: Vec<DhcpPort>,
    probers: Vec<Prober>,
    watchers: Vec<Watcher>,
    others: OtherServers,
    /// Which port's turn it is to be served first.
    first: usize,
    responder: DhcpResponder,
    ledger: Ledger,
    live: Live,
    key: StoreKey,
    log: Log,
}

/// An answer that waits for its lease to be durable.
struct Pending {
    port: usize,
    from: SocketAddrV4,
    response: Response,
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
        Ok(Self {
            ports,
            probers: Vec::new(),
            watchers: Vec::new(),
            others: OtherServers::default(),
            first: 0,
            responder,
            ledger: Ledger::new(leases, log.clone()),
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
            self.ports.iter().map(DhcpPort::describe).collect();
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
            self.probe();
            self.watch(&mut buffer);
            let mut waiting: Vec<PollFd<'_>> = self
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
            while self.serve_batch(&mut buffer) == BATCH && !shutdown.is_requested() {}
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
                let ours: Vec<Ipv4Addr> = self.ports.iter().map(|it| it.address(site)).collect();
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
    fn probe(&mut self) {
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
        if !changes.is_empty() {
            self.ledger.commit(&changes);
        }
        if !self.probers.is_empty() {
            let inventory = &self.live.current().inventory;
            for ProbesDue { network, addresses } in self.responder.probes_due(inventory, now) {
                let mut probers = self.probers.iter();
                if let Some(prober) = probers.find(|prober| prober.network() == network) {
                    prober.ask(addresses);
                }
            }
        }
    }

    /// Answers up to [`BATCH`] messages that have arrived: responds to all, makes their leases
    /// durable together, then sends.
    fn serve_batch(&mut self, buffer: &mut [u8]) -> usize {
        let now = Timestamp::now();
        let loaded = self.live.current();
        let mut pending = VecDeque::new();
        let mut received = 0;
        // Another port is first each time: a flood at one does not keep the others waiting.
        self.first = self.first.wrapping_add(1);
        for index in turns(self.first, self.ports.len()) {
            let port = &self.ports[index];
            while received < BATCH {
                let Some((length, from)) = port.receive(buffer) else {
                    break;
                };
                received += 1;
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
                    && let Ok(file) = loaded.roots.open(&file)
                {
                    reply.tell_size(file.size);
                }
                let network = ingress.network.and_then(|name| site.network(name));
                if let (Some(network), Some(server)) = (network, chosen_server(&response))
                    && self.others.notice(network, server, now)
                {
                    self.log.write(&another_server(&network.name, server));
                }
                pending.push_back(Pending {
                    port: index,
                    from,
                    response,
                });
            }
        }
        let changes: Vec<LeaseChange> = pending
            .iter()
            .filter_map(|pending| pending.response.commit.clone())
            .collect();
        let durable = changes.is_empty() || self.ledger.commit(&changes);
        for Pending {
            port,
            from,
            response,
        } in pending
        {
            // What is not durable is not promised; the client asks again.
            let is_promise = response.commit.is_some() && response.reply.is_ok();
            if is_promise && !durable {
                self.log.write(&unpromised(&response.exchange));
            } else {
                self.finish(port, from, &response);
            }
        }
        received
    }

    /// Returns the port by which an answer leaves: that on which the request came in, unless it must
    /// go to the wire, and the request came past it.
    fn way_out(&self, port: usize, response: &Response) -> &DhcpPort {
        let port = &self.ports[port];
        let network = response.exchange.network.as_deref();
        let needed = response.reply.as_ref();
        let needed = needed.is_ok_and(|reply| port.needs_interface(reply));
        let on_wire = network
            .filter(|_| needed)
            .and_then(|network| self.ports.iter().find(|port| port.is_on(network)));
        on_wire.unwrap_or(port)
    }

    fn finish(&self, port: usize, from: SocketAddrV4, response: &Response) {
        match &response.reply {
            Ok(reply) => match self.way_out(port, response).send(reply, from) {
                Ok(dropped) => self
                    .log
                    .write(&answered(reply, &response.exchange, &dropped)),
                Err(error) => {
                    let text = format!("cannot answer: {error:#}");
                    let line = Line::new(Level::Error, "dhcp", "dhcp-unsent", text);
                    self.log.write(
                        &line
                            .mac(response.exchange.mac)
                            .host(response.exchange.host.as_deref()),
                    );
                }
            },
            Err(why) => self.log.write(&ignored(why, &response.exchange)),
        }
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

fn answered(reply: &Reply, exchange: &Exchange, dropped: &[String]) -> Line {
    let kind = reply.message.options.message_type();
    let (level, event) = match kind {
        Some(MessageType::Offer) if reply.message.your_address.is_unspecified() => {
            (Level::Info, "dhcp-proxy-offer")
        }
        Some(MessageType::Ack) if reply.delivery == Delivery::Sender => {
            (Level::Info, "dhcp-proxy-ack")
        }
        Some(MessageType::Offer) => (Level::Info, "dhcp-offer"),
        Some(MessageType::Nak) => (Level::Warn, "dhcp-nak"),
        _ => (Level::Info, "dhcp-ack"),
    };
    // What is remarkable wants to be seen.
    let level = if exchange.remark.is_some() {
        Level::Warn
    } else {
        level
    };
    let address = reply.message.your_address;
    let mut parts = Vec::new();
    if kind != Some(MessageType::Nak) {
        let shown = if address.is_unspecified() {
            reply.message.client_address
        } else {
            address
        };
        if !shown.is_unspecified() {
            parts.push(shown.to_string());
        }
    }
    if let Some(architecture) = exchange.architecture {
        parts.push(architecture.to_string());
    }
    if let Some(boot_file) = &exchange.boot_file {
        parts.push(format!("boots {boot_file}"));
    }
    if let Some(remark) = &exchange.remark {
        parts.push(format!("({remark})"));
    }
    if !dropped.is_empty() {
        parts.push(format!(
            "(left out for want of room: {})",
            dropped.join(", ")
        ));
    }
    let address = (address != Ipv4Addr::UNSPECIFIED).then(|| address.to_string());
    Line::new(level, "dhcp", event, parts.join(" "))
        .mac(exchange.mac)
        .host(exchange.host.as_deref())
        .fact("xid", exchange.transaction_id.to_string())
        .fact("address", address)
        .fact(
            "architecture",
            exchange
                .architecture
                .map(|architecture| architecture.to_string()),
        )
        .fact(
            "boot_file",
            exchange.boot_file.as_ref().map(ToString::to_string),
        )
}

fn ignored(why: &Ignored, exchange: &Exchange) -> Line {
    let expected = matches!(
        why,
        Ignored::NeverAnswered
            | Ignored::OtherServer(_)
            | Ignored::NotARequest
            | Ignored::AddressesElsewhere(_)
            | Ignored::NoNetworkBoot(_)
    );
    let level = match why {
        _ if expected && exchange.remark.is_none() => Level::Debug,
        Ignored::Filtered(_) => Level::Info,
        Ignored::NeverAnswered if exchange.request == Some(MessageType::Release) => Level::Info,
        _ => Level::Warn,
    };
    let request = match exchange.request {
        Some(MessageType::Unknown(number)) => format!("message of type {number}"),
        Some(kind) => format!("{kind:?}").to_lowercase(),
        None => "message".to_owned(),
    };
    let remark = exchange
        .remark
        .as_deref()
        .map(|remark| format!("; {remark}"))
        .unwrap_or_default();
    Line::new(
        level,
        "dhcp",
        "dhcp-ignored",
        format!("no answer to a {request}: {why}{remark}"),
    )
    .mac(exchange.mac)
    .host(exchange.host.as_deref())
    .fact("xid", exchange.transaction_id.to_string())
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
