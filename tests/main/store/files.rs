//! What lies on the disk: permissions, versions, damage.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;
use pxectl::store::{EventQuery, LeaseStore, SqliteLeases, SqliteStore, Store, StoreFault};

use super::{arm, downgrade, event, open};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_files_are_for_their_owner_alone_and_the_key_stays() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("deep/state");
    let witness = directory.path().join("witness");
    let store = SqliteStore::open_or_create(&state, &witness).unwrap();
    store.append(&[event("a", 1, "x")]).unwrap();
    let _leases = SqliteLeases::open(&state).unwrap();
    assert_eq!(mode(&state), 0o700);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let key = *store.key();
    assert_eq!(SqliteStore::open(&state).unwrap().key(), &key);
    drop(store);
    assert_eq!(SqliteStore::open(&state).unwrap().key(), &key);
    let elsewhere = open(&directory.path().join("other"));
    assert_ne!(elsewhere.key(), &key);
}

#[test]
fn a_store_of_the_first_schema_is_migrated_and_keeps_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let key = *store.key();
    store.append(&[event("a", 1, "x")]).unwrap();
    drop(store);
    downgrade(directory.path(), 1);
    let store = open(directory.path());
    assert_eq!(
        (store.key(), store.watermark().unwrap().last_event),
        (&key, 1)
    );
    assert_eq!(store.controllers().unwrap(), []);
}

#[test]
fn a_newer_schema_is_refused_also_by_a_store_that_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    rusqlite::Connection::open(directory.path().join("state.db"))
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let opened = SqliteStore::open(directory.path()).err().unwrap();
    let written = store.append(&[event("a", 1, "x")]).unwrap_err();
    for error in [opened, written] {
        assert!(
            matches!(
                error.fault,
                StoreFault::NewerSchema {
                    found: 99,
                    supported: 4
                }
            ),
            "{error}"
        );
        assert!(error.help().contains("newest pxectl"), "{}", error.help());
    }
}

#[test]
fn a_file_that_is_not_a_store_is_refused_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    fs::write(&path, "kind: Site\n".repeat(100)).unwrap();
    let error = SqliteStore::open(directory.path()).err().unwrap();
    assert!(matches!(error.fault, StoreFault::Foreign { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
}

#[test]
fn a_database_of_another_program_is_refused_and_stays_as_it_is() {
    for file in ["state.db", "leases.db"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(file);
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE bookmark (a); PRAGMA user_version = 70")
            .unwrap();
        let before = fs::read(&path).unwrap();
        let error = if file == "state.db" {
            SqliteStore::open(directory.path()).err().unwrap()
        } else {
            SqliteLeases::open(directory.path()).err().unwrap()
        };
        assert!(matches!(error.fault, StoreFault::Foreign { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before, "{file}");
    }
}

#[test]
fn an_invalid_value_is_damage() {
    for (change, what) in [
        (
            "UPDATE host SET phase = 'asleep'",
            "`asleep` is not a phase",
        ),
        (
            "UPDATE host SET changed_at = 9223372036854775807",
            "microseconds",
        ),
        (
            "UPDATE host SET session = NULL; UPDATE host SET name = x'00'",
            "Blob",
        ),
        ("UPDATE session SET attempts = -1", "-1"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        store
            .update(&["a"], &mut |name, _, _| Some(arm(name, 1, 5)))
            .unwrap();
        rusqlite::Connection::open(directory.path().join("state.db"))
            .unwrap()
            .execute_batch(change)
            .unwrap();
        let error = store.hosts().unwrap_err();
        assert!(
            matches!(&error.fault, StoreFault::Corrupt { what: seen } if seen.contains(what)),
            "{change}: {error}"
        );
    }
}

#[test]
fn an_invalid_key_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    rusqlite::Connection::open(directory.path().join("state.db"))
        .unwrap()
        .execute_batch("UPDATE store SET key = 'secret'")
        .unwrap();
    let error = SqliteStore::open(directory.path()).err().unwrap();
    assert!(matches!(error.fault, StoreFault::Corrupt { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn a_file_in_place_of_the_directory_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    let error = SqliteStore::open(&path).err().unwrap();
    assert!(matches!(error.fault, StoreFault::Io(_)), "{error}");
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_files_never_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        length: prop::sample::Index,
        cut: bool,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        store.update(&["a"], &mut |name, _, _| Some(arm(name, 1, 5))).unwrap();
        drop(store);
        drop(SqliteLeases::open(directory.path()).unwrap());
        for file in ["state.db", "leases.db"] {
            let path = directory.path().join(file);
            let mut bytes = fs::read(&path).unwrap();
            for (index, octet) in &damage {
                *index.get_mut(&mut bytes) = *octet;
            }
            if cut {
                bytes.truncate(length.index(bytes.len()));
            }
            fs::write(&path, bytes).unwrap();
        }
        if let Ok(store) = SqliteStore::open(directory.path()) {
            let _ = store.hosts();
            let _ = store.append(&[event("a", 1, "x")]);
            let _ = store.events(&EventQuery { after: 0, host: None, limit: 10, latest: false});
        }
        if let Ok(leases) = SqliteLeases::open(directory.path()) {
            let _ = leases.load();
        }
    }
}
