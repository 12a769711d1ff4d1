//! Sends replies, and logs them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use super::port::DhcpPort;
use crate::respond::dhcp::{Delivery, DhcpReply, Exchange, IgnoreReason, Response};
use crate::serve::log::{Level, Log, LogLine};
use crate::wire::dhcp::MessageType;

/// The response to one message, ready to be sent.
pub(super) struct PendingReply {
    /// The port that received the message.
    pub(super) port: Arc<DhcpPort>,
    pub(super) from: SocketAddrV4,
    pub(super) response: Response,
}

/// Sends replies. Several threads share it.
pub(super) struct ReplySender {
    ports: Mutex<Vec<Arc<DhcpPort>>>,
    pub(super) log: Log,
}

impl ReplySender {
    pub(super) fn new(ports: Vec<Arc<DhcpPort>>, log: Log) -> Self {
        Self {
            ports: Mutex::new(ports),
            log,
        }
    }

    /// Uses these ports from now on.
    pub(super) fn replace_ports(&self, ports: Vec<Arc<DhcpPort>>) {
        *self.ports.lock().unwrap_or_else(PoisonError::into_inner) = ports;
    }

    /// Sends a reply and logs it, or logs the reason why there is no reply.
    pub(super) fn send(&self, answer: PendingReply) {
        let PendingReply {
            port,
            from,
            response,
        } = answer;
        let exchange = response.exchange;
        let mut reply = match response.reply {
            Ok(reply) => reply,
            Err(why) => return self.log.write(&ignored(&why, &exchange)),
        };
        let port = self.sending_port(port, &reply, exchange.network.as_deref());
        match port.send(&mut reply, from) {
            Ok(dropped) => self.log.write(&sent(&reply, &exchange, &dropped)),
            Err(error) => {
                let text = format!("cannot send the reply: {error:#}");
                let line = LogLine::new(Level::Error, "dhcp", "dhcp-unsent", text);
                let line = line.mac(exchange.mac).host(exchange.host.as_deref());
                self.log.write(&line);
            }
        }
    }

    /// Returns the port that sends a reply: the port that received the request, unless the reply must
    /// leave by the interface of the client's network and the request arrived elsewhere.
    fn sending_port(
        &self,
        port: Arc<DhcpPort>,
        reply: &DhcpReply,
        network: Option<&str>,
    ) -> Arc<DhcpPort> {
        let Some(network) = network.filter(|_| port.needs_interface(reply)) else {
            return port;
        };
        let ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let interface_port = ports.iter().find(|port| port.is_on(network));
        interface_port.map_or(port, Arc::clone)
    }
}

fn sent(reply: &DhcpReply, exchange: &Exchange, dropped: &[String]) -> LogLine {
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
    // A remark needs attention.
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
            "(options omitted for lack of space: {})",
            dropped.join(", ")
        ));
    }
    let address = (address != Ipv4Addr::UNSPECIFIED).then(|| address.to_string());
    LogLine::new(level, "dhcp", event, parts.join(" "))
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

fn ignored(why: &IgnoreReason, exchange: &Exchange) -> LogLine {
    let expected = matches!(
        why,
        IgnoreReason::NeverAnswered
            | IgnoreReason::OtherServer(_)
            | IgnoreReason::NotARequest
            | IgnoreReason::AddressesElsewhere(_)
            | IgnoreReason::NoNetworkBoot(_)
    );
    let level = match why {
        _ if expected && exchange.remark.is_none() => Level::Debug,
        IgnoreReason::Filtered(_) => Level::Info,
        IgnoreReason::NeverAnswered if exchange.request == Some(MessageType::Release) => {
            Level::Info
        }
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
    LogLine::new(
        level,
        "dhcp",
        "dhcp-ignored",
        format!("ignored a {request}: {why}{remark}"),
    )
    .mac(exchange.mac)
    .host(exchange.host.as_deref())
    .fact("xid", exchange.transaction_id.to_string())
}
