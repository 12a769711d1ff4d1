//! Exchanges that are still open when a machine starts again, or when the capture ends.

use jiff::{SignedDuration, Timestamp};

use super::exchange::{BootServerRequest, Exchange};
use crate::clients::dhcp::NoOffer;
use crate::conversation::display::display_time;
use crate::conversation::finding::FindingKind;
use crate::conversation::machines::MachineId;
use crate::conversation::observer::Observer;
use crate::conversation::report::milliseconds;

/// How long a response may take before its absence is a finding.
const RESPONSE_TIMEOUT: SignedDuration = SignedDuration::from_secs(2);
/// How long a client may collect offers: edk2 three seconds, iPXE up to ten.
const COLLECT: SignedDuration = SignedDuration::from_secs(11);

impl Observer<'_> {
    /// Records what failed in exchanges that have ended.
    pub(in crate::conversation) fn close(
        &mut self,
        id: MachineId,
        exchanges: Vec<Exchange>,
        asked: Option<BootServerRequest>,
        at_end: bool,
    ) {
        let now = self.recorder.now();
        for exchange in exchanges.iter().filter(|it| !it.is_closed) {
            self.close_exchange(id, exchange, at_end, now);
        }
        let Some(asked) = asked.filter(|asked| !asked.is_answered) else {
            return;
        };
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let since = asked.sent.unwrap_or(asked.expected);
        // Unicast packets are captured only next to the server or the machine: without the request, the
        // absence of a response matters only if the machine starts again.
        let is_sure = asked.sent.is_some() || !at_end && machine.stage().transfers.is_empty();
        if !is_sure || now.duration_since(since.at) < RESPONSE_TIMEOUT {
            return;
        }
        let text = match asked.attempts {
            0 => format!(
                "{} should be asked on port 4011, but no response was captured",
                asked.server
            ),
            1 => format!("{} did not respond on port 4011", asked.server),
            attempts => format!(
                "{} did not respond on port 4011 ({attempts} requests)",
                asked.server
            ),
        };
        self.recorder
            .report_finding_at(machine, FindingKind::BinlWithout4011, text, since);
    }

    /// Records the requests that waited too long for a response.
    pub(in crate::conversation) fn report_unanswered(&mut self) {
        let now = self.recorder.now();
        for id in self.machines.ids() {
            let Some(machine) = self.machines.get_mut(id) else {
                continue;
            };
            let mut exchanges = std::mem::take(&mut machine.exchanges);
            let waits = |it: &Exchange| now.duration_since(it.last_request) >= COLLECT;
            let open = exchanges.open.iter_mut();
            for exchange in open.filter(|it| !it.is_closed && waits(it)) {
                self.close_exchange(id, exchange, true, now);
                exchange.is_closed = true;
            }
            if let Some(machine) = self.machines.get_mut(id) {
                machine.exchanges = exchanges;
            }
        }
    }

    fn close_exchange(&mut self, id: MachineId, exchange: &Exchange, at_end: bool, now: Timestamp) {
        let servers_spoke = self.servers.seen_any;
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let began = exchange.began;
        let waited =
            |since: Timestamp, patience: SignedDuration| now.duration_since(since) >= patience;
        let boots = exchange.client.is_some();
        let is_answered = exchange.is_answered || exchange.refused_by.is_some();
        // Unicast replies are captured only next to the server or the machine: without the offers that
        // the machine received, its acknowledgement will be missing, too.
        let is_unseen = exchange.discovers > 0 && exchange.offers.is_empty();
        if let Some(since) = exchange.requested.filter(|_| !is_answered) {
            if waited(since.at, RESPONSE_TIMEOUT) && !is_unseen {
                let text = match exchange.requested_from {
                    Some(server) => format!("{server} did not answer the DHCPREQUEST"),
                    None => "no server answered the DHCPREQUEST".to_owned(),
                };
                self.recorder.report_finding_at(
                    machine,
                    FindingKind::NoAcknowledgement,
                    text,
                    since,
                );
            }
        } else if exchange.discovers > 0 && exchange.offers.is_empty() && !is_answered {
            // A capture that holds only a request has nothing to wait for.
            if waited(began.at, RESPONSE_TIMEOUT) || at_end && !servers_spoke {
                let text = match exchange.discovers {
                    1 => "no offer after a DHCPDISCOVER".to_owned(),
                    attempts => format!(
                        "no offer after {attempts} DHCPDISCOVERs in {}",
                        display_time(milliseconds(began.at, exchange.last_request))
                    ),
                };
                self.recorder
                    .report_finding_at(machine, FindingKind::NoAnswer, text, began);
            }
        } else if let Some(since) = exchange.first_offer
            && boots
            && exchange.discovers > 0
            && exchange.requested.is_none()
        {
            let starts_again = exchange.last_request > since.at || !at_end;
            if starts_again || waited(since.at, COLLECT) {
                let client = exchange.client.as_ref();
                let text = match client.map(|client| client.select(&exchange.offers)) {
                    Some(Err(reason @ (NoOffer::NoAddress { .. } | NoOffer::NothingToBoot { .. }))) => {
                        reason.to_string()
                    }
                    _ => "a usable offer was sent, but no DHCPREQUEST followed: check whether the offers reach \
                          the machine"
                        .to_owned(),
                };
                self.recorder
                    .report_finding_at(machine, FindingKind::NoOfferTaken, text, since);
            }
        }
        if let Some(reason) = &exchange.unbootable
            && machine.stage().transfers.is_empty()
            && waited(exchange.last_request, RESPONSE_TIMEOUT)
        {
            let text = reason.clone();
            self.recorder
                .report_finding_at(machine, FindingKind::UnusableBootFile, text, began);
        }
    }
}
