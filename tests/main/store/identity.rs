//! Which store this is: restored, copied, moved, deleted, and clocks that go back.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use pxectl::decide::{Impediment, StoreDoubt};
use pxectl::machine::{BootId, BootTime, ClockReading, HostRecord, Phase, SessionEnd};
use pxectl::store::{
    Clock, LeaseStore, SqliteLeases, SqliteStore, Store, StoreError, StoreFault, WitnessLocation,
    restore,
};

use super::{arm, at, downgrade, keep};
use crate::support::directory::copy_files;

/// A clock that a test moves.
#[derive(Clone)]
struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    fn at(second: i64) -> Self {
        Self(Arc::new(Mutex::new(at(second))))
    }

    fn set(&self, second: i64) {
        *self.0.lock().unwrap() = at(second);
    }
}

impl Clock for ManualClock {
    fn read(&self) -> ClockReading {
        ClockReading {
            wall: *self.0.lock().unwrap(),
            boot: BootTime {
                boot_id: BootId::new("tests"),
                since_boot: Duration::ZERO,
            },
        }
    }
}

/// A site of a test: a state directory and a witness directory beside it.
struct Site {
    base: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self {
            base: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn witness(&self) -> PathBuf {
        self.path("witness")
    }

    fn open(&self) -> SqliteStore {
        self.open_at(&self.state())
    }

    fn open_at(&self, state: &Path) -> SqliteStore {
        SqliteStore::open_or_create(state, &self.witness()).unwrap()
    }

    /// Opens the store and arms host `a`.
    fn armed(&self) -> SqliteStore {
        let store = self.open();
        arm_host(&store, "a", 1).unwrap();
        store
    }
}

fn arm_host(store: &SqliteStore, host: &str, session: u64) -> Result<(), StoreError> {
    store.update(&[host], &mut |name, _, _| Some(arm(name, session, 5)))
}

fn end_session(store: &SqliteStore, host: &str) {
    store
        .update(&[host], &mut |_, record, _| {
            let mut record: HostRecord = record?.clone();
            record.phase = Phase::Installed;
            if let Some(session) = &mut record.session {
                session.ended_at = Some(at(6));
                session.ended_by = Some(SessionEnd::Callback);
            }
            Some(keep(record))
        })
        .unwrap();
}

fn doubt(store: &SqliteStore) -> Option<StoreDoubt> {
    match store.standing().unwrap().impediment() {
        Some(Impediment::StoreUnconfirmed(doubt)) => Some(doubt.clone()),
        Some(other) => panic!("{other}"),
        None => None,
    }
}

fn is_suspended(store: &SqliteStore, host: &str) -> bool {
    let record = store.host(host).unwrap().unwrap();
    record
        .open_session()
        .is_some_and(|session| session.suspended.is_some())
}

#[test]
fn a_store_is_sound_through_changes_restarts_checkpoints_and_a_vacuum() {
    let site = Site::new();
    let store = site.armed();
    assert_eq!(doubt(&store), None);
    end_session(&store, "a");
    assert_eq!(doubt(&store), None);
    drop(store);
    let store = site.armed_again(2);
    assert_eq!(doubt(&store), None);
    drop(store);
    let file = rusqlite::Connection::open(site.state().join("state.db")).unwrap();
    file.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM;")
        .unwrap();
    drop(file);
    let store = site.open();
    assert_eq!(doubt(&store), None);
    assert_eq!(store.settle().unwrap().doubt, None);
    assert!(!is_suspended(&store, "a"));
}

impl Site {
    fn armed_again(&self, session: u64) -> SqliteStore {
        let store = self.open();
        arm_host(&store, "a", session).unwrap();
        store
    }
}

/// The attack of the issue: a copy taken while a host was armed is put back after its install.
#[test]
fn a_copy_that_is_restored_arms_nobody_wherever_it_is_put() {
    for in_place in [true, false] {
        let site = Site::new();
        let store = site.armed();
        drop(store);
        copy_files(&site.state(), &site.path("copy"));
        end_session(&site.open(), "a");
        if !in_place {
            fs::remove_dir_all(site.state()).unwrap();
        }
        copy_files(&site.path("copy"), &site.state());
        let store = site.open();
        let found = doubt(&store).expect("a doubt");
        match in_place {
            true => assert!(matches!(found, StoreDoubt::Generation { .. }), "{found}"),
            false => assert_eq!(found, StoreDoubt::Copied),
        }
        let settled = store.settle().unwrap();
        assert_eq!(settled.doubt, Some(found));
        assert_eq!(settled.suspended, ["a"]);
        assert!(is_suspended(&store, "a"));
        // It is a store of its own from now on, and arms hosts again.
        assert_eq!(doubt(&store), None);
        assert_eq!(store.settle().unwrap().doubt, None);
        arm_host(&store, "a", 7).unwrap();
        assert!(!is_suspended(&store, "a"));
        drop(store);
        assert_eq!(doubt(&site.open()), None);
    }
}

#[test]
fn a_moved_store_and_its_copy_are_known_as_such() {
    let site = Site::new();
    drop(site.armed());
    let copy = site.path("copy");
    copy_files(&site.state(), &copy);
    assert_eq!(doubt(&site.open_at(&copy)), Some(StoreDoubt::Copied));
    let moved = site.path("moved");
    fs::rename(site.state(), &moved).unwrap();
    let found = doubt(&site.open_at(&moved));
    assert!(matches!(found, Some(StoreDoubt::Moved { .. })), "{found:?}");
}

#[test]
fn a_store_without_its_witness_suspends_its_sessions() {
    let site = Site::new();
    drop(site.armed());
    fs::remove_dir_all(site.witness()).unwrap();
    let store = site.open();
    let found = doubt(&store);
    assert!(
        matches!(found, Some(StoreDoubt::NoWitness { .. })),
        "{found:?}"
    );
    assert_eq!(store.settle().unwrap().suspended, ["a"]);
    assert_eq!(doubt(&store), None);
}

#[test]
fn no_host_is_armed_where_the_witness_cannot_be_written_and_reports_are_kept() {
    let site = Site::new();
    let store = site.armed();
    copy_files(&site.state(), &site.path("copy"));
    // A directory in place of the file that is written first stops everyone, root too.
    let partial = site
        .witness()
        .join(format!("{}.new", store.id().unwrap().unwrap()));
    fs::create_dir(&partial).unwrap();
    let error = arm_host(&store, "b", 2).unwrap_err();
    assert!(matches!(error.fault, StoreFault::Witness { .. }), "{error}");
    assert_eq!(store.host("b").unwrap(), None);
    assert_eq!(doubt(&store), None);
    end_session(&store, "a");
    assert_eq!(store.host("a").unwrap().unwrap().phase, Phase::Installed);
    assert!(doubt(&store).is_some());
    fs::remove_dir(&partial).unwrap();
    drop(store);
    // The change was not announced, and yet no older copy is taken for the store.
    copy_files(&site.path("copy"), &site.state());
    let store = site.open();
    assert!(doubt(&store).is_some());
    assert_eq!(store.settle().unwrap().suspended, ["a"]);
    assert_eq!(doubt(&store), None);
}

/// Old pages of the database under the newest write-ahead log.
#[test]
fn a_database_of_which_only_some_pages_are_old_arms_nobody() {
    let site = Site::new();
    let clock = ManualClock::at(1000);
    let open = || {
        SqliteStore::open_or_create_with(&site.state(), &site.witness(), Arc::new(clock.clone()))
            .unwrap()
    };
    let checkpoint = || {
        rusqlite::Connection::open(site.state().join("state.db"))
            .unwrap()
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
    };
    let store = open();
    arm_host(&store, "a", 1).unwrap();
    checkpoint();
    let old = fs::read(site.state().join("state.db")).unwrap();
    end_session(&store, "a");
    checkpoint();
    clock.set(2000);
    store.note_time().unwrap();
    let log = fs::read(site.state().join("state.db-wal")).unwrap();
    assert!(!log.is_empty());
    drop(store);
    fs::write(site.state().join("state.db"), old).unwrap();
    fs::write(site.state().join("state.db-wal"), log).unwrap();
    let store = open();
    let record = store.host("a").unwrap().unwrap();
    assert!(record.session.is_some_and(|it| it.ended_at.is_none()));
    assert_eq!(doubt(&store), Some(StoreDoubt::Sessions));
    store.settle().unwrap();
    assert_eq!(doubt(&store), None);
}

#[test]
fn each_of_several_restores_suspends_again() {
    let site = Site::new();
    drop(site.open());
    copy_files(&site.state(), &site.path("empty"));
    drop(site.armed());
    copy_files(&site.state(), &site.path("armed"));
    copy_files(&site.path("empty"), &site.state());
    assert!(site.open().settle().unwrap().doubt.is_some());
    copy_files(&site.path("armed"), &site.state());
    let store = site.open();
    assert!(doubt(&store).is_some());
    assert_eq!(store.settle().unwrap().suspended, ["a"]);
}

#[test]
fn a_witness_directory_that_is_copied_with_the_store_is_refused() {
    let site = Site::new();
    for inside in [site.state().join("witness"), site.base.path().to_owned()] {
        let opened = SqliteStore::open_or_create(&site.state(), &inside);
        let error = opened.err().unwrap();
        assert!(
            matches!(error.fault, StoreFault::WitnessInside { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_store_finds_its_witness_where_it_was_and_a_running_server_keeps_it_there() {
    let site = Site::new();
    let store = site.armed();
    let elsewhere = site.path("elsewhere");
    let unless_recorded = WitnessLocation::UnlessRecorded(elsewhere.clone());
    let again = SqliteStore::open_or_create(&site.state(), unless_recorded).unwrap();
    assert_eq!(doubt(&again), None);
    let registration = store.register_server(&site.state(), "http", 7).unwrap();
    let error = SqliteStore::open_or_create(&site.state(), &elsewhere)
        .err()
        .unwrap();
    assert!(
        matches!(error.fault, StoreFault::WitnessElsewhere { pid: 7, .. }),
        "{error}"
    );
    assert_eq!(doubt(&store), None);
    drop(registration);
    fs::rename(site.witness(), &elsewhere).unwrap();
    let moved = SqliteStore::open_or_create(&site.state(), &elsewhere).unwrap();
    assert_eq!(doubt(&moved), None);
}

#[test]
fn nothing_is_acknowledged_that_goes_into_a_deleted_file() {
    let site = Site::new();
    let store = site.armed();
    fs::remove_file(site.state().join("state.db")).unwrap();
    let error = store.append(&[super::event("a", 1, "lost")]).unwrap_err();
    assert!(matches!(error.fault, StoreFault::Replaced), "{error}");
}

#[test]
fn a_restore_takes_nothing_over_from_a_deleted_store_and_can_be_repeated() {
    let site = Site::new();
    let store = site.armed();
    let file = site.path("backup.db");
    store.back_up(&site.state(), &file).unwrap();
    arm_host(&store, "b", 2).unwrap();
    let state = site.state();
    let log = fs::read(state.join("state.db-wal")).unwrap();
    drop(store);
    fs::remove_file(state.join("state.db")).unwrap();
    // What a killed server and a killed restore leave.
    fs::write(state.join("state.db-wal"), log).unwrap();
    drop(SqliteLeases::open(&state).unwrap());
    fs::create_dir(state.join(".restore")).unwrap();
    fs::write(state.join(".restore/state.db"), "half").unwrap();
    let settled = restore(&file, &state, &site.witness()).unwrap();
    assert_eq!(settled.suspended, ["a"]);
    assert_eq!(site.open().host("b").unwrap(), None);
    assert!(!state.join(".restore").exists());
}

#[test]
fn an_announcement_of_a_killed_process_is_confirmed_by_the_next_start() {
    let site = Site::new();
    drop(site.armed());
    copy_files(&site.state(), &site.path("copy"));
    let store = site.open();
    let id = store.id().unwrap().unwrap();
    let witness = site.witness().join(format!("{id}.json"));
    let before: serde_json::Value = serde_json::from_slice(&fs::read(&witness).unwrap()).unwrap();
    end_session(&store, "a");
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&witness).unwrap()).unwrap();
    assert_eq!(text["confirmed"]["generation"], 2);
    // What the file holds when the process is killed between the commit and the confirmation.
    text["pending"] = text["confirmed"].take();
    text["confirmed"] = before["confirmed"].clone();
    fs::write(&witness, text.to_string()).unwrap();
    assert_eq!(doubt(&store), None);
    assert_eq!(store.settle().unwrap().doubt, None);
    drop(store);
    copy_files(&site.path("copy"), &site.state());
    let found = doubt(&site.open());
    assert_eq!(
        found,
        Some(StoreDoubt::Generation {
            store: 1,
            witness: 2
        })
    );
}

#[test]
fn a_store_of_an_older_pxectl_suspends_its_sessions_once() {
    let site = Site::new();
    drop(site.armed());
    downgrade(&site.state(), 3);
    let store = site.open();
    assert!(doubt(&store).is_some());
    assert_eq!(store.settle().unwrap().suspended, ["a"]);
    assert_eq!(doubt(&store), None);
    drop(store);
    assert_eq!(site.open().settle().unwrap().doubt, None);
}

#[test]
fn a_store_that_is_deleted_or_replaced_is_noticed_by_processes_that_have_it_open() {
    let site = Site::new();
    let store = site.armed();
    fs::rename(site.state(), site.path("away")).unwrap();
    let is_replaced = || {
        let standing = store.standing().unwrap();
        matches!(
            standing.impediment(),
            Some(Impediment::StoreReplaced { .. })
        )
    };
    assert!(is_replaced());
    assert_eq!(
        store.settle().unwrap().doubt,
        None,
        "it is not ours to settle"
    );
    copy_files(&site.path("away"), &site.state());
    assert!(is_replaced());
    fs::remove_dir_all(site.state()).unwrap();
    fs::rename(site.path("away"), site.state()).unwrap();
    assert!(!is_replaced());
}

#[test]
fn only_those_who_may_make_a_store_make_one_and_never_under_a_running_server() {
    let site = Site::new();
    let error = SqliteStore::open(&site.state()).err().unwrap();
    assert!(matches!(error.fault, StoreFault::Absent), "{error}");
    assert!(!site.state().exists());

    let store = site.open();
    let error = SqliteStore::create(&site.state(), &site.witness())
        .err()
        .unwrap();
    assert!(matches!(error.fault, StoreFault::Present), "{error}");
    let registration = store.register_server(&site.state(), "http", 7).unwrap();
    for delete in ["state/state.db", "state"] {
        let path = site.path(delete);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        let opened = SqliteStore::open_or_create(&site.state(), &site.witness());
        let error = opened.err().unwrap();
        assert!(
            matches!(error.fault, StoreFault::Deserted { pid: 7 }),
            "{delete}: {error}"
        );
        let created = SqliteStore::create(&site.state(), &site.witness());
        assert!(created.is_err(), "{delete}");
    }
    drop(registration);
    drop(store);
    site.open();
}

#[test]
fn a_clock_that_goes_back_stops_installs_until_it_catches_up_or_is_accepted() {
    let site = Site::new();
    let clock = ManualClock::at(1000);
    let open = || {
        SqliteStore::open_or_create_with(&site.state(), &site.witness(), Arc::new(clock.clone()))
            .unwrap()
    };
    let store = open();
    arm_host(&store, "a", 1).unwrap();
    let stands = |store: &SqliteStore| {
        let standing = store.standing().unwrap();
        let is_behind = matches!(standing.impediment(), Some(Impediment::ClockBehind { .. }));
        assert_eq!(is_behind, standing.impediment().is_some());
        (standing.now().as_second(), is_behind)
    };
    assert_eq!(stands(&store), (1000, false));
    clock.set(980);
    assert_eq!(stands(&store), (1000, false), "within the tolerance");
    clock.set(900);
    assert_eq!(stands(&store), (1000, true));
    drop(store);
    let store = open();
    assert_eq!(stands(&store), (1000, true), "after a restart too");
    clock.set(1001);
    assert_eq!(stands(&store), (1001, false), "it recovers by itself");
    let of_a_server = open();
    store.note_time().unwrap();
    // A jump that only the server has seen, and that was never stored.
    clock.set(9000);
    assert_eq!(stands(&of_a_server), (9000, false));
    clock.set(500);
    assert_eq!(stands(&of_a_server), (9000, true));
    let closed = store.accept_clock().unwrap();
    assert_eq!(closed, ["a"]);
    assert_eq!(stands(&store), (500, false));
    assert_eq!(stands(&of_a_server), (500, false), "without a restart");
    let record = store.host("a").unwrap().unwrap();
    assert_eq!(record.open_session(), None);
    assert_eq!(record.phase, Phase::New);
}

#[test]
fn a_backup_holds_everything_and_a_store_made_of_it_arms_nobody() {
    let site = Site::new();
    let store = site.armed();
    let lease = pxectl::machine::Lease {
        address: [10, 0, 0, 9].into(),
        network: "net".into(),
        holder: None,
        expires: at(60),
    };
    SqliteLeases::open(&site.state())
        .unwrap()
        .commit(&[pxectl::machine::LeaseChange::Hold(lease.clone())])
        .unwrap();
    let file = site.path("backup.db");
    store.back_up(&site.state(), &file).unwrap();
    assert!(
        store.back_up(&site.state(), &file).is_err(),
        "never replaced"
    );
    let error = restore(&file, &site.state(), &site.witness()).unwrap_err();
    assert!(matches!(error.fault, StoreFault::Present), "{error}");

    let other = site.path("other");
    let settled = restore(&file, &other, &site.witness()).unwrap();
    assert_eq!(settled.doubt, Some(StoreDoubt::Restored));
    assert_eq!(settled.suspended, ["a"]);
    let restored = site.open_at(&other);
    assert_eq!(restored.key(), store.key());
    assert_ne!(restored.id().unwrap(), store.id().unwrap());
    assert!(is_suspended(&restored, "a"));
    assert_eq!(doubt(&restored), None);
    assert_eq!(SqliteLeases::open(&other).unwrap().load().unwrap(), [lease]);
    // The store that was backed up goes on.
    assert_eq!(doubt(&store), None);
    assert!(!is_suspended(&store, "a"));
    let error = restore(
        &other.join("state.db"),
        &site.path("third"),
        &site.witness(),
    );
    assert!(error.unwrap_err().to_string().contains("expected a backup"));
    assert!(!site.path("third/state.db").exists());
}

#[test]
fn a_write_ahead_log_that_was_removed_stops_installs_and_acknowledges_nothing() {
    let site = Site::new();
    let store = site.armed();
    fs::remove_file(site.state().join("state.db-wal")).unwrap();
    let standing = store.standing().unwrap();
    assert!(matches!(
        standing.impediment(),
        Some(Impediment::StoreReplaced { .. })
    ));
    let error = store.append(&[super::event("a", 1, "lost")]).unwrap_err();
    assert!(matches!(error.fault, StoreFault::Replaced), "{error}");
}

#[test]
fn a_missing_log_is_named_together_with_the_way_out() {
    let site = Site::new();
    let _store = site.armed();
    fs::remove_file(site.state().join("state.db-wal")).unwrap();
    // SQLite creates an empty log at the first attempt.
    for _ in 0..2 {
        let error = SqliteStore::open(&site.state()).err().unwrap();
        assert!(
            matches!(error.fault, StoreFault::LogMissing { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("state.db-wal"), "{error}");
        assert!(error.help().contains("pxectl store restore"), "{error}");
    }
}

#[test]
fn a_copy_says_that_it_is_one() {
    let site = Site::new();
    let store = site.armed();
    let copied = store
        .copy_to(&site.state(), &site.path("copy"), &site.witness())
        .unwrap();
    assert_eq!(copied.suspended, ["a"]);
    let doubt = copied.doubt.unwrap().to_string();
    assert_eq!(
        doubt,
        format!("the store is a copy of `{}`", site.state().display())
    );
    let copy = site.open_at(&site.path("copy"));
    let record = copy.host("a").unwrap().unwrap();
    let session = record.session.unwrap();
    assert_eq!(session.suspended, Some(doubt));
    assert_eq!(self::doubt(&store), None, "the original stays sound");
}

#[test]
fn a_store_that_is_closed_is_one_whole_file() {
    let site = Site::new();
    drop(site.armed());
    let state = site.state();
    assert!(!state.join("state.db-wal").exists());
    assert!(fs::metadata(state.join("state.db")).unwrap().len() > 4096);
}

#[test]
fn an_older_copy_without_a_quarantine_is_known_as_such() {
    let site = Site::new();
    drop(site.open());
    copy_files(&site.state(), &site.path("copy"));
    let store = site.open();
    store
        .update(&["a"], &mut |name, _, _| {
            let mut record = HostRecord::new(name, at(1));
            record.phase = Phase::Quarantine;
            Some(keep(record))
        })
        .unwrap();
    drop(store);
    copy_files(&site.path("copy"), &site.state());
    assert!(matches!(
        doubt(&site.open()),
        Some(StoreDoubt::Generation { .. })
    ));
}

#[test]
fn a_backup_that_holds_more_than_our_tables_is_refused() {
    for more in [
        "CREATE TRIGGER t AFTER UPDATE OF suspended ON session WHEN new.suspended IS NOT NULL
         BEGIN UPDATE session SET suspended = NULL WHERE id = new.id; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE other (a)",
        "DROP TABLE event",
    ] {
        let site = Site::new();
        let file = site.path("backup.db");
        site.armed().back_up(&site.state(), &file).unwrap();
        rusqlite::Connection::open(&file)
            .unwrap()
            .execute_batch(more)
            .unwrap();
        let other = site.path("other");
        let error = restore(&file, &other, &site.witness()).unwrap_err();
        assert!(
            error.to_string().contains("differ from those of a backup"),
            "{error}"
        );
        assert!(!other.join("state.db").exists());
    }
}

#[test]
fn a_witness_that_cannot_be_read_now_suspends_nothing() {
    let site = Site::new();
    let store = site.armed();
    let id = store.id().unwrap().unwrap();
    let witness = site.witness().join(format!("{id}.json"));
    let away = site.path("away.json");
    fs::rename(&witness, &away).unwrap();
    fs::create_dir(&witness).unwrap();
    assert!(matches!(
        doubt(&store),
        Some(StoreDoubt::UnreadableWitness { .. })
    ));
    assert_eq!(store.settle().unwrap().doubt, None);
    fs::remove_dir(&witness).unwrap();
    fs::rename(&away, &witness).unwrap();
    assert_eq!(doubt(&store), None);
    assert!(!is_suspended(&store, "a"));
}
