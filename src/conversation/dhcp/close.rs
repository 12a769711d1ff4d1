//! What is still open when a machine begins anew, or when the capture ends.

use jiff::{SignedDuration, Timestamp};

use super::exchange::{BootServerRequest, Exchange};
use crate::clients::dhcp::NoOffer;
use crate::conversation::display::display_time;
use crate::conversation::finding::FindingKind;
use crate::conversation::machines::MachineId;
use crate::conversation::observer::Observer;
use crate::conversation::report::milliseconds;

/// How long an answer may take before its lack is a fault.
const ANSWER: SignedDuration = SignedDuration::from_secs(2);
/// How long a client may collect offers: edk2 three seconds, iPXE up to ten.
const COLLECT: SignedDuration = SignedDuration::from_secs(11);

impl Observer<'_> {
    /// Tells what came to nothing in exchanges that have ended.
    pub(in crate::conversation) fn close(
        &mut self,
        id: MachineId,
        exchanges: Vec<Exchange>,
        asked: Option<BootServerRequest>,
        at_end: bool,
    ) {
        let now = self.recorder.now();
        for exchange in exchanges.iter().filter(|it| !it.is_told) {
            self.close_exchange(id, exchange, at_end, now);
        }
        let Some(asked) = asked.filter(|asked| !asked.is_answered) else {
            return;
        };
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let since = asked.at.unwrap_or(asked.due);
        // Only who sits beside the server or the machine sees what is not broadcast: without the
        // question, the lack of the answer says something only when the machine begins anew.
        let is_sure = asked.at.is_some() || !at_end && machine.stage().transfers.is_empty();
        if !is_sure || now.duration_since(since.at) < ANSWER {
            return;
        }
        let text = match asked.times {
            0 => format!(
                "{} is to be asked on port 4011: no answer was seen",
                asked.server
            ),
            1 => format!(
                "{} was asked on port 4011, and did not answer",
                asked.server
            ),
            times => format!(
                "{} was asked on port 4011 {times} times, and did not answer",
                asked.server
            ),
        };
        self.recorder
            .report_finding_at(machine, FindingKind::BinlWithout4011, text, since);
    }

    /// Tells what has waited so long that nothing will come of it.
    pub(in crate::conversation) fn tell_unanswered(&mut self) {
        let now = self.recorder.now();
        for id in self.machines.ids() {
            let Some(machine) = self.machines.get_mut(id) else {
                continue;
            };
            let mut exchanges = std::mem::take(&mut machine.exchanges);
            let waits = |it: &Exchange| now.duration_since(it.last_question) >= COLLECT;
            let open = exchanges.open.iter_mut();
            for exchange in open.filter(|it| !it.is_told && waits(it)) {
                self.close_exchange(id, exchange, true, now);
                exchange.is_told = true;
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
        // What servers send to the machine alone is seen only beside one of the two: who sees no offer
        // of those that the machine got, will see no acknowledgement either.
        let is_unseen = exchange.discovers > 0 && exchange.offers.is_empty();
        if let Some(since) = exchange.requested.filter(|_| !is_answered) {
            if waited(since.at, ANSWER) && !is_unseen {
                let of = exchange.requested_of;
                let of = of.map_or_else(|| "anybody".to_owned(), |it| it.to_string());
                let text = format!("the DHCPREQUEST was not answered by {of}");
                self.recorder.report_finding_at(
                    machine,
                    FindingKind::NoAcknowledgement,
                    text,
                    since,
                );
            }
        } else if exchange.discovers > 0 && exchange.offers.is_empty() && !is_answered {
            // A capture of a question alone has nothing to wait for.
            if waited(began.at, ANSWER) || at_end && !servers_spoke {
                let text = match exchange.discovers {
                    1 => "a DHCPDISCOVER, and no offer".to_owned(),
                    times => format!(
                        "{times} DHCPDISCOVERs in {}, and no offer",
                        display_time(milliseconds(began.at, exchange.last_question))
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
            let begins_anew = exchange.last_question > since.at || !at_end;
            if begins_anew || waited(since.at, COLLECT) {
                let client = exchange.client.as_ref();
                let text = match client.map(|client| client.select(&exchange.offers)) {
                    Some(Err(reason @ (NoOffer::NoAddress { .. } | NoOffer::NothingToBoot { .. }))) => {
                        reason.to_string()
                    }
                    _ => "there is a good offer, and no DHCPREQUEST was seen: do the offers reach the \
                          machine?"
                        .to_owned(),
                };
                self.recorder
                    .report_finding_at(machine, FindingKind::NoOfferTaken, text, since);
            }
        }
        if let Some(reason) = &exchange.unbootable
            && machine.stage().transfers.is_empty()
            && waited(exchange.last_question, ANSWER)
        {
            let text = reason.clone();
            self.recorder
                .report_finding_at(machine, FindingKind::UnusableBootFile, text, began);
        }
    }
}
