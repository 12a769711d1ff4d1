//! What every [`Store`] promises, whatever database is behind it.

use jiff::Timestamp;
use proptest::prelude::*;
use pxectl::machine::{
    BootId, BootTime, CertificateNote, ControllerRecord, ControllerTrust, Event, EventKind,
    HostRecord, MacAddress, Phase, Session, SessionEnd, SessionId, Sha256Digest,
};
use pxectl::store::{EventQuery, HostUpdate, Retention, Store, StoreFault, Watermark};

use super::{arm, at, event, keep, open, session};

fn with_store(test: impl FnOnce(&dyn Store)) {
    let directory = tempfile::tempdir().unwrap();
    test(&open(directory.path()));
}

fn messages(store: &dyn Store, after: u64, host: Option<&str>, limit: usize) -> Vec<String> {
    let query = EventQuery {
        after,
        host: host.map(str::to_owned),
        limit,
        latest: false,
    };
    let events = store.events(&query).unwrap();
    events
        .into_iter()
        .map(|stored| format!("{} {}", stored.id, stored.event.message))
        .collect()
}

#[test]
fn a_new_store_knows_no_host_and_no_event() {
    with_store(|store| {
        assert_eq!(store.host("a").unwrap(), None);
        assert_eq!(store.hosts().unwrap(), []);
        assert_eq!(store.session(SessionId::new(1)).unwrap(), None);
        assert_eq!(messages(store, 0, None, 10), [""; 0]);
        assert_eq!(store.watermark().unwrap(), Watermark::default());
        assert_ne!(store.key(), &[0; 32]);
    });
}

#[test]
fn hosts_are_listed_by_name_with_their_sessions() {
    with_store(|store| {
        let mut id = 0;
        let mut change = |name: &str, _: Option<&HostRecord>, _: &_| {
            id += 1;
            Some(arm(name, id, 5))
        };
        store.update(&["b", "a"], &mut change).unwrap();
        assert_eq!(
            store.hosts().unwrap(),
            [arm("a", 2, 5).record, arm("b", 1, 5).record]
        );
        assert_eq!(store.host("b").unwrap(), Some(arm("b", 1, 5).record));
        assert_eq!(messages(store, 0, None, 10), ["1 armed", "2 armed"]);
    });
}

#[test]
fn a_change_sees_the_record_as_it_stands() {
    with_store(|store| {
        let mut record = HostRecord::new("a", at(1));
        for (expected, next) in [(None, "1"), (Some("1"), "2"), (Some("2"), "3")] {
            record.reason = Some(next.to_owned());
            let mut change = |name: &str, current: Option<&HostRecord>, _: &_| {
                assert_eq!(name, "a");
                assert_eq!(
                    current.and_then(|record| record.reason.as_deref()),
                    expected
                );
                Some(keep(record.clone()))
            };
            store.update(&["a"], &mut change).unwrap();
        }
    });
}

#[test]
fn the_record_of_a_controller_replaces_the_one_before() {
    with_store(|store| {
        assert_eq!(store.controllers().unwrap(), []);
        let mut first = ControllerRecord::new("b", "https://10.21.0.2".to_owned(), at(1));
        first.trust = ControllerTrust::Pinned(CertificateNote {
            fingerprint: Sha256Digest::of(b"certificate"),
            subject: "CN=bmc".to_owned(),
            valid_from: Some(at(0)),
            valid_until: None,
        });
        let mut second = ControllerRecord::new("a", "ipmi://10.21.0.1".to_owned(), at(2));
        second.serial = Some("C7X9K2".to_owned());
        second.uuid = "4c4c4544-0046-3410-8037-b8c04f4d5931".parse().ok();
        store
            .keep_controller(&first, &[event("b", 1, "trusted")])
            .unwrap();
        store.keep_controller(&second, &[]).unwrap();
        assert_eq!(
            store.controllers().unwrap(),
            [second.clone(), first.clone()]
        );
        assert_eq!(messages(store, 0, None, 10), ["1 trusted"]);

        first.trust = ControllerTrust::Authority;
        store.keep_controller(&first, &[]).unwrap();
        assert_eq!(store.controllers().unwrap(), [second, first]);
        assert_eq!(store.watermark().unwrap().changes, 3);
    });
}

#[test]
fn a_change_of_nothing_writes_nothing() {
    with_store(|store| {
        store.update(&["a", "b"], &mut |_, _, _| None).unwrap();
        store.update(&[], &mut |_, _, _| unreachable!()).unwrap();
        store.append(&[]).unwrap();
        assert_eq!(store.watermark().unwrap(), Watermark::default());
    });
}

#[test]
fn every_change_moves_the_watermark() {
    with_store(|store| {
        let mut quiet =
            |name: &str, _: Option<&HostRecord>, _: &_| Some(keep(HostRecord::new(name, at(1))));
        store.update(&["a", "b"], &mut quiet).unwrap();
        store
            .append(&[event("a", 2, "x"), event("a", 3, "y")])
            .unwrap();
        assert_eq!(
            store.watermark().unwrap(),
            Watermark {
                changes: 2,
                last_event: 2
            }
        );
    });
}

