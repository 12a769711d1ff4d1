//! Messages of servers.

use super::checks::{Reply, findings_of};
use super::exchange::{Exchange, Exchanges, OFFERS, server_of};
use super::servers::{Answer, Segment};
use super::{BOOT_SERVER_PORT, ReceivedMessage, SERVER_PORT, option_text, route_texts, specified};
use crate::conversation::display::{display_file, display_hex, display_text};
use crate::conversation::finding::FindingKind;
use crate::conversation::machine::{ObservedMachine, Offer};
use crate::conversation::machines::MachineId;
use crate::conversation::observer::Observer;
use crate::conversation::recorder::Recorder;
use crate::wire::dhcp::{DhcpLayout, DhcpMessage, MessageType, OptionCode};
use crate::wire::packet::VlanTags;

/// The most offers of one stage that the report lists.
const LISTED: usize = 32;

impl Observer<'_> {
    /// Processes a message of a server.
    pub(super) fn server_message(&mut self, id: MachineId, received: ReceivedMessage<'_>) {
        let message = received.message;
        self.judge(id, received);
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let mut exchanges = std::mem::take(&mut machine.exchanges);
        let layout = DhcpLayout::read(received.payload);
        check(
            &mut self.recorder,
            machine,
            &mut exchanges,
            received,
            &layout,
        );
        match message.options.message_type() {
            Some(MessageType::Offer) => self.offer(id, &mut exchanges, received, &layout),
            Some(MessageType::Ack) if is_of_boot_server(&exchanges, received) => {
                self.boot_server_answer(id, &mut exchanges, received, &layout);
            }
            Some(MessageType::Ack) => self.acknowledgement(id, &mut exchanges, received, &layout),
            Some(MessageType::Nak) => self.nak(id, &mut exchanges, received),
            other => {
                let text = match other {
                    Some(other) => format!("{} sends {other:?}", received.source.ip()),
                    None => format!("{} answers BOOTP", received.source.ip()),
                };
                let text = reply_text(received, &layout, vec![text]);
                self.recorder.record(machine, "dhcp", text);
            }
        }
        if let Some(machine) = self.machines.get_mut(id) {
            machine.exchanges = exchanges;
        }
    }

    /// Checks whether the server belongs on this segment.
    fn judge(&mut self, id: MachineId, received: ReceivedMessage<'_>) {
        let message = received.message;
        // A DHCPNAK assigns nothing; it is a finding of its own.
        let assigning = [Some(MessageType::Offer), Some(MessageType::Ack)];
        self.servers.seen_any = true;
        if !assigning.contains(&message.options.message_type()) {
            return;
        }
        // A copy on another VLAN is a finding of its own; only the servers matter here.
        let segment = Segment {
            vlans: received.vlans,
            relay: message.relay_address,
        };
        let address = specified(message.your_address).or(specified(message.client_address));
        if address.is_none() && !names_boot_data(message) {
            return;
        }
        let answer = Answer {
            server: server_of(message, *received.source.ip()),
            address: specified(message.your_address),
        };
        let is_inform = answer.address.is_none() && specified(message.client_address).is_some();
        if is_inform && received.source.port() != BOOT_SERVER_PORT {
            return;
        }
        let inventory = self.machines.inventory();
        if let Some(why) = self.servers.judge(inventory, segment, answer)
            && let Some(machine) = self.machines.get_mut(id)
        {
            self.recorder
                .report_finding(machine, FindingKind::Rogue, why);
        }
    }

    fn offer(
        &mut self,
        id: MachineId,
        exchanges: &mut Exchanges,
        received: ReceivedMessage<'_>,
        layout: &DhcpLayout,
    ) {
        let message = received.message;
        let server = server_of(message, *received.source.ip());
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        if exchanges.find(message).is_none() {
            // The question was not captured; what the machine ran last is the best guess.
            let client = machine.client.clone();
            let began = self.recorder.start_point(machine);
            exchanges.open.truncate(OFFERS);
            let mut exchange = Exchange::new(message, client, began);
            exchange.limit = None;
            exchanges.open.push(exchange);
        }
        let Some(exchange) = exchanges.find(message) else {
            return;
        };
        let is_again = exchange.offers.iter().any(|other| {
            server_of(other, server) == server
                && other.your_address == message.your_address
                && other.boot_file == message.boot_file
        });
        let now = self.recorder.start_point(machine);
        exchange.first_offer.get_or_insert(now);
        if is_again {
            if exchange.discovers > 1 {
                self.recorder
                    .record(machine, "offer", format!("again, from {server}"));
            }
            return;
        }
        let class = exchange
            .client
            .as_ref()
            .map(|client| client.classify(message));
        let address = specified(message.your_address);
        let what = if address.is_some() {
            "offer"
        } else {
            "proxy offer"
        };
        let summary = match address {
            Some(address) => format!("{server} offers {address}"),
            None => format!("{server} offers no address"),
        };
        let options = reply_text(received, layout, Vec::new());
        let mut text = with_options(&summary, &options);
        if exchange.offered.len() < OFFERS {
            exchange.offered.push((server, address, options));
        }
        if let Some(class) = class {
            text.push_str(&format!("\n= {class}"));
        }
        self.recorder.record(machine, what, text);
        let stage = machine.stage();
        if stage.offers.len() < LISTED {
            stage.offers.push(Offer {
                server,
                address,
                boot_file: boot_name(message),
                class: class.map(|class| class.to_string()),
            });
        }
        if exchange.offers.len() < OFFERS {
            exchange.offers.push(message.clone());
        }
        let client = exchange.client.clone();
        self.check_mapping(id, client.as_ref(), message, server);
    }

    fn acknowledgement(
        &mut self,
        id: MachineId,
        exchanges: &mut Exchanges,
        received: ReceivedMessage<'_>,
        layout: &DhcpLayout,
    ) {
        let message = received.message;
        let server = server_of(message, *received.source.ip());
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let address = specified(message.your_address).or(specified(message.client_address));
        let known = exchanges.find(message);
        if known.as_ref().is_some_and(|exchange| exchange.is_answered) {
            // A copy on the other side of a relay, or the response to a retry.
            return;
        }
        let summary = match address {
            Some(address) => format!("{server} assigns {address}"),
            None => server.to_string(),
        };
        let content = (server, address, reply_text(received, layout, Vec::new()));
        let text = match known {
            Some(exchange) if exchange.offered.contains(&content) => {
                format!("{summary}, same options as its offer")
            }
            _ => with_options(&summary, &content.2),
        };
        self.recorder.record(machine, "ack", text);
        if let Some(address) = address {
            self.machines.lease(id, address);
        }
        let asked = match exchanges.find(message) {
            Some(exchange) => {
                exchange.is_answered = true;
                if specified(message.your_address).is_none() {
                    return;
                }
                self.decide_boot(id, exchange, message)
            }
            None => None,
        };
        if asked.is_some() {
            exchanges.asked = asked;
        }
    }

    fn boot_server_answer(
        &mut self,
        id: MachineId,
        exchanges: &mut Exchanges,
        received: ReceivedMessage<'_>,
        layout: &DhcpLayout,
    ) {
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let server = *received.source.ip();
        if let Some(asked) = &mut exchanges.asked {
            if asked.is_answered {
                return;
            }
            asked.is_answered = true;
        }
        let text = reply_text(
            received,
            layout,
            vec![format!("{server} names the boot file")],
        );
        self.recorder.record(machine, "boot ack", text);
        if received.source.port() != BOOT_SERVER_PORT {
            let port = received.source.port();
            let text =
                format!("{server} received a request on port 4011, but responds from port {port}");
            self.recorder
                .report_finding(machine, FindingKind::WrongPort4011, text);
        }
        let client = machine.client.clone();
        self.boots(id, client.as_ref(), received.message, server);
    }

    fn nak(&mut self, id: MachineId, exchanges: &mut Exchanges, received: ReceivedMessage<'_>) {
        let message = received.message;
        let server = server_of(message, *received.source.ip());
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        if let Some(exchange) = exchanges.find(message) {
            // A copy from a relay.
            if exchange.refused_by.replace(server) == Some(server) {
                return;
            }
        }
        let why = message.options.text(OptionCode::Message);
        let why = why.map(|text| format!(": `{}`", display_text(&text)));
        let text = format!("{server} refuses{}", why.unwrap_or_default());
        self.recorder.record(machine, "nak", text.clone());
        self.recorder
            .report_finding(machine, FindingKind::Nak, text);
    }
}

