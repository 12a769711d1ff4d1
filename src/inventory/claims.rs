//! The values that documents claim for themselves and the names that they refer to.
//!
//! Each document records its claims while it is read, even if another part of it is invalid. The
//! [`super::checks`] compare them after all documents are read, so one error never hides another.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::dhcp_mode::DhcpMode;
use super::field_spans::FieldSpans;
use super::loader::Loader;
use super::reader::Spanned;
use super::source::Span;
use super::subnet::{AddressRange, Subnet};
use super::tree::{Node, Value};
use crate::installer::Installer;
use crate::machine::Architecture;

/// The owner of the server's address.
pub const SERVER: &str = "the server";
/// The owner of a gateway's address.
pub const GATEWAY: &str = "a gateway";

/// A kind of value that must be unique in an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UniqueValue {
    Hostname,
    Profile,
    Bundle,
    Network,
    Interface,
    Mac,
    Guid,
    Ip,
    Uuid,
}

/// A kind of object that documents refer to by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReferenceKind {
    Profile,
    Bundle,
    Network,
    Template,
}

/// All claims of an inventory.
#[derive(Default)]
pub struct Claims {
    pub(super) unique: HashMap<(UniqueValue, String), Vec<Claim>>,
    pub(super) references: Vec<(ReferenceKind, Spanned<String>)>,
    pub(super) networks: HashMap<String, NetworkClaim>,
    pub(super) pools: Vec<Spanned<AddressRange>>,
    /// Reserved addresses, each with the name of its network.
    pub(super) addresses: Vec<(String, Spanned<Ipv4Addr>)>,
    pub(super) bundle_uses: Vec<BundleUse>,
    pub(super) bundles: HashMap<String, BundleClaim>,
    /// The span of each bundle's name.
    pub bundle_names: HashMap<String, Span>,
    pub(super) hosts: Vec<HostUse>,
    pub(super) menu_uses: Vec<MenuUse>,
    /// The names that firmware and loaders request, each with the file that it stands for.
    pub(super) loader_names: Vec<(Spanned<String>, String)>,
    /// The architectures for which the site has a loader, valid or not.
    pub(super) loaders_for: BTreeSet<Architecture>,
    pub(super) templates: BTreeSet<String>,
    /// The spans that checks of other files need.
    pub spans: FieldSpans,
}

/// A value that must be unique.
pub(super) struct Claim {
    /// The value as it was written.
    pub written: String,
    pub span: Span,
    pub owner: String,
}

/// The addresses of a network.
pub(super) struct NetworkClaim {
    pub subnet: Subnet,
    pub mode: DhcpMode,
    pub span: Span,
}

/// What a bundle contains.
pub(super) struct BundleClaim {
    /// The processor, if it is valid.
    pub arch: Option<String>,
    /// The keys of the files, valid or not.
    pub keys: BTreeSet<String>,
}

/// A profile that installs from a bundle.
pub(super) struct BundleUse {
    pub bundle: String,
    pub span: Span,
    pub installer: Installer,
}

/// A host, as far as it must match the site, its profile and its bundle.
pub struct HostUse {
    pub name: Spanned<String>,
    pub profile: String,
    pub arch: Architecture,
    /// The host's own loader.
    pub loader: Option<Spanned<Loader>>,
    pub has_uuid: bool,
    pub has_disk: bool,
}

/// A menu entry that starts a bundle.
pub struct MenuUse {
    pub bundle: Spanned<String>,
    /// The architectures that the entry is limited to.
    pub arch: Vec<Architecture>,
}

impl Claims {
    /// Starts with the names of the templates beside the documents.
    pub fn new(templates: BTreeSet<String>) -> Self {
        Self {
            templates,
            ..Self::default()
        }
    }

    /// Records a value that must be unique. The owner appears in messages; it may be empty.
    pub fn unique(&mut self, kind: UniqueValue, value: String, span: Span, owner: &str) {
        self.unique_as(kind, value.clone(), value, span, owner);
    }

    /// Records a value that has several spellings; `key` is the same for all of them.
    pub fn unique_as(
        &mut self,
        kind: UniqueValue,
        key: String,
        written: String,
        span: Span,
        owner: &str,
    ) {
        self.unique.entry((kind, key)).or_default().push(Claim {
            written,
            span,
            owner: owner.to_owned(),
        });
    }

    /// Records a name that must exist.
    pub fn reference(&mut self, kind: ReferenceKind, name: Spanned<String>) {
        self.references.push((kind, name));
    }

    /// Records the addresses of a network.
    pub fn network(&mut self, name: String, subnet: Subnet, mode: DhcpMode, span: Span) {
        let claim = NetworkClaim { subnet, mode, span };
        self.networks.insert(name, claim);
    }

    /// Records a pool, which must not contain a reserved address.
    pub fn pool(&mut self, value: AddressRange, span: Span) {
        self.pools.push(Spanned { value, span });
    }

    /// Records an address that must be in a network.
    pub fn address(&mut self, network: String, value: Ipv4Addr, span: Span) {
        self.addresses.push((network, Spanned { value, span }));
    }

    /// Records that a profile installs from a bundle.
    pub fn bundle_use(&mut self, bundle: String, span: Span, installer: Installer) {
        self.bundle_uses.push(BundleUse {
            bundle,
            span,
            installer,
        });
    }

    /// Records the keys of a bundle's files, valid or not.
    pub fn bundle_files(&mut self, name: String, arch: Option<String>, files: &Node) {
        if let Value::Mapping(entries) = &files.value {
            let keys = entries.iter().map(|(key, _)| key.text.clone()).collect();
            self.bundles.insert(name, BundleClaim { arch, keys });
        }
    }

    /// Records a host.
    pub fn host_use(&mut self, host: HostUse) {
        self.hosts.push(host);
    }

    /// Records a menu entry that starts a bundle.
    pub fn menu_use(&mut self, entry: MenuUse) {
        self.menu_uses.push(entry);
    }

    /// Records that the site has a loader for an architecture, valid or not.
    pub fn loader_for(&mut self, architecture: Architecture) {
        self.loaders_for.insert(architecture);
    }

    /// Records the name under which a file is requested.
    pub fn loader_name(&mut self, name: Spanned<String>, file: String) {
        self.loader_names.push((name, file));
    }
}

/// Reports whether an owner is the server or a gateway.
pub(super) fn is_infrastructure(owner: &str) -> bool {
    [SERVER, GATEWAY].contains(&owner)
}
