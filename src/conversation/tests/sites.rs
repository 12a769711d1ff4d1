//! What an inventory adds: names, and which servers belong on a wire.

use std::net::Ipv4Addr;

use super::play::*;
use crate::clients::dhcp::Client;
use crate::conversation::{Finding, FindingKind, Options, Report};
use crate::inventory::Inventory;
use crate::inventory::site_builder::inventory_of;
use crate::machine::{HardwareAddress, MacAddress};
use crate::wire::dhcp::{OptionCode, TransactionId};
use crate::wire::packet::VlanTags;

const PROV: &str = "{name: prov0, subnet: 10.20.0.0/24}";

/// Returns an inventory with one host, and these networks.
fn inventory(networks: &str) -> Inventory {
    let site = "\
kind: Site
name: rack-a
server: {address: 10.20.0.10}
networks: [NETWORKS]
loaders: {uefi-x64: snponly.efi}
---
kind: Profile
name: worker
installer: preseed
bundle: b
---
kind: Host
name: worker-01
profile: worker
uuid: 4c4c4544-0051-3610-8043-c2c04f4b3135
arch: uefi-x64
nics:
  - {mac: \"52:54:00:12:34:56\", network: prov0, ip: 10.20.0.58, boot: true}
disk: {serial: D}
---
kind: Bundle
name: b
arch: x86_64
files:
  kernel: {path: linux, sha256: DIGEST, size: 1}
  initrd: {path: initrd, sha256: DIGEST, size: 1}
";
    let digest = format!("\"{}\"", "5e".repeat(32));
    let text = site.replace("DIGEST", &digest);
    inventory_of(text.replace("NETWORKS", networks))
}

fn rogues(report: &Report) -> Vec<&str> {
    let rogue = |it: &&Finding| it.name == FindingKind::Rogue;
    let found = report.findings.iter().filter(rogue);
    found.map(|it| it.seen.as_str()).collect()
}

/// Lets a server give an address, without a word of what to boot.
fn give(play: &mut Play<'_>, server: Ipv4Addr, address: Ipv4Addr) {
    let exchange = play.discover(&uefi());
    let mut offer = exchange.offer(server, Some(address), "");
    offer.options.remove(OptionCode::ClassIdentifier);
    offer.options.remove(OptionCode::VendorExtensions);
    play.answer(server, &offer);
}

#[test]
fn an_inventory_names_machines_and_our_server() {
    let inventory = inventory(PROV);
    let mut play = Play::with(Some(&inventory), Options::default());
    play.exchange(&uefi(), "boot.efi", |_| {});
    let exchange = play.discover(&uefi());
    play.answer(OTHER, &exchange.offer(OTHER, Some(MACHINE), ""));
    let report = play.finish();
    assert_eq!(report.machines[0].name, "worker-01");
    assert_eq!(
        rogues(&report),
        ["10.20.0.99 assigns 10.20.0.58, but the server here is 10.20.0.10"]
    );
}

/// Returns the bytes in which edk2 says who it is in place of an Ethernet address.
fn guid(client: &Client) -> HardwareAddress {
    let message = client.discover(TransactionId(1));
    let identifier = message.options.raw(OptionCode::ClientMachineIdentifier);
    HardwareAddress::new(16, identifier.unwrap()[1..].try_into().unwrap())
}

#[test]
fn a_machine_that_sends_a_guid_as_its_address_is_identified_by_its_uuid() {
    let inventory = inventory(PROV);
    for (inventory, name) in [(Some(&inventory), "worker-01"), (None, "52:54:00:12:34:56")] {
        let mut play = Play::with(inventory, Options::default());
        let mut message = uefi().discover(TransactionId(1));
        play.ask(&message);
        message.hardware_address = guid(&uefi());
        play.ask(&message);
        let report = play.finish();
        let names: Vec<_> = report.machines.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, [name], "{report}");
    }
    // Nothing but the GUID tells who it is.
    let mut play = Play::with(Some(&inventory), Options::default());
    let mut message = uefi().discover(TransactionId(1));
    message.hardware_address = guid(&uefi());
    message.options.remove(OptionCode::ClientMachineIdentifier);
    play.ask(&message);
    assert_eq!(play.finish().machines[0].name, "worker-01");
}

