//! A lease from its offer to its end.

use super::*;

#[test]
fn a_reserved_machine_gets_its_address_and_a_lease_that_is_committed_with_the_ack() {
    let mut bench = Bench::new();
    let client = edk(KNOWN);
    let offered = bench.send(&client.discover(TransactionId(1)));
    assert_eq!(offered.commit, None);
    let offer = offered.reply.unwrap().message;
    assert_eq!(offer.your_address, RESERVED);
    assert_eq!(bench.responder.leases(bench.now).count(), 0);

    let granted = bench.send(&client.request(TransactionId(1), &offer));
    let lease = Lease {
        address: RESERVED,
        network: "prov0".into(),
        holder: Some(KNOWN),
        expires: bench.now + Duration::from_secs(1800),
    };
    assert_eq!(granted.commit, Some(LeaseChange::Hold(lease.clone())));
    let ack = granted.reply.unwrap().message;
    assert_eq!(
        (kind_of(&ack), ack.your_address),
        (MessageType::Ack, RESERVED)
    );
    let leases: Vec<_> = bench.responder.leases(bench.now).collect();
    assert_eq!(leases, [&lease]);
    assert_eq!(granted.exchange.host.as_deref(), Some("worker-08"));
    assert_eq!(granted.exchange.remark, None);
}

#[test]
fn an_ack_contains_the_network_options_and_the_lease_times() {
    let mut bench = Bench::new();
    let (offer, ack) = bench.lease(&edk(KNOWN));
    for reply in [&offer, &ack] {
        let options = &reply.options;
        let address = |code| options.address(code).unwrap().to_string();
        assert_eq!(address(OptionCode::ServerIdentifier), "10.20.0.10");
        assert_eq!(address(OptionCode::SubnetMask), "255.255.255.0");
        assert_eq!(address(OptionCode::BroadcastAddr), "10.20.0.255");
        assert_eq!(address(OptionCode::Router), "10.20.0.1");
        assert_eq!(address(OptionCode::DomainNameServer), "10.20.0.11");
        assert_eq!(address(OptionCode::NtpServers), "10.20.0.12");
        assert_eq!(
            options.text(OptionCode::DomainName).unwrap(),
            "test.example"
        );
        assert_eq!(options.host_name().unwrap(), "worker-08");
        let seconds = |code| options.duration(code).unwrap().as_secs();
        assert_eq!(seconds(OptionCode::AddressLeaseTime), 1800);
        assert_eq!(seconds(OptionCode::Renewal), 900);
        assert_eq!(seconds(OptionCode::Rebinding), 1575);
    }
}

#[test]
fn a_stranger_gets_an_address_of_the_pool_and_the_same_one_again() {
    let mut bench = Bench::new();
    let (offer, ack) = bench.lease(&edk(stranger(1)));
    assert_eq!(offer.your_address, pool(200));
    assert_eq!(ack.your_address, pool(200));
    assert_eq!(ack.options.host_name(), None);
    let (_, other) = bench.lease(&edk(stranger(2)));
    assert_eq!(other.your_address, pool(201));
    // Long after its lease has expired, the client still gets the same address.
    bench.wait(100_000);
    let (_, again) = bench.lease(&edk(stranger(1)));
    assert_eq!(again.your_address, pool(200));
}

#[test]
fn a_nic_without_a_reservation_gets_an_address_of_the_pool() {
    let mut bench = Bench::new();
    assert_eq!(bench.offered(SECOND_NIC), Ok(pool(200)));
}

#[test]
fn a_client_may_request_a_free_address_of_the_pool() {
    let mut bench = Bench::new();
    let mut discover = edk(stranger(1)).discover(TransactionId(1));
    let code = OptionCode::RequestedIpAddress;
    for (wish, expected) in [(pool(202), pool(202)), (pool(9), pool(202))] {
        discover.options.set_address(code, wish);
        assert_eq!(bench.reply(&discover).your_address, expected, "{wish}");
    }
    let mut other = edk(stranger(2)).discover(TransactionId(1));
    other.options.set_address(code, pool(202));
    assert_eq!(bench.reply(&other).your_address, pool(200));
}

