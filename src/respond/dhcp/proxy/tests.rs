//! A proxy beside a DHCP server without boot data, from the point of view of firmware.

use crate::machine::Architecture;
use std::net::{Ipv4Addr, SocketAddrV4};

use jiff::Timestamp;

use super::super::{Delivery, DhcpReply, DhcpResponder, IgnoreReason, Ingress};
use super::*;
use crate::clients::dhcp::{BootSource, Client, ClientKind, OfferClass};
use crate::inventory::site_builder::{inventory_of, parse_text};
use crate::machine::MacAddress;
use crate::wire::dhcp::{IPXE_ENCAPSULATED, IpxeFeature, Operation, TransactionId};

const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const US: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 2);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 77);
const XID: TransactionId = TransactionId(7);
const SITE: &str = "\
kind: Site
name: rack-a
server: {address: 10.20.0.10}
networks:
  - {name: office, subnet: 10.20.0.0/24, interface: eth1, relays: [10.20.0.1], mode: proxy}
  - {name: prov0, subnet: 10.30.0.0/24, interface: eth2}
loaders: {bios: undionly.kpxe, uefi-x64: snponly.efi}
";

fn inventory(site: &str) -> Inventory {
    inventory_of(site)
}

fn key() -> StoreKey {
    StoreKey::new([7; 32])
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn ingress(network: &str) -> Ingress<'_> {
    Ingress {
        network: Some(network),
        address: US,
    }
}

fn client(kind: ClientKind) -> Client {
    Client {
        kind,
        mac: MAC,
        uuid: "4c4c4544-0051-3610-8043-c2c04f4b3135".parse().ok(),
    }
}

fn edk() -> Client {
    client(ClientKind::EdkPxe(Architecture::UefiX64))
}

fn bios() -> Client {
    client(ClientKind::BiosPxe)
}

fn http() -> Client {
    client(ClientKind::EdkHttp(Architecture::HttpX64))
}

fn ipxe(architecture: Architecture) -> Client {
    client(ClientKind::ipxe(architecture))
}

/// Returns the response of the proxy on port 67 of a network.
fn on_67(network: &str, message: &DhcpMessage) -> Response {
    let mut responder = DhcpResponder::new([]);
    let response = responder.respond(&inventory(SITE), &key(), ingress(network), message, now());
    assert_eq!(responder.leases(now()).count(), 0, "a proxy holds no lease");
    response
}

/// Returns the response of the proxy on port 4011 of a network to a client at `from`.
fn on_4011(network: Option<&str>, from: SocketAddrV4, message: &DhcpMessage) -> Response {
    let ingress = Ingress {
        network,
        address: US,
    };
    respond_as_boot_server(&inventory(SITE), &key(), ingress, from, message, now())
}

fn offer_to(client: &Client) -> DhcpReply {
    on_67("office", &client.discover(XID)).reply.unwrap()
}

/// The offer of a DHCP server without boot data.
fn address_only() -> DhcpMessage {
    let mut offer = DhcpMessage::new(Operation::Reply, MAC, XID);
    offer.your_address = ADDRESS;
    offer.options.set_message_type(MessageType::Offer);
    let options = &mut offer.options;
    options.set_address(OptionCode::ServerIdentifier, OTHER);
    options.set_address(OptionCode::SubnetMask, Ipv4Addr::new(255, 255, 255, 0));
    offer
}

fn codes(message: &DhcpMessage) -> Vec<u8> {
    message
        .options
        .iter()
        .map(|(code, _)| code.into())
        .collect()
}

