//! The inventories between which a sequence reloads, and the machines of the rack.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use pxectl::inventory::{Inventory, SourceFile, parse};
use pxectl::machine::{MacAddress, SystemUuid};

use crate::support::oracle::{Hardware, Terms, swapped};

/// The hosts of the rack. The third is behind a relay.
pub const HOSTS: [&str; 3] = ["a", "b", "c"];
/// The first inventory, and the one that allows three attempts; every other one is the first with
/// one change.
pub const FIRST: usize = 0;
pub const RETRY: usize = 1;
const CHANGES: [Change; 5] = [
    Change::Uuid,
    Change::Serial,
    Change::Mac,
    Change::Gone,
    Change::Swapped,
];
/// How many inventories there are.
pub const INVENTORIES: usize = 2 + CHANGES.len() * HOSTS.len();

/// What is different about one host of an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Uuid,
    Serial,
    Mac,
    Gone,
    /// The host and the next one have each other's MAC address.
    Swapped,
}

const UUID: [u8; 16] = [
    0x4c, 0x4c, 0x45, 0x44, 0x00, 0x35, 0x5a, 0x10, 0x80, 0x54, 0xb4, 0xc0, 0x4f, 0x4e, 0x01, 0,
];

/// Returns the hardware of a machine of the rack.
pub fn machine(host: usize) -> Hardware {
    let number = host as u8 + 1;
    let mut uuid = UUID;
    uuid[15] = number;
    Hardware {
        mac: [0x52, 0x54, 0, 0, 0, number],
        uuid: Some(uuid),
        serial: Some(["C7X9K1", "C7X9K2", "C7X9K3"][host]),
        arch: "uefi-x64",
    }
}

/// Returns what an inventory says of a host; `None` where it does not list the host.
pub fn listed(inventory: usize, host: usize) -> Option<Terms> {
    let mut hardware = machine(host);
    match change(inventory) {
        Some((changed, change)) if changed == host => match change {
            Change::Uuid => hardware.uuid.iter_mut().for_each(|uuid| uuid[0] ^= 1),
            Change::Serial => hardware.serial = Some("OTHER1"),
            Change::Mac => hardware.mac[4] = 7,
            Change::Gone => return None,
            Change::Swapped => hardware.mac = machine(next(host)).mac,
        },
        Some((changed, Change::Swapped)) if next(changed) == host => {
            hardware.mac = machine(changed).mac;
        }
        _ => {}
    }
    let attempts = if inventory == RETRY { 3 } else { 1 };
    Some(Terms { hardware, attempts })
}

/// Finds the host that an inventory lists with a MAC address.
pub fn owner(inventory: usize, mac: [u8; 6]) -> Option<usize> {
    (0..HOSTS.len())
        .find(|host| listed(inventory, *host).is_some_and(|terms| terms.hardware.mac == mac))
}

/// Returns the inventories as pxectl reads them.
pub fn inventories() -> &'static [Inventory] {
    static ALL: OnceLock<Vec<Inventory>> = OnceLock::new();
    ALL.get_or_init(|| (0..INVENTORIES).map(read).collect())
}

fn change(inventory: usize) -> Option<(usize, Change)> {
    let number = inventory.checked_sub(2)?;
    let change = CHANGES[number / HOSTS.len()];
    Some((number % HOSTS.len(), change))
}

fn next(host: usize) -> usize {
    (host + 1) % HOSTS.len()
}

fn read(inventory: usize) -> Inventory {
    let retry = inventory == RETRY;
    let mut text = format!(
        r#"kind: Site
name: model
server: {{address: 10.20.0.10}}
networks:
  - {{name: near, subnet: 10.20.0.0/24, interface: eth1, pool: 10.20.0.200-10.20.0.250}}
  - {{name: far, subnet: 10.22.0.0/24, relays: [10.22.0.1], pool: 10.22.0.200-10.22.0.250}}
loaders: {{uefi-x64: snponly.efi}}
provisioning: {{attempts: 3, retry: {retry}}}
---
{{kind: Profile, name: worker, installer: preseed, bundle: debian}}
---
kind: Bundle
name: debian
arch: x86_64
files:
  kernel: {{path: linux, sha256: "65d525282e5464f7b2388ac8395675aed00076628c1cd6c19e5d2f55b3f74a23", size: 4096}}
  initrd: {{path: initrd.gz, sha256: "ed2da5548a8b0cec845bf330863a12a8f0eeb075d706ec1ad85fd0fef3aa42cd", size: 65536}}
"#
    );
    for (host, name) in HOSTS.iter().enumerate() {
        let Some(Terms { hardware, .. }) = listed(inventory, host) else {
            continue;
        };
        let mac = MacAddress::new(hardware.mac);
        let uuid = uuid(hardware.uuid.expect("a UUID"));
        let serial = hardware.serial.expect("a serial number");
        let network = if host == 2 { "far" } else { "near" };
        text += &format!(
            "---\nkind: Host\nname: {name}\nprofile: worker\nuuid: {uuid}\nserial: {serial}\n\
             arch: {}\nnics: [{{mac: \"{mac}\", network: {network}, boot: true}}]\n\
             disk: {{serial: D{host}}}\n",
            hardware.arch
        );
    }
    let file = SourceFile {
        name: "model.yaml".into(),
        text,
    };
    let parsed = parse(&[file], BTreeMap::new());
    let inventory = parsed.inventory;
    inventory.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
}

/// Returns a UUID of its bytes in printed order.
pub fn uuid(bytes: [u8; 16]) -> SystemUuid {
    SystemUuid::from_wire(swapped(bytes))
}