#[test]
fn a_retransmit_gets_the_identical_answer() {
    for mac in [KNOWN, stranger(1)] {
        let mut bench = Bench::new();
        let client = edk(mac);
        let discover = client.discover(TransactionId(9));
        let offer = bench.send(&discover);
        bench.wait(4);
        assert_eq!(bench.send(&discover), offer);
        let offer = offer.reply.unwrap().message;
        let request = client.request(TransactionId(9), &offer);
        let ack = bench.send(&request).reply;
        bench.wait(4);
        let again = bench.send(&request);
        assert_eq!(again.reply, ack);
        let Some(LeaseChange::Hold(lease)) = again.commit else {
            panic!("a promise repeated is a promise prolonged");
        };
        assert_eq!(lease.expires, bench.now + Duration::from_secs(1800));
    }
}

#[test]
fn an_unused_offer_expires_after_a_minute() {
    let mut bench = Bench::new();
    for number in 1..=3 {
        bench.offered(stranger(number)).unwrap();
    }
    let exhausted = Err(IgnoreReason::PoolExhausted("prov0".into()));
    assert_eq!(bench.offered(stranger(4)), exhausted);
    bench.wait(59);
    assert_eq!(bench.offered(stranger(4)), exhausted);
    bench.wait(1);
    assert_eq!(bench.offered(stranger(4)), Ok(pool(200)));
}

#[test]
fn a_lease_expires_to_the_second_and_the_address_unused_longest_is_offered_first() {
    let mut bench = Bench::new();
    for number in 1..=3 {
        bench.lease(&edk(stranger(number)));
    }
    bench.wait(1799);
    let exhausted = Err(IgnoreReason::PoolExhausted("prov0".into()));
    assert_eq!(bench.offered(stranger(4)), exhausted);
    bench.wait(1);
    assert_eq!(bench.responder.leases(bench.now).count(), 0);
    assert_eq!(bench.offered(stranger(4)), Ok(pool(200)));
    // The second client wakes up: it keeps an address that no other client took.
    assert_eq!(bench.offered(stranger(2)), Ok(pool(201)));
    assert_eq!(bench.offered(stranger(5)), Ok(pool(202)));
}

#[test]
fn renewing_and_rebinding_extend_a_lease() {
    let mut bench = Bench::new();
    bench.lease(&edk(stranger(1)));
    for (wait, broadcast) in [(900, false), (1575, true)] {
        bench.wait(wait);
        let mut request = renew(stranger(1), pool(200));
        request.broadcast = broadcast;
        let response = bench.send(&request);
        let reply = response.reply.unwrap();
        assert_eq!(kind_of(&reply.message), MessageType::Ack);
        assert_eq!(reply.message.your_address, pool(200));
        assert_eq!(reply.message.client_address, pool(200));
        let to = SocketAddrV4::new(pool(200), 68);
        assert_eq!(reply.delivery, Delivery::Unicast(to));
        let lease = bench.responder.leases(bench.now).next().unwrap();
        assert_eq!(lease.expires, bench.now + Duration::from_secs(1800));
    }
}

#[test]
fn a_client_that_restarts_keeps_its_address_even_when_we_have_lost_its_lease() {
    for (mac, address) in [(KNOWN, RESERVED), (stranger(1), pool(201))] {
        let mut bench = Bench::new();
        let response = bench.send(&reboot(mac, address));
        let reply = response.reply.unwrap();
        assert_eq!(kind_of(&reply.message), MessageType::Ack);
        assert_eq!(reply.message.your_address, address);
        assert!(matches!(response.commit, Some(LeaseChange::Hold(_))));
        assert_eq!(reply.delivery, Delivery::Hardware { mac, address });
    }
}

#[test]
fn the_leases_of_the_store_are_kept_after_a_restart_of_the_server() {
    let mut bench = Bench::new();
    for number in 1..=2 {
        bench.lease(&edk(stranger(number)));
    }
    let leases: Vec<Lease> = bench.responder.leases(bench.now).cloned().collect();
    bench.responder = DhcpResponder::new(leases);
    assert_eq!(bench.offered(stranger(3)), Ok(pool(202)));
    assert_eq!(bench.offered(stranger(2)), Ok(pool(201)));
}

