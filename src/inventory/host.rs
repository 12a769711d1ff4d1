use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::claims::{Claims, HostUse, ReferenceKind, UniqueValue};
use super::controller::{Bmc, read_bmc};
use super::diagnostic::Diagnostic;
use super::disk::read_disk;
use super::hostname::read_hostname;
use super::loader::Loader;
use super::loader_syntax::read_loader;
use super::options::{ExtraOptions, read_options};
use super::reader::{Reader, Spanned};
use super::source::Span;
use super::tree::{Node, Value};
use super::vars::read_vars;
use crate::installer::DiskSelector;
use crate::machine::{Architecture, MacAddress, PortGuid, SystemUuid, is_placeholder};

/// The `Host` document: one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The host's name, which is also its hostname.
    pub name: String,
    /// The name of its profile.
    pub profile: String,
    /// Its SMBIOS UUID. A host without a UUID cannot be armed, unless the site has `identity: mac`.
    pub uuid: Option<SystemUuid>,
    /// Its SMBIOS serial number.
    pub serial: Option<String>,
    /// Its SMBIOS asset tag.
    pub asset: Option<String>,
    /// Its firmware and processor.
    pub arch: Architecture,
    /// Its network interfaces. Exactly one of them boots.
    pub nics: Vec<Nic>,
    /// The disk that an installer may overwrite.
    pub disk: Option<DiskSelector>,
    /// Its BMC. Installs do not use it, so it is not frozen with the host.
    #[serde(skip)]
    pub bmc: Option<Bmc>,
    /// How it boots its local disk.
    pub local_boot: LocalBoot,
    /// Its loader; it replaces the profile's and the site's.
    pub loader: Option<Loader>,
    /// The largest TFTP block that it is sent, in bytes, even if it requests more.
    #[serde(default)]
    pub tftp_blksize: Option<u16>,
    /// Labels that select hosts.
    pub labels: BTreeMap<String, String>,
    /// The number of its install. Nothing uses it yet; raising it will arm the host.
    pub install: Option<u64>,
    /// Values for templates.
    pub vars: BTreeMap<String, serde_json::Value>,
    /// Additional DHCP options; they take precedence over its profile's and its network's.
    #[serde(default)]
    pub options: ExtraOptions,
}

/// One network interface of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// Its Ethernet address. For an InfiniBand port without one in the inventory, the address that stands
    /// for its GUID.
    pub mac: MacAddress,
    /// The GUID of its port, if it is on an InfiniBand network.
    #[serde(default)]
    pub guid: Option<PortGuid>,
    /// The network that it is connected to.
    pub network: String,
    /// The address reserved for it. Without one, it gets an address from the pool.
    pub ip: Option<Ipv4Addr>,
    /// Whether the machine installs through it.
    pub boot: bool,
}

/// How a host boots its local disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalBoot {
    /// The loader exits, and the firmware tries the next entry of its boot order.
    Exit,
    /// iPXE boots the first disk itself.
    Sanboot,
}

impl Host {
    /// Returns the interface that the machine installs through.
    pub fn boot_nic(&self) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.boot)
    }

    /// Returns the interface with an Ethernet address.
    pub fn nic(&self, mac: MacAddress) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.mac == mac)
    }
}

