use crate::boot_site::{self, BootSite, HOST};
use crate::chain::{ARM64_GRUB, BIOS_PXELINUX, Chain, HTTP_SIGNED, SIGNED, UEFI_IPXE};
use crate::disk::LOCAL_DISK_BOOTED;
use crate::machine::Machine;
use crate::network::Network;
use crate::requirements::{Requirement, missing};
use crate::server::Server;
use crate::{STEP, TO_LINUX, TO_LOADER, TO_USER_SPACE};

#[test]
fn uefi_installs_by_ipxe_and_then_boots_its_local_disk() {
    installs(UEFI_IPXE, "install-uefi", GoesOn::ToItsFirstReport);
}

#[test]
fn a_bios_installs_by_pxelinux_and_then_boots_its_local_disk() {
    installs(BIOS_PXELINUX, "install-pxelinux", GoesOn::ToItsKernel);
}

#[test]
fn secure_boot_installs_by_shim_and_grub_and_then_boots_its_local_disk() {
    installs(SIGNED, "install-signed", GoesOn::ToItsKernel);
}

#[test]
fn secure_boot_installs_over_http_and_then_boots_its_local_disk() {
    installs(HTTP_SIGNED, "install-signed-http", GoesOn::ToItsKernel);
}

#[test]
fn arm64_installs_by_shim_and_grub_and_then_boots_its_local_disk() {
    installs(ARM64_GRUB, "install-arm64", GoesOn::ToItsKernel);
}

/// How far an installer runs, once its kernel has the command line that it needs: the rest is the same
/// for all, and slow under emulation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GoesOn {
    ToItsKernel,
    ToItsFirstReport,
}

fn installs(chain: Chain, name: &str, goes_on: GoesOn) {
    let installer = Requirement::Debian(chain.installer());
    if missing(&[&chain.requirements()[..], &[installer]].concat()) {
        return;
    }
    let network = Network::new();
    let site = BootSite::new(chain);
    let mut server = Server::start(&network, &site);
    let machine = Machine::new(name, chain.firmware, boot_site::host()).with_local_disk();

    server.pxectl(&["host", "provision", HOST, "--yes"]);
    let mut boot = machine.power_on(&network);
    boot.console
        .wait_for(&format!("pxectl: installing {HOST}"), TO_LOADER);
    server.wait_for_event("install", STEP);
    boot.console.wait_for("Linux version", TO_LINUX);
    let seed = boot.console.word_that_starts(" url=", STEP);
    server.wait_for_event("attempt", STEP);
    if goes_on == GoesOn::ToItsFirstReport {
        server.wait_for_event("progress", TO_USER_SPACE);
    }
    drop(boot);
    assert_eq!(server.phase(HOST), "provisioning");

    // A whole installation cannot run here, so the test speaks the preseed's last line.
    let preseed = network.fetch(&seed);
    let installed = boot_site::callback(&preseed, "installed");
    network.post(&installed);
    server.wait_for_event("installed", STEP);
    assert_eq!(server.phase(HOST), "installed");

    let mut boot = machine.power_on(&network);
    boot.console.wait_for(
        &format!("pxectl: booting {HOST} from its local disk"),
        TO_LOADER,
    );
    if chain.goes_on_with_the_next_entry() {
        // The firmware has more network options before the disk; without a cable it leaves them.
        boot.unplug();
    }
    boot.console.wait_for(LOCAL_DISK_BOOTED, STEP);
    server.wait_for_event("local-disk", STEP);
    server.stop();
}
