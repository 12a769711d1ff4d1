//! A valid inventory, and how to find things in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use super::bundle::Bundle;
use super::dhcp_mode::DhcpMode;
use super::host::{Host, Nic};
use super::loader::Loader;
use super::network::Network;
use super::option_value::OptionSetting;
use super::options::INTERFACE_MTU;
use super::profile::Profile;
use super::site::Site;
use crate::loader::Dialect;
use crate::machine::{
    Architecture, HardwareAddress, MacAddress, PortGuid, Sha256Digest, SystemUuid,
};

/// A valid inventory: every name that one document uses for another exists.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The site.
    pub site: Site,
    /// The profiles, by name.
    pub profiles: BTreeMap<String, Profile>,
    /// The hosts, by name.
    pub hosts: BTreeMap<String, Host>,
    /// The bundles, by name.
    pub bundles: BTreeMap<String, Bundle>,
    /// The text of each template beside the documents, by file name.
    pub templates: BTreeMap<String, String>,
    by_mac: HashMap<MacAddress, String>,
    by_guid: HashMap<PortGuid, String>,
    by_ip: HashMap<Ipv4Addr, String>,
    bmc_addresses: HashSet<IpAddr>,
    manifests: HashMap<String, Sha256Digest>,
    loader_files: HashMap<String, String>,
    dialects: BTreeSet<Dialect>,
}

