//! The network of a client, the destination of its reply, and the options for its relay.

use super::*;

const FAR: Ipv4Addr = Ipv4Addr::new(10, 22, 0, 200);

#[test]
fn a_relayed_client_gets_an_address_of_the_relays_network_through_the_relay() {
    for network in [Some("prov0"), Some("bare0"), None] {
        let mut bench = Bench::new();
        bench.network = network;
        let information = [1, 4, 0, 0, 0, 9, 2, 3, 0xff, 0, 0xff];
        let discover = edk(stranger(1)).discover(TransactionId(1));
        let response = bench.send(&relayed(discover, &information));
        let reply = response.reply.unwrap();
        let to = SocketAddrV4::new(RELAY, 67);
        assert_eq!(reply.delivery, Delivery::Relay(to));
        let message = reply.message;
        assert_eq!((message.your_address, message.relay_address), (FAR, RELAY));
        // Unchanged, and the last option.
        let (code, bytes) = message.options.iter().last().unwrap();
        assert_eq!(code, OptionCode::RelayAgentInformation);
        assert_eq!(bytes, information);
    }
}

#[test]
fn option_82_5_selects_the_network_else_118_else_the_relay_address() {
    let (prov, far) = (pool(200), FAR);
    let subnet_of_prov = [10, 20, 0, 0];
    let link = [5, 4, 10, 20, 0, 0];
    let far_link = [5, 4, 10, 22, 0, 0];
    let nowhere = [5, 4, 10, 99, 0, 0];
    for (information, selection, expected) in [
        (&[][..], None, Ok(far)),
        (&link, None, Ok(prov)),
        (&[], Some(subnet_of_prov), Ok(prov)),
        (&far_link, Some(subnet_of_prov), Ok(far)),
        (
            &nowhere,
            None,
            Err(IgnoreReason::NoNetwork(Some(Ipv4Addr::new(10, 99, 0, 0)))),
        ),
    ] {
        let mut bench = Bench::with_relay();
        bench.network = None;
        let mut discover = relayed(message(stranger(1), MessageType::Discover), information);
        if let Some(subnet) = selection {
            let code = OptionCode::SubnetSelection;
            discover.options.set_raw(code, subnet);
        }
        let reply = bench.send(&discover).reply;
        let address = reply.map(|reply| reply.message.your_address);
        assert_eq!(address, expected, "{information:?} {selection:?}");
    }
}

#[test]
fn a_relay_may_name_the_server_address_by_which_the_client_selects_us() {
    let mut bench = Bench::with_relay();
    let information = [11, 4, 10, 22, 0, 1];
    let client = edk(stranger(1));
    let discover = relayed(client.discover(TransactionId(1)), &information);
    let offer = bench.reply(&discover);
    assert_eq!(offer.options.server_identifier(), Some(RELAY));
    // The boot data still names the server that has the files.
    assert_eq!(offer.server_address, SERVER);
    let request = relayed(client.request(TransactionId(1), &offer), &information);
    let ack = bench.reply(&request);
    assert_eq!(kind_of(&ack), MessageType::Ack);
    assert_eq!(ack.options.server_identifier(), Some(RELAY));
}

#[test]
fn a_client_behind_a_relay_renews_through_a_router() {
    let mut bench = Bench::new();
    let client = edk(stranger(1));
    let offer = bench.reply(&relayed(client.discover(TransactionId(1)), &[]));
    bench.reply(&relayed(client.request(TransactionId(1), &offer), &[]));
    // The message reaches one of our addresses, on the interface of no network.
    bench.network = None;
    bench.wait(900);
    let reply = bench.send(&renew(stranger(1), FAR)).reply.unwrap();
    assert_eq!(kind_of(&reply.message), MessageType::Ack);
    let to = SocketAddrV4::new(FAR, 68);
    assert_eq!(reply.delivery, Delivery::Unicast(to));
    // A NAK goes there too: our broadcasts do not pass a router.
    let foreign = bench.send(&renew(stranger(2), FAR)).reply.unwrap();
    assert_eq!(kind_of(&foreign.message), MessageType::Nak);
    assert_eq!(foreign.delivery, Delivery::Unicast(to));
    let released = bench.send(&release(stranger(1), FAR));
    assert_eq!(released.commit, Some(LeaseChange::Release(FAR)));
}

#[test]
fn a_renewal_through_a_router_belongs_to_the_network_of_its_client_address() {
    let mut bench = Bench::new();
    bench.lease(&edk(stranger(1)));
    bench.network = None;
    let reply = bench.send(&renew(stranger(1), pool(200))).reply.unwrap();
    assert_eq!(kind_of(&reply.message), MessageType::Ack);
    let foreign = bench.send(&renew(stranger(2), pool(200)));
    assert_eq!(foreign.exchange.network.as_deref(), Some("prov0"));
    let foreign = foreign.reply.unwrap();
    assert_eq!(kind_of(&foreign.message), MessageType::Nak);
    // On the interface of its own network.
    assert_eq!(foreign.delivery, Delivery::Broadcast);
}

