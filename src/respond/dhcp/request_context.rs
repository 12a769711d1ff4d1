use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::boot_client::{BootClient, FirmwareBoot, OfferedBoot};
use super::origin::RequestOrigin;
use super::transactions::Transaction;
use crate::inventory::{
    AddressRange, ClientClass, DhcpMode, Host, Inventory, Network, Nic, UnknownPolicy,
};
use crate::machine::{Architecture, Firmware, MacAddress, SystemUuid, UnknownArchitecture};
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, MessageType};

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
    /// The client as the exchange's decision describes it.
    pub client: BootClient,
    /// The decision of the exchange's OFFER, which holds for this message.
    pub offered: Option<OfferedBoot>,
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
        let client = BootClient::read(message, network);
        let is_discover = message.options.message_type() == Some(MessageType::Discover);
        let offered = transaction
            .offered
            .clone()
            .filter(|offered| offered.holds_for(network, &client, is_discover));
        let client = offered.as_ref().map_or(client, |it| it.client.clone());
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
            is_ipxe: client.is_ipxe,
            client,
            offered,
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

    /// Returns the client's class on this network. Another server that owns the addresses has its own.
    pub fn class(&self) -> Option<&'a ClientClass> {
        let name = self.client.class.as_ref()?;
        let mut classes = self.network.classes.iter();
        let class = classes.find(|class| class.name == *name)?;
        (self.network.mode == DhcpMode::Authoritative).then_some(class)
    }

    /// Returns the pool of the client: that of its class, else that of the network.
    pub fn pool(&self) -> Option<&'a AddressRange> {
        let of_class = self.class().and_then(|class| class.pool.as_ref());
        of_class.or(self.network.pool.as_ref())
    }

    /// Returns the machine's UUID, unless it is a placeholder.
    pub fn uuid(&self) -> Option<SystemUuid> {
        self.client.uuid
    }

    /// Returns the architecture whose loader the client needs.
    ///
    /// # Errors
    /// When the client announces only unknown architectures: no loader suits it.
    pub fn architecture(&self) -> Result<Architecture, UnknownArchitecture> {
        self.client.architecture()
    }

    /// Returns the kind of the client's firmware; `None` for an unknown architecture.
    pub fn firmware(&self) -> Option<Firmware> {
        self.architecture().ok().map(Architecture::firmware)
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

    /// Reports whether the client's firmware boots from the network, over TFTP or HTTP.
    pub fn boots_from_network(&self) -> bool {
        self.client.firmware_boot.is_some()
    }

    /// Reports whether the client is firmware that boots over HTTP.
    pub fn boots_over_http(&self) -> bool {
        self.client.firmware_boot == Some(FirmwareBoot::Http)
            || self.architecture().is_ok_and(Architecture::is_http)
    }
}
