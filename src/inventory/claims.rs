//! What documents claim for themselves and expect of each other, checked once all have been read.
//!
//! Claims are noted while a document is read, also when another part of it is at fault: a fault in
//! one place hides none in another.

mod hosts;
mod menu;
mod networks;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::diagnostic::{Diagnostic, nearest};
use super::loader::Loader;
use super::network::DhcpMode;
use super::places::Places;
use super::profile::Profile;
use super::reader::list;
use super::source::Span;
use super::subnet::{AddressRange, Subnet};
use super::tree::{Node, Value};
use crate::installer::Installer;
use crate::machine::Architecture;

pub use hosts::HostUse;
pub use menu::MenuUse;

/// Owners of addresses that are no hosts.
pub const SERVER: &str = "the server";
/// See [`SERVER`].
pub const GATEWAY: &str = "a gateway";
const INFRASTRUCTURE: [&str; 2] = [SERVER, GATEWAY];

/// What may be claimed once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unique {
    Hostname,
    Profile,
    Bundle,
    Network,
    Interface,
    Mac,
    Ip,
    Uuid,
}

/// What documents refer to by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Profile,
    Bundle,
    Network,
    Template,
}

/// Everything that was claimed.
#[derive(Default)]
pub struct Claims {
    unique: HashMap<(Unique, String), Vec<Claim>>,
    references: Vec<(Kind, String, Span)>,
    networks: HashMap<String, (Subnet, DhcpMode, Span)>,
    pools: Vec<(AddressRange, Span)>,
    addresses: Vec<(String, Ipv4Addr, Span)>,
    bundle_uses: Vec<(String, Span, Installer)>,
    /// The processor and the keys of each bundle's files.
    bundles: HashMap<String, (Option<String>, BTreeSet<String>)>,
    /// Where the name of each bundle stands.
    pub bundle_names: HashMap<String, Span>,
    hosts: Vec<HostUse>,
    menu: Vec<MenuUse>,
    loader_names: Vec<(String, String, Span)>,
    loaders_for: BTreeSet<Architecture>,
    templates: BTreeSet<String>,
    /// What a look at files outside the inventory needs besides it.
    pub places: Places,
}

/// One value that nobody else may have.
struct Claim {
    /// The value as it was written.
    written: String,
    span: Span,
    owner: String,
}

/// What the checks across documents need to know of what was read.
pub struct Facts<'a> {
    /// The profiles, by name.
    pub profiles: &'a BTreeMap<String, Profile>,
    /// Whether there is a site, be it at fault.
    pub has_site: bool,
    /// Whether hosts without a UUID can be armed.
    pub weak_identity: bool,
    /// The site's loaders, where the site is not at fault.
    pub loaders: Option<&'a BTreeMap<Architecture, Loader>>,
}

impl Claims {
    /// Starts with nothing but the names of the templates that lie beside the documents.
    pub fn new(templates: BTreeSet<String>) -> Self {
        Self {
            templates,
            ..Self::default()
        }
    }

    /// Notes a value that nobody else may have; `owner` says whose it is.
    pub fn unique(&mut self, what: Unique, value: String, span: Span, owner: &str) {
        self.unique_as(what, value.clone(), value, span, owner);
    }

    /// Notes a value that can be written in several ways; `key` is the same for all of them.
    pub fn unique_as(
        &mut self,
        what: Unique,
        key: String,
        written: String,
        span: Span,
        owner: &str,
    ) {
        self.unique.entry((what, key)).or_default().push(Claim {
            written,
            span,
            owner: owner.to_owned(),
        });
    }

    /// Notes a name that must exist.
    pub fn reference(&mut self, kind: Kind, name: String, span: Span) {
        self.references.push((kind, name, span));
    }

    /// Notes a network's addresses, and who gives them.
    pub fn network(&mut self, name: String, subnet: Subnet, mode: DhcpMode, span: Span) {
        self.networks.insert(name, (subnet, mode, span));
    }

    /// Notes a pool, which may hold no reserved address.
    pub fn pool(&mut self, pool: AddressRange, span: Span) {
        self.pools.push((pool, span));
    }

    /// Notes an address that must lie in a network.
    pub fn address(&mut self, network: String, address: Ipv4Addr, span: Span) {
        self.addresses.push((network, address, span));
    }

    /// Notes that a profile installs from a bundle.
    pub fn bundle_use(&mut self, bundle: String, span: Span, installer: Installer) {
        self.bundle_uses.push((bundle, span, installer));
    }

    /// Notes the keys of a bundle's files, those at fault included.
    pub fn bundle_files(&mut self, name: String, arch: Option<String>, files: &Node) {
        if let Value::Mapping(entries) = &files.value {
            let keys = entries.iter().map(|(key, _)| key.text.clone()).collect();
            self.bundles.insert(name, (arch, keys));
        }
    }

    /// Notes what a host brings to its profile.
    pub fn host_use(&mut self, host: HostUse) {
        self.hosts.push(host);
    }

    /// Notes that an entry of the menu starts a bundle.
    pub fn menu_use(&mut self, entry: MenuUse) {
        self.menu.push(entry);
    }

    /// Notes that the site names a loader for an architecture, be it at fault.
    pub fn loader_for(&mut self, architecture: Architecture) {
        self.loaders_for.insert(architecture);
    }

