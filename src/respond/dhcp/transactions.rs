use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::machine::MacAddress;
use crate::wire::dhcp::TransactionId;

/// How long messages with one number count as one exchange.
const EXCHANGE_TIME: Duration = Duration::from_secs(60);
/// How soon an iPXE that was given ours and comes back as it was is led in a circle. A machine that is
/// switched on again takes longer; a circle without this takes a few seconds a turn.
const LOOP_TIME: Duration = Duration::from_secs(20);
/// How many exchanges are kept before old ones are forgotten.
const KEPT: usize = 4096;
/// How many are kept at all: anybody can make some up.
const MAX_KEPT: usize = 1 << 16;

/// The latest exchange of each client: whoever repeats a message gets the identical answer, token and
/// all, and an iPXE that cannot run our scripts is given our own once.
#[derive(Debug, Default)]
pub struct Transactions {
    latest: HashMap<MacAddress, Transaction>,
    /// How many were worth keeping when they were last looked through.
    kept: usize,
}

/// One exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    id: TransactionId,
    /// When it began.
    pub began: Timestamp,
    /// Whether the client is an iPXE that was just given ours.
    pub is_looping: bool,
    is_over: bool,
    chained: Option<Timestamp>,
    /// When firmware was given a loader, and whether it fetches it over HTTP.
    given: Option<(Timestamp, bool)>,
}

impl Transaction {
    /// Reports whether firmware that now asks by the other protocol was given a loader just now: it
    /// did not start it, and went on to its next boot option.
    pub fn skipped_loader(&self, over_http: bool, now: Timestamp) -> bool {
        self.given
            .is_some_and(|(at, given)| given != over_http && now < at + EXCHANGE_TIME)
    }
}

impl Transactions {
    /// Notes a message, and returns the exchange that it belongs to: the client's latest, when it has
    /// the same number, or a new one. A DISCOVER after the ACK begins anew, since old clients always
    /// use the same number.
    pub fn enter(
        &mut self,
        mac: MacAddress,
        id: TransactionId,
        is_discover: bool,
        now: Timestamp,
    ) -> Transaction {
        let latest = self.latest.get(&mac).copied();
        let same = latest.filter(|it| {
            let is_new = is_discover && it.is_over;
            it.id == id && now < it.began + EXCHANGE_TIME && !is_new
        });
        if let Some(same) = same {
            return same;
        }
        let chained = latest.and_then(|it| it.chained);
        let chained = chained.filter(|at| now < *at + LOOP_TIME);
        let new = Transaction {
            id,
            began: now,
            is_looping: chained.is_some(),
            is_over: false,
            chained,
            given: latest.and_then(|it| it.given),
        };
        self.forget(now);
        self.latest.insert(mac, new);
        new
    }

    /// Notes that a client has its ACK.
    pub fn acknowledged(&mut self, mac: MacAddress) {
        if let Some(latest) = self.latest.get_mut(&mac) {
            latest.is_over = true;
        }
    }

    /// Notes that a client was given our iPXE.
    pub fn chained(&mut self, mac: MacAddress, now: Timestamp) {
        if let Some(latest) = self.latest.get_mut(&mac) {
            latest.chained = latest.chained.or(Some(now));
        }
    }

    /// Notes that firmware was given a loader.
    pub fn gave_loader(&mut self, mac: MacAddress, over_http: bool, now: Timestamp) {
        if let Some(latest) = self.latest.get_mut(&mac) {
            latest.given = Some((now, over_http));
        }
    }

    fn forget(&mut self, now: Timestamp) {
        if self.latest.len() > KEPT.max(2 * self.kept) {
            self.latest.retain(|_, it| now < it.began + EXCHANGE_TIME);
            self.kept = self.latest.len();
        }
        if self.latest.len() > MAX_KEPT {
            self.latest.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_clients_take_little_memory() {
        let mut transactions = Transactions::default();
        let now = Timestamp::UNIX_EPOCH;
        for number in 0..200_000_u32 {
            let [a, b, c, d] = number.to_be_bytes();
            let mac = MacAddress::new([2, 0, a, b, c, d]);
            transactions.enter(mac, TransactionId(number), true, now);
        }
        assert!(transactions.latest.len() <= MAX_KEPT + 1);
        let later = now + EXCHANGE_TIME;
        for number in 0..5_000_u32 {
            let [a, b, c, d] = number.to_be_bytes();
            let mac = MacAddress::new([6, 0, a, b, c, d]);
            transactions.enter(mac, TransactionId(number), true, later);
        }
        assert!(transactions.latest.len() <= 2 * MAX_KEPT);
    }
}
