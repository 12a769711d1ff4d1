//! Reads all documents of an inventory.

use std::collections::BTreeMap;

use super::bundle::{self, Bundle};
use super::checks::{self, Facts};
use super::claims::Claims;
use super::diagnostic::{Diagnostic, Severity, nearest, sort};
use super::field_spans::FieldSpans;
use super::host::{self, Host};
use super::model::Inventory;
use super::profile::{self, Profile};
use super::reader::{Reader, Spanned, list};
use super::site::{self, IdentityPolicy, Site};
use super::source::{SourceFile, Span};
use super::spec;
use super::tree::{self, Node};

/// The result of [`parse`].
pub struct ParsedInventory {
    /// The inventory, if there is no error.
    pub inventory: Option<Inventory>,
    /// All diagnostics, sorted by file and position.
    pub diagnostics: Vec<Diagnostic>,
    /// The spans that checks of other files need.
    pub spans: FieldSpans,
}

/// Reads an inventory: `documents` hold YAML, `templates` are the `*.hbs` beside them by file name.
pub fn parse(documents: &[SourceFile], templates: BTreeMap<String, String>) -> ParsedInventory {
    let mut reader = Reader::default();
    let mut claims = Claims::new(templates.keys().cloned().collect());
    let mut found = Documents::default();
    for (index, file) in documents.iter().enumerate() {
        for document in tree::parse(index as u32, &file.text, &mut reader.diagnostics) {
            found.read(&mut reader, &mut claims, &document);
        }
    }
    let mut diagnostics = reader.diagnostics;
    found.check_site(&mut diagnostics);
    checks::check(&claims, &found.facts(), &mut diagnostics);
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
    ParsedInventory {
        inventory,
        diagnostics,
        spans: claims.spans,
    }
}

/// The documents of an inventory, as far as they are read.
#[derive(Default)]
struct Documents {
    sites: Vec<(Span, Option<Site>)>,
    profiles: BTreeMap<String, Profile>,
    hosts: BTreeMap<String, Host>,
    bundles: BTreeMap<String, Bundle>,
}

type ReadDocument = fn(&mut Documents, &mut Reader, &mut Claims, &Node);

/// The table of document kinds.
const KINDS: [(&str, ReadDocument); 5] = [
    ("Site", |documents, reader, claims, node| {
        let site = site::read(reader, claims, node);
        documents.sites.push((node.span, site));
    }),
    ("Profile", |documents, reader, claims, node| {
        documents
            .profiles
            .extend(profile::read(reader, claims, node).map(|it| (it.name.clone(), it)));
    }),
    ("Host", |documents, reader, claims, node| {
        documents
            .hosts
            .extend(host::read(reader, claims, node).map(|it| (it.name.clone(), it)));
    }),
    ("Bundle", |documents, reader, claims, node| {
        documents
            .bundles
            .extend(bundle::read(reader, claims, node).map(|it| (it.name.clone(), it)));
    }),
    // Bundle specs may be stored beside the documents; pxectl does not serve them.
    ("BundleSpec", |_, reader, _, node| {
        spec::read(reader, node);
    }),
];

impl Documents {
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
                .help(
                    "run `pxectl init` to write an example, or use `-i DIR` for another directory",
                ),
            ),
            [_] => {}
            [(first, _), others @ ..] => {
                for (span, _) in others {
                    diagnostics.push(
                        Diagnostic::error(
                            "two-sites",
                            span.start_only(),
                            "this is the second `Site` of the inventory",
                        )
                        .also(first.start_only(), "the first `Site`")
                        .help("keep one `Site` in each directory"),
                    );
                }
            }
        }
    }

    /// Checks the signature of each bundle against the policy of the site.
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
            let diagnostic = Diagnostic::new(Severity::Error, "bundle-signature", span, message);
            diagnostics.push(diagnostic.help(error.help(&bundle.name)));
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
        let (profiles, hosts, bundles) = (self.profiles, self.hosts, self.bundles);
        Some(Inventory::new(site, profiles, hosts, bundles, templates))
    }
}