#[test]
fn a_new_session_ends_the_one_before_and_both_keep_their_plans() {
    with_store(|store| {
        store
            .update(&["a"], &mut |name, _, _| Some(arm(name, 1, 5)))
            .unwrap();
        store
            .update(&["b"], &mut |name, _, _| Some(arm(name, 2, 6)))
            .unwrap();
        store
            .update(&["a"], &mut |name, _, _| Some(arm(name, 3, 7)))
            .unwrap();

        let stored = |id| store.session(SessionId::new(id)).unwrap().unwrap();
        assert_eq!(stored(1).session.ended_at, Some(at(7)));
        assert_eq!(stored(1).plan, "{\"plan\":1}");
        assert_eq!(stored(2).session.ended_at, None, "another host's");
        assert_eq!(stored(3).session.ended_at, None);
        assert_eq!(stored(3).host, "a");
    });
}

#[test]
fn a_record_that_forgets_its_session_ends_it() {
    with_store(|store| {
        store
            .update(&["a"], &mut |name, _, _| Some(arm(name, 1, 5)))
            .unwrap();
        let record = HostRecord::new("a", at(8));
        store
            .update(&["a"], &mut |_, _, _| Some(keep(record.clone())))
            .unwrap();
        let stored = store.session(SessionId::new(1)).unwrap().unwrap();
        assert_eq!(stored.session.ended_at, Some(at(8)));
        assert_eq!(store.host("a").unwrap(), Some(record));
    });
}

#[test]
fn a_session_that_ended_earlier_keeps_its_end() {
    with_store(|store| {
        store
            .update(&["a"], &mut |name, _, _| Some(arm(name, 1, 5)))
            .unwrap();
        let mut end = |_: &str, record: Option<&HostRecord>, _: &_| {
            let mut record = record.unwrap().clone();
            record.phase = Phase::Installed;
            let session = record.session.as_mut().unwrap();
            session.attempts = 1;
            session.ended_at = Some(at(6));
            Some(keep(record))
        };
        store.update(&["a"], &mut end).unwrap();
        store
            .update(&["a"], &mut |name, _, _| Some(arm(name, 2, 9)))
            .unwrap();
        let stored = store.session(SessionId::new(1)).unwrap().unwrap();
        let expected = Session {
            attempts: 1,
            ended_at: Some(at(6)),
            ..session(1, at(5))
        };
        assert_eq!(stored.session, expected);
    });
}

#[test]
fn an_update_that_contradicts_itself_undoes_every_host() {
    let another_host = |name: &str| keep(HostRecord::new(format!("{name}2"), at(1)));
    let session_without_plan = |name: &str| HostUpdate {
        plan: None,
        ..arm(name, 2, 5)
    };
    let plan_without_session = |name: &str| HostUpdate {
        plan: Some("{}".into()),
        ..keep(HostRecord::new(name, at(1)))
    };
    let session_of_another = |name: &str| HostUpdate {
        plan: None,
        ..arm(name, 1, 5)
    };
    let session_taken = |name: &str| arm(name, 1, 5);
    type Wrong<'w> = &'w dyn Fn(&str) -> HostUpdate;
    let rows: [(&str, Wrong); 5] = [
        ("the record belongs to another host", &another_host),
        ("the session is new but has no plan", &session_without_plan),
        ("the plan has no session", &plan_without_session),
        ("the session is new but has no plan", &session_of_another),
        ("the new session already exists", &session_taken),
    ];
    for (expected, wrong) in rows {
        with_store(|store| {
            let mut change = |name: &str, _: Option<&HostRecord>, _: &_| match name {
                "good" => Some(arm(name, 1, 5)),
                name => Some(wrong(name)),
            };
            let error = store.update(&["good", "bad"], &mut change).unwrap_err();
            assert!(
                matches!(&error.fault, StoreFault::Unfit { host, what }
                    if host == "bad" && *what == expected),
                "{expected}: {error}"
            );
            assert_eq!(store.hosts().unwrap(), []);
            assert_eq!(store.watermark().unwrap(), Watermark::default());
        });
    }
}

#[test]
fn events_are_read_by_number_host_and_count() {
    with_store(|store| {
        store
            .append(&[event("a", 1, "a1"), event("b", 1, "b1")])
            .unwrap();
        store
            .append(&[event("a", 2, "a2"), event("b", 2, "b2")])
            .unwrap();
        for (after, host, limit, expected) in [
            (0, None, 9, &["1 a1", "2 b1", "3 a2", "4 b2"][..]),
            (1, None, 2, &["2 b1", "3 a2"]),
            (0, Some("b"), 9, &["2 b1", "4 b2"]),
            (2, Some("b"), 9, &["4 b2"]),
            (0, Some("b"), 1, &["2 b1"]),
            (4, None, 9, &[]),
            (u64::MAX, None, usize::MAX, &[]),
            (0, Some("c"), 9, &[]),
            (0, None, 0, &[]),
        ] {
            assert_eq!(
                messages(store, after, host, limit),
                expected,
                "after {after}, host {host:?}, limit {limit}"
            );
        }
    });
}