#[test]
fn a_declined_address_is_set_aside_for_an_hour_and_the_decline_gets_no_answer() {
    let mut bench = Bench::new();
    bench.lease(&edk(stranger(1)));
    let response = bench.send(&decline(stranger(1), pool(200)));
    assert_eq!(response.reply, Err(IgnoreReason::NeverAnswered));
    let lease = Lease {
        address: pool(200),
        network: "prov0".into(),
        holder: None,
        expires: bench.now + Duration::from_secs(3600),
    };
    assert_eq!(response.commit, Some(LeaseChange::Hold(lease)));
    let remark = "another machine uses 10.20.0.200; the address is set aside for an hour";
    assert_eq!(response.exchange.remark.as_deref(), Some(remark));
    // Its client gets another address; the declined address stays unused for an hour.
    assert_eq!(bench.lease(&edk(stranger(1))).1.your_address, pool(201));
    bench.lease(&edk(stranger(2)));
    bench.wait(3599);
    assert_eq!(bench.offered(stranger(3)), Ok(pool(201)));
    assert_eq!(bench.offered(stranger(4)), Ok(pool(202)));
    let exhausted = Err(IgnoreReason::PoolExhausted("prov0".into()));
    assert_eq!(bench.offered(stranger(5)), exhausted);
    bench.wait(1);
    assert_eq!(bench.offered(stranger(5)), Ok(pool(200)));
}

#[test]
fn only_the_holder_declines_an_address_and_a_declined_reservation_is_only_logged() {
    let mut bench = Bench::new();
    bench.lease(&edk(stranger(1)));
    bench.lease(&edk(KNOWN));
    let foreign = decline(stranger(2), pool(200));
    assert_eq!(bench.ignored(&foreign), IgnoreReason::NeverAnswered);
    let response = bench.send(&decline(KNOWN, RESERVED));
    assert_eq!(response.commit, None);
    let remark = "10.20.0.58 is reserved for this client, but another machine uses it";
    assert_eq!(response.exchange.remark.as_deref(), Some(remark));
    assert_eq!(bench.offered(KNOWN), Ok(RESERVED));
}

#[test]
fn a_released_address_is_free_at_once_and_only_its_holder_releases_it() {
    let mut bench = Bench::new();
    for number in 1..=3 {
        bench.lease(&edk(stranger(number)));
    }
    let foreign = release(stranger(2), pool(200));
    assert_eq!(bench.ignored(&foreign), IgnoreReason::NeverAnswered);
    let exhausted = Err(IgnoreReason::PoolExhausted("prov0".into()));
    assert_eq!(bench.offered(stranger(4)), exhausted);
    let response = bench.send(&release(stranger(1), pool(200)));
    assert_eq!(response.reply, Err(IgnoreReason::NeverAnswered));
    assert_eq!(response.commit, Some(LeaseChange::Release(pool(200))));
    let remark = response.exchange.remark.as_deref();
    assert_eq!(remark, Some("10.20.0.200 is free again"));
    assert_eq!(bench.offered(stranger(4)), Ok(pool(200)));
}

#[test]
fn an_inform_gets_the_options_without_address_and_lease() {
    let mut bench = Bench::new();
    let mut inform = edk(KNOWN).discover(TransactionId(3));
    inform.options.set_message_type(MessageType::Inform);
    inform.client_address = pool(77);
    let response = bench.send(&inform);
    assert_eq!(response.commit, None);
    let reply = response.reply.unwrap();
    let to = SocketAddrV4::new(pool(77), 68);
    assert_eq!(reply.delivery, Delivery::Unicast(to));
    let message = reply.message;
    assert_eq!(kind_of(&message), MessageType::Ack);
    assert_eq!(message.client_address, pool(77));
    assert_eq!(message.your_address, Ipv4Addr::UNSPECIFIED);
    let codes = codes(&message);
    // The client chooses the destination of the answer, so it contains no boot file and no token.
    for absent in [51, 58, 59, 66, 67] {
        assert!(!codes.contains(&absent), "{absent}");
    }
    for present in [1, 3, 6, 54] {
        assert!(codes.contains(&present), "{present}");
    }
    assert_eq!(bench.responder.leases(bench.now).count(), 0);
}

#[test]
fn a_flood_of_random_addresses_is_bounded_and_known_machines_are_served() {
    let mut bench = Bench::new();
    bench.lease(&edk(KNOWN));
    bench.lease(&edk(stranger(0)));
    for number in 1..50_000 {
        let _ = bench.offered(stranger(number));
        // A slow flood: the earlier offers have expired each time.
        bench.wait(61);
        if number % 20 == 0 {
            let request = renew(stranger(0), pool(200));
            assert_eq!(kind_of(&bench.reply(&request)), MessageType::Ack);
        }
    }
    let (addresses, offers) = bench.responder.leases.size();
    assert!(addresses <= 4097, "{addresses}");
    assert!(offers <= 4, "{offers}");
    assert_eq!(bench.offered(KNOWN), Ok(RESERVED));
    assert_eq!(bench.offered(stranger(0)), Ok(pool(200)));
}
