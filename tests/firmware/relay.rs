//! A machine on a wire on which the server has no interface, behind a real relay.

use std::process::{Child, Stdio};

use crate::boot_site::BootSite;
use crate::chain::{Chain, UEFI_IPXE};
use crate::hold;
use crate::network::Network;
use crate::requirements::{Requirement, missing};

const RELAY: &str = "/usr/sbin/dhcrelay";

#[test]
fn uefi_boots_through_a_relay_of_another_wire() {
    let needs = [Requirement::Files(&[RELAY])];
    if missing(&[&UEFI_IPXE.requirements()[..], &needs].concat()) {
        return;
    }
    through_a_relay(UEFI_IPXE);
}

fn through_a_relay(chain: Chain) {
    let network = Network::behind_a_router();
    let _relay = Relay::start(&network);
    let site = BootSite::behind_a_relay(chain);
    hold::held(&network, &site, chain, "held-relayed");
}

/// ISC's relay on the machine's own wire; killed when dropped.
struct Relay(Child);

impl Relay {
    fn start(network: &Network) -> Self {
        let (below, above, server) = network.relayed();
        let mut command = network.command(RELAY);
        command.args(["-4", "-d", "--no-pid", "-a", "-id", below, "-iu", above]);
        let child = command
            .arg(server)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