#[test]
fn each_client_merges_the_two_offers_in_its_own_way() {
    let straight = |name: &str| Some(name.to_owned());
    let script = "http://10.20.0.10:8080/boot.ipxe";
    let loader = "tftp://10.20.0.10/undionly.kpxe";
    let url = "http://10.20.0.10:8080/m/";
    for (client, class, from_offer) in [
        (edk(), OfferClass::Binl { proxy: true }, None),
        (bios(), OfferClass::Pxe { proxy: true }, straight(loader)),
        (http(), OfferClass::Http { proxy: true }, straight(url)),
        (
            ipxe(Architecture::UefiX64),
            OfferClass::Pxe { proxy: true },
            straight(script),
        ),
        (
            ipxe(Architecture::Bios),
            OfferClass::Pxe { proxy: true },
            straight(script),
        ),
    ] {
        let proxy = offer_to(&client).message;
        assert_eq!(client.classify(&proxy), class, "{client:?}");
        // In either order.
        for offers in [
            [address_only(), proxy.clone()],
            [proxy.clone(), address_only()],
        ] {
            let selection = client.select(&offers).unwrap();
            assert_eq!(selection.offer.your_address, ADDRESS);
            match (&selection.boot, &from_offer) {
                (BootSource::Proxy(message), Some(expected)) => {
                    let boot = client.boot_file(message).unwrap();
                    assert!(boot.url().starts_with(expected.as_str()), "{boot:?}");
                }
                (BootSource::BootServer(server), None) => assert_eq!(*server, US),
                (other, _) => panic!("{client:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn firmware_that_uses_port_4011_gets_its_boot_file_there() {
    for (client, port, expected) in [
        (edk(), 4011, "tftp://10.20.0.10/snponly.efi"),
        (bios(), 68, "tftp://10.20.0.10/undionly.kpxe"),
        (
            ipxe(Architecture::UefiX64),
            68,
            "http://10.20.0.10:8080/boot.ipxe?token=",
        ),
    ] {
        let request = client.ask_boot_server(XID, ADDRESS, US);
        let from = SocketAddrV4::new(ADDRESS, port);
        let response = on_4011(Some("office"), from, &request);
        let DhcpReply {
            message, delivery, ..
        } = response.reply.unwrap();
        assert_eq!(delivery, Delivery::Sender);
        assert_eq!(response.commit, None);
        assert_eq!(message.options.message_type(), Some(MessageType::Ack));
        assert_eq!(message.options.server_identifier(), Some(US));
        assert_eq!(message.your_address, Ipv4Addr::UNSPECIFIED);
        assert_eq!(message.client_address, ADDRESS);
        let boot = client.boot_file(&message).unwrap();
        assert!(boot.url().starts_with(expected), "{boot:?}");
    }
}

#[test]
fn each_kind_of_firmware_gets_the_options_it_needs() {
    // Message type, server, echoed options, class; then the options that differ.
    let uefi = offer_to(&edk());
    assert_eq!(codes(&uefi.message), [53, 54, 97, 60]);
    assert_eq!(uefi.message.server_address, US);
    assert_eq!(uefi.message.boot_file, b"");
    assert_eq!(uefi.delivery, Delivery::Broadcast);

    let from = SocketAddrV4::new(ADDRESS, 4011);
    let request = edk().ask_boot_server(XID, ADDRESS, US);
    let acknowledged = on_4011(Some("office"), from, &request).reply.unwrap();
    assert_eq!(codes(&acknowledged.message), [53, 54, 97, 60, 66, 67]);
    assert_eq!(acknowledged.message.boot_file, b"snponly.efi");

    let rom = offer_to(&bios()).message;
    assert_eq!(codes(&rom), [53, 54, 97, 60, 43, 66, 67]);
    let control = rom.options.raw(OptionCode::VendorExtensions);
    assert_eq!(control, Some(&[6, 1, 8][..]));
    assert_eq!(
        (rom.server_address, &rom.boot_file[..]),
        (US, &b"undionly.kpxe"[..])
    );

    let script = offer_to(&ipxe(Architecture::UefiX64)).message;
    assert_eq!(codes(&script), [53, 54, 61, 97, 60, 66, 67]);
    assert_eq!(script.server_address, US);

    let url = offer_to(&http()).message;
    assert_eq!(codes(&url), [53, 54, 97, 60, 67]);
    let class = url.options.text(OptionCode::ClassIdentifier);
    assert_eq!(class.as_deref(), Some("HTTPClient"));
    for message in [uefi.message, acknowledged.message, rom, script, url] {
        assert_eq!(message.your_address, Ipv4Addr::UNSPECIFIED);
        let bytes = message.write(576).unwrap();
        assert_eq!(DhcpMessage::parse(&bytes), Ok(message));
    }
}

#[test]
fn the_script_carries_a_boot_token_for_this_machine() {
    let client = ipxe(Architecture::UefiX64);
    let url = client.boot_file(&offer_to(&client).message).unwrap().url();
    let (_, token) = url.split_once("?token=").unwrap();
    let good = key().check_boot_token(token, MAC, client.uuid, now());
    assert_eq!(good, Ok(()));
    let another = MacAddress::new([0x52, 0x54, 0, 0, 0, 1]);
    assert!(
        key()
            .check_boot_token(token, another, client.uuid, now())
            .is_err()
    );
}

#[test]
fn an_ipxe_without_http_gets_our_ipxe_in_the_offer() {
    let client = client(ClientKind::Ipxe {
        architecture: Architecture::UefiX64,
        features: vec![IpxeFeature::Tftp, IpxeFeature::Efi],
    });
    let proxy = offer_to(&client).message;
    assert_eq!(client.classify(&proxy), OfferClass::Pxe { proxy: true });
    let boot = client.boot_file(&proxy).unwrap();
    assert_eq!(boot.url(), "tftp://10.20.0.10/snponly.efi");
    assert!(!proxy.options.contains(IPXE_ENCAPSULATED));
}

#[test]
fn a_relayed_request_is_answered_through_the_relay_and_then_at_its_source() {
    let relay = Ipv4Addr::new(10, 20, 0, 1);
    let mut discover = edk().discover(XID);
    discover.relay_address = relay;
    let override_server: &[u8] = &[11, 4, 10, 20, 0, 1];
    let relayed_by = OptionCode::RelayAgentInformation;
    discover.options.set_raw(relayed_by, override_server);
    let offer = on_67("prov0", &discover).reply.unwrap();
    assert_eq!(
        offer.delivery,
        Delivery::Relay(SocketAddrV4::new(relay, 67))
    );
    assert_eq!(offer.message.options.raw(relayed_by), Some(override_server));
    // The client itself sends to port 4011, so the reply must contain our own address.
    assert_eq!(offer.message.options.server_identifier(), Some(US));

    let request = edk().ask_boot_server(XID, ADDRESS, US);
    let response = on_4011(None, SocketAddrV4::new(ADDRESS, 4011), &request);
    assert_eq!(response.reply.unwrap().delivery, Delivery::Sender);
}

#[test]
fn a_relay_that_is_not_listed_is_ignored_on_both_ports() {
    let mut request = edk().ask_boot_server(XID, ADDRESS, US);
    let mut discover = edk().discover(XID);
    for message in [&mut request, &mut discover] {
        message.relay_address = Ipv4Addr::new(192, 0, 2, 9);
        let link: &[u8] = &[5, 4, 10, 20, 0, 0];
        let code = OptionCode::RelayAgentInformation;
        message.options.set_raw(code, link);
    }
    let from = SocketAddrV4::new(ADDRESS, 4011);
    for network in [Some("office"), None] {
        let why = on_4011(network, from, &request).reply.unwrap_err();
        assert!(matches!(why, IgnoreReason::UnlistedRelay { .. }), "{why:?}");
    }
    let why = on_67("office", &discover).reply.unwrap_err();
    assert!(matches!(why, IgnoreReason::UnlistedRelay { .. }), "{why:?}");
}

#[test]
fn port_4011_ignores_addresses_outside_the_site() {
    let request = edk().ask_boot_server(XID, ADDRESS, US);
    for network in [Some("office"), None] {
        let outside = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 4011);
        let why = on_4011(network, outside, &request).reply.unwrap_err();
        assert_eq!(
            why.to_string(),
            "the source address 192.0.2.9 is outside the site's networks; add it to `server.allow` if \
             it needs access"
        );
    }
    // On the wire, a machine may still be without an address.
    let unset = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 4011);
    assert!(on_4011(Some("office"), unset, &request).reply.is_ok());
    assert!(on_4011(None, unset, &request).reply.is_err());
}

#[test]
fn messages_about_addresses_are_never_answered() {
    let office = "office".to_owned();
    let offer = address_only();
    let mut others = Vec::new();
    for kind in [
        MessageType::Decline,
        MessageType::Release,
        MessageType::Inform,
    ] {
        let mut message = edk().request(XID, &offer);
        message.options.set_message_type(kind);
        others.push(message);
    }
    others.push(edk().request(XID, &offer));
    // A renewal, and a request from a client that mistakes our offer for the offer of an address.
    let mut renewal = bios().request(XID, &offer);
    renewal.client_address = ADDRESS;
    others.push(renewal);
    others.push(edk().request(XID, &offer_to(&edk()).message));
    for message in others {
        let response = on_67("office", &message);
        let expected = Err(IgnoreReason::AddressesElsewhere(office.clone()));
        assert_eq!((response.commit, response.reply), (None, expected));
    }
}

#[test]
fn a_client_without_network_boot_or_boot_file_gets_no_reply() {
    let office = "office".to_owned();
    let mut laptop = edk().discover(XID);
    laptop
        .options
        .set_text(OptionCode::ClassIdentifier, "MSFT 5.0");
    let mut silent = edk().discover(XID);
    silent.options.remove(OptionCode::ClassIdentifier);
    for message in [laptop, silent] {
        let reply = on_67("office", &message).reply;
        assert_eq!(reply, Err(IgnoreReason::NoNetworkBoot(office.clone())));
    }
    let arm = client(ClientKind::EdkPxe(Architecture::UefiArm64));
    let why = IgnoreReason::NothingToBoot("the site has no loader for `uefi-arm64`".into());
    assert_eq!(on_67("office", &arm.discover(XID)).reply, Err(why));

    let site = format!("{SITE}unknown: ignore\n");
    let mut responder = DhcpResponder::new([]);
    let discover = edk().discover(XID);
    let response = responder.respond(
        &inventory(&site),
        &key(),
        ingress("office"),
        &discover,
        now(),
    );
    assert_eq!(response.reply, Err(IgnoreReason::UnknownMachine));
}

#[test]
fn port_4011_answers_only_boot_requests_of_proxy_networks() {
    let from = SocketAddrV4::new(ADDRESS, 4011);
    let refused = |network, message: &DhcpMessage| {
        let response = on_4011(Some(network), from, message);
        response.reply.unwrap_err()
    };
    let request = edk().ask_boot_server(XID, ADDRESS, US);
    assert_eq!(
        refused("prov0", &request),
        IgnoreReason::NoProxy("prov0".into())
    );
    let discover = edk().discover(XID);
    let kind = Some(MessageType::Discover);
    assert_eq!(
        refused("office", &discover),
        IgnoreReason::MessageType(kind)
    );
    let elsewhere = ipxe(Architecture::Bios).ask_boot_server(XID, ADDRESS, OTHER);
    assert_eq!(
        refused("office", &elsewhere),
        IgnoreReason::OtherServer(OTHER)
    );
    let far = on_4011(
        None,
        SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 68),
        &request,
    );
    assert!(matches!(far.reply, Err(IgnoreReason::Source(_))), "{far:?}");
}

#[test]
fn settings_that_a_proxy_network_cannot_hand_out_are_reported() {
    let text = "\
kind: Site
name: rack-a
server: {address: 10.20.0.10}
networks:
  - name: office
    subnet: 10.20.0.0/24
    mode: proxy
    pool: 10.20.0.100-10.20.0.200
    lease_time: 1h
loaders: {uefi-x64: snponly.efi}
---
kind: Bundle
name: b
arch: x86_64
files:
  kernel: {path: k, sha256: 0000000000000000000000000000000000000000000000000000000000000000, size: 1}
  initrd: {path: i, sha256: 0000000000000000000000000000000000000000000000000000000000000000, size: 1}
---
{kind: Profile, name: p, installer: preseed, bundle: b}
---
kind: Host
name: worker
profile: p
uuid: 4c4c4544-0051-3610-8043-c2c04f4b3135
arch: uefi-x64
disk: {serial: D1}
nics: [{mac: '52:54:00:12:34:56', network: office, ip: 10.20.0.150, boot: true}]
";
    let parsed = parse_text(text);
    let warnings: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|found| {
            (
                found.severity.to_string(),
                found.code,
                found.message.as_str(),
            )
        })
        .collect();
    let warning = || "warning".to_owned();
    let unused = "has no effect with `mode: proxy`: another DHCP server owns the addresses";
    assert_eq!(
        warnings,
        [
            (
                warning(),
                "not-handed-out",
                format!("`pool` {unused}").as_str()
            ),
            (
                warning(),
                "not-handed-out",
                format!("`lease_time` {unused}").as_str()
            ),
            (
                "note".to_owned(),
                "not-handed-out",
                "`10.20.0.150` is not handed out: another DHCP server owns the addresses of network `office`"
            ),
        ]
    );
    let network = &parsed.inventory.unwrap().site.networks[0];
    assert_eq!(network.mode, DhcpMode::Proxy);
}
