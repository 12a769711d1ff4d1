use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::boot::{BootFile, boot_file};
use super::{Ignored, Ingress, filter, link};
use crate::inventory::{DhcpMode, Host, Inventory, Network, Nic, UnknownPolicy};
use crate::machine::{Architecture, Firmware, MacAddress, SystemUuid};
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, Operation, OptionCode};

/// A request with everything that a handler needs to answer it.
pub struct RequestContext<'a> {
    pub inventory: &'a Inventory,
    pub key: &'a StoreKey,
    pub now: Timestamp,
    /// When the exchange began. Values that depend on the time are the same in all replies of an exchange.
    pub began: Timestamp,
    /// Whether the client is an iPXE that just got our iPXE and still cannot run our scripts.
    pub is_looping: bool,
    /// Whether the client is firmware that got a loader and did not start it.
    pub skipped_loader: bool,
    pub message: &'a DhcpMessage,
    /// The client's Ethernet address; where `chaddr` holds a GUID, that of the host's boot interface.
    pub mac: MacAddress,
    pub network: &'a Network,
    /// The host and interface with this Ethernet address, on any network.
    pub known: Option<(&'a Host, &'a Nic)>,
    /// The address by which the client knows this server.
    pub server: Ipv4Addr,
}

impl<'a> RequestContext<'a> {
    /// Determines the network and the host of a message.
    ///
    /// # Errors
    /// When the message must not be answered.
    pub fn new(
        inventory: &'a Inventory,
        key: &'a StoreKey,
        ingress: Ingress<'_>,
        message: &'a DhcpMessage,
        now: Timestamp,
    ) -> Result<Self, Ignored> {
        if message.operation != Operation::Request {
            return Err(Ignored::NotARequest);
        }
        let known = known(inventory, message);
        let mac = known.map(|(_, nic)| nic.mac);
        let mac = mac.or_else(|| message.hardware_address.mac());
        let mac = mac.filter(|mac| mac.is_unicast());
        let mac =
            mac.ok_or_else(|| Ignored::HardwareAddress(message.hardware_address.to_string()))?;
        let options = &message.options;
        let link = link(&inventory.site, ingress, message)?;
        let network = link.network;
        for filter in [&inventory.site.filter, &network.filter] {
            if let Some(why) = filter::refuses(filter, mac, options) {
                return Err(Ignored::Filtered(why));
            }
        }
        // Source: RFC 5107 §4: the relay may name an address by which the client knows us. A proxy
        // gets its requests on port 4011, where no relay listens.
        let server = link
            .server_override
            .filter(|_| network.mode == DhcpMode::Authoritative)
            .unwrap_or(ingress.address);
        Ok(Self {
            inventory,
            key,
            now,
            began: now,
            is_looping: false,
            skipped_loader: false,
            message,
            mac,
            network,
            known,
            server,
        })
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
        self.message.architecture().unwrap_or(Architecture::Bios)
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

    /// Reports whether the client is firmware that boots over HTTP.
    pub fn boots_over_http(&self) -> bool {
        self.architecture().is_http() || self.message.options.is_http_client()
    }

    /// Returns a remark if firmware continued with another protocol instead of starting its loader.
    pub fn refused_loader(&self) -> Option<String> {
        let other = if self.boots_over_http() {
            "PXE"
        } else {
            "HTTP boot"
        };
        self.skipped_loader.then(|| {
            format!(
                "the firmware did not start the loader that it got by {other}: with Secure Boot on, \
                 firmware starts only signed, unmodified loaders"
            )
        })
    }

    /// Chooses the file that the client boots next; an iPXE gets our iPXE at most once in a row.
    pub fn boot_file(&self) -> Option<BootFile> {
        boot_file(self).filter(|it| !(self.is_looping && self.is_chain(it)))
    }

    /// Reports whether a boot file is our own iPXE for an iPXE that cannot run our scripts.
    pub fn is_chain(&self, boot_file: &BootFile) -> bool {
        self.message.options.is_ipxe() && matches!(boot_file, BootFile::Loader(_))
    }

    /// Returns the served file behind a boot file if the client requests its size. Without the size, UEFI
    /// starts an extra transfer to learn it.
    pub fn measured(&self, boot_file: &BootFile) -> Option<String> {
        let requested = self.message.options.parameter_request_list();
        let requests_size = requested.contains(&OptionCode::BootFileSize);
        let is_uefi = self.architecture().firmware() == Firmware::Uefi;
        let name = boot_file.tftp_file().filter(|_| requests_size && is_uefi)?;
        Some(self.inventory.loader_file(name).unwrap_or(name).to_owned())
    }

    /// Returns the reason why a client that boots from the network gets no boot file.
    pub fn no_loader(&self) -> Option<String> {
        let options = &self.message.options;
        let wants = options.is_pxe_client() || options.is_http_client();
        if self.is_looping && options.is_ipxe() {
            return Some(
                "the client's iPXE just got our loader, but still supports no HTTP or no Linux \
                 kernel: it did not fetch the loader, or the loader is an iPXE with the same limits"
                    .to_owned(),
            );
        }
        if !wants {
            return None;
        }
        let codes = options.client_architectures();
        Some(match self.message.architecture() {
            Some(architecture) => format!(
                "the site has no loader for `{}`",
                architecture.without_http()
            ),
            None => format!(
                "client architecture {codes:?} is unknown, and the site has no loader for `bios`"
            ),
        })
    }

    /// Returns a remark if the machine is on another network than in the inventory.
    pub fn wrong_network(&self) -> Option<String> {
        let (_, nic) = self
            .known
            .filter(|(_, nic)| nic.network != self.network.name)?;
        Some(format!(
            "the machine is on network `{}`, but the inventory has it on `{}`",
            self.network.name, nic.network
        ))
    }
}

/// Finds the host and interface that sent a message. If firmware put the machine's GUID into `chaddr`,
/// the interface is the one that boots.
pub fn known<'a>(inventory: &'a Inventory, message: &DhcpMessage) -> Option<(&'a Host, &'a Nic)> {
    let host = inventory.host_by_hardware(message.hardware_address)?;
    let nic = match message.hardware_address.mac() {
        Some(mac) => host.nic(mac),
        None => host.nics.iter().find(|nic| nic.boot),
    };
    Some((host, nic?))
}
