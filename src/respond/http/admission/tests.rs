use super::*;

const LIMITS: ConnectionLimits = ConnectionLimits {
    total: 8,
    reserved: 2,
    of_one: 4,
    waiting_of_one: 3,
};

/// A table and its clock.
struct Table {
    admission: ConnectionAdmission,
    now: Instant,
}

impl Table {
    fn new(limits: ConnectionLimits) -> Self {
        Self {
            admission: ConnectionAdmission::new(limits),
            now: Instant::now(),
        }
    }

    fn try_open(
        &mut self,
        address: &str,
        origin: ConnectionOrigin,
    ) -> Result<AdmittedConnection, ConnectionRefusal> {
        self.now += Duration::from_millis(10);
        let address = address.parse().unwrap();
        self.admission.open(address, origin, self.now)
    }

    /// Opens a stranger's connection, shortly after the previous one.
    fn open(&mut self, address: &str) -> AdmittedConnection {
        self.try_open(address, ConnectionOrigin::Stranger).unwrap()
    }

    fn progress(&mut self, id: ConnectionId) {
        self.admission.progress(id, self.now);
    }

    fn finish(&mut self, id: ConnectionId) {
        self.admission.finish(id, self.now);
    }

    /// Opens a stranger's connection with a response that makes progress.
    fn busy(&mut self, address: &str) -> ConnectionId {
        let opened = self.open(address);
        assert!(self.admission.begin(opened.id));
        self.progress(opened.id);
        opened.id
    }
}

#[test]
fn the_largest_network_loses_the_oldest_connection_of_its_largest_address() {
    let mut table = Table::new(LIMITS);
    // The oldest connection is the only one of its network.
    let alone = table.open("10.0.0.1").id;
    let ids = ["10.1.0.1", "10.1.0.2", "10.1.0.2", "10.2.0.1", "10.2.0.2"]
        .map(|address| table.open(address).id);
    // 10.1.0.0/24 has three connections, two of them from 10.1.0.2.
    assert_eq!(table.open("10.3.0.1").evicted, Some(ids[1]));
    // Now both networks have two, and those of 10.1.0.0/24 are older.
    assert_eq!(table.open("10.4.0.1").evicted, Some(ids[0]));
    assert_eq!(table.open("10.5.0.1").evicted, Some(ids[3]));
    // Each network has one connection.
    assert_eq!(table.open("10.6.0.1").evicted, Some(alone));
    assert_eq!(table.admission.len(), 6);
}

#[test]
fn ipv6_counts_by_the_network_of_a_site() {
    for (address, network) in [
        ("10.99.3.7", "10.99.3.0/24"),
        ("::ffff:10.99.3.7", "10.99.3.0/24"),
        ("2001:db8:1:2345::1", "2001:db8:1:2300::/56"),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(AddressGroup::of(address).to_string(), network);
    }
    let mut table = Table::new(LIMITS);
    table.open("10.0.0.1");
    let oldest = table.open("2001:db8:1:2301::1").id;
    for last in [
        "2001:db8:1:2302::1",
        "2001:db8:1:23ff::1",
        "10.1.0.1",
        "10.2.0.1",
    ] {
        table.open(last);
    }
    assert_eq!(table.open("10.3.0.1").evicted, Some(oldest));
}

#[test]
fn a_response_that_makes_progress_is_never_cut_off() {
    let mut table = Table::new(LIMITS);
    let busy: Vec<_> = (0..6).map(|n| table.busy(&format!("10.0.{n}.1"))).collect();
    assert_eq!(
        table.try_open("10.9.0.1", ConnectionOrigin::Stranger),
        Err(ConnectionRefusal::Full)
    );
    // The reserve is free for machines; a stranger cannot take it.
    let machine = table
        .try_open("10.20.0.51", ConnectionOrigin::Machine)
        .unwrap();
    assert_eq!(machine.evicted, None);
    // The third has stopped reading.
    table.now += STALLED;
    for id in busy.iter().filter(|id| **id != busy[2]) {
        table.progress(*id);
    }
    assert_eq!(table.open("10.9.0.1").evicted, Some(busy[2]));
    assert!(!table.admission.begin(busy[2]));
    // The new connection waits now, so it is evicted next.
    let next = table.open("10.9.0.2");
    assert!(next.evicted.is_some());
    assert!(busy.iter().skip(3).all(|id| table.admission.begin(*id)));
}

