//! Messages of clients.

use super::exchange::{BootServerRequest, EXCHANGES, Exchange, Exchanges, server_of, source_words};
use super::{BOOT_SERVER_PORT, ReceivedMessage, client, option_text, route_texts, specified};
use crate::clients::dhcp::Client;
use crate::conversation::display::display_text;
use crate::conversation::files;
use crate::conversation::finding::FindingKind;
use crate::conversation::machine::ObservedMachine;
use crate::conversation::machines::MachineId;
use crate::conversation::observer::Observer;
use crate::conversation::recorder::Recorder;
use crate::wire::dhcp::{MessageType, OptionCode};

impl Observer<'_> {
    /// Processes a message of a client.
    pub(super) fn client_message(&mut self, id: MachineId, received: ReceivedMessage<'_>) {
        let message = received.message;
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let before = machine.architecture;
        let client = client::model(message, before);
        let mut exchanges = std::mem::take(&mut machine.exchanges);
        if machine.architecture.is_none() {
            machine.architecture = message.architecture().ok().flatten();
        }
        match message.options.message_type() {
            _ if received.destination.port() == BOOT_SERVER_PORT => {
                ask_boot_server(&mut self.recorder, machine, &mut exchanges, received);
            }
            Some(MessageType::Discover) => {
                self.discover(id, &mut exchanges, client, received);
            }
            Some(MessageType::Request) => {
                self.request(id, &mut exchanges, client, received);
            }
            Some(MessageType::Decline) => {
                let text = decline(received);
                self.recorder
                    .record(machine, "decline", request_text(received, Vec::new()));
                self.recorder
                    .report_finding(machine, FindingKind::Declined, text);
            }
            Some(MessageType::Release) => {
                let text = format!("returns {}", message.client_address);
                self.recorder.record(machine, "release", text);
            }
            Some(MessageType::Inform) => {
                let has = format!("has {}, requests options", message.client_address);
                let text = request_text(received, vec![has]);
                self.recorder.record(machine, "inform", text);
                self.machines.lease(id, message.client_address);
            }
            Some(other) => {
                let text = format!("a client sends {other:?}, a message for servers to send");
                self.recorder.record(machine, "dhcp", text);
            }
            None => {
                let text = request_text(received, vec!["BOOTP, without option 53".to_owned()]);
                self.recorder.record(machine, "bootp", text);
            }
        }
        if let Some(machine) = self.machines.get_mut(id) {
            machine.exchanges = exchanges;
        }
    }

    fn discover(
        &mut self,
        id: MachineId,
        exchanges: &mut Exchanges,
        client: Option<Client>,
        received: ReceivedMessage<'_>,
    ) {
        let message = received.message;
        let is_relayed = specified(message.relay_address).is_some();
        if exchanges.find(message).is_none() {
            self.begin(id, exchanges, client, received);
        }
        let Some((exchange, machine)) = exchanges.find(message).zip(self.machines.get_mut(id))
        else {
            return;
        };
        let vlan_is_new = !exchange.vlans.contains(&received.vlans);
        exchange.seen_on(received.vlans);
        if is_relayed {
            remember_relay(exchange, received);
        }
        let is_copy = exchange.discovers > 0 && (is_relayed || vlan_is_new);
        if is_copy && exchange.first_offer.is_none() {
            let text = request_text(received, vec!["relayed".to_owned()]);
            self.recorder.record(machine, "discover", text);
            return;
        }
        if is_copy || exchange.is_repeat(self.recorder.now()) {
            return;
        }
        exchange.discovers += 1;
        exchange.last_request = self.recorder.now();
        let text = match exchange.discovers {
            1 => request_text(received, Vec::new()),
            attempt => format!("again ({} time)", ordinal(attempt)),
        };
        self.recorder.record(machine, "discover", text);
    }

    /// Opens an exchange, and closes earlier ones.
    fn begin(
        &mut self,
        id: MachineId,
        exchanges: &mut Exchanges,
        client: Option<Client>,
        received: ReceivedMessage<'_>,
    ) {
        let hardware = received.message.hardware_address;
        let (ended, open): (Vec<_>, _) = std::mem::take(&mut exchanges.open)
            .into_iter()
            .partition(|it| it.hardware == hardware);
        exchanges.open = open;
        let asked = exchanges.asked.take();
        self.close(id, ended, asked, false);
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        files::settle(&mut self.recorder, machine);
        let name = client::name(received.message, client.as_ref());
        let is_search = client::is_search(received.message);
        machine.only_searches = is_search && (machine.stages.is_empty() || machine.only_searches);
        // A system that renews its lease continues; firmware that requests again starts a new stage.
        let boots = client.is_some();
        let is_used = machine.stages.last().is_some_and(|stage| {
            let is_over = stage.boot.is_some() || !stage.transfers.is_empty();
            stage.name != name || boots && is_over
        });
        if machine.stages.is_empty() || is_used {
            machine.begin_stage(&name);
        }
        machine.client.clone_from(&client);
        let began = self.recorder.start_point(machine);
        if exchanges.open.len() >= EXCHANGES {
            exchanges.open.remove(0);
        }
        let mut exchange = Exchange::new(received.message, client, began);
        // A search without responses is the expected result.
        exchange.is_closed = is_search;
        exchanges.open.push(exchange);
    }

    fn request(
        &mut self,
        id: MachineId,
        exchanges: &mut Exchanges,
        client: Option<Client>,
        received: ReceivedMessage<'_>,
    ) {
        let message = received.message;
        let server = message.options.server_identifier();
        if exchanges.find(message).is_none() {
            self.begin(id, exchanges, client, received);
        }
        let Some((exchange, machine)) = exchanges.find(message).zip(self.machines.get_mut(id))
        else {
            return;
        };
        let vlan_is_new = !exchange.vlans.contains(&received.vlans);
        exchange.seen_on(received.vlans);
        let is_relayed = specified(message.relay_address).is_some();
        if is_relayed {
            remember_relay(exchange, received);
        }
        let now = self.recorder.now();
        if exchange.requested.is_some() && exchange.requested_from == server {
            if !is_relayed && !vlan_is_new && !exchange.is_repeat(now) {
                exchange.last_request = now;
                self.recorder.record(machine, "request", "again".to_owned());
            }
            return;
        }
        exchange.requested = Some(self.recorder.start_point(machine));
        exchange.requested_from = server;
        exchange.last_request = now;
        let address = message.options.requested_address();
        let address = address.or(specified(message.client_address));
        let address = address.map_or_else(|| "an address".to_owned(), |it| it.to_string());
        let Some(server) = server else {
            let how = match specified(message.client_address) {
                Some(_) => "renews",
                None => "requests its previous address",
            };
            let text = request_text(received, vec![format!("{how} {address}")]);
            self.recorder.record(machine, "request", text);
            return;
        };
        self.recorder
            .record(machine, "request", format!("{address} from {server}"));
        let stage = machine.stage();
        stage.winner = Some(server);
        let Some(verdict) = verdict(exchange, server) else {
            return;
        };
        stage.reason = Some(verdict.clone());
        self.recorder.record(machine, "takes", verdict);
    }
}

