//! What bounds the events that machines and sessions cause.

use std::net::IpAddr;

use jiff::Timestamp;
use pxectl::decide::{CallbackClass, CallbackKind, CallbackTally};
use pxectl::machine::{Event, EventKind, HostRecord, MacAddress, Phase, SessionId};
use pxectl::store::{
    CallbackUpdate, EventQuery, Retention, SqliteStore, Store, StoredSession, Watermark,
};

use super::{arm, at, downgrade, event, open};

const SESSION: SessionId = SessionId::new(1);
const LOG: CallbackClass = CallbackClass {
    kind: CallbackKind::Log,
    is_late: false,
};
const LATE: CallbackClass = CallbackClass {
    kind: CallbackKind::Failed,
    is_late: true,
};

fn with_armed(test: impl FnOnce(&std::path::Path, SqliteStore)) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store
        .update(&["a"], &mut |name, _, _| Some(arm(name, 1, 5)))
        .unwrap();
    test(directory.path(), store);
}

fn tally(stored: u64, message: &str) -> CallbackTally {
    CallbackTally {
        stored,
        due: at(7),
        attempt: 2,
        message: message.into(),
    }
}

fn update(class: CallbackClass, stored: u64, message: &str) -> CallbackUpdate {
    CallbackUpdate {
        record: None,
        class,
        tally: tally(stored, message),
        event: event("a", 6, message),
    }
}

/// Reads the tallies of the session, ordered by their names.
fn tallies(store: &dyn Store) -> Vec<(CallbackClass, CallbackTally)> {
    let mut found = Vec::new();
    store
        .callback("a", SESSION, &mut |_, tallies, _| {
            found = tallies.to_vec();
            None
        })
        .unwrap();
    found.sort_by_key(|(class, _)| class.name());
    found
}

fn messages(store: &dyn Store) -> Vec<String> {
    let query = EventQuery {
        after: 0,
        host: None,
        limit: 100_000,
        latest: false,
    };
    let events = store.events(&query).unwrap();
    events.into_iter().map(|it| it.event.message).collect()
}

#[test]
fn tallies_are_of_a_session_and_a_class_and_outlive_a_restart() {
    with_armed(|directory, store| {
        for (class, stored, message) in [(LOG, 1, "one"), (LATE, 1, "late"), (LOG, 2, "two")] {
            let mut change = |record: Option<&HostRecord>, _: &_, _: &_| {
                assert_eq!(record.unwrap().phase, Phase::Provisioning);
                Some(update(class, stored, message))
            };
            store.callback("a", SESSION, &mut change).unwrap();
        }
        drop(store);
        let store = open(directory);
        let expected = [(LATE, tally(1, "late")), (LOG, tally(2, "two"))];
        assert_eq!(tallies(&store), expected);
        assert_eq!(messages(&store), ["armed", "one", "late", "two"]);
        store
            .callback("a", SessionId::new(2), &mut |_, tallies, _| {
                assert_eq!(tallies, []);
                None
            })
            .unwrap();
    });
}

#[test]
fn a_callback_that_is_not_stored_writes_nothing() {
    with_armed(|_, store| {
        let before = store.watermark().unwrap();
        store.callback("a", SESSION, &mut |_, _, _| None).unwrap();
        assert_eq!(store.watermark().unwrap(), before);
    });
}

#[test]
fn a_callback_changes_the_record_and_its_tally_together_or_not_at_all() {
    with_armed(|_, store| {
        let wrong = HostRecord::new("another", at(6));
        let failed = store.callback("a", SESSION, &mut |_, _, _| {
            Some(CallbackUpdate {
                record: Some(wrong.clone()),
                ..update(LOG, 1, "x")
            })
        });
        assert!(failed.is_err());
        assert_eq!(tallies(&store), []);
        assert_eq!(messages(&store), ["armed"]);

        store
            .callback("a", SESSION, &mut |record, _, _| {
                let mut record = record.unwrap().clone();
                record.phase = Phase::Failed;
                Some(CallbackUpdate {
                    record: Some(record),
                    ..update(LOG, 1, "x")
                })
            })
            .unwrap();
        assert_eq!(store.host("a").unwrap().unwrap().phase, Phase::Failed);
        assert_eq!(tallies(&store), [(LOG, tally(1, "x"))]);
    });
}

#[test]
fn addresses_are_of_an_attempt_and_come_in_order() {
    with_armed(|directory, store| {
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        for (attempt, last) in [(1, 9), (2, 7), (1, 8)] {
            let mut change = |known: &[IpAddr]| {
                assert!(!known.contains(&address(last)));
                Some(vec![event("a", 6, format!("{attempt} {last}"))])
            };
            store
                .add_attempt_address(SESSION, attempt, address(last), &mut change)
                .unwrap();
        }
        let before = store.watermark().unwrap();
        store
            .add_attempt_address(SESSION, 1, address(1), &mut |known| {
                assert_eq!(known, [address(9), address(8)]);
                None
            })
            .unwrap();
        assert_eq!(store.watermark().unwrap(), before);
        drop(store);
        let store = open(directory);
        for (attempt, expected) in [(1, &[address(9), address(8)][..]), (2, &[address(7)])] {
            let known = store.attempt_addresses(SESSION, attempt).unwrap();
            assert_eq!(known, expected);
        }
        assert!(store.attempt_addresses(SESSION, 3).unwrap().is_empty());
        assert_eq!(messages(&store), ["armed", "1 9", "2 7", "1 8"]);
    });
}

#[test]
fn strangers_evict_each_other_and_a_host_evicts_only_its_own_decisions_of_the_same_kind() {
    with_armed(|_, store| {
        let decision = |host: Option<&str>, kind, message: String| Event {
            at: Timestamp::UNIX_EPOCH,
            kind,
            host: host.map(str::to_owned),
            mac: Some(MacAddress::new([2; 6])),
            session: None,
            message,
        };
        let quiet = [
            decision(Some("a"), EventKind::Install, "a install".into()),
            decision(Some("a"), EventKind::Hold, "a hold".into()),
        ];
        store.append(&quiet).unwrap();
        let flood = |host, count| {
            let events = (1..=count)
                .map(|number| decision(host, EventKind::Hold, format!("{host:?} {number}")));
            store.append(&events.collect::<Vec<_>>()).unwrap();
        };
        flood(None, 20_000);
        flood(Some("b"), 20_000);
        let kept = Retention {
            host_decisions: 2,
            stranger_decisions: 3,
        };
        assert_eq!(store.prune(kept).unwrap(), 20_000 - 3 + 20_000 - 2);
        assert_eq!(
            messages(&store),
            [
                "armed",
                "a install",
                "a hold",
                "None 19998",
                "None 19999",
                "None 20000",
                "Some(\"b\") 19999",
                "Some(\"b\") 20000",
            ]
        );
        assert_eq!(store.prune(kept).unwrap(), 0);
    });
}

#[test]
fn a_store_without_tallies_is_migrated() {
    // Its tables are those of the version before; the rest of the test proves that it can be used.
    with_armed(|directory, store| {
        drop(store);
        downgrade(directory, 2);
        let store = open(directory);
        assert_eq!(tallies(&store), []);
        let session: Option<StoredSession> = store.session(SESSION).unwrap();
        assert!(session.is_some());
        assert_ne!(store.watermark().unwrap(), Watermark::default());
    });
}
