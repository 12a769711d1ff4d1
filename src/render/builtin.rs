//! The templates that pxectl brings, and the values that they expect.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::inventory::Installer;
use crate::machine::Dialect;

/// The script that asks iPXE which machine it runs on.
pub const IDENTIFY: &str = "identify.ipxe.hbs";
/// The script that asks GRUB which machine it runs on.
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

/// The one table of built-in templates. A file of the same name in the inventory overrides one.
pub const TEMPLATES: [(&str, &str); 16] = [
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
    (
        "autoinstall.user-data.hbs",
        include_str!("templates/autoinstall.user-data.hbs"),
    ),
    (
        "autoinstall.meta-data.hbs",
        include_str!("templates/autoinstall.meta-data.hbs"),
    ),
    (
        "autoinstall.vendor-data.hbs",
        include_str!("templates/autoinstall.vendor-data.hbs"),
    ),
    (
        "autoinstall.network-config.hbs",
        include_str!("templates/autoinstall.network-config.hbs"),
    ),
    (
        "preseed.preseed.cfg.hbs",
        include_str!("templates/preseed.preseed.cfg.hbs"),
    ),
];

/// Returns the name of the built-in template of an installer's seed.
pub fn seed_template(installer: Installer, seed: &str) -> String {
    format!("{}.{seed}.hbs", installer.name())
}

/// Returns the text of a built-in template.
pub fn text(name: &str) -> Option<&'static str> {
    TEMPLATES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// Returns the values that the built-in templates use and that `vars` overrides.
pub fn vars() -> BTreeMap<String, Value> {
    [
        ("locale", json!("en_US.UTF-8")),
        ("keyboard", json!("us")),
        ("timezone", json!("Etc/UTC")),
        ("username", json!("ops")),
        ("mirror_host", Value::Null),
        ("mirror_directory", json!("/debian")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
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

    #[test]
    fn every_seed_of_every_installer_has_a_template() {
        for installer in Installer::all() {
            for seed in installer.seeds() {
                assert!(
                    text(&seed_template(installer, seed)).is_some(),
                    "{installer} {seed}"
                );
            }
        }
    }
}
