//! The built-in templates.

use crate::installer::Installer;
use crate::machine::Dialect;

/// The script that makes iPXE identify its machine.
pub const IDENTIFY: &str = "identify.ipxe.hbs";
/// The configuration that makes GRUB identify its machine.
pub const STUB: &str = "stub.grub.hbs";

/// Returns the template that starts an installer.
pub fn install(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Ipxe => "install.ipxe.hbs",
        Dialect::Grub => "install.grub.hbs",
        Dialect::Pxelinux => "install.pxelinux.hbs",
    }
}

/// Returns the template that boots the local disk.
pub fn local(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Ipxe => "local.ipxe.hbs",
        Dialect::Grub => "local.grub.hbs",
        Dialect::Pxelinux => "local.pxelinux.hbs",
    }
}

/// Returns the template of the quarantine screen.
pub fn hold(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Ipxe => "hold.ipxe.hbs",
        Dialect::Grub => "hold.grub.hbs",
        Dialect::Pxelinux => "hold.pxelinux.hbs",
    }
}

/// The templates of boot scripts: name and text.
const SCRIPTS: [(&str, &str); 11] = [
    (IDENTIFY, include_str!("templates/identify.ipxe.hbs")),
    (STUB, include_str!("templates/stub.grub.hbs")),
    (
        "install.ipxe.hbs",
        include_str!("templates/install.ipxe.hbs"),
    ),
    (
        "install.grub.hbs",
        include_str!("templates/install.grub.hbs"),
    ),
    (
        "install.pxelinux.hbs",
        include_str!("templates/install.pxelinux.hbs"),
    ),
    ("local.ipxe.hbs", include_str!("templates/local.ipxe.hbs")),
    ("local.grub.hbs", include_str!("templates/local.grub.hbs")),
    (
        "local.pxelinux.hbs",
        include_str!("templates/local.pxelinux.hbs"),
    ),
    ("hold.ipxe.hbs", include_str!("templates/hold.ipxe.hbs")),
    ("hold.grub.hbs", include_str!("templates/hold.grub.hbs")),
    (
        "hold.pxelinux.hbs",
        include_str!("templates/hold.pxelinux.hbs"),
    ),
];

/// Lists all built-in templates, name and text. A file of the same name in the inventory overrides one.
pub fn templates() -> impl Iterator<Item = (&'static str, &'static str)> {
    let seeds = Installer::all().flat_map(|installer| installer.templates());
    SCRIPTS.iter().chain(seeds).copied()
}

/// Returns the text of a built-in template.
pub fn text(name: &str) -> Option<&'static str> {
    templates()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_its_scripts() {
        for dialect in Dialect::all() {
            for name in [install(dialect), local(dialect), hold(dialect)] {
                assert!(text(name).is_some(), "{name}");
                assert!(name.ends_with(&format!(".{dialect}.hbs")));
            }
        }
    }
}
