//! A DHCP server as a state machine: (inventory, now, message) -> a lease change to commit and a reply.
//!
//! One function per message type, after RFC 2131 §4.3. The shell makes [`Response::commit`] durable
//! before it sends [`Response::reply`].

mod boot;
mod delivery;
mod filter;
mod ignored;
mod leases;
mod link;
mod others;
mod probes;
mod proxy;
mod reply;
mod request_context;
mod response;
#[cfg(test)]
mod tests;
mod transactions;

use std::net::Ipv4Addr;

use jiff::Timestamp;

use crate::inventory::{DhcpMode, Host, Inventory, Nic};
use crate::machine::{Lease, LeaseChange};
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, MessageType};

pub use boot::{BootFile, http_boot_file};
pub use delivery::Delivery;
use delivery::delivery;
pub use ignored::Ignored;
use leases::LeaseTable;
pub use link::RelayClaim;
use link::link;
pub use others::{OtherServers, chosen_server, other_server, search};
pub use probes::ProbesDue;
pub use proxy::{BOOT_SERVER_PORT, respond_as_boot_server};
use request_context::{RequestContext, known};
use response::Verdict;
pub use response::{Exchange, Reply, Response};
use transactions::Transactions;

/// The port on which servers and relays listen.
pub const SERVER_PORT: u16 = 67;
/// The port on which clients listen.
pub const CLIENT_PORT: u16 = 68;