#[test]
fn machines_with_the_same_uuid_have_separate_timelines() {
    let mut play = Play::new();
    let mut other = uefi();
    other.mac = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x57]);
    assert!(other.uuid.is_some() && other.uuid == uefi().uuid);
    let [first, second] = [uefi(), other].map(|client| play.discover(&client));
    let address = Ipv4Addr::new(10, 20, 0, 59);
    let offer = second.offer(SERVER, Some(address), "second.efi");
    play.answer(SERVER, &offer);
    play.take(&second, &offer);
    let offer = first.offer(SERVER, Some(MACHINE), "first.efi");
    play.answer(SERVER, &offer);
    play.take(&first, &offer);
    let report = play.finish();
    let boots = report.machines.iter().map(|it| {
        let boot = it.stages[0].boot.as_ref();
        (it.macs.len(), boot.map_or("", |boot| &boot.file))
    });
    let boots: Vec<_> = boots.collect();
    assert_eq!(boots, [(1, "first.efi"), (1, "second.efi")], "{report}");
    assert_eq!(report.findings, [], "{report}");
}

/// On each interface we go by its own address, which stands nowhere in the inventory.
#[test]
fn our_address_on_a_second_interface_is_not_a_rogue_and_a_third_server_is() {
    let inventory = inventory(
        "{name: prov0, subnet: 10.20.0.0/24, interface: eth1}, \
         {name: prov1, subnet: 10.30.0.0/24, interface: eth2}, \
         {name: far, subnet: 10.40.0.0/24}",
    );
    let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    let own = ip("10.30.0.1");
    let mut play = Play::with(Some(&inventory), Options::default());
    give(&mut play, own, ip("10.30.0.58"));
    // Through a relay, from the address that the relay was told.
    give(&mut play, own, ip("10.40.0.58"));
    give(&mut play, ip("10.30.0.99"), ip("10.30.0.60"));
    // Where our address is known, and where no network is ours, every other server is rogue at once.
    give(&mut play, ip("10.20.0.99"), ip("10.20.0.60"));
    give(&mut play, ip("192.168.1.1"), ip("192.168.1.7"));
    give(&mut play, ip("10.40.0.99"), ip("10.40.0.60"));
    let report = play.finish();
    assert_eq!(
        rogues(&report),
        [
            "10.30.0.99 assigns 10.30.0.60, but 10.30.0.1 did so first",
            "10.20.0.99 assigns 10.20.0.60, but the server here is 10.20.0.10",
            "192.168.1.1 assigns 192.168.1.7, but the server here is 10.20.0.10",
            "10.40.0.99 assigns 10.40.0.60, but the server here is 10.20.0.10",
        ],
        "{report}"
    );
}

/// A trunk carries the networks of others, too.
#[test]
fn a_server_on_an_unknown_vlan_is_not_a_rogue_unless_our_server_is_there() {
    let inventory = inventory(PROV);
    let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    let (office, second) = (ip("192.168.1.1"), ip("192.168.1.2"));
    let mut play = Play::with(Some(&inventory), Options::default());
    play.vlans = VlanTags::new(Some(10), None);
    give(&mut play, office, ip("192.168.1.7"));
    // Who gives our addresses is one, wherever.
    give(&mut play, OTHER, MACHINE);
    play.vlans = VlanTags::new(Some(20), None);
    give(&mut play, SERVER, MACHINE);
    give(&mut play, office, ip("192.168.1.7"));
    play.vlans = VlanTags::new(Some(10), None);
    give(&mut play, second, ip("192.168.1.8"));
    assert_eq!(
        rogues(&play.finish()),
        [
            "10.20.0.99 assigns 10.20.0.58, but the server here is 10.20.0.10",
            "192.168.1.1 assigns 192.168.1.7, but 10.20.0.10 did so first",
            "192.168.1.2 assigns 192.168.1.8, but 192.168.1.1 did so first",
        ]
    );
}

#[test]
fn the_address_server_of_a_proxied_network_is_not_a_rogue_and_a_second_one_is() {
    let inventory = inventory("{name: prov0, subnet: 10.20.0.0/24, mode: proxy}");
    let mut play = Play::with(Some(&inventory), Options::default());
    give(&mut play, OTHER, MACHINE);
    let exchange = play.discover(&uefi());
    play.answer(SERVER, &exchange.offer(SERVER, None, ""));
    let report = play.finish();
    assert!(rogues(&report).is_empty(), "{report}");

    let mut play = Play::with(Some(&inventory), Options::default());
    give(&mut play, OTHER, MACHINE);
    give(&mut play, Ipv4Addr::new(10, 20, 0, 98), MACHINE);
    // Who boots is ours alone.
    let exchange = play.discover(&uefi());
    play.answer(OTHER, &exchange.offer(OTHER, None, "boot.efi"));
    let report = play.finish();
    assert_eq!(
        rogues(&report),
        [
            "10.20.0.98 assigns 10.20.0.58, but 10.20.0.99 did so first",
            "10.20.0.99 names a boot file, but the server here is 10.20.0.10",
        ],
        "{report}"
    );
}
