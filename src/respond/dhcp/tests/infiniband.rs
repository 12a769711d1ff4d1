//! InfiniBand clients: no hardware address, a client identifier with the GUID of the port.

use super::*;
use crate::machine::HardwareAddress;

const GUID: [u8; 8] = [0, 2, 0xc9, 3, 0, 0, 0x10, 0x39];
const SPOKEN: &str = "00:02:c9:03:00:00:10:39";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 70);

/// Adds a host with one InfiniBand port.
fn with_port(text: String) -> String {
    text + r#"---
kind: Host
name: compute-01
profile: worker
uuid: 4c4c4544-0051-3610-8043-c2c04f4b3138
arch: uefi-x64
nics: [{guid: "0x0002c90300001039", network: prov0, ip: 10.20.0.70, boot: true}]
disk: {serial: D}
"#
}

/// A message of a port: `htype` 32, `hlen` 0, no `chaddr`.
fn over_infiniband(mut message: DhcpMessage, guid: [u8; 8]) -> DhcpMessage {
    message.hardware_type = 32;
    message.hardware_address = HardwareAddress::new(0, [0; 16]);
    message.broadcast = false;
    let start = [255, 0, 0, 0, 0, 0, 3, 0, 32];
    let prefix = [0x80, 0, 0, 0x48, 0xfe, 0x80, 0, 0, 0, 0, 0, 0];
    let identifier = [&start[..], &prefix, &guid].concat();
    let code = OptionCode::ClientIdentifier;
    message.options.set_raw(code, identifier);
    message
}

fn discover(guid: [u8; 8]) -> DhcpMessage {
    over_infiniband(edk(KNOWN).discover(TransactionId(7)), guid)
}

#[test]
fn a_port_gets_the_address_that_is_reserved_for_its_guid_and_every_reply_is_broadcast() {
    let mut bench = Bench::with(with_port);
    let response = bench.send(&discover(GUID));
    assert_eq!(response.exchange.host.as_deref(), Some("compute-01"));
    let named = response.exchange.guid.map(|guid| guid.to_string());
    assert_eq!(named.as_deref(), Some(SPOKEN));
    let offer = response.reply.unwrap();
    assert_eq!(offer.delivery, Delivery::Broadcast);
    assert_eq!(offer.message.your_address, ADDRESS);
    assert_eq!(offer.message.boot_file, b"snponly.efi");

    let mut request = edk(KNOWN).request(TransactionId(7), &offer.message);
    request = over_infiniband(request, GUID);
    let response = bench.send(&request);
    assert!(matches!(
        response.commit,
        Some(LeaseChange::Hold(Lease {
            address: ADDRESS,
            ..
        }))
    ));
    let ack = response.reply.unwrap();
    assert_eq!(ack.delivery, Delivery::Broadcast);
    assert_eq!(kind_of(&ack.message), MessageType::Ack);
    // The reply repeats `htype`, `hlen`, `chaddr` and the identifier, and its flag reaches a relay.
    let bytes = ack.message.write(ack.limit).unwrap();
    assert_eq!((bytes[1], bytes[2], &bytes[28..44]), (32, 0, &[0; 16][..]));
    assert_eq!(bytes[10], 0x80);
    let code = OptionCode::ClientIdentifier;
    assert_eq!(ack.message.options.raw(code), request.options.raw(code));
}

#[test]
fn an_ethernet_address_in_chaddr_is_not_a_place_to_send_to_on_infiniband() {
    let mut discover = discover(GUID);
    // FlexBoot and iPXE write the address that stands for the port.
    discover.hardware_address = "00:02:c9:00:10:39".parse::<MacAddress>().unwrap().into();
    let reply = Bench::with(with_port).send(&discover).reply.unwrap();
    assert_eq!(reply.delivery, Delivery::Broadcast);
    assert_eq!(reply.message.your_address, ADDRESS);
}

#[test]
fn an_unknown_port_gets_an_address_from_the_pool_and_each_port_its_own() {
    let mut bench = Bench::with(with_port);
    // The last one differs from the known port only in a byte that its Ethernet address lacks.
    let guids = [
        [0, 2, 0xc9, 3, 0, 0, 0x10, 0x40],
        [0, 2, 0xc9, 3, 9, 0, 0x10, 0x39],
    ];
    for (guid, last) in guids.into_iter().zip([200, 201]) {
        let response = bench.send(&discover(guid));
        assert_eq!(response.exchange.host, None);
        let reply = response.reply.unwrap();
        assert_eq!(reply.message.your_address, pool(last));
        assert_eq!(reply.delivery, Delivery::Broadcast);
    }
}

#[test]
fn a_port_that_does_not_send_its_guid_is_ignored_with_the_reason() {
    let mut bench = Bench::with(with_port);
    let mut silent = discover(GUID);
    silent.options.remove(OptionCode::ClientIdentifier);
    let why = bench.ignored(&silent).to_string();
    let expected = "the client is on an InfiniBand network, and sends no client identifier (61)";
    assert_eq!(why, expected);
    let code = OptionCode::ClientIdentifier;
    silent.options.set_raw(code, [255, 1, 2, 3, 4, 0, 4, 9]);
    let why = bench.ignored(&silent).to_string();
    let expected = "the client is on an InfiniBand network, and its client identifier (61) \
                    `ff01020304000409` contains no port GUID";
    assert_eq!(why, expected);
}

#[test]
fn a_port_has_a_guid_and_may_have_an_ethernet_address_and_both_are_unique() {
    let errors = |nics: &str| {
        let text = with_port(INVENTORY.to_owned());
        let text = text.replace(
            "nics: [{guid: \"0x0002c90300001039\",",
            &format!("nics: [{nics}{{guid: \"0x0002c90300001039\","),
        );
        let parsed = crate::inventory::site_builder::parse_text(text);
        let all = parsed.diagnostics.into_iter();
        let errors = all.filter(|it| it.severity == crate::inventory::Severity::Error);
        errors.map(|found| found.message).collect::<Vec<_>>()
    };
    assert!(errors("").is_empty());
    assert!(
        errors("{guid: 0x0002c90300001040, mac: '52:54:00:12:00:09', network: prov0},").is_empty()
    );
    for (nics, expected) in [
        (
            "{guid: '00:02:c9:03:00:00:10:39', mac: '52:54:00:12:00:09', network: prov0},",
            "duplicate port GUID `00:02:c9:03:00:00:10:39`",
        ),
        (
            "{guid: 0x0002c903, network: prov0},",
            "`0x0002c903` is not a port GUID such as `0x0002c90300001039`",
        ),
        ("{network: prov0},", "this NIC has no `mac`"),
    ] {
        assert_eq!(errors(nics), [expected]);
    }
}
