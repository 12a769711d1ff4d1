//! YAML text -> typed [`Inventory`], and [`Diagnostic`]s with places.
//!
//! [`parse`] reads every document, reports every fault of all of them, and returns the inventory
//! only when none of the faults is an error.

mod block;
mod bundle;
mod claims;
mod controller;
mod correct;
mod diagnostic;
mod disk;
mod filter;
mod host;
mod json;
mod loader;
mod manifest;
mod menu;
mod network;
mod options;
mod places;
mod ports;
mod profile;
mod reader;
mod route;
mod seconds;
mod secret;
mod server;
mod shown;
mod signature;
mod site;
mod source;
mod spec;
mod subnet;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

pub use block::{AddressBlock, ParseAddressBlockError};
pub use bundle::{
    ARTIFACT_TYPE, Bundle, BundleFile, EMPTY_CONFIG, FileSource, MANIFEST_MEDIA_TYPE, is_inside,
};
pub use controller::{Bmc, BmcScheme, BmcUrl, Certificate, ParseBmcUrlError, parse_fingerprint};
pub use correct::{Correction, corrected};
pub use diagnostic::{Diagnostic, DiagnosticJson, Label, Severity, nearest, plural, sort};
pub use filter::{ClientPatterns, Filter, Oui, ParseOuiError};
pub use host::{Host, LocalBoot, Nic};
pub use loader::{Loader, LoaderKind};
pub use manifest::ManifestError;
pub use menu::{INITRD, KERNEL, Menu, MenuEntry, MenuGroup, MenuTarget};
pub use network::{DhcpMode, Network};
pub use options::{ExtraOptions, OptionValue, ParseOptionValueError};
pub use places::{LoaderPlace, Places};
pub use ports::{ParsePortRangeError, PortRange};
pub use profile::Profile;
pub use route::{Destination, ParseDestinationError, Route};
pub use secret::SecretReference;
pub use server::Server;
pub use shown::Sources;
pub use signature::{
    KeyId, ParsePublicKeyError, PublicKey, SIGNED_EXPIRES, SignatureError, SignaturePolicy,
    SiteKey, is_signature,
};
pub use site::{IdentityPolicy, Provisioning, Site, USUAL_DEADLINE, UnknownPolicy};
pub use source::{Position, SourceFile, Span};
pub use spec::{
    BundleSpec, Content, PresetUse, Signature, SignatureKey, SignaturePlace, Source, SpecFile,
    bundle_of, parse_spec,
};
pub use subnet::{AddressRange, ParseAddressRangeError, ParseSubnetError, Subnet};

/// The types of fields that belong to the installer layer.
pub use crate::installer::{DiskSelector, Installer};

use claims::{Claims, Facts};
use options::INTERFACE_MTU;
use reader::{Reader, Spanned};
pub(crate) use reader::{is_name, list};
use tree::Node;

use crate::machine::{
    Architecture, Dialect, HardwareAddress, MacAddress, Sha256Digest, SystemUuid,
};

/// A site with all that belongs to it; every name that one part uses for another is there.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The one site.
    pub site: Site,
    /// The profiles, by name.
    pub profiles: BTreeMap<String, Profile>,
    /// The hosts, by name.
    pub hosts: BTreeMap<String, Host>,
    /// The bundles, by name.
    pub bundles: BTreeMap<String, Bundle>,
    /// The text of each template that lies beside the documents, by file name.
    pub templates: BTreeMap<String, String>,
    by_mac: HashMap<MacAddress, String>,
    by_ip: HashMap<Ipv4Addr, String>,
    controllers: HashSet<IpAddr>,
    manifests: HashMap<String, Sha256Digest>,
    loader_files: HashMap<String, String>,
    dialects: BTreeSet<Dialect>,
}

impl Inventory {
    /// Finds the host that owns an Ethernet address, through any of its interfaces.
    pub fn host_by_mac(&self, mac: MacAddress) -> Option<&Host> {
        self.by_mac.get(&mac).and_then(|name| self.hosts.get(name))
    }

    /// Finds the host that a DHCP message says it is of: by its Ethernet address, or, where firmware
    /// put the machine's GUID into `chaddr`, by its UUID.
    ///
    /// Source: edk2, `PxeBcDhcp4.c`, `SendGUID`.
    pub fn host_by_hardware(&self, hardware: HardwareAddress) -> Option<&Host> {
        if let Some(mac) = hardware.mac() {
            return self.host_by_mac(mac);
        }
        let guid = SystemUuid::from_wire(hardware.octets().try_into().ok()?);
        let is_it = |host: &&Host| host.uuid.is_some_and(|uuid| uuid.same_machine(guid));
        self.hosts.values().find(is_it)
    }

    /// Finds the host that an address is reserved for, on any of its interfaces.
    ///
    /// Anybody can take an address: it says how to serve a machine, never what it may have.
    pub fn host_by_ip(&self, address: Ipv4Addr) -> Option<&Host> {
        self.by_ip
            .get(&address)
            .and_then(|name| self.hosts.get(name))
    }