#[test]
fn the_latest_events_come_in_order_and_pruning_takes_decisions_only() {
    with_store(|store| {
        let kinds = [
            EventKind::Hold,
            EventKind::Armed,
            EventKind::Install,
            EventKind::Failed,
            EventKind::LocalDisk,
        ];
        for (number, kind) in (1..).zip(kinds) {
            let event = Event {
                at: Timestamp::UNIX_EPOCH,
                kind,
                host: Some(if number % 2 == 0 { "b" } else { "a" }.into()),
                mac: None,
                session: None,
                message: number.to_string(),
            };
            store.append(&[event]).unwrap();
        }
        let latest = |host: Option<&str>, limit| {
            let query = EventQuery {
                after: 0,
                host: host.map(str::to_owned),
                limit,
                latest: true,
            };
            let events = store.events(&query).unwrap();
            events.iter().map(|event| event.id).collect::<Vec<_>>()
        };
        assert_eq!(latest(None, 2), [4, 5]);
        assert_eq!(latest(Some("a"), 2), [3, 5]);
        let before = store.watermark().unwrap();
        for (host_decisions, removed, left) in [
            (1, 0, &[1, 2, 3, 4, 5][..]),
            (0, 3, &[2, 4]),
            (0, 0, &[2, 4]),
        ] {
            let kept = Retention {
                host_decisions,
                stranger_decisions: 9,
            };
            assert_eq!(store.prune(kept).unwrap(), removed, "{kept:?}");
            assert_eq!(latest(None, 9), left, "{kept:?}");
        }
        assert_eq!(store.watermark().unwrap().last_event, before.last_event);
    });
}

#[test]
fn every_kind_of_event_comes_back_whole() {
    with_store(|store| {
        for kind in EventKind::all() {
            let event = Event {
                at: "2026-05-01T12:00:00.123456Z".parse().unwrap(),
                kind,
                host: None,
                mac: Some(MacAddress::new([0x52, 0x54, 0, 0x12, 0xab, 0xcd])),
                session: Some(SessionId::new(u64::MAX)),
                message: "it's \"so\": ü\n$1 ?2 BIGINT".into(),
            };
            store.append(std::slice::from_ref(&event)).unwrap();
            let last = store.watermark().unwrap().last_event;
            let query = EventQuery {
                after: last - 1,
                host: None,
                limit: 1,
                latest: false,
            };
            assert_eq!(store.events(&query).unwrap()[0].event, event);
        }
    });
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    let (least, most) = (Timestamp::MIN, Timestamp::MAX);
    (least.as_microsecond()..=most.as_microsecond())
        .prop_map(|microsecond| Timestamp::from_microsecond(microsecond).unwrap())
}

prop_compose! {
    fn any_session()(
        id: u64,
        created_at in any_time(),
        deadline in any_time(),
        attempts: u32,
        ended_at in proptest::option::of(any_time()),
        boot in proptest::option::of((any::<String>(), 0..i64::MAX.cast_unsigned())),
        previous_phase in proptest::sample::select(Phase::all().collect::<Vec<_>>()),
        ended_by in proptest::option::of(proptest::sample::select(vec![
            SessionEnd::Callback, SessionEnd::Operator, SessionEnd::Replaced, SessionEnd::Expired,
        ])),
        suspended: Option<String>,
    ) -> Session {
        let boot_deadline = boot.map(|(id, micros)| BootTime {
            boot_id: BootId::new(id),
            since_boot: std::time::Duration::from_micros(micros),
        });
        Session {
            id: SessionId::new(id), created_at, deadline, boot_deadline, attempts, previous_phase,
            ended_at, ended_by, suspended,
        }
    }
}

prop_compose! {
    fn any_record()(
        host: String,
        phase in proptest::sample::select(Phase::all().collect::<Vec<_>>()),
        reason: Option<String>,
        changed_at in any_time(),
        session in proptest::option::of(any_session()),
    ) -> HostRecord {
        HostRecord { host, phase, reason, changed_at, session }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_comes_back_as_it_was_written(record in any_record(), plan: String) {
        with_store(|store| {
            let update = HostUpdate {
                plan: record.session.as_ref().map(|_| plan.clone()),
                ..keep(record.clone())
            };
            store.update(&[&record.host], &mut |_, _, _| Some(update.clone())).unwrap();
            assert_eq!(store.host(&record.host).unwrap(), Some(record.clone()));
            if let Some(session) = &record.session {
                let stored = store.session(session.id).unwrap().unwrap();
                assert_eq!((&stored.session, &stored.plan), (session, &plan));
            }
        });
    }
}
