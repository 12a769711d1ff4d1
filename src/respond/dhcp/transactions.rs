use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::boot_client::OfferedBoot;
use crate::machine::MacAddress;
use crate::wire::dhcp::TransactionId;

/// How long messages with the same transaction ID count as one exchange.
const EXCHANGE_TIME: Duration = Duration::from_secs(60);
/// If an iPXE that got our iPXE comes back unchanged within this time, it is in a loop. A machine that is
/// switched on again takes longer; one round of the loop takes a few seconds.
const LOOP_TIME: Duration = Duration::from_secs(20);
/// How many exchanges are kept before old ones are forgotten.
const KEPT: usize = 4096;
/// The largest number of exchanges kept: anyone can invent clients.
const MAX_KEPT: usize = 1 << 16;

/// The latest exchange of each client. A client that repeats a message gets an identical reply with the
/// same token, and an iPXE that cannot run our scripts gets our iPXE once.
#[derive(Debug, Default)]
pub struct Transactions {
    latest: HashMap<MacAddress, Transaction>,
    /// How many entries were still current at the last cleanup.
    kept: usize,
}

/// One exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    id: TransactionId,
    /// When it began.
    pub began: Timestamp,
    /// Whether the client is an iPXE that just got our iPXE.
    pub is_looping: bool,
    is_over: bool,
    chained: Option<Timestamp>,
    /// When firmware got a loader, and whether it fetches the loader over HTTP.
    loader_given: Option<(Timestamp, bool)>,
    /// The decision of its OFFER.
    pub offered: Option<OfferedBoot>,
}

impl Transaction {
    /// Starts an exchange of a client without an earlier one.
    pub fn new(id: TransactionId, now: Timestamp) -> Self {
        Self {
            id,
            began: now,
            is_looping: false,
            is_over: false,
            chained: None,
            loader_given: None,
            offered: None,
        }
    }

    /// Reports whether firmware just got a loader and now uses the other protocol: it did not start the
    /// loader, and continued with its next boot option.
    pub fn skipped_loader(&self, over_http: bool, now: Timestamp) -> bool {
        self.loader_given
            .is_some_and(|(at, was_http)| was_http != over_http && now < at + EXCHANGE_TIME)
    }
}

impl Transactions {
    /// Records a message and returns its exchange: the client's latest exchange if the transaction ID is
    /// the same, else a new one. A DISCOVER after the ACK starts a new exchange, because old clients
    /// always use the same ID.
    pub fn enter(
        &mut self,
        mac: MacAddress,
        id: TransactionId,
        is_discover: bool,
        now: Timestamp,
    ) -> Transaction {
        let latest = self.latest.get(&mac);
        let same = latest.filter(|it| {
            let is_new = is_discover && it.is_over;
            it.id == id && now < it.began + EXCHANGE_TIME && !is_new
        });
        if let Some(same) = same {
            return same.clone();
        }
        let chained = latest.and_then(|it| it.chained);
        let chained = chained.filter(|at| now < *at + LOOP_TIME);
        let new = Transaction {
            is_looping: chained.is_some(),
            chained,
            loader_given: latest.and_then(|it| it.loader_given),
            ..Transaction::new(id, now)
        };
        self.forget(now);
        self.latest.insert(mac, new.clone());
        new
    }

    /// Reports whether a client got an OFFER on this network in the same exchange.
    pub fn has_offer(
        &self,
        mac: MacAddress,
        id: TransactionId,
        network: &str,
        now: Timestamp,
    ) -> bool {
        let latest = self.latest.get(&mac);
        let same = latest.filter(|it| it.id == id && now < it.began + EXCHANGE_TIME);
        same.and_then(|it| it.offered.as_ref())
            .is_some_and(|offered| offered.network == network)
    }

    /// Records the decision of an OFFER, which the ACK of the exchange repeats.
    pub fn offered(&mut self, mac: MacAddress, offered: OfferedBoot) {
        if let Some(latest) = self.latest.get_mut(&mac) {
            latest.offered = Some(offered);
        }
    }

    /// Records that a client has its ACK.
    pub fn acknowledged(&mut self, mac: MacAddress) {
        if let Some(latest) = self.latest.get_mut(&mac) {
            latest.is_over = true;
        }
    }

    /// Records that a client got our iPXE.
    pub fn chained(&mut self, mac: MacAddress, now: Timestamp) {
        if let Some(latest) = self.latest.get_mut(&mac) {
            latest.chained = latest.chained.or(Some(now));
        }
    }

    /// Records that firmware got a loader.
    pub fn gave_loader(&mut self, mac: MacAddress, over_http: bool, now: Timestamp) {
        if let Some(latest) = self.latest.get_mut(&mac) {
            latest.loader_given = Some((now, over_http));
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
    fn invented_clients_take_little_memory() {
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
