use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::origin::RequestOrigin;
use super::transactions::Transaction;
use crate::inventory::{Host, Inventory, Network, Nic, UnknownPolicy};
use crate::machine::{Architecture, MacAddress, SystemUuid};
use crate::token::StoreKey;
use crate::wire::dhcp::DhcpMessage;

/// A request with everything that its answer depends on. It is built once and does not change.
pub struct RequestContext<'a> {
    pub inventory: &'a Inventory,
    pub key: &'a StoreKey,
    pub now: Timestamp,
    pub message: &'a DhcpMessage,
    /// The client's Ethernet address; where `chaddr` holds a GUID, that of the host's boot interface.
    pub mac: MacAddress,
    /// The host and interface with this Ethernet address, on any network.
    pub known: Option<(&'a Host, &'a Nic)>,
    pub network: &'a Network,
    /// The address by which the client knows this server.
    pub server: Ipv4Addr,
    /// When the exchange began. Values that depend on the time are the same in all replies of an exchange.
    pub began: Timestamp,
    /// Whether the client is an iPXE that just got our iPXE and still cannot run our scripts.
    pub is_looping: bool,
    /// Whether the client is firmware that got a loader and did not start it.
    pub skipped_loader: bool,
    /// Whether the client is iPXE.
    pub is_ipxe: bool,
    /// The architecture that the client announces, if it is a known one.
    pub announced_architecture: Option<Architecture>,
}

impl<'a> RequestContext<'a> {
    /// Creates the context of a message from its origin and its exchange.
    pub fn new(
        inventory: &'a Inventory,
        key: &'a StoreKey,
        message: &'a DhcpMessage,
        origin: RequestOrigin<'a>,
        transaction: &Transaction,
        now: Timestamp,
    ) -> Self {
        let RequestOrigin {
            mac,
            known,
            network,
            server,
        } = origin;
        let mut context = Self {
            inventory,
            key,
            now,
            message,
            mac,
            known,
            network,
            server,
            began: transaction.began,
            is_looping: transaction.is_looping,
            skipped_loader: false,
            is_ipxe: message.options.is_ipxe(),
            announced_architecture: message.architecture(),
        };
        context.skipped_loader =
            context.is_firmware() && transaction.skipped_loader(context.boots_over_http(), now);
        context
    }

    /// Returns the address that the inventory reserves for the client on this network.
    pub fn reserved(&self) -> Option<Ipv4Addr> {
        self.known
            .filter(|(_, nic)| nic.network == self.network.name)
            .and_then(|(_, nic)| nic.ip)
    }

    /// Returns the machine's UUID, unless it is a placeholder.
    pub fn uuid(&self) -> Option<SystemUuid> {
        self.message
            .options
            .system_uuid()
            .filter(|uuid| !uuid.is_placeholder())
    }

    /// Returns the client's architecture; an unknown architecture counts as BIOS.
    pub fn architecture(&self) -> Architecture {
        self.announced_architecture.unwrap_or(Architecture::Bios)
    }

    /// Reports whether the site ignores this machine because it is not in the inventory.
    pub fn is_ignored_stranger(&self) -> bool {
        self.known.is_none() && self.inventory.site.unknown == UnknownPolicy::Ignore
    }

    /// Returns the server that a message is meant for, if it is another server.
    pub fn other_server(&self) -> Option<Ipv4Addr> {
        let ours = [self.server, self.inventory.site.server.address];
        let named = self.message.options.server_identifier();
        named.filter(|server| !ours.contains(server))
    }

    /// Reports whether this server has no interface on the client's network.
    pub fn is_routed(&self) -> bool {
        self.network.interface.is_none()
    }

    /// Reports whether the client is firmware that boots from the network.
    pub fn is_firmware(&self) -> bool {
        !self.is_ipxe && self.boots_from_network()
    }

    /// Reports whether the vendor class is that of a client that boots from the network, over TFTP or HTTP.
    pub fn boots_from_network(&self) -> bool {
        let options = &self.message.options;
        options.is_pxe_client() || options.is_http_client()
    }

    /// Reports whether the client is firmware that boots over HTTP.
    pub fn boots_over_http(&self) -> bool {
        self.architecture().is_http() || self.message.options.is_http_client()
    }
}
