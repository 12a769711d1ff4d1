//! Relays that the inventory does not name: no sender gets an answer or a boot token by forging a relay.

use proptest::prelude::*;

use super::*;
use crate::inventory::Network;

/// A relay on no network of the site.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
/// Another address on `prov0`, which has an interface.
const NEIGHBOR: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 77);

/// A DISCOVER of the known host, with options 82 and 118 as a relay sends them.
fn discover(giaddr: Ipv4Addr, information: &[u8], subnet: Option<Ipv4Addr>) -> DhcpMessage {
    let mut discover = relayed(edk(KNOWN).discover(TransactionId(1)), information);
    discover.relay_address = giaddr;
    if let Some(subnet) = subnet {
        let code = OptionCode::SubnetSelection;
        discover.options.set_address(code, subnet);
    }
    discover
}

/// A site whose networks list relays: `(network, its key)`.
fn with_relays(keys: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::with(|text| {
        keys.iter().fold(text, |text, (network, relays)| {
            let changed = match *network {
                "prov0" => text.replacen(
                    "interface: eth1\n",
                    &format!("interface: eth1\n    relays: {relays}\n"),
                    1,
                ),
                network => text.replacen(
                    &format!("name: {network},"),
                    &format!("name: {network}, relays: {relays},"),
                    1,
                ),
            };
            assert_ne!(changed, text, "{network}");
            changed
        })
    });
    bench.network = None;
    bench
}

fn link(subnet: [u8; 4]) -> Vec<u8> {
    [&[5, 4][..], &subnet].concat()
}

#[test]
fn an_unlisted_relay_gets_no_answer_with_any_options() {
    let prov = Ipv4Addr::new(10, 20, 0, 0);
    let unlisted = |claim| IgnoreReason::UnlistedRelay {
        relay: FOREIGN,
        claim,
    };
    for (information, subnet, expected) in [
        (
            link([10, 20, 0, 0]),
            None,
            unlisted(RelayClaim::LinkSelection),
        ),
        (vec![], Some(prov), unlisted(RelayClaim::SubnetSelection)),
        (
            vec![11, 4, 10, 20, 0, 10],
            None,
            unlisted(RelayClaim::ServerOverride),
        ),
        (vec![], None, IgnoreReason::NoNetwork(Some(FOREIGN))),
    ] {
        for network in [Some("prov0"), Some("bare0"), None] {
            let mut bench = Bench::new();
            bench.network = network;
            for kind in [
                MessageType::Discover,
                MessageType::Request,
                MessageType::Inform,
                MessageType::Release,
                MessageType::Decline,
            ] {
                let mut message = discover(FOREIGN, &information, subnet);
                message.options.set_message_type(kind);
                message.client_address = RESERVED;
                assert_eq!(bench.ignored(&message), expected, "{kind:?}");
            }
            assert_eq!(bench.responder.leases(bench.now).count(), 0);
        }
    }
}

#[test]
fn a_network_with_an_interface_and_without_relays_accepts_no_relay() {
    let mut bench = Bench::new();
    for network in [Some("prov0"), None] {
        bench.network = network;
        let why = bench.ignored(&discover(NEIGHBOR, &[1, 1, 7], None));
        let expected = IgnoreReason::RelayNotAccepted {
            relay: NEIGHBOR,
            network: "prov0".to_owned(),
        };
        assert_eq!(why, expected);
    }
    // A machine on the wire of that network gets an answer.
    bench.network = Some("prov0");
    assert_eq!(bench.offered(KNOWN), Ok(RESERVED));
}

#[test]
fn a_relay_inside_the_subnet_of_a_network_without_interface_needs_an_entry_only_for_its_options() {
    let mut bench = Bench::new();
    bench.network = None;
    let reply = bench.send(&discover(RELAY, &[1, 1, 7], None)).reply;
    assert_eq!(
        reply.unwrap().delivery,
        Delivery::Relay(SocketAddrV4::new(RELAY, 67))
    );
    // Not even for its own network.
    let why = bench.ignored(&discover(RELAY, &link([10, 22, 0, 0]), None));
    let expected = IgnoreReason::UnlistedRelay {
        relay: RELAY,
        claim: RelayClaim::LinkSelection,
    };
    assert_eq!(why, expected);
    // The first and the last address of a subnet cannot belong to a relay.
    for last in [0, 255] {
        let relay = Ipv4Addr::new(10, 22, 0, last);
        let why = bench.ignored(&discover(relay, &[], None));
        assert!(
            matches!(why, IgnoreReason::RelayNotAccepted { .. }),
            "{why:?}"
        );
    }
}

#[test]
fn a_list_of_relays_replaces_the_subnet() {
    let mut bench = with_relays(&[("far0", "[10.22.0.1]")]);
    assert!(bench.send(&discover(RELAY, &[], None)).reply.is_ok());
    let other = Ipv4Addr::new(10, 22, 0, 2);
    let why = bench.ignored(&discover(other, &[], None));
    assert_eq!(
        why.to_string(),
        "network `far0` does not accept relay `10.22.0.2`; if it is your relay, add it to `relays` of \
         `far0`"
    );
    let mut bench = with_relays(&[("far0", "[10.22.0.0/30]")]);
    assert!(bench.send(&discover(other, &[], None)).reply.is_ok());
}

