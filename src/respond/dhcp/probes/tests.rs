//! Timelines of probes of addresses before they are offered.

use super::super::{DhcpResponder, IgnoreReason, Ingress};
use super::*;
use crate::clients::dhcp::{Client, ClientKind};
use crate::inventory::Inventory;
use crate::inventory::site_builder::SiteBuilder;
use crate::machine::{Architecture, LeaseChange, MacAddress};
use crate::token::StoreKey;
use crate::wire::dhcp::TransactionId;

const NONE: [u8; 0] = [];
const SQUATTER: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 9]);

fn site(network: &str) -> Inventory {
    SiteBuilder::new(&format!(
        "loaders: {{}}\nnetworks: [{{name: prov0, subnet: 10.20.0.0/24, {network}}}]"
    ))
    .build()
}

fn small() -> Inventory {
    site("interface: eth1, pool: 10.20.0.200-10.20.0.202")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 20, 0, last)
}

/// The last bytes of the addresses to probe.
fn due(responder: &mut DhcpResponder, inventory: &Inventory, now: Timestamp) -> Vec<u8> {
    let all = responder.probes_due(inventory, now);
    let addresses = all.iter().flat_map(|due| &due.addresses);
    addresses.map(|address| address.octets()[3]).collect()
}

/// The last byte of the address that a machine is offered.
fn offered(
    responder: &mut DhcpResponder,
    inventory: &Inventory,
    machine: u8,
    now: Timestamp,
) -> Result<u8, IgnoreReason> {
    let client = Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac: MacAddress::new([2, 0, 0, 0, 0, machine]),
        uuid: None,
    };
    let ingress = Ingress {
        network: Some("prov0"),
        address: address(10),
    };
    let (key, discover) = (StoreKey::new([7; 32]), client.discover(TransactionId(7)));
    let response = responder.respond(inventory, &key, ingress, &discover, now);
    let octet = |address: Ipv4Addr| address.octets()[3];
    response
        .reply
        .map(|reply| octet(reply.message.your_address))
}

#[test]
fn addresses_are_probed_again_before_a_result_expires_and_while_a_result_is_missing() {
    let (mut responder, inventory) = (DhcpResponder::new([]), small());
    assert_eq!(due(&mut responder, &inventory, at(0)), [200, 201, 202]);
    assert_eq!(due(&mut responder, &inventory, at(1)), NONE);
    for last in [200, 201] {
        assert_eq!(responder.probed("prov0", address(last), None, at(1)), None);
    }
    assert_eq!(due(&mut responder, &inventory, at(10)), [202]);
    assert_eq!(responder.probed("prov0", address(202), None, at(11)), None);
    assert_eq!(due(&mut responder, &inventory, at(50)), NONE);
    assert_eq!(due(&mut responder, &inventory, at(51)), [200, 201]);
    assert_eq!(due(&mut responder, &inventory, at(52)), NONE);
}

#[test]
fn a_probed_address_is_offered_first_and_no_client_waits_for_a_probe() {
    let (mut responder, inventory) = (DhcpResponder::new([]), small());
    due(&mut responder, &inventory, at(0));
    responder.probed("prov0", address(201), None, at(1));
    assert_eq!(offered(&mut responder, &inventory, 1, at(2)), Ok(201));
    // Nothing else was probed, and the client is answered anyway.
    assert_eq!(offered(&mut responder, &inventory, 2, at(2)), Ok(200));
    assert_eq!(offered(&mut responder, &inventory, 3, at(2)), Ok(202));
    // An offered address is not probed: its own client would answer.
    assert_eq!(due(&mut responder, &inventory, at(20)), NONE);
}

#[test]
fn an_address_that_another_machine_uses_is_set_aside_for_an_hour() {
    let (mut responder, inventory) = (DhcpResponder::new([]), small());
    due(&mut responder, &inventory, at(0));
    let change = responder.probed("prov0", address(200), Some(SQUATTER), at(1));
    let Some(LeaseChange::Hold(lease)) = change else {
        panic!("{change:?}");
    };
    assert_eq!((lease.address, lease.holder), (address(200), None));
    for (machine, expected) in [(1, Ok(201)), (2, Ok(202))] {
        assert_eq!(
            offered(&mut responder, &inventory, machine, at(2)),
            expected
        );
    }
    let exhausted = Err(IgnoreReason::PoolExhausted("prov0".into()));
    assert_eq!(offered(&mut responder, &inventory, 3, at(2)), exhausted);
    assert_eq!(due(&mut responder, &inventory, at(3599)), [201, 202]);
    assert_eq!(due(&mut responder, &inventory, at(3601)), [200]);
}

#[test]
fn a_probe_result_does_not_revoke_an_address_that_was_leased_meanwhile() {
    let (mut responder, inventory) = (DhcpResponder::new([]), small());
    due(&mut responder, &inventory, at(0));
    assert_eq!(offered(&mut responder, &inventory, 1, at(0)), Ok(200));
    let own = MacAddress::new([2, 0, 0, 0, 0, 1]);
    assert_eq!(
        responder.probed("prov0", address(200), Some(own), at(1)),
        None
    );
    assert_eq!(offered(&mut responder, &inventory, 1, at(1)), Ok(200));
}

#[test]
fn only_a_few_addresses_of_each_own_pool_on_an_interface_are_probed() {
    let mut responder = DhcpResponder::new([]);
    for network in [
        "interface: eth1",
        "pool: 10.20.0.200-10.20.0.202",
        "interface: eth1, mode: proxy, pool: 10.20.0.200-10.20.0.202",
    ] {
        assert_eq!(
            due(&mut responder, &site(network), at(0)),
            NONE,
            "{network}"
        );
    }
    let wide = site("interface: eth1, pool: 10.20.0.100-10.20.0.199");
    let first: Vec<u8> = (100..116).collect();
    assert_eq!(due(&mut responder, &wide, at(0)), first);
}
