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
    if let Some(guid) = exchange.guid {
        parts.push(format!("InfiniBand port {guid}"));
    }
    if let Some(class) = &exchange.class {
        parts.push(format!("class {class}"));
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
        .fact("guid", exchange.guid.map(|guid| guid.to_string()))
        .fact("class", exchange.class.clone())
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
    let sender = exchange
        .guid
        .map(|guid| format!(" of InfiniBand port {guid}"))
        .unwrap_or_default();
    LogLine::new(
        level,
        "dhcp",
        "dhcp-ignored",
        format!("ignored a {request}{sender}: {why}{remark}"),
    )
    .mac(exchange.mac)
    .host(exchange.host.as_deref())
    .fact("guid", exchange.guid.map(|guid| guid.to_string()))
    .fact("xid", exchange.transaction_id.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::inventory::site_builder::SiteBuilder;
    use crate::machine::{HardwareAddress, MacAddress};
    use crate::respond::dhcp::{DhcpResponder, Ingress};
    use crate::token::StoreKey;
    use crate::wire::dhcp::{DhcpMessage, Operation, OptionCode, TransactionId};

    /// Returns the log line of a DISCOVER with these options.
    fn line(hardware_type: u8, options: &[(u8, &[u8])]) -> LogLine {
        let inventory = SiteBuilder::new(
            "loaders: {bios: undionly.kpxe}\nnetworks: [{name: prov0, subnet: 10.20.0.0/24, pool: \
             10.20.0.200-10.20.0.250, classes: [{name: onie, match: {vendor_class: onie_vendor}}]}]",
        )
        .build();
        let mac = MacAddress::new([2, 0, 0, 0, 0, 1]);
        let mut discover = DhcpMessage::new(Operation::Request, mac, TransactionId(7));
        discover.hardware_type = hardware_type;
        if hardware_type != 1 {
            discover.hardware_address = HardwareAddress::new(0, [0; 16]);
        }
        discover.options.set_message_type(MessageType::Discover);
        for (code, value) in options {
            discover.options.set_raw(OptionCode::from(*code), *value);
        }
        let ingress = Ingress {
            network: Some("prov0"),
            address: Ipv4Addr::new(10, 20, 0, 10),
        };
        let (key, now) = (StoreKey::new([7; 32]), Timestamp::UNIX_EPOCH);
        let mut responder = DhcpResponder::new([]);
        let response = responder.respond(&inventory, &key, ingress, &discover, now);
        match response.reply {
            Ok(reply) => sent(&reply, &response.exchange, &[]),
            Err(why) => ignored(&why, &response.exchange),
        }
    }

    #[test]
    fn the_log_names_infiniband_ports_classes_and_unknown_architectures() {
        let identifier: &[u8] = &[32, 0, 2, 0xc9, 3, 0, 0, 0x10, 0x39];
        for (hardware_type, options, expected) in [
            (
                32,
                &[(61, identifier)][..],
                "10.20.0.200 InfiniBand port 00:02:c9:03:00:00:10:39",
            ),
            (
                32,
                &[(61, identifier), (53, &[9][..])],
                "ignored a forcerenew of InfiniBand port 00:02:c9:03:00:00:10:39: ",
            ),
            (
                1,
                &[(60, &b"onie_vendor:x86_64"[..])],
                "10.20.0.200 class onie",
            ),
            (
                1,
                &[(60, b"PXEClient"), (93, &[0, 5])],
                "10.20.0.200 (client architecture 5 (Intel Lean Client) is not supported: the \
                 client gets no boot file)",
            ),
        ] {
            let line = format!("{:?}", line(hardware_type, options));
            assert!(line.contains(expected), "{line}");
            let has_guid = line.contains("(\"guid\", String(\"00:02:c9:03:00:00:10:39\"))");
            assert_eq!(has_guid, hardware_type == 32, "{line}");
        }
    }
}
