use proptest::prelude::*;

use super::*;

/// A stranger, as `NETWORK.HOST` of 203.0.0.0/16, and a port.
fn stranger(network: u8, host: u8, port: u16) -> SlotClaim {
    SlotClaim {
        peer: SocketAddrV4::new(Ipv4Addr::new(203, 0, network, host), port),
        known: false,
        owner: 0,
    }
}

/// A machine of the site.
fn machine(host: u8, port: u16) -> SlotClaim {
    SlotClaim {
        peer: SocketAddrV4::new(Ipv4Addr::new(10, 20, 0, host), port),
        known: true,
        owner: 0,
    }
}

/// Takes a slot; returns it with the client that lost it.
fn take(slots: &mut TransferSlots, claim: SlotClaim) -> (TransferSlot, Option<SlotClaim>) {
    let (slot, displaced) = slots.take(claim).expect("a slot");
    (slot, displaced.map(|(_, claim)| claim))
}

#[test]
fn clients_without_a_response_lose_their_slots_oldest_first() {
    let mut slots = TransferSlots::new(2, 16);
    let [first, second, third] = [1, 2, 3].map(|network| stranger(network, 1, 1));
    assert_eq!(take(&mut slots, first).1, None);
    assert_eq!(take(&mut slots, second).1, None);
    assert_eq!(take(&mut slots, third).1, Some(first));
    assert_eq!(take(&mut slots, first).1, Some(second));
}

#[test]
fn the_network_with_most_clients_without_a_response_loses_a_slot_first() {
    let mut slots = TransferSlots::new(4, 16);
    let honest = stranger(1, 1, 1);
    take(&mut slots, honest);
    for host in 1..=3 {
        take(&mut slots, stranger(2, host, 1));
    }
    for host in 4..=200 {
        let (_, displaced) = take(&mut slots, stranger(2, host, 1));
        assert_eq!(displaced, Some(stranger(2, host - 3, 1)));
    }
}

#[test]
fn a_client_that_responded_does_not_lose_its_slot_to_strangers() {
    let mut slots = TransferSlots::new(1, 16);
    let (slot, _) = take(&mut slots, stranger(1, 1, 1));
    slots.answered(slot, stranger(1, 1, 1));
    assert_eq!(slots.take(stranger(2, 1, 1)), None);
    // A machine of the site takes precedence.
    let (own, displaced) = take(&mut slots, machine(51, 1));
    assert_eq!(displaced, Some(stranger(1, 1, 1)));
    slots.answered(own, machine(51, 1));
    assert_eq!(slots.take(stranger(2, 1, 1)), None);
    assert_eq!(slots.take(machine(52, 1)), None);
    slots.free(own);
    assert!(slots.take(machine(52, 1)).is_some());
}

#[test]
fn a_machine_of_the_site_gets_a_slot_despite_forged_requests() {
    for forged in [
        |number: u8| stranger(number, 1, 1),
        |number: u8| machine(number, 1),
        |number: u8| machine(51, u16::from(number) + 2),
    ] {
        let mut slots = TransferSlots::new(8, 4);
        for number in 0..100 {
            slots.take(forged(number));
        }
        let (slot, _) = take(&mut slots, machine(51, 1));
        assert!(slots.holds(slot));
        slots.answered(slot, machine(51, 1));
        for number in 0..=255 {
            slots.take(forged(number));
        }
        assert!(slots.holds(slot));
    }
}

#[test]
fn a_machine_with_many_slots_loses_one_to_a_machine_without_a_slot() {
    let mut slots = TransferSlots::new(4, 16);
    for port in 1..=4 {
        let (slot, _) = take(&mut slots, machine(51, port));
        slots.answered(slot, machine(51, port));
    }
    assert_eq!(slots.take(machine(51, 5)), None);
    assert_eq!(take(&mut slots, machine(52, 1)).1, Some(machine(51, 1)));
}

#[test]
fn an_address_has_a_limit_and_loopback_has_none() {
    let mut slots = TransferSlots::new(100, 2);
    let (first, _) = take(&mut slots, stranger(1, 1, 1));
    take(&mut slots, stranger(1, 1, 2));
    // Only its own oldest slot without a response is displaced.
    assert_eq!(
        take(&mut slots, stranger(1, 1, 3)).1,
        Some(stranger(1, 1, 1))
    );
    assert!(!slots.holds(first));
    let mut slots = TransferSlots::new(100, 2);
    for port in 1..=2 {
        let (slot, _) = take(&mut slots, machine(51, port));
        slots.answered(slot, machine(51, port));
    }
    assert_eq!(slots.take(machine(51, 3)), None);
    for port in 1..=3 {
        let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        assert!(
            slots
                .take(SlotClaim {
                    peer,
                    ..stranger(0, 0, 0)
                })
                .is_some()
        );
    }
}

#[test]
fn a_response_that_crosses_the_loss_of_the_slot_keeps_it() {
    let mut slots = TransferSlots::new(1, 16);
    let (slot, _) = take(&mut slots, machine(51, 1));
    take(&mut slots, machine(52, 1));
    assert!(!slots.holds(slot));
    slots.answered(slot, machine(51, 1));
    assert!(slots.holds(slot));
    assert_eq!(slots.free(slot), Some(machine(51, 1)));
    assert_eq!(slots.free(slot), None);
}

proptest! {
    /// In any order of events, the limits hold, and the table is empty at the end.
    #[test]
    fn slots_are_bounded_and_given_back(
        steps in prop::collection::vec((0..3u8, 0..6u8, 0..4u16, any::<bool>()), 0..200),
    ) {
        let mut slots = TransferSlots::new(5, 2);
        let mut taken = Vec::new();
        for (step, host, port, known) in steps {
            let claim = if known { machine(host, port) } else { stranger(host, 1, port) };
            match step {
                0 => {
                    if let Some((slot, displaced)) = slots.take(claim) {
                        taken.retain(|(it, _)| displaced.is_none_or(|(lost, _)| lost != *it));
                        taken.push((slot, claim));
                    }
                }
                1 => {
                    if let Some((slot, claim)) = taken.last() {
                        slots.answered(*slot, *claim);
                    }
                }
                _ => {
                    if let Some((slot, claim)) = taken.pop() {
                        prop_assert_eq!(slots.free(slot), Some(claim));
                    }
                }
            }
            prop_assert_eq!(slots.holders.len(), taken.len());
            prop_assert!(taken.len() <= 5);
            prop_assert!(slots.addresses.values().all(|of_one| of_one.len() <= 2));
        }
        for (slot, _) in taken {
            slots.free(slot);
        }
        let groups = [
            &slots.waiting_strangers, &slots.waiting_known,
            &slots.answered_strangers, &slots.answered_known,
        ];
        prop_assert!(groups.iter().all(|it| it.slots.is_empty() && it.order.is_empty()));
        prop_assert!(slots.addresses.is_empty());
    }
}