#[test]
fn a_connection_stays_while_its_request_is_answered() {
    let mut table = Table::new(LIMITS);
    for number in 0..6 {
        let id = table.open(&format!("10.0.{number}.1")).id;
        assert!(table.admission.begin(id));
    }
    table.now += Duration::from_secs(3600);
    assert_eq!(
        table.try_open("10.9.0.1", ConnectionOrigin::Stranger),
        Err(ConnectionRefusal::Full)
    );
}

#[test]
fn the_age_of_an_idle_connection_counts_from_its_last_response() {
    let mut table = Table::new(LIMITS);
    let ids: Vec<_> = (0..6)
        .map(|n| table.open(&format!("10.0.{n}.1")).id)
        .collect();
    assert!(table.admission.begin(ids[0]));
    table.progress(ids[0]);
    table.now += Duration::from_secs(1);
    table.finish(ids[0]);
    // The others sent nothing, or parts of a head, which do not count as progress.
    for (number, id) in ids[1..].iter().chain(&ids[..1]).enumerate() {
        let newcomer = table.open(&format!("10.9.{number}.1"));
        assert_eq!(newcomer.evicted, Some(*id));
    }
}

#[test]
fn one_address_displaces_its_own_connections_only() {
    let mut table = Table::new(LIMITS);
    let other = table.open("10.0.0.1");
    let ids = [(); 3].map(|()| table.open("10.0.0.2").id);
    assert_eq!(table.open("10.0.0.2").evicted, Some(ids[0]));
    // Four busy connections are the limit of the address.
    for id in [ids[1], ids[2], ConnectionId(ids[2].0 + 1)] {
        assert!(table.admission.begin(id));
    }
    let last = table.open("10.0.0.2");
    assert_eq!(last.evicted, None);
    assert!(table.admission.begin(last.id));
    assert_eq!(
        table.try_open("10.0.0.2", ConnectionOrigin::Stranger),
        Err(ConnectionRefusal::OneAddress)
    );
    assert!(table.admission.begin(other.id));
}

#[test]
fn a_proxy_may_have_all_connections_and_loses_them_after_strangers() {
    let mut table = Table::new(LIMITS);
    let stranger = table.open("10.0.0.1");
    let proxied: Vec<_> = (0..7)
        .map(|_| {
            table
                .try_open("127.0.0.1", ConnectionOrigin::Proxy)
                .unwrap()
        })
        .collect();
    assert!(proxied.iter().all(|opened| opened.evicted.is_none()));
    let next = table
        .try_open("127.0.0.1", ConnectionOrigin::Proxy)
        .unwrap();
    assert_eq!(next.evicted, Some(stranger.id));
    let next = table
        .try_open("127.0.0.1", ConnectionOrigin::Proxy)
        .unwrap();
    assert_eq!(next.evicted, Some(proxied[0].id));
    // Connections beyond the reserve are not theirs alone.
    let stranger = table.open("10.0.0.1");
    assert_eq!(stranger.evicted, Some(proxied[1].id));
}

#[test]
fn machines_always_have_room_that_strangers_cannot_take() {
    let mut table = Table::new(LIMITS);
    for number in 0..100 {
        table.open(&format!("10.99.{number}.1"));
    }
    assert_eq!(table.admission.len(), LIMITS.total - LIMITS.reserved);
    let machines = ["10.20.0.51", "10.20.0.52", "10.20.0.53"]
        .map(|address| table.try_open(address, ConnectionOrigin::Machine).unwrap());
    assert_eq!(machines[1].evicted, None);
    // The third displaces a stranger, not another machine.
    assert!(machines[2].evicted.is_some());
    // Beyond the reserve they share with strangers, and never lose the reserve itself.
    for number in 0..100 {
        table.open(&format!("10.98.{number}.1"));
    }
    let kept = machines.map(|machine| table.admission.begin(machine.id));
    assert_eq!(kept, [false, true, true]);
}