    /// Reports whether the BMC of a host has this address: its `bmc.url` names it literally. The
    /// addresses behind a host name are unknown here.
    pub fn is_controller(&self, address: IpAddr) -> bool {
        self.controllers.contains(&address)
    }

    /// Reports whether the address is one of the site's machines: reserved for a host, in a pool, or
    /// in a network whose addresses another server gives.
    pub fn is_machine(&self, address: Ipv4Addr) -> bool {
        let is_given = |network: &Network| match network.mode {
            DhcpMode::Proxy => true,
            DhcpMode::Authoritative => {
                let pool = network.pool.as_ref();
                pool.is_some_and(|pool| pool.contains(address))
            }
        };
        self.by_ip.contains_key(&address) || self.site.network_of(address).is_some_and(is_given)
    }

    /// Finds the loader that a host is given when it boots as `architecture`: its own, its profile's
    /// or the site's.
    ///
    /// HTTP boot without a loader of its own is given that of the same firmware by TFTP. What a host
    /// or a profile says is meant for the firmware on record; another kind gets what suits it.
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

    /// Finds the file that a loader means by a name, among all loaders of the inventory.
    pub fn loader_file(&self, name: &str) -> Option<&str> {
        self.loader_files.get(name).map(String::as_str)
    }

    /// Reports whether any machine may be given a loader that reads `dialect`.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.dialects.contains(&dialect)
    }

    /// Returns the profile of a host of this inventory.
    pub fn profile_of(&self, host: &Host) -> Option<&Profile> {
        self.profiles.get(&host.profile)
    }

    /// Returns the largest datagram, in octets, for a machine with an address: its own option 26
    /// goes before its profile's, and those before what its network says.
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
        match option.map(OptionValue::octets).as_deref() {
            Some(&[high, low]) => Some(u16::from_be_bytes([high, low])),
            _ => network.mtu,
        }
    }

    /// Returns the digest of a bundle's manifest, which was worked out when the inventory was read.
    pub fn manifest_digest(&self, bundle: &Bundle) -> Sha256Digest {
        let known = self.manifests.get(&bundle.name).copied();
        known.unwrap_or_else(|| bundle.manifest_digest())
    }

    /// Returns the bundle of a profile of this inventory.
    pub fn bundle_of(&self, profile: &Profile) -> Option<&Bundle> {
        self.bundles.get(&profile.bundle)
    }
}

/// What came of reading an inventory.
pub struct Parsed {
    /// The inventory, if no fault is an error.
    pub inventory: Option<Inventory>,
    /// Every fault, sorted by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// Where it names files that lie elsewhere.
    pub places: Places,
}

/// Reads an inventory: `documents` hold YAML, `templates` are the `*.hbs` beside them by file name.
pub fn parse(documents: &[SourceFile], templates: BTreeMap<String, String>) -> Parsed {
    let mut reader = Reader::default();
    let mut claims = Claims::new(templates.keys().cloned().collect());
    let mut found = Found::default();
    for (index, file) in documents.iter().enumerate() {
        for document in tree::parse(index as u32, &file.text, &mut reader.diagnostics) {
            found.read(&mut reader, &mut claims, &document);
        }
    }
    let mut diagnostics = reader.diagnostics;
    found.check_site(&mut diagnostics);
    claims.check(&found.facts(), &mut diagnostics);
    found.check_signatures(&claims, &mut diagnostics);
    sort(&mut diagnostics, documents);
    let errors = diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error);
    let inventory = if errors {
        None
    } else {
        found.into_inventory(templates)
    };
    Parsed {
        inventory,
        diagnostics,
        places: claims.places,
    }
}

/// The names in an inventory that may be too broken to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The site's name, if there is one site and it has a good name.
    pub site: Option<String>,
    /// Where the one site says that its bundle store lies.
    pub bundles: Option<String>,
    /// Whose signatures the one site wants, if that can be read.
    pub signatures: Option<SignaturePolicy>,
    /// The good names of hosts.
    pub hosts: BTreeSet<String>,
}

/// Reads the names in an inventory and nothing else of it, whatever faults it has.
pub fn names(documents: &[SourceFile]) -> Names {
    let mut reader = Reader::default();
    let mut sites = Vec::new();
    let mut hosts = BTreeSet::new();
    for (index, file) in documents.iter().enumerate() {
        for document in tree::parse(index as u32, &file.text, &mut Vec::new()) {
            let Some(mut fields) = reader.fields(&document, "this document") else {
                continue;
            };
            let kind = fields.optional(&mut reader, "kind", Reader::text);
            let name = fields.optional(&mut reader, "name", Reader::name);
            match kind.as_deref() {
                Some("Site") => {
                    let bundles = fields.optional(&mut reader, "bundles", Reader::text);
                    let signatures = match fields.has("signatures") {
                        true => fields.optional(&mut reader, "signatures", signature::read_policy),
                        false => Some(SignaturePolicy::default()),
                    };
                    sites.push((name.map(|name| name.value), bundles, signatures));
                }
                Some("Host") => hosts.extend(name.map(|name| name.value)),
                _ => {}
            }
        }
    }
    let (site, bundles, signatures) = sites.pop().filter(|_| sites.is_empty()).unwrap_or_default();
    Names {
        site,
        bundles,
        signatures,
        hosts,
    }
}

