//! The DHCP server's shell: receive, respond, make leases durable, send.

mod port;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Context;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};

use super::live::Live;
use super::log::{Level, Line, Log};
use super::shutdown::Shutdown;
use crate::machine::LeaseChange;
use crate::respond::dhcp::{DhcpResponder, Exchange, Ignored, Ingress, Reply, Response};
use crate::store::LeaseStore;
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, MessageType};

pub use port::{DhcpPort, interfaces};

/// How many messages are answered with one sync of the disk.
const BATCH: usize = 256;

/// A DHCP server that is ready to run.
pub struct DhcpServer {
    ports: Vec<DhcpPort>,
    /// Which port's turn it is to be served first.
    first: usize,
    responder: DhcpResponder,
    leases: Box<dyn LeaseStore>,
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
            first: 0,
            responder,
            leases,
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

    /// Serves until `shutdown` is requested.
    ///
    /// # Errors
    /// When the system does not let us wait for packets.
    pub fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while !shutdown.is_requested() {
            let mut waiting: Vec<PollFd<'_>> = self
                .ports
                .iter()
                .map(|port| PollFd::new(port.socket(), PollFlags::IN))
                .collect();
            waiting.push(PollFd::new(shutdown, PollFlags::IN));
            match poll(&mut waiting, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for DHCP packets"),
            }
            while self.serve_batch(&mut buffer) == BATCH && !shutdown.is_requested() {}
        }
        Ok(())
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
                let site = &loaded.inventory.site;
                let ingress = Ingress {
                    network: port.network(site, from),
                    address: site.server.address,
                };
                let response =
                    self.responder
                        .respond(&loaded.inventory, &self.key, ingress, &message, now);
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
        let durable = changes.is_empty() || self.commit(&changes);
        for Pending {
            port,
            from,
            response,
        } in pending
        {
            // What is not durable is not promised; the client asks again.
            if response.commit.is_none() || durable {
                self.finish(port, from, &response);
            }
        }
        received
    }

    fn commit(&mut self, changes: &[LeaseChange]) -> bool {
        match self.leases.commit(changes) {
            Ok(()) => true,
            Err(error) => {
                let text = format!(
                    "{} leases cannot be made durable, so nobody was promised one: {error}; {}",
                    changes.len(),
                    error.help()
                );
                self.log.say(Level::Error, "dhcp", "lease-lost", text);
                false
            }
        }
    }

    fn finish(&self, port: usize, from: SocketAddrV4, response: &Response) {
        match &response.reply {
            Ok(reply) => match self.ports[port].send(reply, from) {
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

/// Goes through all of `count` ports, beginning with `first`.
fn turns(first: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |step| (first % count + step) % count)
}

fn answered(reply: &Reply, exchange: &Exchange, dropped: &[String]) -> Line {
    let kind = reply.message.options.message_type();
    let (level, event) = match kind {
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
        parts.push(shown.to_string());
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
        Ignored::NeverAnswered | Ignored::OtherServer(_) | Ignored::NotARequest
    );
    let level = if expected && exchange.remark.is_none() {
        Level::Debug
    } else {
        Level::Warn
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
