//! The built-in templates.

use crate::installer::Installer;
use crate::loader::Dialect;

/// Lists all built-in templates, name and text. A file of the same name in the inventory overrides one.
pub fn templates() -> impl Iterator<Item = (&'static str, &'static str)> {
    let seeds = Installer::all().flat_map(|installer| installer.templates());
    let scripts = Dialect::all().flat_map(Dialect::templates);
    scripts.chain(seeds.copied())
}

/// Returns the text of a built-in template.
pub fn text(name: &str) -> Option<&'static str> {
    templates()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| text)
}
