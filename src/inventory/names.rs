use std::collections::BTreeSet;

use super::reader::Reader;
use super::signature_policy::{SignaturePolicy, read_policy};
use super::source::SourceFile;
use super::tree;

/// The names in an inventory that may be invalid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The site's name, if there is exactly one site and its name is valid.
    pub site: Option<String>,
    /// The site's bundle store.
    pub bundles: Option<String>,
    /// The site's signature policy, if it is valid.
    pub signatures: Option<SignaturePolicy>,
    /// The valid names of hosts.
    pub hosts: BTreeSet<String>,
}

/// Reads only the names in an inventory, even if it is invalid.
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
                    let signatures = if fields.has("signatures") {
                        fields.optional(&mut reader, "signatures", read_policy)
                    } else {
                        Some(SignaturePolicy::default())
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