pub(super) fn read(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Host> {
    let mut fields = reader.fields(node, "this Host")?;
    fields.node("kind");
    let name = fields.required(reader, "name", read_hostname);
    let owner = name
        .as_ref()
        .map_or("a host", |name| name.value.as_str())
        .to_owned();
    if let Some(name) = &name {
        let key = name.value.to_ascii_lowercase();
        claims.unique_as(
            UniqueValue::Hostname,
            key,
            name.value.clone(),
            name.span,
            "",
        );
    }
    let profile = fields.required(reader, "profile", Reader::name);
    if let Some(profile) = &profile {
        claims.reference(ReferenceKind::Profile, profile.clone());
    }
    let uuid = fields.optional(reader, "uuid", |reader, node| {
        let uuid: SystemUuid = reader.parsed(node, "the UUID that `dmidecode -s system-uuid` prints")?;
        if uuid.is_example() {
            let message =
                format!("`{uuid}` is an example UUID and counts as missing");
            let help = "write the UUID that `dmidecode -s system-uuid` prints on the machine; until then the host cannot be armed";
            reader.report(Diagnostic::warning("example-uuid", node.span, message).help(help));
            return None;
        }
        if uuid.is_placeholder() {
            let message = format!("`{uuid}` is a vendor placeholder that many machines share");
            let help = "remove `uuid`; such a machine can only be armed if the site has `identity: mac`";
            return reader.refuse("placeholder", node.span, message, help);
        }
        let key = uuid.order_free().to_string();
        claims.unique_as(UniqueValue::Uuid, key, uuid.to_string(), node.span, &owner);
        Some(uuid)
    });
    let has_uuid = fields.has("uuid");
    let serial = fields.optional(reader, "serial", read_identity);
    let asset = fields.optional(reader, "asset", read_identity);
    let arch = fields.required(reader, "arch", |reader, node| {
        let choices: Vec<_> = Architecture::all()
            .filter(|arch| !arch.is_http())
            .map(|arch| (arch.name(), arch))
            .collect();
        reader.choice(node, &choices)
    });
    let nics = fields.required(reader, "nics", |reader, node| {
        let nics = reader.items(node, |reader, item| read_nic(reader, claims, item, &owner))?;
        check_boot_nic(reader, node, &nics);
        Some(nics.into_iter().map(|(nic, _)| nic).collect())
    });
    let disk = fields.optional(reader, "disk", read_disk);
    let has_disk = fields.has("disk");
    let bmc = fields.optional(reader, "bmc", read_bmc);
    let local_boot = fields.optional(reader, "local_boot", |reader, node| {
        reader.choice(
            node,
            &[("exit", LocalBoot::Exit), ("sanboot", LocalBoot::Sanboot)],
        )
    });
    let loader = fields.optional(reader, "loader", |reader, node| {
        let (value, spans) = read_loader(reader, claims, node)?;
        claims.spans.hosts.insert(owner.clone(), spans);
        let span = node.span;
        Some(Spanned { value, span })
    });
    let tftp_blksize = fields.optional(reader, "tftp_blksize", |reader, node| {
        // Source: RFC 2348, "Blocksize Option Specification".
        reader.number(node, 8..=65_464)
    });
    let labels = fields.optional(reader, "labels", Reader::text_map);
    let install = fields.optional(reader, "install", |reader, node| {
        reader.number(node, 0..=u64::MAX >> 1)
    });
    let vars = fields.optional(reader, "vars", read_vars);
    let options = fields.optional(reader, "options", read_options);
    fields.finish(reader);
    let (name, profile, arch) = (name?, profile?, arch?);
    claims.host_use(HostUse {
        name: name.clone(),
        profile: profile.value.clone(),
        arch,
        loader: loader.clone(),
        has_uuid,
        has_disk,
    });
    Some(Host {
        name: name.value,
        profile: profile.value,
        uuid,
        serial,
        asset,
        arch,
        nics: nics?,
        disk,
        bmc,
        // A BIOS cannot continue after a network loader, so iPXE boots the disk. UEFI continues by itself.
        local_boot: local_boot.unwrap_or(match arch {
            Architecture::Bios => LocalBoot::Sanboot,
            _ => LocalBoot::Exit,
        }),
        loader: loader.map(|loader| loader.value),
        tftp_blksize: tftp_blksize.map(|size| size as u16),
        labels: labels.unwrap_or_default(),
        install,
        vars: vars.unwrap_or_default(),
        options: options.unwrap_or_default(),
    })
}

fn read_identity(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    if is_placeholder(&text) {
        let message = format!("`{text}` is a vendor placeholder that many machines share");
        return reader.refuse("placeholder", node.span, message, "remove this line");
    }
    Some(text)
}

fn read_nic(
    reader: &mut Reader,
    claims: &mut Claims,
    node: &Node,
    owner: &str,
) -> Option<(Nic, Span)> {
    let mut fields = reader.fields(node, "this NIC")?;
    let guid = fields.optional(reader, "guid", |reader, node| {
        let guid: PortGuid = reader.parsed(
            node,
            "the port GUID that `ibstat` prints: `0x0002c90300001039`",
        )?;
        claims.unique(UniqueValue::Guid, guid.to_string(), node.span, owner);
        Some(guid)
    });
    let mut read_mac = |reader: &mut Reader, node: &Node| {
        let mac: MacAddress = reader.parsed(
            node,
            "the address that `ip link` prints, in quotes: `\"52:54:00:12:34:56\"`",
        )?;
        if !mac.is_unicast() {
            let message = format!("`{mac}` is a group address, not the address of an interface");
            return reader.refuse(
                "wrong-value",
                node.span,
                message,
                "check the first byte: it must be even",
            );
        }
        claims.unique(UniqueValue::Mac, mac.to_string(), node.span, owner);
        Some(mac)
    };
    let mac = if fields.has("guid") {
        let mac = fields.optional(reader, "mac", &mut read_mac);
        mac.or(guid.map(PortGuid::ethernet_address))
    } else {
        fields.required(reader, "mac", read_mac)
    };
    let network = fields.required(reader, "network", Reader::name);
    if let Some(network) = &network {
        claims.reference(ReferenceKind::Network, network.clone());
    }
    let ip = fields.optional(reader, "ip", |reader, node| {
        let ip: Ipv4Addr = reader.parsed(node, "an address such as `10.20.0.58`")?;
        claims.unique(UniqueValue::Ip, ip.to_string(), node.span, owner);
        if let Some(network) = &network {
            claims.address(network.value.clone(), ip, node.span);
        }
        Some(ip)
    });
    // The inner `None` means an invalid value.
    let boot = fields.optional(reader, "boot", |r, n| Some(r.boolean(n)));
    fields.finish(reader);
    Some((
        Nic {
            mac: mac?,
            guid,
            network: network?.value,
            ip,
            boot: boot.unwrap_or(Some(false))?,
        },
        node.span,
    ))
}

fn check_boot_nic(reader: &mut Reader, node: &Node, nics: &[(Nic, Span)]) {
    // An invalid NIC is already reported, and may be the one that boots.
    let complete = matches!(&node.value, Value::Sequence(items) if items.len() == nics.len());
    let mut boot = nics.iter().filter(|(nic, _)| nic.boot);
    match (boot.next(), boot.next()) {
        (None, _) if complete => {
            let message = "this host has no boot NIC";
            let help = "add `boot: true` to the NIC that the machine boots from";
            reader.report(Diagnostic::error("boot-nic", node.span, message).help(help));
        }
        (Some((_, first)), Some((_, second))) => {
            let diagnostic = Diagnostic::error("boot-nic", *second, "this host has two boot NICs");
            reader.report(
                diagnostic
                    .also(*first, "the first boot NIC")
                    .help("keep `boot: true` on one of them"),
            );
        }
        _ => {}
    }
}
