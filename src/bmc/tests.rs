//! Support for the unit tests of this module.

use crate::inventory::Host;
use crate::inventory::site_builder::SiteBuilder;

/// Makes a host with one NIC and a disk serial number.
pub fn host() -> Host {
    let site = "identity: mac\nloaders: {uefi-x64: a.efi}\n\
                networks: [{name: n, subnet: 10.20.0.0/24, interface: e}]";
    let host = "kind: Host\nname: a\nprofile: p\narch: uefi-x64\ndisk: {serial: S1}\n\
                nics: [{mac: \"52:54:00:12:34:56\", network: n, ip: 10.20.0.51, boot: true}]";
    let inventory = SiteBuilder::new(site).profile("").document(host).build();
    inventory.hosts["a"].clone()
}
