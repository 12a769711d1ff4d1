//! Sending answers, and saying what was sent.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::port::DhcpPort;
use crate::respond::dhcp::{Delivery, Exchange, Ignored, Reply, Response};
use crate::serve::log::{Level, Line, Log};
use crate::wire::dhcp::MessageType;

/// What came of one message, on its way out.
pub(super) struct Answer {
    /// The number of the port on which the message came in.
    pub(super) port: usize,
    pub(super) from: SocketAddrV4,
    pub(super) response: Response,
}

/// The way out, which several threads share.
pub(super) struct Answers {
    pub(super) ports: Vec<DhcpPort>,
    pub(super) log: Log,
}

impl Answers {
    /// Sends an answer, and logs it; or logs why there is none.
    pub(super) fn send(&self, answer: Answer) {
        let Answer {
            port,
            from,
            response,
        } = answer;
        let exchange = response.exchange;
        let mut reply = match response.reply {
            Ok(reply) => reply,
            Err(why) => return self.log.write(&ignored(&why, &exchange)),
        };
        let port = self.way_out(port, &reply, exchange.network.as_deref());
        match port.send(&mut reply, from) {
            Ok(dropped) => self.log.write(&answered(&reply, &exchange, &dropped)),
            Err(error) => {
                let text = format!("cannot answer: {error:#}");
                let line = Line::new(Level::Error, "dhcp", "dhcp-unsent", text);
                let line = line.mac(exchange.mac).host(exchange.host.as_deref());
                self.log.write(&line);
            }
        }
    }

    /// Returns the port by which an answer leaves: that on which the request came in, unless it must
    /// go to the wire, and the request came past it.
    fn way_out(&self, port: usize, reply: &Reply, network: Option<&str>) -> &DhcpPort {
        let port = &self.ports[port];
        let on_wire = network
            .filter(|_| port.needs_interface(reply))
            .and_then(|network| self.ports.iter().find(|port| port.is_on(network)));
        on_wire.unwrap_or(port)
    }
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
