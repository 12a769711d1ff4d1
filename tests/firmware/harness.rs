//! The harness against servers that are not ours.

use crate::boot_site;
use crate::debian::{AMD64, ARM64};
use crate::disk::LOCAL_DISK_BOOTED;
use crate::firmware::Firmware;
use crate::machine::Machine;
use crate::network::Network;
use crate::reference::{self, Reference};
use crate::requirements::{Requirement, missing};
use crate::{STEP, TO_LOADER, TO_USER_SPACE};

/// Tells a fault of the harness from one of ours: the same machine against dnsmasq and Python.
#[test]
#[ignore = "proves the harness, not pxectl: run it when the other tests fail for no clear reason"]
fn the_same_machine_installs_from_dnsmasq() {
    if missing(&[
        Requirement::Machine(Firmware::UefiX64),
        Requirement::Ipxe,
        Requirement::Debian(&AMD64),
        Requirement::Dnsmasq,
    ]) {
        return;
    }
    let network = Network::new();
    let machine = Machine::new("reference", Firmware::UefiX64, boot_site::host()).with_local_disk();

    let reference = Reference::start(&network, Firmware::UefiX64, &reference::install_script());
    let mut boot = machine.power_on(&network);
    boot.console.wait_for("iPXE", TO_LOADER);
    boot.console.wait_for("reference: installing", TO_LOADER);
    boot.console.wait_for("Linux version", STEP);
    boot.console.wait_for("Command line: ", STEP);
    let seed = boot.console.word_that_starts("url=", STEP);
    boot.console
        .wait_for("reference: early command", TO_USER_SPACE);
    drop(boot);
    let installed = boot_site::callback(&network.fetch(&seed), "installed");
    assert!(installed.ends_with("/s/capability/installed"));
    drop(reference);

    let _reference = Reference::start(&network, Firmware::UefiX64, reference::LOCAL_DISK_SCRIPT);
    let mut boot = machine.power_on(&network);
    boot.console
        .wait_for("reference: booting from the local disk", TO_LOADER);
    boot.unplug();
    boot.console.wait_for(LOCAL_DISK_BOOTED, STEP);
}

#[test]
#[ignore = "proves the harness, not pxectl: run it when the other tests fail for no clear reason"]
fn every_firmware_boots_its_local_disk_for_dnsmasq() {
    let machines = Firmware::ALL.map(Requirement::Machine);
    let others = [
        Requirement::Ipxe,
        Requirement::Debian(&AMD64),
        Requirement::Debian(&ARM64),
        Requirement::Dnsmasq,
    ];
    if missing(&[&machines[..], &others].concat()) {
        return;
    }
    let network = Network::new();
    for firmware in Firmware::ALL {
        eprintln!("{firmware:?}");
        let _reference = Reference::start(&network, firmware, reference::LOCAL_DISK_SCRIPT);
        let name = format!("reference-{firmware:?}");
        let machine = Machine::new(&name, firmware, boot_site::host()).with_local_disk();
        let mut boot = machine.power_on(&network);
        let console = &mut boot.console;
        if firmware == Firmware::SecureHttpX64 {
            // Debian's GRUB finds no configuration where firmware loaded it over HTTP.
            console.wait_for("grub> ", TO_LOADER);
            continue;
        }
        console.wait_for(reference::LOCAL_DISK_SAID, TO_LOADER);
        // The firmware has more network options before the disk; without a cable it leaves them.
        boot.unplug();
        boot.console.wait_for(LOCAL_DISK_BOOTED, STEP);
    }
}
