//! Which firmware and which hosts get each loader.

use std::collections::BTreeMap;

use crate::inventory::{FieldSpans, Host, Inventory, Loader, LoaderSpans, LocalBoot, Span};
use crate::machine::Architecture;

/// One use of a loader in the inventory, with the firmware and hosts that get it.
pub struct LoaderUse<'a> {
    pub loader: &'a Loader,
    pub span: LoaderSpans,
    /// The firmware that gets it, with one of the hosts if the loader belongs to a host or profile.
    pub firmware: BTreeMap<Architecture, Option<&'a str>>,
    /// The Secure Boot profiles whose hosts get it, with the span of `secure_boot`.
    pub secured: BTreeMap<&'a str, Option<Span>>,
    /// Whether one of these hosts boots its local disk with `sanboot`.
    pub is_sanboot: bool,
}

/// A file of a loader.
#[derive(Clone, Copy)]
pub struct LoaderStage<'a> {
    pub file: &'a str,
    pub span: Span,
    pub is_first: bool,
}

impl<'a> LoaderUse<'a> {
    fn new(loader: &'a Loader, span: LoaderSpans) -> Self {
        Self {
            loader,
            span,
            firmware: BTreeMap::new(),
            secured: BTreeMap::new(),
            is_sanboot: false,
        }
    }

    /// Lists its files.
    pub fn stages(&self) -> impl Iterator<Item = LoaderStage<'a>> + use<'a> {
        let first = LoaderStage {
            file: &self.loader.first,
            span: self.span.first,
            is_first: true,
        };
        let second = self.loader.second.as_deref().map(|file| LoaderStage {
            file,
            span: self.span.second.unwrap_or(self.span.first),
            is_first: false,
        });
        [Some(first), second].into_iter().flatten()
    }

    fn note(&mut self, inventory: &'a Inventory, spans: &FieldSpans, host: &'a Host, is_own: bool) {
        if is_own {
            self.firmware.entry(host.arch).or_insert(Some(&host.name));
        }
        self.is_sanboot |= host.local_boot == LocalBoot::Sanboot;
        if let Some(profile) = inventory.profile_of(host).filter(|it| it.secure_boot) {
            let span = spans.secure_boot.get(&profile.name).copied();
            self.secured.insert(&profile.name, span);
        }
    }
}

/// Lists every use of a loader: first the site's, then the profiles', then the hosts'.
pub fn loader_uses<'a>(inventory: &'a Inventory, spans: &FieldSpans) -> Vec<LoaderUse<'a>> {
    let mut site = BTreeMap::new();
    for (architecture, loader) in &inventory.site.loaders {
        if let Some(span) = spans.site.get(architecture) {
            let mut usage = LoaderUse::new(loader, *span);
            usage.firmware.insert(*architecture, None);
            site.insert(*architecture, usage);
        }
    }
    let mut profiles = BTreeMap::new();
    for profile in inventory.profiles.values() {
        let span = spans.profiles.get(&profile.name);
        if let (Some(loader), Some(span)) = (&profile.loader, span) {
            profiles.insert(profile.name.as_str(), LoaderUse::new(loader, *span));
        }
    }
    let mut hosts = Vec::new();
    for host in inventory.hosts.values() {
        if let Some(loader) = &host.loader {
            if let Some(span) = spans.hosts.get(&host.name) {
                let mut usage = LoaderUse::new(loader, *span);
                usage.note(inventory, spans, host, true);
                hosts.push(usage);
            }
        } else if let Some(usage) = profiles.get_mut(host.profile.as_str()) {
            usage.note(inventory, spans, host, true);
        } else if let Some(usage) = site.get_mut(&host.arch) {
            usage.note(inventory, spans, host, false);
        }
    }
    site.into_values()
        .chain(profiles.into_values())
        .chain(hosts)
        .collect()
}
