//! Floods of requests that become events: they stay small, and leave room for what matters.

use std::fs;

use pxectl::machine::{Event, EventKind, Phase};
use pxectl::store::{EventQuery, Store};
use pxectl::token::Purpose;

use crate::serve::server::Server;
use crate::serve::web::Web;
use crate::support::rack::Rack;

/// How many callbacks of a kind are stored at once.
const BURST: usize = 120;
/// How many late callbacks of a kind are stored, ever.
const LATE: usize = 3;

fn events(rack: &Rack) -> Vec<Event> {
    let query = EventQuery {
        after: 0,
        host: None,
        limit: usize::MAX,
        latest: false,
    };
    let events = rack.store().events(&query).unwrap();
    events.into_iter().map(|stored| stored.event).collect()
}

fn count(rack: &Rack, kind: EventKind) -> usize {
    let events = events(rack);
    events.iter().filter(|event| event.kind == kind).count()
}

/// The size of the state database, with what is not yet in its main file.
fn database_size(rack: &Rack) -> u64 {
    let size = |name: &str| fs::metadata(rack.state().join(name)).map_or(0, |file| file.len());
    size("state.db") + size("state.db-wal")
}

/// Posts a callback with a text of its own many times.
fn flood(web: &mut Web, capability: &str, kind: &str, posts: usize, expected: &[&str]) {
    for number in 0..posts {
        let text = format!("{number} {}", "x".repeat(490));
        let answer = web.post(&format!("/s/{capability}/{kind}"), &text);
        assert_eq!(answer.status(), 200, "{kind} {number}");
        assert!(expected.contains(&answer.text()), "{}", answer.text());
    }
}

fn armed() -> (Rack, String) {
    let rack = Rack::beside_store();
    rack.done(&["host", "provision", "worker-01"]);
    let callback = rack.capability("worker-01", Purpose::Callback);
    (rack, callback)
}

#[test]
fn callbacks_of_an_ended_session_are_stored_a_few_times_whatever_restarts() {
    let (rack, callback) = armed();
    let mut server = Server::start(&rack, "http");
    let mut web = server.web();
    let installed = format!("/s/{callback}/installed");
    assert_eq!(web.post(&installed, "done").text(), "ok\n");
    let before = database_size(&rack);
    flood(&mut web, &callback, "failed", 1000, &["late\n"]);
    server.event(0, "callback-limit");
    let late = |log: String| log.matches("\"event\":\"late\"").count();
    assert_eq!(late(server.stop()), LATE);

    // A restart does not reset it.
    let mut server = Server::start(&rack, "http");
    let mut web = server.web();
    flood(&mut web, &callback, "failed", 1000, &["late\n"]);
    // A repeated one is still acknowledged as such.
    assert_eq!(web.post(&installed, "again").text(), "ok\n");
    server.event(0, "callback-repeated");
    assert_eq!(late(server.stop()), 0);
    assert_eq!(count(&rack, EventKind::Late), LATE);
    assert_eq!(count(&rack, EventKind::Installed), 1);
    let grown = database_size(&rack).saturating_sub(before);
    assert!(grown < 128 << 10, "{grown} bytes");
    let record = rack.record("worker-01").unwrap();
    assert_eq!(record.phase, Phase::Installed);
}

#[test]
fn a_flood_of_one_kind_uses_up_no_other_and_installed_is_never_refused() {
    let (rack, callback) = armed();
    let mut server = Server::start(&rack, "http");
    let mut web = server.web();
    for kind in ["log", "progress"] {
        flood(&mut web, &callback, kind, 400, &["ok\n", "too many\n"]);
    }
    // Ready floods end at their limit.
    flood(&mut web, &callback, "ready", 100, &["ok\n", "too many\n"]);
    assert_eq!(
        web.post(&format!("/s/{callback}/installed"), "").text(),
        "ok\n"
    );
    server.event(0, "installed");
    let phase = rack.record("worker-01").unwrap().phase;
    assert_eq!(phase, Phase::Installed);
    for kind in [EventKind::Log, EventKind::Progress] {
        // Some more of them while the flood lasts, one every five seconds.
        let stored = count(&rack, kind);
        assert!((BURST..300).contains(&stored), "{stored} of {kind}");
    }
    assert_eq!(count(&rack, EventKind::Ready), 20);
    server.stop();
}

#[test]
fn a_callback_that_is_sent_again_is_stored_once() {
    let (rack, callback) = armed();
    let server = Server::start(&rack, "http");
    let mut web = server.web();
    for kind in ["progress", "log", "ready"] {
        for text in ["half", "half", "whole", "whole", "half"] {
            let answer = web.post(&format!("/s/{callback}/{kind}"), text);
            assert_eq!(answer.text(), "ok\n");
        }
    }
    server.stop();
    for kind in [EventKind::Progress, EventKind::Log, EventKind::Ready] {
        assert_eq!(count(&rack, kind), 3, "{kind}");
    }
}

#[test]
fn a_flood_of_invented_machines_leaves_the_events_of_a_host() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "http");
    let mut web = server.web();
    let known = |host: u8, serial: &str| {
        format!(
            "/boot.ipxe?mac=52:54:00:85:00:0{host}&uuid=4c4c4544-0035-5a10-8054-b4c04f4e0{host}32\
             &serial={serial}&platform=efi&buildarch=x86_64"
        )
    };
    let of = |host: Option<&str>| {
        let events = events(&rack);
        let is_of = |event: &&Event| event.host.as_deref() == host;
        events.iter().filter(is_of).count()
    };
    // A host that is noisy itself, and one that speaks before and during the flood.
    for number in 0..200 {
        web.get(&known(2, &format!("WRONG{number}")));
    }
    web.get(&known(3, "WRONG"));
    for number in 0..3000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let mac = format!("02:00:00:00:{high:02x}:{low:02x}");
        let answer = web.get(&format!(
            "/boot.ipxe?mac={mac}&platform=efi&buildarch=x86_64"
        ));
        assert_eq!(answer.status(), 200);
        if number == 2500 {
            web.get(&known(3, "C7X9K3"));
        }
    }
    server.event(0, "event-dropped");
    server.stop();
    assert_eq!(of(Some("worker-03")), 2);
    // A burst, and some more while the flood lasts.
    let (noisy, strangers) = (of(Some("worker-02")), of(None));
    assert!((20..60).contains(&noisy), "{noisy}");
    assert!((600..1000).contains(&strangers), "{strangers}");
}
