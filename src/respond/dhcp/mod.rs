//! A DHCP server as a state machine: (inventory, now, message) -> a lease change to commit and a reply.
//!
//! [`RequestOrigin`] and [`Transactions`] tell who sends a message and which exchange it belongs to; the
//! [`RequestContext`] made of them does not change. [`authoritative`] or [`proxy`] decides, and the verdict
//! becomes a [`Response`]. The shell makes [`Response::commit`] durable before it sends
//! [`Response::reply`].

mod assigned_boot_file;
mod authoritative;
mod boot;
mod boot_client;
mod delivery;
mod filter;
mod ignore_reason;
mod leases;
mod link;
mod origin;
mod others;
mod ports;
mod probes;
mod proxy;
mod remarks;
mod reply;
mod request_context;
mod response;
#[cfg(test)]
mod tests;
mod transactions;
mod verdict;

use std::net::Ipv4Addr;

use jiff::Timestamp;

use crate::inventory::{DhcpMode, Inventory};
use crate::machine::{Lease, LeaseChange, MacAddress};
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, MessageType};

use boot::is_chain;
use boot_client::OfferedBoot;
use delivery::delivery;
use leases::LeaseTable;
use origin::{RequestOrigin, known_sender};
use request_context::RequestContext;
use transactions::Transactions;

pub use assigned_boot_file::AssignedBootFile;
pub use boot::http_boot_file;
pub use delivery::Delivery;
pub use ignore_reason::{IgnoreReason, RelayClaim};
pub use link::Ingress;
pub use others::{OtherServers, chosen_server, other_server, search};
pub use ports::{BOOT_SERVER_PORT, CLIENT_PORT, SERVER_PORT};
pub use probes::ProbesDue;
pub use proxy::respond_as_boot_server;
pub use response::{DhcpReply, Exchange, Response};

/// The DHCP server with its leases and current exchanges.
#[derive(Debug)]
pub struct DhcpResponder {
    leases: LeaseTable,
    transactions: Transactions,
}

impl DhcpResponder {
    /// Starts with the leases that the store holds.
    pub fn new(leases: impl IntoIterator<Item = Lease>) -> Self {
        Self {
            leases: LeaseTable::new(leases),
            transactions: Transactions::default(),
        }
    }

    /// Lists the leases that are active at `now`.
    pub fn leases(&self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.leases.active(now)
    }

    /// Answers one message.
    pub fn respond(
        &mut self,
        inventory: &Inventory,
        key: &StoreKey,
        ingress: Ingress<'_>,
        message: &DhcpMessage,
        now: Timestamp,
    ) -> Response {
        let known = known_sender(inventory, message);
        let mut exchange = Exchange::new(message, known);
        let origin = match RequestOrigin::find(inventory, ingress, message, known) {
            Ok(origin) => origin,
            Err(why) => return Response::ignored(why, exchange),
        };
        let is_discover = exchange.request == Some(MessageType::Discover);
        let (mac, id) = (origin.mac, message.transaction_id);
        // A REQUEST may lack the vendor class by which a filter accepted its DISCOVER.
        let network = &origin.network.name;
        let has_offer = !is_discover && self.transactions.has_offer(mac, id, network, now);
        if !has_offer && let Err(why) = origin.check_filters(inventory, message) {
            return Response::ignored(why, exchange);
        }
        exchange.network = Some(network.clone());
        let transaction = self.transactions.enter(mac, id, is_discover, now);
        let context = RequestContext::new(inventory, key, message, origin, &transaction, now);
        let verdict = if context.network.mode == DhcpMode::Proxy {
            proxy::offer(&context)
        } else {
            authoritative::respond(&mut self.leases, &context)
        };
        if let Ok((reply, boot_file)) = &verdict.reply {
            self.record_answer(&context, reply, boot_file.as_ref());
        }
        verdict.into_response(&context, exchange, |reply| {
            delivery(message, reply, context.is_routed())
        })
    }

    /// Records in the client's exchange that it gets an answer.
    fn record_answer(
        &mut self,
        context: &RequestContext<'_>,
        reply: &DhcpMessage,
        boot_file: Option<&AssignedBootFile>,
    ) {
        let (mac, now) = (context.mac, context.now);
        let is_last = reply.options.message_type() != Some(MessageType::Offer);
        if is_last {
            self.transactions.acknowledged(mac);
        } else {
            let offered = OfferedBoot {
                network: context.network.name.clone(),
                client: context.client.clone(),
                boot_file: boot_file.cloned(),
            };
            self.transactions.offered(mac, offered);
        }
        // A client of a proxy loads the boot file of the offer.
        let is_loaded = is_last || context.network.mode == DhcpMode::Proxy;
        let Some(boot_file) = boot_file.filter(|_| is_loaded) else {
            return;
        };
        if context.is_firmware() {
            let over_http = context.boots_over_http();
            self.transactions.gave_loader(mac, over_http, now);
        }
        if is_chain(context, boot_file) {
            self.transactions.chained(mac, now);
        }
    }

    /// Lists the addresses to probe now, by network, so that the next clients of each pool get an unused
    /// address. Only networks with an interface of this server are probed.
    ///
    /// A reservation is never probed, and no client ever waits for a probe.
    pub fn probes_due(&mut self, inventory: &Inventory, now: Timestamp) -> Vec<ProbesDue> {
        let mut found = Vec::new();
        for network in &inventory.site.networks {
            let is_ours = network.mode == DhcpMode::Authoritative && network.interface.is_some();
            let pools = network.pools().filter(|_| is_ours);
            let addresses: Vec<Ipv4Addr> = pools
                .flat_map(|pool| self.leases.probes_due(pool, now))
                .collect();
            if !addresses.is_empty() {
                found.push(ProbesDue {
                    network: network.name.clone(),
                    addresses,
                });
            }
        }
        found
    }

    /// Records the result of a probe. If `answered` uses the address, the address is set aside as if a
    /// client had declined it, unless a client got it in the meantime.
    pub fn probed(
        &mut self,
        network: &str,
        address: Ipv4Addr,
        answered: Option<MacAddress>,
        now: Timestamp,
    ) -> Option<LeaseChange> {
        if answered.is_none() {
            self.leases.found_free(address, now);
            return None;
        }
        let is_given = self.leases.is_given(address, now);
        (!is_given).then(|| LeaseChange::Hold(self.leases.decline(address, network, now)))
    }
}
