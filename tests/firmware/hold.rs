use crate::boot_site::BootSite;
use crate::chain::{BIOS_IPXE, BIOS_PXELINUX, Chain, HTTP_IPXE, IPXE_ROM, SIGNED, UEFI_IPXE};
use crate::machine::{Identity, Machine};
use crate::network::Network;
use crate::requirements::{Requirement, missing};
use crate::server::Server;
use crate::{STEP, TO_LOADER};

#[test]
fn an_unknown_machine_is_held_and_shown_what_was_seen() {
    held_by(UEFI_IPXE, "held-uefi");
}

#[test]
fn an_unknown_machine_whose_rom_is_ipxe_is_held() {
    held_by(IPXE_ROM, "held-ipxe-rom");
}

#[test]
fn an_unknown_bios_is_held_by_ipxe() {
    held_by(BIOS_IPXE, "held-bios");
}

#[test]
fn an_unknown_bios_is_held_by_pxelinux() {
    held_by(BIOS_PXELINUX, "held-pxelinux");
}

#[test]
fn an_unknown_machine_that_boots_over_http_is_held() {
    held_by(HTTP_IPXE, "held-http");
}

#[test]
fn an_unknown_machine_with_secure_boot_is_held() {
    held_by(SIGNED, "held-signed");
}

#[test]
fn uefi_boots_from_a_proxy_beside_dnsmasq() {
    held_beside_dnsmasq(UEFI_IPXE, "proxy-uefi");
}

#[test]
fn a_rom_that_is_ipxe_boots_from_a_proxy_beside_dnsmasq() {
    held_beside_dnsmasq(IPXE_ROM, "proxy-ipxe-rom");
}

#[test]
fn http_boot_takes_its_url_from_a_proxy_beside_dnsmasq() {
    held_beside_dnsmasq(HTTP_IPXE, "proxy-http");
}

fn held_by(chain: Chain, name: &str) {
    if missing(&chain.requirements()) {
        return;
    }
    held(
        &Network::new(),
        &BootSite::without_installer(chain),
        chain,
        name,
    );
}

fn held_beside_dnsmasq(chain: Chain, name: &str) {
    if missing(&[&chain.requirements()[..], &[Requirement::Dnsmasq]].concat()) {
        return;
    }
    let network = Network::new();
    let _addresses = network.add_address_server();
    held(
        &network,
        &BootSite::beside_another_server(chain),
        chain,
        name,
    );
}

/// Boots a machine that nobody knows, and sees it held.
pub fn held(network: &Network, site: &BootSite, chain: Chain, name: &str) {
    let mut server = Server::start(network, site);
    let stranger = Identity {
        mac: "52:54:00:85:00:99".parse().unwrap(),
        // The same in either byte order: PXELINUX sends the bytes of option 97 as they are.
        uuid: "a17c7ca1-3d3d-5e5e-91c4-e6a2d84f0b37".parse().unwrap(),
        serial: "STRANGER7",
        asset: "A-0099",
    };
    let mut boot = Machine::new(name, chain.firmware, stranger).power_on(network);
    let console = &mut boot.console;
    console.wait_for("pxectl: on hold", TO_LOADER);
    console.wait_for(&stranger.mac.to_string(), STEP);
    console.wait_for(&stranger.uuid.to_string(), STEP);
    if chain.loader == BIOS_PXELINUX.loader {
        // It tells the server no serial number; and it must stay, not boot again at once.
        console.wait_for("asks again.", STEP);
        console.wait_for("boot:", STEP);
    } else {
        console.wait_for(stranger.serial, STEP);
    }
    let event = server.wait_for_event("hold", STEP);
    assert_eq!(event.mac.as_deref(), Some("52:54:00:85:00:99"));
    assert_eq!(event.host, None);
    server.stop();
}