impl Inventory {
    /// Builds the indexes of an inventory.
    pub(super) fn new(
        site: Site,
        profiles: BTreeMap<String, Profile>,
        hosts: BTreeMap<String, Host>,
        bundles: BTreeMap<String, Bundle>,
        templates: BTreeMap<String, String>,
    ) -> Self {
        let nics = || {
            let nics = |host: &'_ Host| {
                host.nics
                    .clone()
                    .into_iter()
                    .map(|nic| (nic, host.name.clone()))
                    .collect::<Vec<_>>()
            };
            hosts.values().flat_map(nics)
        };
        let by_mac = nics().map(|(nic, host)| (nic.mac, host)).collect();
        let by_guid = nics()
            .filter_map(|(nic, host)| Some((nic.guid?, host)))
            .collect();
        let by_ip = nics()
            .filter_map(|(nic, host)| Some((nic.ip?, host)))
            .collect();
        let bmc_addresses = hosts
            .values()
            .filter_map(|host| host.bmc.as_ref()?.url.host.parse().ok())
            .collect();
        let of_hosts = hosts.values().flat_map(|host| {
            let profile = profiles.get(&host.profile);
            let of_profile = profile.and_then(|profile| profile.loader.as_ref());
            let both = host.loader.iter().chain(of_profile);
            both.map(|loader| (host.arch, loader))
        });
        let of_site = site.loaders.iter().map(|(arch, loader)| (*arch, loader));
        let mut loader_files = HashMap::new();
        let mut dialects = BTreeSet::new();
        for (architecture, loader) in of_site.chain(of_hosts) {
            dialects.extend(loader.kind.dialect());
            let served = loader.served(architecture);
            loader_files.extend(served.map(|(name, file)| (name, file.to_owned())));
        }
        let digest = |bundle: &Bundle| (bundle.name.clone(), bundle.manifest_digest());
        Self {
            manifests: bundles.values().map(digest).collect(),
            site,
            profiles,
            hosts,
            bundles,
            templates,
            by_mac,
            by_guid,
            by_ip,
            bmc_addresses,
            loader_files,
            dialects,
        }
    }

    /// Finds the host that owns an Ethernet address, through any of its interfaces.
    pub fn host_by_mac(&self, mac: MacAddress) -> Option<&Host> {
        self.by_mac.get(&mac).and_then(|name| self.hosts.get(name))
    }

    /// Finds the host and the interface that own an InfiniBand port.
    pub fn nic_by_guid(&self, guid: PortGuid) -> Option<(&Host, &Nic)> {
        let host = self.hosts.get(self.by_guid.get(&guid)?)?;
        let nic = host.nics.iter().find(|nic| nic.guid == Some(guid))?;
        Some((host, nic))
    }

    /// Finds the host of a DHCP message: by its Ethernet address, or by its UUID if the firmware put
    /// the machine's GUID into `chaddr`.
    ///
    /// Source: edk2, `PxeBcDhcp4.c`, `SendGUID`.
    pub fn host_by_hardware(&self, hardware: HardwareAddress) -> Option<&Host> {
        if let Some(mac) = hardware.mac() {
            return self.host_by_mac(mac);
        }
        let guid = SystemUuid::from_wire(hardware.octets().try_into().ok()?);
        let is_owner = |host: &&Host| host.uuid.is_some_and(|uuid| uuid.same_machine(guid));
        self.hosts.values().find(is_owner)
    }

    /// Finds the host that has a reserved address, on any of its interfaces.
    ///
    /// Any machine can use an address, so it never authorizes anything. It only selects how to serve a
    /// machine.
    pub fn host_by_ip(&self, address: Ipv4Addr) -> Option<&Host> {
        self.by_ip
            .get(&address)
            .and_then(|name| self.hosts.get(name))
    }

    /// Reports whether a host's `bmc.url` contains this address literally. Host names are not resolved.
    pub fn is_controller(&self, address: IpAddr) -> bool {
        self.bmc_addresses.contains(&address)
    }

    /// Reports whether the address can be a machine of the site: reserved for a host, in a pool, or in a
    /// network whose addresses another server owns.
    pub fn is_machine(&self, address: Ipv4Addr) -> bool {
        let is_assigned = |network: &Network| match network.mode {
            DhcpMode::Proxy => true,
            DhcpMode::Authoritative => network.pools().any(|pool| pool.contains(address)),
        };
        self.by_ip.contains_key(&address) || self.site.network_of(address).is_some_and(is_assigned)
    }

    /// Finds the loader of a host that boots as `architecture`: the host's, its profile's or the site's.
    ///
    /// HTTP boot without its own loader uses the TFTP loader of the same firmware. The loaders of a
    /// host and a profile are for the recorded firmware; other firmware gets the site's loader.
    pub fn loader_of<'a>(
        &'a self,
        host: Option<&'a Host>,
        architecture: Architecture,
    ) -> Option<&'a Loader> {
        let recorded = host.filter(|host| host.arch == architecture.without_http());
        let own = recorded.and_then(|host| {
            let of_profile = || self.profile_of(host).and_then(|it| it.loader.as_ref());
            host.loader.as_ref().or_else(of_profile)
        });
        let loaders = &self.site.loaders;
        own.or_else(|| loaders.get(&architecture))
            .or_else(|| loaders.get(&architecture.without_http()))
    }

    /// Finds the file behind a name that a loader requests.
    pub fn loader_file(&self, name: &str) -> Option<&str> {
        self.loader_files.get(name).map(String::as_str)
    }

    /// Reports whether a loader of the inventory reads `dialect`.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.dialects.contains(&dialect)
    }

    /// Returns the profile of a host of this inventory.
    pub fn profile_of(&self, host: &Host) -> Option<&Profile> {
        self.profiles.get(&host.profile)
    }

    /// Returns the MTU, in bytes, for a machine with an address: option 26 of the host takes precedence
    /// over its profile's, then over the network's `options`, then over the network's `mtu`.
    pub fn mtu(&self, address: Ipv4Addr) -> Option<u16> {
        let network = self.site.network_of(address)?;
        let host = self.host_by_ip(address);
        let profile = host.and_then(|host| self.profile_of(host));
        let options = [
            host.map(|host| &host.options),
            profile.map(|profile| &profile.options),
            Some(&network.options),
        ];
        let option = options
            .into_iter()
            .flatten()
            .find_map(|options| options.get(&INTERFACE_MTU));
        match option.and_then(OptionSetting::bytes).as_deref() {
            Some(&[high, low]) => Some(u16::from_be_bytes([high, low])),
            _ => network.mtu,
        }
    }

    /// Returns the digest of a bundle's manifest, computed when the inventory was read.
    pub fn manifest_digest(&self, bundle: &Bundle) -> Sha256Digest {
        let known = self.manifests.get(&bundle.name).copied();
        known.unwrap_or_else(|| bundle.manifest_digest())
    }

    /// Returns the bundle of a profile of this inventory.
    pub fn bundle_of(&self, profile: &Profile) -> Option<&Bundle> {
        self.bundles.get(&profile.bundle)
    }
}
