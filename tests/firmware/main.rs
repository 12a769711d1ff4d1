//! Real firmware, booted by QEMU in a network namespace of its own against `pxectl serve all`.
//!
//! These tests need root, QEMU and boot loaders from Debian; `tests/run` installs what they need.
//! Where that is missing they say so and prove nothing, unless `PXECTL_REQUIRE_FIRMWARE=1` makes
//! the lack a failure. What a machine printed is kept below `target/tmp/firmware/`.

#![expect(clippy::print_stderr, reason = "the tests report what each boot took")]

mod console;
mod machine;
mod network;
mod rack;
mod reference;
mod requirements;
mod server;

use std::time::Duration;

use machine::{Firmware, Machine};
use network::Network;
use rack::{HOST, Rack};
use reference::Reference;
use requirements::{Requirement, missing};
use server::Server;

/// How long firmware may take from power-on to what a script prints; about 26 s are usual, 16 of
/// them in Debian's EFI iPXE, which has its DHCP answer by then and solicits IPv6 routers.
const TO_SCRIPT: Duration = Duration::from_secs(90);
/// How long a step may take after the script; the installer's network set-up is the longest.
const TO_USER_SPACE: Duration = Duration::from_secs(180);
/// How long a short step may take.
const STEP: Duration = Duration::from_secs(30);

#[test]
fn an_armed_machine_installs_and_then_boots_its_local_disk() {
    if missing(&[Requirement::X86, Requirement::DebianInstaller]) {
        return;
    }
    let network = Network::new();
    let rack = Rack::new();
    let mut server = Server::start(&network, &rack);
    let machine = Machine::new("installs", Firmware::UefiX64, rack::host()).with_local_disk();

    server.pxectl(&["host", "provision", HOST, "--yes"]);
    let mut boot = machine.power_on(&network);
    boot.console.wait_for("iPXE", TO_SCRIPT);
    boot.console
        .wait_for(&format!("pxectl: installing {HOST}"), TO_SCRIPT);
    server.wait_for_event("install", STEP);
    boot.console.wait_for("Linux version", STEP);
    boot.console.wait_for("Command line: ", STEP);
    let seed = boot.console.word_that_starts("url=", STEP);
    server.wait_for_event("attempt", TO_USER_SPACE);
    server.wait_for_event("progress", TO_USER_SPACE);
    drop(boot);
    assert_eq!(server.phase(HOST), "provisioning");

    // A whole installation cannot run here, so the test speaks the preseed's last line.
    let preseed = network.fetch(&seed);
    let installed = rack::callback(&preseed, "installed");
    network.post(&installed);
    server.wait_for_event("installed", STEP);
    assert_eq!(server.phase(HOST), "installed");

    let mut boot = machine.power_on(&network);
    boot.console.wait_for(
        &format!("pxectl: booting {HOST} from its local disk"),
        TO_SCRIPT,
    );
    // The firmware has more network options before the disk; without a cable it leaves them at once.
    boot.unplug();
    boot.console.wait_for(machine::LOCAL_DISK_BOOTED, STEP);
    server.wait_for_event("local-disk", STEP);
    server.stop();
}

#[test]
fn an_unknown_machine_is_held_and_shown_what_was_seen() {
    held_on(Firmware::UefiX64, "held-uefi");
}

#[test]
fn an_unknown_machine_whose_rom_is_ipxe_is_held() {
    held_on(Firmware::BiosIpxeRom, "held-bios");
}

#[test]
fn an_unknown_machine_that_boots_over_http_is_held() {
    held_on(Firmware::HttpX64, "held-http");
}

#[test]
fn uefi_boots_from_a_proxy_beside_dnsmasq() {
    held_beside_dnsmasq(Firmware::UefiX64, "proxy-uefi");
}

#[test]
fn a_rom_that_is_ipxe_boots_from_a_proxy_beside_dnsmasq() {
    held_beside_dnsmasq(Firmware::BiosIpxeRom, "proxy-bios");
}

