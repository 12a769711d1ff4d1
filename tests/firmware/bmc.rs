//! From the controller to the boot script: nothing but Redfish starts the machine.

use crate::TO_LOADER;
use crate::boot_site::{self, BootSite, HOST};
use crate::chain::UEFI_IPXE;
use crate::controller::{Controller, URL};
use crate::network::Network;
use crate::requirements::{Requirement, missing};
use crate::server::Server;

#[test]
fn one_command_boots_a_machine_behind_redfish_into_the_network() {
    const FILES: &[&str] = &[
        Controller::PYTHON,
        "/usr/sbin/libvirtd",
        "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
        "/usr/lib/python3/dist-packages/libvirt.py",
    ];
    let needed = [
        Requirement::Files(FILES),
        Requirement::Debian(UEFI_IPXE.installer()),
    ];
    if missing(&[&UEFI_IPXE.requirements()[..], &needed].concat()) {
        return;
    }
    let network = Network::new();
    let site = BootSite::new(UEFI_IPXE);
    site.give_a_controller(URL);
    let controller = Controller::start(&network, boot_site::host());
    let mut server = Server::start(&network, &site);

    let status = server.pxectl(&["bmc", "status", HOST]);
    assert!(status.contains("off"), "{status}\n{}", controller.log());
    server.pxectl(&["host", "provision", HOST, "--yes"]);
    server.pxectl(&["bmc", "boot-pxe", HOST, "--yes"]);
    // The machine has no disk, and would boot it first: that it asks is the override's doing.
    server.wait_for_event("install", TO_LOADER);
    server.wait_for_event("attempt", TO_LOADER);
    let status = server.pxectl(&["bmc", "status", HOST]);
    assert!(status.contains("on"), "{status}\n{}", controller.log());

    server.pxectl(&["bmc", "power", "off", HOST, "--yes"]);
    let status = server.pxectl(&["bmc", "status", HOST]);
    assert!(status.contains("off"), "{status}\n{}", controller.log());
    server.stop();
}