#[test]
fn a_client_that_rebinds_on_one_of_our_wires_is_on_that_wire() {
    let mut bench = Bench::new();
    let client = edk(stranger(1));
    let offer = bench.reply(&relayed(client.discover(TransactionId(1)), &[]));
    bench.reply(&relayed(client.request(TransactionId(1), &offer), &[]));
    // The machine was moved from behind the relay to one of our wires, and broadcasts its request.
    let reply = bench.send(&renew(stranger(1), FAR)).reply.unwrap();
    assert_eq!(kind_of(&reply.message), MessageType::Nak);
    assert_eq!(reply.delivery, Delivery::Broadcast);
    // Behind the relay, the same request is valid.
    let reply = bench.send(&relayed(renew(stranger(1), FAR), &[])).reply;
    assert_eq!(kind_of(&reply.unwrap().message), MessageType::Ack);
}

#[test]
fn the_reply_echoes_the_subnet_selection_that_was_used() {
    let code = OptionCode::SubnetSelection;
    let mut discover = message(stranger(1), MessageType::Discover);
    discover.options.set_raw(code, [10, 20, 0, 0]);
    let mut bench = Bench::with_relay();
    let behind = bench.reply(&relayed(discover.clone(), &[1, 1, 7]));
    assert_eq!(behind.options.raw(code), Some(&[10, 20, 0, 0][..]));
    assert_eq!(codes(&behind).last(), Some(&82));
    // A client without a relay cannot select a network.
    bench.network = Some("far0");
    let alone = bench.reply(&discover);
    assert_eq!(alone.your_address.octets()[..3], [10, 22, 0]);
    assert_eq!(alone.options.raw(code), None);
}

#[test]
fn a_switch_that_adds_option_82_without_relaying_gets_it_back() {
    let mut discover = edk(stranger(1)).discover(TransactionId(1));
    let information = [1, 2, 0, 9, 5, 4, 10, 22, 0, 0, 11, 4, 10, 22, 0, 1];
    let code = OptionCode::RelayAgentInformation;
    discover.options.set_raw(code, information);
    let offer = Bench::new().reply(&discover);
    // Only a relay may state the link and the server.
    assert_eq!(offer.your_address, pool(200));
    assert_eq!(offer.options.server_identifier(), Some(SERVER));
    let last = offer.options.iter().last();
    assert_eq!(last, Some((code, &information[..])));
}

#[test]
fn a_client_that_moved_to_another_wire_does_not_keep_its_old_address() {
    let mut bench = Bench::new();
    bench.lease(&edk(stranger(1)));
    bench.network = Some("bare0");
    let reply = bench.reply(&renew(stranger(1), pool(200)));
    assert_eq!(kind_of(&reply), MessageType::Nak);
}

#[test]
fn a_reply_is_delivered_where_the_client_can_receive_it() {
    let address = pool(200);
    let ciaddr = pool(77);
    let relay = Delivery::Relay(SocketAddrV4::new(RELAY, 67));
    let unicast = Delivery::Unicast(SocketAddrV4::new(ciaddr, 68));
    let hardware = Delivery::Hardware {
        mac: KNOWN,
        address,
    };
    let none = Ipv4Addr::UNSPECIFIED;
    // giaddr, ciaddr, broadcast flag, yiaddr, kind of reply
    for (giaddr, client, broadcast, yiaddr, kind, expected) in [
        (RELAY, ciaddr, true, address, MessageType::Ack, relay),
        (RELAY, none, false, none, MessageType::Nak, relay),
        (none, ciaddr, true, address, MessageType::Ack, unicast),
        (none, ciaddr, false, none, MessageType::Ack, unicast),
        (
            none,
            ciaddr,
            false,
            none,
            MessageType::Nak,
            Delivery::Broadcast,
        ),
        (
            none,
            none,
            true,
            address,
            MessageType::Offer,
            Delivery::Broadcast,
        ),
        (none, none, false, address, MessageType::Offer, hardware),
        (none, none, false, address, MessageType::Ack, hardware),
        (
            none,
            none,
            false,
            none,
            MessageType::Ack,
            Delivery::Broadcast,
        ),
    ] {
        let mut request = message(KNOWN, MessageType::Request);
        request.relay_address = giaddr;
        request.client_address = client;
        request.broadcast = broadcast;
        let mut reply = message(KNOWN, kind);
        reply.your_address = yiaddr;
        let row = (giaddr, client, broadcast, yiaddr, kind);
        assert_eq!(delivery(&request, &reply, false), expected, "{row:?}");
    }
}