#[test]
fn a_listed_relay_selects_only_networks_that_list_it() {
    let to_prov = link([10, 20, 0, 0]);
    let to_far = link([10, 22, 0, 0]);
    let mut bench = with_relays(&[("prov0", "[192.0.2.9]"), ("far0", "[192.0.2.0/24]")]);
    for (information, expected) in [
        (&to_prov, RESERVED),
        (&to_far, Ipv4Addr::new(10, 22, 0, 200)),
    ] {
        let reply = bench.reply(&discover(FOREIGN, information, None));
        assert_eq!(reply.your_address, expected);
    }
    // Only far0 lists 192.0.2.8: the relay need not select it, and cannot select another network.
    let of_far = Ipv4Addr::new(192, 0, 2, 8);
    let reply = bench.reply(&discover(of_far, &[], None));
    assert_eq!(reply.your_address.octets()[..3], [10, 22, 0]);
    let why = bench.ignored(&discover(of_far, &to_prov, None));
    let expected = IgnoreReason::RelayNotAccepted {
        relay: of_far,
        network: "prov0".to_owned(),
    };
    assert_eq!(why, expected);
    let why = bench.ignored(&discover(of_far, &link([10, 21, 0, 0]), None));
    assert!(
        matches!(why, IgnoreReason::RelayNotAccepted { .. }),
        "{why:?}"
    );
    // Two networks list 192.0.2.9, so the relay must select one.
    let why = bench.ignored(&discover(FOREIGN, &[], None)).to_string();
    assert_eq!(
        why,
        "networks `prov0` and `far0` both list relay `192.0.2.9`, which selects neither with option \
         82.5 or 118"
    );
}

#[test]
fn a_listed_relay_may_select_a_network_without_relays_that_contains_its_address() {
    let mut bench = with_relays(&[("bare0", "[10.22.0.1]")]);
    let reply = bench.reply(&discover(RELAY, &link([10, 22, 0, 0]), None));
    assert_eq!(reply.your_address.octets()[..3], [10, 22, 0]);
    let why = bench.ignored(&discover(RELAY, &link([10, 20, 0, 0]), None));
    assert!(
        matches!(why, IgnoreReason::RelayNotAccepted { .. }),
        "{why:?}"
    );
}

/// The rule again, written for the whole site and independently of the responder.
fn may_be_answered(networks: &[Network], message: &DhcpMessage) -> bool {
    let relay = message.relay_address;
    let options = &message.options;
    let claims = options.link_selection().is_some()
        || options.subnet_selection().is_some()
        || options.server_identifier_override().is_some();
    let is_listed = networks.iter().any(|it| it.lists_relay(relay));
    let is_own =
        |it: &Network| it.interface.is_none() && it.relays.is_empty() && it.subnet.contains(relay);
    is_listed || (!claims && networks.iter().any(is_own))
}

fn addresses() -> impl Strategy<Value = Ipv4Addr> {
    let known = [
        "10.20.0.1",
        "10.20.0.77",
        "10.21.0.1",
        "10.22.0.1",
        "10.22.0.2",
        "192.0.2.8",
        "192.0.2.9",
        "10.20.0.0",
        "10.22.0.0",
        "0.0.0.0",
    ];
    let known: Vec<Ipv4Addr> = known.iter().map(|it| it.parse().unwrap()).collect();
    prop_oneof![9 => prop::sample::select(known), 1 => any::<[u8; 4]>().prop_map(Ipv4Addr::from)]
}

proptest! {
    #[test]
    fn every_answer_goes_to_a_relay_that_the_network_accepts(
        giaddr in addresses().prop_filter("a relay", |it| !it.is_unspecified()),
        link in proptest::option::of(addresses()),
        subnet in proptest::option::of(addresses()),
        server in proptest::option::of(addresses()),
        lists in proptest::collection::vec(any::<bool>(), 3),
    ) {
        let keys = [("prov0", "[192.0.2.9]"), ("bare0", "[10.22.0.1]"), ("far0", "[192.0.2.0/24]")];
        let keys: Vec<_> = keys.into_iter().zip(&lists).filter(|it| *it.1).map(|it| it.0).collect();
        let mut bench = with_relays(&keys);
        let part = |code: u8, address: Option<Ipv4Addr>| {
            address.map(|it| [&[code, 4][..], &it.octets()].concat()).unwrap_or_default()
        };
        let information = [part(5, link), part(11, server)].concat();
        let message = discover(giaddr, &information, subnet);
        let response = bench.send(&message);
        if let Ok(reply) = response.reply {
            let network = response.exchange.network.unwrap();
            let site = &bench.inventory.site;
            prop_assert!(site.network(&network).unwrap().accepts_relay(giaddr));
            prop_assert!(may_be_answered(&site.networks, &message));
            prop_assert_eq!(reply.delivery, Delivery::Relay(SocketAddrV4::new(giaddr, 67)));
        }
    }
}
