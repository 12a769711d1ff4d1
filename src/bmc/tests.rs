//! Support for the unit tests of this module.

use std::collections::BTreeMap;

use crate::inventory::{Host, SourceFile, parse};

/// Makes a host with one NIC and a disk serial number.
pub fn host() -> Host {
    let text = format!(
        "kind: Site\nname: s\nserver: {{address: 10.20.0.10}}\nidentity: mac\nloaders: {{uefi-x64: a.efi}}\nnetworks:\n  \
         - {{name: n, subnet: 10.20.0.0/24, interface: e}}\n---\nkind: Profile\nname: p\n\
         installer: preseed\nbundle: b\n---\nkind: Bundle\nname: b\narch: x86_64\nfiles:\n  \
         kernel: {{path: k, sha256: \"{zeros}\", size: 1}}\n  \
         initrd: {{path: r, sha256: \"{zeros}\", size: 1}}\n---\n\
         kind: Host\nname: a\nprofile: p\narch: uefi-x64\ndisk: {{serial: S1}}\nnics:\n  \
         - {{mac: \"52:54:00:12:34:56\", network: n, ip: 10.20.0.51, boot: true}}\n",
        zeros = "0".repeat(64),
    );
    let name = "site.yaml".to_owned();
    let parsed = parse(&[SourceFile { name, text }], BTreeMap::new());
    let messages: Vec<_> = parsed.diagnostics.iter().map(|it| &it.message).collect();
    let inventory = parsed.inventory.unwrap_or_else(|| panic!("{messages:?}"));
    inventory.hosts["a"].clone()
}
