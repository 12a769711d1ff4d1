//! Stores that were deleted, copied, moved and restored, as servers and commands see them.

use std::fs;
use std::process::Output;

use pxectl::machine::{EventKind, Phase};
use pxectl::store::{EventQuery, SqliteStore, Store};
use pxectl::token::Purpose;

use crate::serve::server::Server;
use crate::support::directory::copy_files;
use crate::support::rack::Rack;

fn armed() -> Rack {
    let rack = Rack::beside_store();
    rack.done(&["host", "provision", "worker-01"]);
    rack
}

fn installs(rack: &Rack, server: &Server) -> bool {
    let (url, _) = rack.boot_url();
    server.web().get(&url).text().contains("/s/")
}

fn refused(rack: &Rack, words: &[&str]) -> String {
    let output: Output = rack.command(words).output().unwrap();
    assert!(!output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The third attack of the issue: `state.db` is deleted under a running server.
#[test]
fn a_server_whose_store_was_deleted_installs_nothing_and_no_command_makes_another() {
    for whole_directory in [false, true] {
        let rack = armed();
        let mut server = Server::start(&rack, "all");
        let (url, _) = rack.boot_url();
        let seed = rack.capability("worker-01", Purpose::Seed);
        let callback = rack.capability("worker-01", Purpose::Callback);
        assert!(installs(&rack, &server));
        if whole_directory {
            fs::remove_dir_all(rack.state()).unwrap();
        } else {
            fs::remove_file(rack.state().join("state.db")).unwrap();
        }
        server.event(0, "store-impeded");
        let script = server.web().get(&url);
        assert!(!script.text().contains("/s/"), "{}", script.text());
        let kernel = server.web().get(&format!("/s/{seed}/files/kernel"));
        assert_eq!(kernel.status(), 503, "{}", kernel.text());
        // A report that would be lost is not acknowledged: its installer tries again.
        let report = server.web().post(&format!("/s/{callback}/installed"), "");
        assert_eq!(report.status(), 503, "{}", report.text());
        let ready = server.web().get("/readyz");
        assert_eq!(ready.status(), 503);
        assert!(ready.text().contains("deleted"), "{}", ready.text());

        for words in [
            &["host", "quarantine", "worker-01"][..],
            &["host", "provision", "worker-01"],
            &["host", "list"],
        ] {
            let why = refused(&rack, words);
            let pid = format!("process {}", server.pid());
            assert!(why.contains(&pid), "{words:?}: {why}");
        }
        for words in [
            &["store", "create"][..],
            &["serve", "http", "--http-port", "0"],
        ] {
            let why = refused(&rack, words);
            let pid = format!("process {}", server.pid());
            assert!(why.contains(&pid), "{words:?}: {why}");
        }
        assert!(!rack.state().join("state.db").exists());
        server.stop();
        rack.done(&["store", "create"]);
        rack.done(&["host", "list"]);
    }
}

/// The fourth attack: a copy that was taken while a host was armed is restored after its install.
#[test]
fn a_copy_restored_after_an_install_does_not_install_again() {
    for in_place in [true, false] {
        let rack = armed();
        let copy = rack.base().join("copy");
        copy_files(&rack.state(), &copy);
        let server = Server::start(&rack, "all");
        let callback = rack.capability("worker-01", Purpose::Callback);
        let seed = rack.capability("worker-01", Purpose::Seed);
        let kernel = server.web().get(&format!("/s/{seed}/files/kernel"));
        assert_eq!(kernel.status(), 200);
        let report = server.web().post(&format!("/s/{callback}/installed"), "");
        assert_eq!(report.text(), "ok\n");
        server.stop();
        if !in_place {
            fs::remove_dir_all(rack.state()).unwrap();
        }
        for side in ["state.db-wal", "state.db-shm"] {
            let _ = fs::remove_file(rack.state().join(side));
        }
        copy_files(&copy, &rack.state());

        let mut server = Server::start(&rack, "all");
        let said = server.event(0, "store-suspended");
        assert!(said.contains("worker-01"), "{said}");
        assert!(!installs(&rack, &server), "in place: {in_place}");
        let kernel = server.web().get(&format!("/s/{seed}/files/kernel"));
        assert_eq!(kernel.status(), 410, "{}", kernel.text());
        assert_eq!(server.web().get("/readyz").status(), 200);
        let query = EventQuery {
            after: 0,
            host: Some("worker-01".into()),
            limit: 100,
            latest: true,
        };
        let events = rack.store().events(&query).unwrap();
        let suspended = |it: &&pxectl::machine::StoredEvent| it.event.kind == EventKind::Suspended;
        assert_eq!(events.iter().filter(suspended).count(), 1);
        // The operator arms it again.
        rack.done(&["host", "provision", "worker-01"]);
        assert!(installs(&rack, &server));
        server.stop();
    }
}

#[test]
fn an_installer_of_a_suspended_session_still_reports() {
    let rack = armed();
    let server = Server::start(&rack, "all");
    let callback = rack.capability("worker-01", Purpose::Callback);
    let seed = rack.capability("worker-01", Purpose::Seed);
    let kernel = server.web().get(&format!("/s/{seed}/files/kernel"));
    assert_eq!(kernel.status(), 200);
    server.stop();
    let moved = rack.base().join("moved");
    fs::rename(rack.state(), &moved).unwrap();
    copy_files(&moved, &rack.state());

    let mut server = Server::start(&rack, "all");
    server.event(0, "store-suspended");
    let seed = server.web().get(&format!("/s/{seed}/user-data"));
    assert_eq!(seed.status(), 410, "{}", seed.text());
    let report = server.web().post(&format!("/s/{callback}/installed"), "");
    assert_eq!((report.status(), report.text()), (200, "ok\n"));
    assert_eq!(rack.record("worker-01").unwrap().phase, Phase::Installed);
    server.stop();
}

/// A copy that is put in place of the store while a server has it open.
#[test]
fn a_store_that_is_replaced_under_a_server_is_not_its_store() {
    let rack = armed();
    let mut server = Server::start(&rack, "all");
    copy_files(&rack.state(), &rack.base().join("copy"));
    assert!(installs(&rack, &server));
    let copy = rack.base().join("copy/state.db");
    fs::rename(copy, rack.state().join("state.db")).unwrap();
    server.event(0, "store-impeded");
    let (url, _) = rack.boot_url();
    assert!(!server.web().get(&url).text().contains("/s/"));
    assert_eq!(server.web().get("/readyz").status(), 503);
    server.stop();
}

#[test]
fn a_backup_of_a_running_site_is_restored_disarmed() {
    let rack = armed();
    let server = Server::start(&rack, "all");
    let file = rack.base().join("backup.db");
    let path = file.display().to_string();
    rack.done(&["store", "backup", &path]);
    assert!(
        installs(&rack, &server),
        "the site that was backed up goes on"
    );
    let again = refused(&rack, &["store", "backup", &path]);
    assert!(again.contains("exists"), "{again}");
    let over = refused(&rack, &["store", "restore", &path]);
    assert!(over.contains("already"), "{over}");
    server.stop();

    fs::remove_dir_all(rack.state()).unwrap();
    let text = rack.done(&["store", "restore", &path]);
    assert!(text.contains("worker-01"), "{text}");
    let server = Server::start(&rack, "all");
    assert!(!installs(&rack, &server));
    assert_eq!(server.web().get("/readyz").status(), 200);
    rack.done(&["host", "provision", "worker-01"]);
    assert!(installs(&rack, &server));
    server.stop();
}

#[test]
fn a_copied_site_arms_nobody_and_leaves_the_first_one_as_it_is() {
    let rack = armed();
    let server = Server::start(&rack, "all");
    let other = rack.base().join("other");
    rack.done(&["store", "copy", &other.display().to_string()]);
    assert!(installs(&rack, &server));
    let copied = SqliteStore::open(&other).unwrap();
    let record = copied.host("worker-01").unwrap().unwrap();
    let suspended = record.session.and_then(|session| session.suspended);
    assert!(suspended.is_some());
    assert!(rack.session("worker-01").suspended.is_none());
    server.stop();
}

/// A restart, a checkpoint and a VACUUM change nothing.
#[test]
fn an_armed_host_stays_armed_through_restarts_kills_and_a_vacuum() {
    let rack = armed();
    let server = Server::start(&rack, "all");
    assert!(installs(&rack, &server));
    drop(server);
    let file = rusqlite::Connection::open(rack.state().join("state.db")).unwrap();
    file.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM;")
        .unwrap();
    drop(file);
    let mut server = Server::start(&rack, "all");
    assert!(installs(&rack, &server));
    assert_eq!(server.count("store-suspended"), 0);
    server.stop();
}