/// Explains by its model which offer a client accepts and why. `None` without a model, or if its offers
/// were not captured.
fn verdict(exchange: &Exchange, server: std::net::Ipv4Addr) -> Option<String> {
    if exchange.offers.is_empty() {
        return None;
    }
    let client = exchange.client.as_ref()?;
    Some(match client.select(&exchange.offers) {
        Ok(selection) if server_of(selection.offer, server) == server => {
            let source = source_words(&selection.boot);
            format!("the offer of {server}: {}\n= {source}", selection.reason)
        }
        Ok(selection) => format!(
            "the offer of {server}, but its model accepts the offer of {}: {}",
            server_of(selection.offer, server),
            selection.reason
        ),
        Err(reason) => format!("the offer of {server}, although {reason}"),
    })
}

fn ask_boot_server(
    recorder: &mut Recorder,
    machine: &mut ObservedMachine,
    exchanges: &mut Exchanges,
    received: ReceivedMessage<'_>,
) {
    let (server, transaction) = (*received.destination.ip(), received.message.transaction_id);
    let now = recorder.start_point(machine);
    let known = exchanges.asked.as_mut();
    let attempt = match known.filter(|it| it.server == server && !it.is_answered) {
        Some(asked) => {
            asked.transaction = transaction;
            asked.sent = asked.sent.or(Some(now));
            asked.attempts += 1;
            asked.attempts
        }
        None => {
            exchanges.asked = Some(BootServerRequest {
                transaction,
                server,
                sent: Some(now),
                expected: now,
                attempts: 1,
                is_answered: false,
            });
            1
        }
    };
    let text = match attempt {
        1 => format!("the boot file from {server} on port 4011"),
        attempt => format!(
            "again ({} time), from {server} on port 4011",
            ordinal(attempt)
        ),
    };
    recorder.record(machine, "request", text);
}

fn remember_relay(exchange: &mut Exchange, received: ReceivedMessage<'_>) {
    let information = received.message.options.relay_agent_information();
    if let Some(information) = information {
        exchange.relay_information = Some(information.to_vec());
    }
}

fn request_text(received: ReceivedMessage<'_>, mut texts: Vec<String>) -> String {
    texts.extend(option_text::request_options(received.message));
    texts.extend(route_texts(received));
    texts.join(", ")
}

fn decline(received: ReceivedMessage<'_>) -> String {
    let options = &received.message.options;
    let address = options
        .requested_address()
        .map_or_else(|| "an address".to_owned(), |it| it.to_string());
    let server = options.server_identifier();
    let server = server.map(|server| format!(" from {server}"));
    let why = options.text(OptionCode::Message);
    let why = why.map(|text| format!(": `{}`", display_text(&text)));
    format!(
        "{address}{} is already in use{}",
        server.unwrap_or_default(),
        why.unwrap_or_default()
    )
}

fn ordinal(number: u32) -> String {
    let end = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}