/// What was read so far.
#[derive(Default)]
struct Found {
    sites: Vec<(Span, Option<Site>)>,
    profiles: BTreeMap<String, Profile>,
    hosts: BTreeMap<String, Host>,
    bundles: BTreeMap<String, Bundle>,
}

type ReadDocument = fn(&mut Found, &mut Reader, &mut Claims, &Node);

/// The one table of kinds.
const KINDS: [(&str, ReadDocument); 5] = [
    ("Site", |found, reader, claims, node| {
        let site = site::read(reader, claims, node);
        found.sites.push((node.span, site));
    }),
    ("Profile", |found, reader, claims, node| {
        found
            .profiles
            .extend(profile::read(reader, claims, node).map(|it| (it.name.clone(), it)));
    }),
    ("Host", |found, reader, claims, node| {
        found
            .hosts
            .extend(host::read(reader, claims, node).map(|it| (it.name.clone(), it)));
    }),
    ("Bundle", |found, reader, claims, node| {
        found
            .bundles
            .extend(bundle::read(reader, claims, node).map(|it| (it.name.clone(), it)));
    }),
    // What bundles are built from may lie beside them; nothing of it is served.
    ("BundleSpec", |_, reader, _, node| {
        spec::read(reader, node);
    }),
];

impl Found {
    fn read(&mut self, reader: &mut Reader, claims: &mut Claims, document: &Node) {
        let Some(mut fields) = reader.fields(document, "this document") else {
            return;
        };
        let Some(kind) = fields.required(reader, "kind", Reader::spanned_text) else {
            return;
        };
        let Spanned { value: kind, span } = kind;
        if let Some((_, read)) = KINDS.iter().find(|(name, _)| *name == kind) {
            return read(self, reader, claims, document);
        }
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        let help = match nearest(&kind, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known kinds are {}", list(&names)),
        };
        reader.report(
            Diagnostic::error("unknown-kind", span, format!("unknown kind `{kind}`")).help(help),
        );
    }

    fn check_site(&self, diagnostics: &mut Vec<Diagnostic>) {
        match self.sites.as_slice() {
            [] => diagnostics.push(
                Diagnostic::new(
                    Severity::Error,
                    "no-site",
                    None,
                    "the inventory has no `Site` document",
                )
                .help("`pxectl init` writes an example; `-i DIR` names another directory"),
            ),
            [_] => {}
            [(first, _), others @ ..] => {
                for (span, _) in others {
                    diagnostics.push(
                        Diagnostic::error(
                            "two-sites",
                            span.start_only(),
                            "a second `Site` in one inventory",
                        )
                        .also(first.start_only(), "the first")
                        .help("keep one site in each directory"),
                    );
                }
            }
        }
    }

    /// Checks that each bundle is signed as the site wants it.
    fn check_signatures(&self, claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
        let Some(site) = self.sites.iter().find_map(|(_, site)| site.as_ref()) else {
            return;
        };
        for bundle in self.bundles.values() {
            let Err(error) = site.signatures.check(bundle) else {
                continue;
            };
            let span = claims.bundle_names.get(&bundle.name).copied();
            let message = format!("bundle `{}`: {error}", bundle.name);
            let fault = Diagnostic::new(Severity::Error, "bundle-signature", span, message);
            diagnostics.push(fault.help(error.help(&bundle.name)));
        }
    }

    fn facts(&self) -> Facts<'_> {
        let site = self.sites.iter().find_map(|(_, site)| site.as_ref());
        Facts {
            profiles: &self.profiles,
            has_site: !self.sites.is_empty(),
            weak_identity: site.is_some_and(|site| site.identity == IdentityPolicy::Mac),
            loaders: site.map(|site| &site.loaders),
        }
    }

    fn into_inventory(self, templates: BTreeMap<String, String>) -> Option<Inventory> {
        let site = self.sites.into_iter().find_map(|(_, site)| site)?;
        let by_mac = self
            .hosts
            .values()
            .flat_map(|host| host.nics.iter().map(|nic| (nic.mac, host.name.clone())))
            .collect();
        let by_ip = self
            .hosts
            .values()
            .flat_map(|host| {
                let nics = host.nics.iter();
                nics.filter_map(|nic| Some((nic.ip?, host.name.clone())))
            })
            .collect();
        let controllers = self
            .hosts
            .values()
            .filter_map(|host| host.bmc.as_ref()?.url.host.parse().ok())
            .collect();
        let digest = |bundle: &Bundle| (bundle.name.clone(), bundle.manifest_digest());
        let Self {
            profiles,
            hosts,
            bundles,
            ..
        } = self;
        let of_hosts = hosts.values().flat_map(|host| {
            let of_profile = profiles.get(&host.profile);
            let of_profile = of_profile.and_then(|profile| profile.loader.as_ref());
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
        Some(Inventory {
            site,
            loader_files,
            dialects,
            profiles,
            hosts,
            manifests: bundles.values().map(digest).collect(),
            bundles,
            templates,
            by_mac,
            by_ip,
            controllers,
        })
    }
}
