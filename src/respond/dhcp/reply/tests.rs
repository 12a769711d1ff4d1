//! The options of replies beside the address and the boot file.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::super::{DhcpResponder, Ingress};
use crate::clients::dhcp::{Client, ClientKind};
use crate::inventory::Inventory;
use crate::inventory::site_builder::SiteBuilder;
use crate::machine::Architecture;
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, OptionCode, TransactionId};

const HOST: &str = "52:54:00:00:00:01";
const STRANGER: &str = "52:54:00:00:00:99";
const SITE: &str = "\
networks:
  - name: prov0
    subnet: 10.20.0.0/24
    gateway: 10.20.0.1
    pool: 10.20.0.200-10.20.0.250
    mtu: 9000
    search: [rack.example, example]
    routes: [{to: 10.40.0.0/16, via: 10.20.0.254}]
    options: {ntp-servers: 'ip:10.20.0.5', 224: network, 225: network, 226: network}
loaders: {uefi-x64: snponly.efi}";
const WORKER: &str = "\
kind: Host
name: worker
profile: p
uuid: 4c4c4544-0051-3610-8043-c2c04f4b3135
arch: uefi-x64
disk: {serial: D1}
nics: [{mac: '52:54:00:00:00:01', network: prov0, ip: 10.20.0.58, boot: true}]
options: {226: host, interface-mtu: 'u16:1500'}";

fn rack() -> Inventory {
    SiteBuilder::new(SITE)
        .profile("options: {225: profile, 226: profile}")
        .document(WORKER)
        .build()
}

fn offer_to(mac: &str) -> DhcpMessage {
    let client = Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac: mac.parse().unwrap(),
        uuid: None,
    };
    let ingress = Ingress {
        network: Some("prov0"),
        address: Ipv4Addr::new(10, 20, 0, 10),
    };
    let (key, discover) = (StoreKey::new([7; 32]), client.discover(TransactionId(7)));
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut responder = DhcpResponder::new([]);
    let response = responder.respond(&rack(), &key, ingress, &discover, now);
    response.reply.unwrap().message
}

#[test]
fn a_reply_contains_mtu_search_domains_and_routes_with_the_default_route() {
    let offer = offer_to(STRANGER);
    let raw = |code| offer.options.raw(code).unwrap();
    assert_eq!(raw(OptionCode::InterfaceMtu), 9000_u16.to_be_bytes());
    assert_eq!(
        raw(OptionCode::DomainSearch),
        b"\x04rack\x07example\0\x07example\0"
    );
    let routes = [&[0, 10, 20, 0, 1][..], &[16, 10, 40, 10, 20, 0, 254]].concat();
    assert_eq!(raw(OptionCode::ClasslessStaticRoute), routes);
    assert_eq!(raw(OptionCode::NtpServers), [10, 20, 0, 5]);
}

#[test]
fn host_options_take_precedence_over_profile_options_and_those_over_network_options() {
    for (mac, expected) in [
        (STRANGER, ["network", "network", "network"]),
        (HOST, ["network", "profile", "host"]),
    ] {
        let offer = offer_to(mac);
        let seen = [224, 225, 226].map(|code| offer.options.text(OptionCode::Unknown(code)));
        assert_eq!(seen, expected.map(|text| Some(text.to_owned())), "{mac}");
    }
    let mtu = offer_to(HOST);
    let mtu = mtu.options.raw(OptionCode::InterfaceMtu);
    assert_eq!(mtu, Some(&1500_u16.to_be_bytes()[..]));
}
