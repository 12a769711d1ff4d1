use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::boot::{BootFile, boot_file};
use super::{Ignored, Ingress, filter, link};
use crate::inventory::{DhcpMode, Host, Inventory, Network, Nic, UnknownPolicy};
use crate::machine::{Architecture, Firmware, MacAddress, SystemUuid};
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, Operation, OptionCode};

/// What every handler needs to know of a request.
pub struct RequestContext<'a> {
    pub inventory: &'a Inventory,
    pub key: &'a StoreKey,
    pub now: Timestamp,
    /// When the exchange began: whatever depends on the time is the same in all its replies.
    pub began: Timestamp,
    /// Whether the client is an iPXE that was given our own a moment ago, and is none the better.
    pub is_looping: bool,
    /// Whether the client is firmware that was given a loader and did not start it.
    pub skipped_loader: bool,
    pub message: &'a DhcpMessage,
    /// The client's Ethernet address; where `chaddr` holds a GUID, that of the host's boot interface.
    pub mac: MacAddress,
    pub network: &'a Network,
    /// The host and interface that own the Ethernet address, on whatever network.
    pub known: Option<(&'a Host, &'a Nic)>,
    /// The address by which the client knows us.
    pub server: Ipv4Addr,
}

impl<'a> RequestContext<'a> {
    /// Finds out where a message comes from and whose it is, and whether it is to be answered at all.
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

    /// Returns the machine's UUID, where it shows a real one.
    pub fn uuid(&self) -> Option<SystemUuid> {
        self.message
            .options
            .system_uuid()
            .filter(|uuid| !uuid.is_placeholder())
    }

    /// Returns the client's architecture; one that names none that we know counts as a BIOS.
    pub fn architecture(&self) -> Architecture {
        self.message.architecture().unwrap_or(Architecture::Bios)
    }

    /// Reports whether the site answers no machine like this one.
    pub fn is_ignored_stranger(&self) -> bool {
        self.known.is_none() && self.inventory.site.unknown == UnknownPolicy::Ignore
    }

    /// Returns the server that a message is meant for, where that is another one.
    pub fn other_server(&self) -> Option<Ipv4Addr> {
        let ours = [self.server, self.inventory.site.server.address];
        let named = self.message.options.server_identifier();
        named.filter(|server| !ours.contains(server))
    }

    /// Reports whether no interface of ours is on the client's network.
    pub fn is_routed(&self) -> bool {
        self.network.interface.is_none()
    }

    /// Reports whether the client is firmware that boots over HTTP.
    pub fn boots_over_http(&self) -> bool {
        self.architecture().is_http() || self.message.options.is_http_client()
    }

    /// Says what it means that firmware comes back by another protocol than it just fetched by.
    pub fn refused_loader(&self) -> Option<String> {
        let other = match self.boots_over_http() {
            true => "PXE",
            false => "HTTP boot",
        };
        self.skipped_loader.then(|| {
            format!(
                "the firmware did not start the loader that it got by {other}: with Secure Boot on, \
                 firmware starts only signed, unmodified loaders"
            )
        })
    }

    /// Chooses what the client boots next; an iPXE is given our own at most once in a row.
    pub fn boot_file(&self) -> Option<BootFile> {
        boot_file(self).filter(|it| !(self.is_looping && self.is_chain(it)))
    }

    /// Reports whether a boot file is our own iPXE for an iPXE that cannot run our scripts.
    pub fn is_chain(&self, boot_file: &BootFile) -> bool {
        self.message.options.is_ipxe() && matches!(boot_file, BootFile::Loader(_))
    }

    /// Returns the served file behind a boot file, where the client wants to know its size: UEFI asks
    /// for it in a transfer of its own otherwise.
    pub fn measured(&self, boot_file: &BootFile) -> Option<String> {
        let wanted = self.message.options.parameter_request_list();
        let is_wanted = wanted.contains(&OptionCode::BootFileSize);
        let is_uefi = self.architecture().firmware() == Firmware::Uefi;
        let name = boot_file.tftp_file().filter(|_| is_wanted && is_uefi)?;
        Some(self.inventory.loader_file(name).unwrap_or(name).to_owned())
    }

    /// Says why a client that wants to boot from the network is told nothing to boot.
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

    /// Says that the machine is on another network than the inventory says.
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

/// Finds the host and interface that a message comes from; where firmware put the machine's GUID into
/// `chaddr`, it is the interface that boots.
pub fn known<'a>(inventory: &'a Inventory, message: &DhcpMessage) -> Option<(&'a Host, &'a Nic)> {
    let host = inventory.host_by_hardware(message.hardware_address)?;
    let nic = match message.hardware_address.mac() {
        Some(mac) => host.nic(mac),
        None => host.nics.iter().find(|nic| nic.boot),
    };
    Some((host, nic?))
}