/// The interface on which a message arrived.
#[derive(Clone, Copy, Debug)]
pub struct Ingress<'a> {
    /// The network of the interface; `None` if the message came through a router or a relay.
    pub network: Option<&'a str>,
    /// The address by which machines on the network know this server.
    pub address: Ipv4Addr,
}

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
        let mut exchange = exchange(inventory, message);
        let mut context = match RequestContext::new(inventory, key, ingress, message, now) {
            Ok(context) => context,
            Err(why) => return Response::ignored(why, exchange),
        };
        exchange.network = Some(context.network.name.clone());
        let kind = message.options.message_type();
        let is_discover = kind == Some(MessageType::Discover);
        let (mac, id) = (context.mac, message.transaction_id);
        let transaction = self.transactions.enter(mac, id, is_discover, now);
        context.began = transaction.began;
        context.is_looping = transaction.is_looping;
        let is_firmware = !message.options.is_ipxe()
            && (message.options.is_pxe_client() || message.options.is_http_client());
        let over_http = context.boots_over_http();
        context.skipped_loader = is_firmware && transaction.skipped_loader(over_http, now);
        let is_proxy = context.network.mode == DhcpMode::Proxy;
        let verdict = match kind {
            _ if is_proxy => proxy::offer(&context),
            Some(MessageType::Discover) => self.discover(&context),
            Some(MessageType::Request) => self.request(&context),
            Some(MessageType::Decline) => self.decline(&context),
            Some(MessageType::Release) => self.release(&context),
            Some(MessageType::Inform) => self.inform(&context),
            other => Verdict::ignored(Ignored::MessageType(other)),
        };
        if let Ok((reply, boot_file)) = &verdict.reply {
            let is_last = reply.options.message_type() != Some(MessageType::Offer);
            if is_last {
                self.transactions.acknowledged(mac);
            }
            let is_chain = boot_file.as_ref().is_some_and(|it| context.is_chain(it));
            // A client of a proxy loads the boot file of the offer.
            if is_firmware && boot_file.is_some() && (is_last || is_proxy) {
                self.transactions.gave_loader(mac, over_http, now);
            }
            if is_chain && (is_last || is_proxy) {
                self.transactions.chained(mac, now);
            }
        }
        verdict.into_response(&context, exchange, |reply| {
            delivery(message, reply, context.is_routed())
        })
    }

    /// Offers an address, and holds it for the client for a while. Source: RFC 2131 §4.3.1.
    fn discover(&mut self, context: &RequestContext<'_>) -> Verdict {
        let address = match self.choose(context) {
            Ok(address) => address,
            Err(why) => return Verdict::ignored(why),
        };
        // A reservation takes precedence over a lease; log the client that still holds the address.
        let other = self.leases.holder(address).filter(|holder| {
            *holder != context.mac && !self.leases.is_free_for(address, context.mac, context.now)
        });
        let remark = other.map(|other| {
            format!("{address} is reserved for this client, but still leased to {other}")
        });
        self.leases
            .offer(context.mac, &context.network.name, address, context.now);
        let (reply, boot_file) = reply::offer(context, address);
        Verdict {
            commit: None,
            reply: Ok((reply, boot_file)),
            remark,
        }
    }

    /// Grants or refuses an address. Source: RFC 2131 §4.3.2.
    fn request(&mut self, context: &RequestContext<'_>) -> Verdict {
        let options = &context.message.options;
        let ciaddr = context.message.client_address;
        if let Some(server) = context.other_server() {
            self.leases.withdraw(context.mac, &context.network.name);
            return Verdict::ignored(Ignored::OtherServer(server));
        }
        let wanted = options
            .requested_address()
            .or((!ciaddr.is_unspecified()).then_some(ciaddr));
        let Some(wanted) = wanted else {
            return Verdict::refused(context, "the request contains no address");
        };
        if !context.network.subnet.is_host(wanted) {
            return Verdict::refused(
                context,
                &format!("{wanted} does not belong to {}", context.network.subnet),
            );
        }
        if let Some(reserved) = context.reserved().filter(|reserved| *reserved != wanted) {
            return Verdict::refused(
                context,
                &format!("{wanted} is not this client's address; {reserved} is reserved for it"),
            );
        }
        if context.reserved().is_none() {
            if context.is_ignored_stranger() {
                return Verdict::ignored(Ignored::UnknownMachine);
            }
            // This server alone owns the subnet, so it refuses an unavailable address at once, and the
            // client starts again. Source: RFC 2131 §4.3.2, INIT-REBOOT.
            if !context
                .network
                .pool
                .as_ref()
                .is_some_and(|pool| pool.contains(wanted))
            {
                return Verdict::refused(context, &format!("{wanted} is outside the pool"));
            }
            if !self.leases.is_free_for(wanted, context.mac, context.now) {
                return Verdict::refused(context, &format!("{wanted} is in use"));
            }
        }
        let lease = Lease {
            address: wanted,
            network: context.network.name.clone(),
            holder: Some(context.mac),
            expires: context.now + context.network.lease_time,
        };
        self.leases.hold(lease.clone());
        let (reply, boot_file) = reply::acknowledge(context, wanted);
        Verdict {
            commit: Some(LeaseChange::Hold(lease)),
            reply: Ok((reply, boot_file)),
            remark: None,
        }
    }

    /// Sets aside an address that another machine uses. Source: RFC 2131 §4.3.3.
    fn decline(&mut self, context: &RequestContext<'_>) -> Verdict {
        let address = context.message.options.requested_address();
        if let Some(server) = context.other_server() {
            return Verdict::ignored(Ignored::OtherServer(server));
        }
        let mut verdict = Verdict::ignored(Ignored::NeverAnswered);
        let Some(address) = address else {
            return verdict;
        };
        if context.reserved() == Some(address) {
            verdict.remark = Some(format!(
                "{address} is reserved for this client, but another machine uses it"
            ));
        } else if self.leases.holder(address) == Some(context.mac) {
            let lease = self
                .leases
                .decline(address, &context.network.name, context.now);
            verdict.remark = Some(format!(
                "another machine uses {address}; the address is set aside for an hour"
            ));
            verdict.commit = Some(LeaseChange::Hold(lease));
        }
        verdict
    }

    /// Takes an address back. Source: RFC 2131 §4.3.4.
    fn release(&mut self, context: &RequestContext<'_>) -> Verdict {
        let address = context.message.client_address;
        if let Some(server) = context.other_server() {
            return Verdict::ignored(Ignored::OtherServer(server));
        }
        let mut verdict = Verdict::ignored(Ignored::NeverAnswered);
        if self.leases.holder(address) == Some(context.mac) {
            self.leases.release(address);
            verdict.remark = Some(format!("{address} is free again"));
            verdict.commit = Some(LeaseChange::Release(address));
        }
        verdict
    }

    /// Answers a client that got its address elsewhere. Source: RFC 2131 §4.3.5.
    fn inform(&mut self, context: &RequestContext<'_>) -> Verdict {
        if context.is_ignored_stranger() {
            return Verdict::ignored(Ignored::UnknownMachine);
        }
        let (reply, boot_file) = reply::inform(context);
        Verdict {
            commit: None,
            reply: Ok((reply, boot_file)),
            remark: None,
        }
    }

    /// Chooses an address for a client: its reserved address, or a free address of the pool.
    fn choose(&mut self, context: &RequestContext<'_>) -> Result<Ipv4Addr, Ignored> {
        if let Some(reserved) = context.reserved() {
            return Ok(reserved);
        }
        if context.is_ignored_stranger() {
            return Err(Ignored::UnknownMachine);
        }
        let network = context.network;
        let pool = network
            .pool
            .as_ref()
            .ok_or_else(|| Ignored::NoPool(network.name.clone()))?;
        let wanted = context.message.options.requested_address();
        self.leases
            .choose(pool, context.mac, &network.name, wanted, context.now)
            .ok_or_else(|| Ignored::PoolExhausted(network.name.clone()))
    }
}

fn exchange(inventory: &Inventory, message: &DhcpMessage) -> Exchange {
    let known: Option<(&Host, &Nic)> = known(inventory, message);
    Exchange {
        request: message.options.message_type(),
        network: None,
        transaction_id: message.transaction_id,
        mac: known
            .map(|(_, nic)| nic.mac)
            .or(message.hardware_address.mac()),
        host: known.map(|(host, _)| host.name.clone()),
        architecture: message.architecture(),
        boot_file: None,
        remark: None,
    }
}