    /// Notes the name under which a loader asks for a file.
    pub fn loader_name(&mut self, name: String, file: String, span: Span) {
        self.loader_names.push((name, file, span));
    }

    /// Checks every claim against the others.
    pub fn check(&self, facts: &Facts<'_>, diagnostics: &mut Vec<Diagnostic>) {
        self.check_unique(diagnostics);
        self.check_references(facts, diagnostics);
        networks::check(self, diagnostics);
        self.check_bundle_files(diagnostics);
        self.check_loader_names(diagnostics);
        hosts::check(self, facts, diagnostics);
        menu::check(self, diagnostics);
    }

    fn check_unique(&self, diagnostics: &mut Vec<Diagnostic>) {
        for ((what, _), claims) in &self.unique {
            let [first, others @ ..] = claims.as_slice() else {
                continue;
            };
            let (code, noun) = what.words();
            for other in others {
                // The server may well be the router too.
                if [first, other]
                    .iter()
                    .all(|claim| INFRASTRUCTURE.contains(&claim.owner.as_str()))
                {
                    continue;
                }
                let by = match first.owner.as_str() {
                    "" => String::new(),
                    owner if INFRASTRUCTURE.contains(&owner) => format!(", by {owner}"),
                    owner => format!(", by `{owner}`"),
                };
                let order = if *what == Unique::Uuid && first.written != other.written {
                    ", in the other octet order"
                } else {
                    ""
                };
                let message = format!("duplicate {noun} `{}`", other.written);
                diagnostics.push(
                    Diagnostic::error(code, other.span, message)
                        .label("given again here")
                        .also(first.span, format!("first given here{by}{order}"))
                        .help(format!(
                            "each {noun} may be given once: correct one of the two"
                        )),
                );
            }
        }
    }

    fn check_references(&self, facts: &Facts<'_>, diagnostics: &mut Vec<Diagnostic>) {
        for (kind, name, span) in &self.references {
            let (noun, unique) = match kind {
                Kind::Profile => ("profile", Unique::Profile),
                Kind::Bundle => ("bundle", Unique::Bundle),
                // Where there is no site, that is the fault.
                Kind::Network if !facts.has_site => continue,
                Kind::Network => ("network", Unique::Network),
                Kind::Template => {
                    let names = self.templates.iter().map(String::as_str);
                    missing(
                        diagnostics,
                        "template",
                        name,
                        *span,
                        names,
                        self.templates.contains(name),
                    );
                    continue;
                }
            };
            let known = self.unique.contains_key(&(unique, name.clone()));
            let names = self
                .unique
                .keys()
                .filter(|(what, _)| *what == unique)
                .map(|(_, name)| name.as_str());
            missing(diagnostics, noun, name, *span, names, known);
        }
    }

    /// Refuses one name for two files: whoever asks for it could be given either.
    fn check_loader_names(&self, diagnostics: &mut Vec<Diagnostic>) {
        let mut seen: HashMap<&str, (&str, Span)> = HashMap::new();
        for (name, file, span) in &self.loader_names {
            let (other, first) = *seen.entry(name).or_insert((file, *span));
            if other != file {
                let message = format!("`{name}` would be both `{other}` and `{file}`");
                let help = "give one of them another name, or a directory: `as: [other/bootx64.efi, other/grubx64.efi]`";
                diagnostics.push(
                    Diagnostic::error("duplicate-loader", *span, message)
                        .also(first, format!("`{other}` here"))
                        .help(help),
                );
            }
        }
    }

    fn check_bundle_files(&self, diagnostics: &mut Vec<Diagnostic>) {
        for (bundle, span, installer) in &self.bundle_uses {
            let Some((_, keys)) = self.bundles.get(bundle) else {
                continue;
            };
            let absent: Vec<_> = installer
                .bundle_files()
                .iter()
                .filter(|&&key| !keys.contains(key))
                .collect();
            if !absent.is_empty() {
                let message = format!(
                    "bundle `{bundle}` has no file {}, which {installer} needs",
                    list(&absent)
                );
                let help = format!("add {} below `files:` of bundle `{bundle}`", list(&absent));
                diagnostics.push(Diagnostic::error("bundle-file", *span, message).help(help));
            }
        }
    }
}

impl Unique {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Hostname => ("duplicate-name", "host"),
            Self::Profile => ("duplicate-name", "profile"),
            Self::Bundle => ("duplicate-name", "bundle"),
            Self::Network => ("duplicate-name", "network"),
            Self::Interface => ("duplicate-name", "interface"),
            Self::Mac => ("duplicate-mac", "MAC address"),
            Self::Ip => ("duplicate-ip", "IP address"),
            Self::Uuid => ("duplicate-uuid", "UUID"),
        }
    }
}

fn missing<'a>(
    diagnostics: &mut Vec<Diagnostic>,
    noun: &str,
    name: &str,
    span: Span,
    names: impl Iterator<Item = &'a str>,
    known: bool,
) {
    if known {
        return;
    }
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => format!("the inventory has no {noun} yet"),
        None if names.len() <= 8 => format!("known {noun}s are {}", list(&names)),
        None => format!(
            "add the {noun} `{name}`, or name one of the {} that are there",
            names.len()
        ),
    };
    diagnostics.push(
        Diagnostic::error("dangling-reference", span, format!("no {noun} `{name}`")).help(help),
    );
}
