//! What servers send.

use super::checks::{Reply, faults};
use super::exchange::{Exchange, Exchanges, OFFERS, server_of};
use super::servers::{Answer, Wire};
use super::{BOOT_SERVER_PORT, ReceivedMessage, SERVER_PORT, option_text, specified, travelled};
use crate::conversation::display::{display_file, display_hex, display_text};
use crate::conversation::finding::FindingKind;
use crate::conversation::machine::{ObservedMachine, Offer};
use crate::conversation::machines::MachineId;
use crate::conversation::observer::Observer;
use crate::conversation::recorder::Recorder;
use crate::wire::dhcp::{DhcpLayout, DhcpMessage, MessageType, OptionCode};

/// How many offers of one stage are listed in the report.
const LISTED: usize = 32;

impl Observer<'_> {
    /// Follows what a server sends.
    pub(super) fn reply(&mut self, id: MachineId, seen: ReceivedMessage<'_>) {
        let message = seen.message;
        self.judge(id, seen);
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let mut exchanges = std::mem::take(&mut machine.exchanges);
        let layout = DhcpLayout::read(seen.payload);
        check(&mut self.recorder, machine, &mut exchanges, seen, &layout);
        match message.options.message_type() {
            Some(MessageType::Offer) => self.offer(id, &mut exchanges, seen, &layout),
            Some(MessageType::Ack) if is_of_boot_server(&exchanges, seen) => {
                self.boot_server_answer(id, &mut exchanges, seen, &layout);
            }
            Some(MessageType::Ack) => self.acknowledgement(id, &mut exchanges, seen, &layout),
            Some(MessageType::Nak) => self.nak(id, &mut exchanges, seen),
            other => {
                let text = match other {
                    Some(other) => format!("{} sends {other:?}", seen.source.ip()),
                    None => format!("{} answers BOOTP", seen.source.ip()),
                };
                let said = reply_text(seen, &layout, vec![text]);
                self.recorder.record(machine, "dhcp", said);
            }
        }
        if let Some(machine) = self.machines.get_mut(id) {
            machine.exchanges = exchanges;
        }
    }

    /// Tells whether the server belongs on this wire.
    fn judge(&mut self, id: MachineId, seen: ReceivedMessage<'_>) {
        let message = seen.message;
        // A refusal gives nothing; it is told as one.
        let gives = [Some(MessageType::Offer), Some(MessageType::Ack)];
        self.servers.seen_any = true;
        if !gives.contains(&message.options.message_type()) {
            return;
        }
        // A copy on another VLAN is a fault of its own; what counts here is who asked whom.
        let wire = Wire {
            vlans: seen.vlans,
            relay: message.relay_address,
        };
        let address = specified(message.your_address).or(specified(message.client_address));
        if address.is_none() && !names_boot_data(message) {
            return;
        }
        let answer = Answer {
            server: server_of(message, *seen.source.ip()),
            address: specified(message.your_address),
        };
        let is_inform = answer.address.is_none() && specified(message.client_address).is_some();
        if is_inform && seen.source.port() != BOOT_SERVER_PORT {
            return;
        }
        let inventory = self.machines.inventory();
        if let Some(why) = self.servers.judge(inventory, wire, answer)
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
        seen: ReceivedMessage<'_>,
        layout: &DhcpLayout,
    ) {
        let message = seen.message;
        let server = server_of(message, *seen.source.ip());
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
                    .record(machine, "offer", format!("again, by {server}"));
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
        let gives = match address {
            Some(address) => format!("{server} gives {address}"),
            None => format!("{server} gives no address"),
        };
        let mut text = reply_text(seen, layout, vec![gives]);
        if exchange.offered.len() < OFFERS {
            exchange.offered.push(text.clone());
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
        seen: ReceivedMessage<'_>,
        layout: &DhcpLayout,
    ) {
        let message = seen.message;
        let server = server_of(message, *seen.source.ip());
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let address = specified(message.your_address).or(specified(message.client_address));
        let known = exchanges.find(message);
        if known.as_ref().is_some_and(|exchange| exchange.is_answered) {
            // The copy behind or before a relay, or the answer to a question that was sent again.
            return;
        }
        let gives = match address {
            Some(address) => format!("{server} gives {address}"),
            None => server.to_string(),
        };
        let text = reply_text(seen, layout, vec![gives.clone()]);
        let text = match known {
            Some(exchange) if exchange.offered.contains(&text) => {
                format!("{gives}, with what it offered")
            }
            _ => text,
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
        seen: ReceivedMessage<'_>,
        layout: &DhcpLayout,
    ) {
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let server = *seen.source.ip();
        if let Some(asked) = &mut exchanges.asked {
            if asked.is_answered {
                return;
            }
            asked.is_answered = true;
        }
        let text = reply_text(seen, layout, vec![format!("{server} names the boot file")]);
        self.recorder.record(machine, "boot ack", text);
        if seen.source.port() != BOOT_SERVER_PORT {
            let port = seen.source.port();
            let text = format!("{server} was asked on port 4011, and answers from port {port}");
            self.recorder
                .report_finding(machine, FindingKind::WrongPort4011, text);
        }
        let client = machine.client.clone();
        self.boots(id, client.as_ref(), seen.message, server);
    }

    fn nak(&mut self, id: MachineId, exchanges: &mut Exchanges, seen: ReceivedMessage<'_>) {
        let message = seen.message;
        let server = server_of(message, *seen.source.ip());
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        if let Some(exchange) = exchanges.find(message) {
            // A copy of a relay.
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

/// Tells what is wrong with a reply by itself, and with its way.
fn check(
    recorder: &mut Recorder,
    machine: &mut ObservedMachine,
    exchanges: &mut Exchanges,
    seen: ReceivedMessage<'_>,
    layout: &DhcpLayout,
) {
    let message = seen.message;
    let exchange = exchanges.find(message);
    let client = match &exchange {
        Some(exchange) => exchange.client.as_ref(),
        None => machine.client.as_ref(),
    };
    let found = faults(&Reply {
        message,
        layout,
        length: seen.length,
        client: client.map(|client| &client.kind),
        limit: exchange.as_ref().and_then(|exchange| exchange.limit),
    });
    for (kind, text) in found {
        recorder.report_finding(machine, kind, text);
    }
    let Some(exchange) = exchange else {
        return;
    };
    let server = server_of(message, *seen.source.ip());
    let to_relay = seen.destination.port() == SERVER_PORT;
    if let Some(sent) = exchange.relay_information.as_deref().filter(|_| to_relay) {
        let text = match message.options.relay_agent_information() {
            Some(back) if back == sent => None,
            Some(back) => Some(format!(
                "{server} sends option 82 back as {}, the relay {} wrote {}",
                display_hex(back),
                message.relay_address,
                display_hex(sent)
            )),
            None => Some(format!(
                "{server} leaves out option 82, which the relay {} wrote",
                message.relay_address
            )),
        };
        if let Some(text) = text {
            recorder.report_finding(machine, FindingKind::RelayWithout82Echo, text);
        }
    }
    if !exchange.vlans.is_empty() && !exchange.vlans.contains(&seen.vlans) {
        let words = |tags: &crate::wire::packet::VlanTags| match tags.is_empty() {
            true => "untagged".to_owned(),
            false => format!("on VLAN {tags}"),
        };
        let asked: Vec<_> = exchange.vlans.iter().map(words).collect();
        let text = format!(
            "asked {}, and {server} answers {}",
            asked.join(" and "),
            words(&seen.vlans)
        );
        recorder.report_finding(machine, FindingKind::VlanMismatch, text);
    }
}

/// Reports whether a DHCPACK answers what was asked on port 4011.
fn is_of_boot_server(exchanges: &Exchanges, seen: ReceivedMessage<'_>) -> bool {
    if seen.source.port() == BOOT_SERVER_PORT {
        return true;
    }
    exchanges.asked.as_ref().is_some_and(|asked| {
        asked.at.is_some()
            && asked.transaction == seen.message.transaction_id
            && specified(seen.message.your_address).is_none()
    })
}

fn reply_text(seen: ReceivedMessage<'_>, layout: &DhcpLayout, mut said: Vec<String>) -> String {
    said.extend(option_text::reply_options(seen.message, layout));
    said.extend(travelled(seen));
    said.join(", ")
}

fn names_boot_data(message: &DhcpMessage) -> bool {
    let options = &message.options;
    !message.boot_file.is_empty()
        || options.contains(OptionCode::BootfileName)
        || options.is_pxe_client()
        || options.is_http_client()
}

/// Returns the boot file as it may be shown, wherever it stands.
fn boot_name(message: &DhcpMessage) -> Option<String> {
    let option = message.options.text(OptionCode::BootfileName);
    let field = || Some(String::from_utf8_lossy(&message.boot_file).into_owned());
    let name = option.filter(|name| !name.is_empty()).or_else(field)?;
    (!name.is_empty()).then(|| display_file(&name))
}