#[test]
fn http_boot_takes_its_url_from_a_proxy_beside_dnsmasq() {
    held_beside_dnsmasq(Firmware::HttpX64, "proxy-http");
}

fn held_on(firmware: Firmware, name: &str) {
    if missing(&[Requirement::X86]) {
        return;
    }
    held(&Network::new(), &Rack::without_installer(), firmware, name);
}

fn held_beside_dnsmasq(firmware: Firmware, name: &str) {
    if missing(&[Requirement::X86, Requirement::Dnsmasq]) {
        return;
    }
    let network = Network::new();
    let _addresses = network.add_address_server();
    held(&network, &Rack::beside_another_server(), firmware, name);
}

fn held(network: &Network, rack: &Rack, firmware: Firmware, name: &str) {
    let mut server = Server::start(network, rack);
    let stranger = machine::Identity {
        mac: "52:54:00:85:00:99".parse().unwrap(),
        uuid: "99999999-8888-7777-6666-555544443333".parse().unwrap(),
        serial: "STRANGER7",
        asset: "A-0099",
    };
    let mut boot = Machine::new(name, firmware, stranger).power_on(network);
    let console = &mut boot.console;
    console.wait_for("pxectl: on hold", TO_SCRIPT);
    console.wait_for(&stranger.mac.to_string(), STEP);
    console.wait_for(&stranger.uuid.to_string(), STEP);
    console.wait_for(stranger.serial, STEP);
    let event = server.wait_for_event("hold", STEP);
    assert_eq!(event.mac.as_deref(), Some("52:54:00:85:00:99"));
    assert_eq!(event.host, None);
    server.stop();
}

/// Tells a fault of the harness from one of ours: the same machine against dnsmasq and Python.
#[test]
#[ignore = "proves the harness, not pxectl: run it when the other tests fail for no clear reason"]
fn the_same_machine_installs_from_dnsmasq() {
    if missing(&[
        Requirement::X86,
        Requirement::DebianInstaller,
        Requirement::Dnsmasq,
    ]) {
        return;
    }
    let network = Network::new();
    let machine = Machine::new("reference", Firmware::UefiX64, rack::host()).with_local_disk();

    let reference = Reference::start(&network, &reference::install_script());
    let mut boot = machine.power_on(&network);
    boot.console.wait_for("iPXE", TO_SCRIPT);
    boot.console.wait_for("reference: installing", TO_SCRIPT);
    boot.console.wait_for("Linux version", STEP);
    boot.console.wait_for("Command line: ", STEP);
    let seed = boot.console.word_that_starts("url=", STEP);
    boot.console
        .wait_for("reference: early command", TO_USER_SPACE);
    drop(boot);
    let installed = rack::callback(&network.fetch(&seed), "installed");
    assert!(installed.ends_with("/s/capability/installed"));
    drop(reference);

    let _reference = Reference::start(&network, reference::LOCAL_DISK_SCRIPT);
    let mut boot = machine.power_on(&network);
    boot.console
        .wait_for("reference: booting from the local disk", TO_SCRIPT);
    boot.unplug();
    boot.console.wait_for(machine::LOCAL_DISK_BOOTED, STEP);
}

#[test]
#[ignore = "proves the harness, not pxectl: run it when the other tests fail for no clear reason"]
fn every_firmware_runs_a_script_from_dnsmasq() {
    if missing(&[Requirement::X86, Requirement::Dnsmasq]) {
        return;
    }
    let network = Network::new();
    let _reference = Reference::start(&network, reference::LOCAL_DISK_SCRIPT);
    for firmware in Firmware::ALL {
        let machine = Machine::new("reference-script", firmware, rack::host());
        eprintln!("{firmware:?}");
        let mut boot = machine.power_on(&network);
        boot.console
            .wait_for("reference: booting from the local disk", TO_SCRIPT);
    }
}
