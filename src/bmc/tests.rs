//! What the tests of this module share.

use std::collections::BTreeMap;

use crate::inventory::{Host, Inventory, SourceFile, parse};

/// An inventory with one host, `a`; `more` are lines of its document.
pub fn inventory(more: &str) -> Inventory {
    let text = format!(
        "kind: Site\nname: s\nserver: {{address: 10.20.0.10}}\nidentity: mac\nloaders: {{uefi-x64: a.efi}}\nnetworks:\n  \
         - {{name: n, subnet: 10.20.0.0/24, interface: e}}\n---\nkind: Profile\nname: p\n\
         installer: preseed\nbundle: b\n---\nkind: Bundle\nname: b\narch: x86_64\nfiles:\n  \
         kernel: {{path: k, sha256: \"{zeros}\", size: 1}}\n  \
         initrd: {{path: r, sha256: \"{zeros}\", size: 1}}\n---\n\
         kind: Host\nname: a\nprofile: p\narch: uefi-x64\ndisk: {{serial: S1}}\nnics:\n  \
         - {{mac: \"52:54:00:12:34:56\", network: n, ip: 10.20.0.51, boot: true}}\n{more}",
        zeros = "0".repeat(64),
    );
    let name = "site.yaml".to_owned();
    let parsed = parse(&[SourceFile { name, text }], BTreeMap::new());
    let faults: Vec<_> = parsed.diagnostics.iter().map(|it| &it.message).collect();
    parsed.inventory.unwrap_or_else(|| panic!("{faults:?}"))
}

/// The host of [`inventory`].
pub fn host() -> Host {
    inventory("").hosts["a"].clone()
}