#[test]
fn a_legitimate_request_survives_a_flood_from_any_number_of_networks() {
    let limits = ConnectionLimits {
        total: 2048,
        reserved: 512,
        of_one: 64,
        waiting_of_one: 32,
    };
    // From 33 addresses as from thousands, in one network as in many.
    for (addresses, networks) in [(33, 1), (33, 33), (2000, 8), (2000, 2000)] {
        let mut table = Table::new(limits);
        let flood = |table: &mut Table, connections: usize| {
            for number in 0..connections {
                let number = number % addresses;
                let (network, host) = (number % networks, number / networks);
                let address = format!("10.{}.{}.{host}", 100 + network / 250, network % 250);
                table.open(&address);
            }
        };
        flood(&mut table, 2112);
        for _ in 0..100 {
            for (address, origin) in [
                ("10.20.0.51", ConnectionOrigin::Machine),
                ("192.0.2.1", ConnectionOrigin::Stranger),
            ] {
                let opened = table.try_open(address, origin).unwrap();
                // The same number arrives again before its request is complete.
                flood(&mut table, 100);
                assert!(table.admission.begin(opened.id), "{addresses} {networks}");
                table.progress(opened.id);
                table.admission.close(opened.id);
            }
        }
        assert!(table.admission.len() <= limits.total - limits.reserved);
    }
}

#[test]
fn evictions_are_reported_once_a_period_with_the_largest_network() {
    let mut table = Table::new(LIMITS);
    for number in 0..9 {
        table.open(&format!("10.99.3.{}", number % 4));
    }
    let now = table.now;
    assert_eq!(table.admission.report(now), None);
    let report = table.admission.report(now + PERIOD).unwrap();
    let (network, most) = report.largest.unwrap();
    assert_eq!(
        (report.evicted, network.to_string(), most),
        (3, "10.99.3.0/24".to_owned(), 6)
    );
    assert_eq!((report.refused, report.refused_of_one), (0, None));
    assert_eq!(table.admission.report(now + 3 * PERIOD), None);

    let shed = table.admission.shed(now);
    assert!(shed.is_some());
    let report = table.admission.last_report(now + Duration::from_secs(2));
    let report = report.unwrap();
    assert_eq!((report.evicted, report.period.as_secs()), (1, 2));
}

#[test]
fn refusals_are_counted_by_their_reason() {
    let mut table = Table::new(LIMITS);
    for _ in 0..4 {
        table.busy("10.0.0.1");
    }
    let one = table.try_open("10.0.0.1", ConnectionOrigin::Stranger);
    assert_eq!(one, Err(ConnectionRefusal::OneAddress));
    table.busy("10.0.0.2");
    table.busy("10.0.0.3");
    for _ in 0..2 {
        let full = table.try_open("10.0.0.4", ConnectionOrigin::Stranger);
        assert_eq!(full, Err(ConnectionRefusal::Full));
    }
    let now = table.now;
    let report = table.admission.last_report(now).unwrap();
    let address = "10.0.0.1".parse().unwrap();
    assert_eq!(report.refused_of_one, Some((1, address)));
    assert_eq!((report.evicted, report.refused), (0, 2));
}

#[test]
fn any_order_of_events_keeps_the_limits_and_leaves_an_empty_table() {
    let mut state = 7_u64;
    let mut random = move |most: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % most
    };
    let mut table = Table::new(LIMITS);
    let mut open: Vec<ConnectionId> = Vec::new();
    for _ in 0..20_000 {
        let now = table.now;
        match random(6) {
            0 | 1 => {
                let origin = [
                    ConnectionOrigin::Stranger,
                    ConnectionOrigin::Machine,
                    ConnectionOrigin::Proxy,
                ][random(3)];
                let address = format!("10.{}.0.{}", random(4), random(3));
                if let Ok(opened) = table.try_open(&address, origin) {
                    open.retain(|id| Some(*id) != opened.evicted);
                    open.push(opened.id);
                }
            }
            event if !open.is_empty() => {
                let id = open[random(open.len())];
                match event {
                    2 => assert!(table.admission.begin(id)),
                    3 => table.admission.progress(id, now),
                    4 => table.admission.finish(id, now),
                    _ => {
                        table.admission.close(id);
                        open.retain(|other| *other != id);
                    }
                }
            }
            _ => {}
        }
        assert_eq!(table.admission.len(), open.len());
        assert!(open.len() <= LIMITS.total);
        assert!(table.admission.strangers <= LIMITS.total - LIMITS.reserved);
    }
    for id in open {
        table.admission.close(id);
    }
    let admission = &table.admission;
    assert!(admission.is_empty() && admission.addresses.is_empty() && admission.strangers == 0);
    for ranking in [&admission.waiting_strangers, &admission.waiting_known] {
        assert_eq!(ranking.largest(), None);
        assert_eq!(ranking.first(), None);
    }
}