/// Checks a reply by itself, its relay and its VLAN.
fn check(
    recorder: &mut Recorder,
    machine: &mut ObservedMachine,
    exchanges: &mut Exchanges,
    received: ReceivedMessage<'_>,
    layout: &DhcpLayout,
) {
    let message = received.message;
    let exchange = exchanges.find(message);
    let client = match &exchange {
        Some(exchange) => exchange.client.as_ref(),
        None => machine.client.as_ref(),
    };
    let found = findings_of(&Reply {
        message,
        layout,
        length: received.length,
        client: client.map(|client| &client.kind),
        limit: exchange.as_ref().and_then(|exchange| exchange.limit),
    });
    for (kind, text) in found {
        recorder.report_finding(machine, kind, text);
    }
    let Some(exchange) = exchange else {
        return;
    };
    let server = server_of(message, *received.source.ip());
    let to_relay = received.destination.port() == SERVER_PORT;
    if let Some(sent) = exchange.relay_information.as_deref().filter(|_| to_relay) {
        let text = match message.options.relay_agent_information() {
            Some(back) if back == sent => None,
            Some(back) => Some(format!(
                "{server} returns option 82 as {}, the relay {} sent {}",
                display_hex(back),
                message.relay_address,
                display_hex(sent)
            )),
            None => Some(format!(
                "{server} does not return option 82, which the relay {} sent",
                message.relay_address
            )),
        };
        if let Some(text) = text {
            recorder.report_finding(machine, FindingKind::RelayWithout82Echo, text);
        }
    }
    if !exchange.vlans.is_empty() && !exchange.vlans.contains(&received.vlans) {
        let requests: Vec<_> = exchange.vlans.iter().map(vlan_text).collect();
        let text = format!(
            "the request came {}, but {server} responds {}",
            requests.join(" and "),
            vlan_text(&received.vlans)
        );
        recorder.report_finding(machine, FindingKind::VlanMismatch, text);
    }
}

