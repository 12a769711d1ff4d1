//! Ignored messages and NAKs, each with its reason.

use super::*;

#[test]
fn every_ignored_message_has_a_reason() {
    let offer = DhcpMessage {
        operation: Operation::Reply,
        ..message(KNOWN, MessageType::Offer)
    };
    let bootp = DhcpMessage::new(Operation::Request, KNOWN, TransactionId(7));
    let multicast = MacAddress::new([0x01, 0, 0x5e, 0, 0, 1]);
    for (message, expected) in [
        (offer, "the message is from a server"),
        (bootp, "the message is BOOTP, without a DHCP message type"),
        (message(KNOWN, MessageType::Ack), "clients do not send Ack"),
        (
            message(multicast, MessageType::Discover),
            "`chaddr` is `01:00:5e:00:00:01`, not a unicast Ethernet address",
        ),
    ] {
        let why = Bench::new().ignored(&message);
        assert_eq!(why.to_string(), expected);
    }
}

#[test]
fn a_site_with_unknown_ignore_answers_no_message_of_strangers() {
    let ignore = |text: String| text.replace("loaders:", "unknown: ignore\nloaders:");
    let mut bench = Bench::with(ignore);
    let mut inform = renew(stranger(1), pool(9));
    inform.options.set_message_type(MessageType::Inform);
    for message in [
        message(stranger(1), MessageType::Discover),
        reboot(stranger(1), pool(200)),
        renew(stranger(1), pool(200)),
        inform,
    ] {
        assert_eq!(bench.ignored(&message), IgnoreReason::UnknownMachine);
    }
    assert_eq!(bench.offered(KNOWN), Ok(RESERVED));
    assert_eq!(bench.offered(SECOND_NIC), Ok(pool(200)));
}

#[test]
fn a_missing_pool_and_an_exhausted_pool_are_reported_with_the_network() {
    let mut bench = Bench::new();
    for number in 1..=3 {
        bench.lease(&edk(stranger(number)));
    }
    let why = bench.offered(stranger(4)).unwrap_err().to_string();
    assert_eq!(why, "the pool of network `prov0` has no free address");
    bench.network = Some("bare0");
    let why = bench.offered(stranger(4)).unwrap_err().to_string();
    let expected = "network `bare0` has no pool, and no address is reserved for the machine";
    assert_eq!(why, expected);
    bench.network = None;
    let why = bench.offered(stranger(4)).unwrap_err();
    assert_eq!(why, IgnoreReason::NoNetwork(None));
}

#[test]
fn a_machine_on_the_wrong_network_gets_an_address_there_and_a_remark() {
    let mut bench = Bench::with(|text| {
        text.replace(
            "interface: eth2",
            "interface: eth2, pool: 10.21.0.5-10.21.0.6",
        )
    });
    bench.network = Some("bare0");
    let response = bench.send(&edk(KNOWN).discover(TransactionId(1)));
    let address = response.reply.unwrap().message.your_address;
    assert_eq!(address, Ipv4Addr::new(10, 21, 0, 5));
    let remark = "the machine is on network `bare0`, but the inventory has it on `prov0`";
    assert_eq!(response.exchange.remark.as_deref(), Some(remark));
}

#[test]
fn a_client_that_selects_another_server_gets_no_reply_and_frees_our_offer() {
    let mut bench = Bench::new();
    for number in 1..=3 {
        bench.offered(stranger(number)).unwrap();
    }
    assert!(bench.offered(stranger(4)).is_err());
    let mut request = reboot(stranger(2), pool(77));
    let other = pool(11);
    let code = OptionCode::ServerIdentifier;
    request.options.set_address(code, other);
    assert_eq!(bench.ignored(&request), IgnoreReason::OtherServer(other));
    assert_eq!(bench.offered(stranger(4)), Ok(pool(201)));
}

#[test]
fn a_request_for_an_unavailable_address_is_refused_with_the_reason() {
    let mut bench = Bench::new();
    bench.lease(&edk(stranger(1)));
    let nowhere = message(KNOWN, MessageType::Request);
    for (request, expected) in [
        (nowhere, "the request contains no address"),
        (
            reboot(KNOWN, Ipv4Addr::new(192, 168, 1, 7)),
            "192.168.1.7 does not belong to 10.20.0.0/24",
        ),
        (
            reboot(KNOWN, pool(0)),
            "10.20.0.0 does not belong to 10.20.0.0/24",
        ),
        (
            reboot(KNOWN, pool(200)),
            "10.20.0.200 is not this client's address; 10.20.0.58 is reserved for it",
        ),
        (
            reboot(stranger(2), pool(77)),
            "10.20.0.77 is outside the pool",
        ),
        (
            renew(stranger(2), RESERVED),
            "10.20.0.58 is outside the pool",
        ),
        (reboot(stranger(2), pool(200)), "10.20.0.200 is in use"),
        (renew(stranger(2), pool(200)), "10.20.0.200 is in use"),
    ] {
        let response = bench.send(&request);
        assert_eq!(response.commit, None);
        assert_eq!(response.exchange.remark.as_deref(), Some(expected));
        let reply = response.reply.unwrap();
        assert_eq!(kind_of(&reply.message), MessageType::Nak, "{expected}");
        let text = reply.message.options.text(OptionCode::Message);
        assert_eq!(text.as_deref(), Some(expected));
        // Even to a client with an address, because the address may be wrong. RFC 2131 §4.1.
        assert_eq!(reply.delivery, Delivery::Broadcast, "{expected}");
    }
    assert_eq!(bench.responder.leases(bench.now).count(), 1);
}

#[test]
fn a_nak_contains_only_the_server_and_the_reason() {
    let mut bench = Bench::new();
    let mut request = edk(KNOWN).discover(TransactionId(5));
    request.options.set_message_type(MessageType::Request);
    let code = OptionCode::ClientIdentifier;
    request.options.set_raw(code, [0, 1, 2]);
    let reply = bench.reply(&relayed(request, &[1, 1, 9]));
    assert_eq!(kind_of(&reply), MessageType::Nak);
    assert_eq!(codes(&reply), [53, 54, 61, 56, 82]);
    for address in [
        reply.client_address,
        reply.your_address,
        reply.server_address,
    ] {
        assert_eq!(address, Ipv4Addr::UNSPECIFIED);
    }
    assert!(reply.boot_file.is_empty() && reply.broadcast);
}
