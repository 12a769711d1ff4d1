//! What Secure Boot refuses, and what is seen of it on the screen and at the server.

use std::fs;

use tempfile::TempDir;

use crate::boot_site::{self, BootSite, HOST};
use crate::chain::{Chain, SIGNED, UEFI_IPXE};
use crate::disk::LOCAL_DISK_BOOTED;
use crate::firmware::Firmware;
use crate::machine::Machine;
use crate::network::Network;
use crate::requirements::{Requirement, missing};
use crate::server::Server;
use crate::{STEP, TO_LINUX, TO_LOADER};

/// Where shim lies, and the GRUB that is behind it in [`SIGNED`].
const SHIM: &[&str] = &["/usr/lib/shim"];
const GRUB: &str = "/usr/lib/grub/x86_64-efi-signed";

#[test]
fn secure_boot_refuses_ipxe_and_the_firmware_goes_on() {
    let chain = Chain {
        firmware: Firmware::SecureX64,
        ..UEFI_IPXE
    };
    let disk = Requirement::Debian(chain.installer());
    if missing(&[&chain.requirements()[..], &[disk]].concat()) {
        return;
    }
    let network = Network::new();
    // No host: a profile that asks for Secure Boot is not given iPXE in the first place.
    let site = BootSite::without_installer(chain);
    let _server = Server::start(&network, &site);
    let machine = Machine::new("refused-ipxe", chain.firmware, boot_site::host()).with_local_disk();
    let mut boot = machine.power_on(&network);
    boot.console
        .wait_for("NBP file downloaded successfully", TO_LOADER);
    boot.console.wait_for("Access Denied", STEP);
    // Its next entries are of the network too.
    boot.unplug();
    boot.console.wait_for(LOCAL_DISK_BOOTED, TO_LOADER);
}

#[test]
fn shim_refuses_a_grub_that_was_altered() {
    if missing(&SIGNED.requirements()) {
        return;
    }
    let files = TempDir::new().unwrap();
    altered(GRUB, "grubnetx64.efi.signed", &files);
    let chain = Chain {
        files: SHIM,
        ..SIGNED
    };
    let network = Network::new();
    let site = BootSite::without_installer(chain);
    site.serve_also(files.path());
    let _server = Server::start(&network, &site);
    let machine = Machine::new("refused-grub", chain.firmware, boot_site::host());
    let mut boot = machine.power_on(&network);
    boot.console.wait_for("grubx64.efi", TO_LOADER);
    boot.console.wait_for("Security Violation", TO_LINUX);
}

#[test]
fn grub_refuses_a_kernel_that_was_altered_and_tells_the_server() {
    let installer = SIGNED.installer();
    let requirements = [Requirement::Debian(installer)];
    if missing(&[&SIGNED.requirements()[..], &requirements].concat()) {
        return;
    }
    let network = Network::new();
    // The bundle was made of it: its digest is right, its signature is not.
    let site = BootSite::with_kernel(SIGNED, &flipped(&fs::read(installer.kernel).unwrap()));
    let mut server = Server::start(&network, &site);
    server.pxectl(&["host", "provision", HOST, "--yes"]);
    let machine = Machine::new("refused-kernel", SIGNED.firmware, boot_site::host());
    let mut boot = machine.power_on(&network);
    boot.console
        .wait_for(&format!("pxectl: installing {HOST}"), TO_LOADER);
    boot.console.wait_for("bad shim signature", TO_LINUX);
    boot.console
        .wait_for("pxectl: could not start the kernel", STEP);
    let event = server.wait_for_event("kernel-refused", STEP);
    assert_eq!(event.host.as_deref(), Some(HOST));
    server.stop();
}

/// Writes a copy of a loader with one bit of it changed.
fn altered(from: &str, name: &str, into: &TempDir) {
    let octets = fs::read(format!("{from}/{name}")).unwrap();
    fs::write(into.path().join(name), flipped(&octets)).unwrap();
}

/// Returns the octets with one bit in the middle changed.
fn flipped(octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    octets
}