fn vlan_text(tags: &VlanTags) -> String {
    if tags.is_empty() {
        "untagged".to_owned()
    } else {
        format!("on VLAN {tags}")
    }
}

/// Reports whether a DHCPACK answers a request to port 4011.
fn is_of_boot_server(exchanges: &Exchanges, received: ReceivedMessage<'_>) -> bool {
    if received.source.port() == BOOT_SERVER_PORT {
        return true;
    }
    exchanges.asked.as_ref().is_some_and(|asked| {
        asked.sent.is_some()
            && asked.transaction == received.message.transaction_id
            && specified(received.message.your_address).is_none()
    })
}

fn with_options(summary: &str, options: &str) -> String {
    if options.is_empty() {
        summary.to_owned()
    } else {
        format!("{summary}, {options}")
    }
}

fn reply_text(
    received: ReceivedMessage<'_>,
    layout: &DhcpLayout,
    mut texts: Vec<String>,
) -> String {
    texts.extend(option_text::reply_options(received.message, layout));
    texts.extend(route_texts(received));
    texts.join(", ")
}

fn names_boot_data(message: &DhcpMessage) -> bool {
    let options = &message.options;
    !message.boot_file.is_empty()
        || options.contains(OptionCode::BootfileName)
        || options.is_pxe_client()
        || options.is_http_client()
}

/// Returns the boot file without secrets, from option 67 or `file`.
fn boot_name(message: &DhcpMessage) -> Option<String> {
    let option = message.options.text(OptionCode::BootfileName);
    let field = || Some(String::from_utf8_lossy(&message.boot_file).into_owned());
    let name = option.filter(|name| !name.is_empty()).or_else(field)?;
    (!name.is_empty()).then(|| display_file(&name))
}
