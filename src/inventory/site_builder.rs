//! Small sites for the unit tests of every layer.

use std::collections::BTreeMap;

use super::{Inventory, ParsedInventory, SourceFile, Sources, parse};

/// The YAML documents of a site.
pub struct SiteBuilder {
    text: String,
}

impl SiteBuilder {
    /// Starts a site with a server at 10.20.0.10. `keys` are the other keys of its document; it needs
    /// `networks` and `loaders`.
    pub fn new(keys: &str) -> Self {
        Self {
            text: format!("kind: Site\nname: rack-a\nserver: {{address: 10.20.0.10}}\n{keys}\n"),
        }
    }

    /// Adds the profile `p`, which may have more keys, and its bundle `b`.
    pub fn profile(self, keys: &str) -> Self {
        let file = format!("path: f, sha256: \"{}\", size: 1", "0".repeat(64));
        self.document(&format!(
            "kind: Profile\nname: p\ninstaller: preseed\nbundle: b\n{keys}"
        ))
        .document(&format!(
            "kind: Bundle\nname: b\narch: x86_64\nfiles: {{kernel: {{{file}}}, initrd: {{{file}}}}}"
        ))
    }

    /// Adds a document, for example a host.
    pub fn document(mut self, yaml: &str) -> Self {
        self.text.push_str("---\n");
        self.text.push_str(yaml);
        self.text.push('\n');
        self
    }

    /// Returns the site.
    ///
    /// # Panics
    /// If it has errors.
    pub fn build(self) -> Inventory {
        inventory_of(self.text)
    }
}

/// Parses the whole text of an inventory.
pub fn parse_text(text: impl Into<String>) -> ParsedInventory {
    parse(&[source(text)], BTreeMap::new())
}

/// Parses the whole text of an inventory without errors.
///
/// # Panics
/// If it has errors.
pub fn inventory_of(text: impl Into<String>) -> Inventory {
    let files = [source(text)];
    let ParsedInventory {
        inventory,
        diagnostics,
        ..
    } = parse(&files, BTreeMap::new());
    inventory.unwrap_or_else(|| {
        let sources = Sources::new(&files, &[]);
        let errors = diagnostics.iter().map(|it| it.to_text(&sources, false));
        panic!("{}", errors.collect::<String>())
    })
}

fn source(text: impl Into<String>) -> SourceFile {
    SourceFile {
        name: "site.yaml".to_owned(),
        text: text.into(),
    }
}
