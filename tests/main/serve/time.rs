//! Clocks that are wrong, and deadlines that pass, with a running server whose clock a test moves.
//!
//! Debian's `faketime` moves the wall clock of a process while it runs; the time since boot stays the
//! kernel's.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use pxectl::machine::{EventKind, MacAddress, Phase, SessionEnd};
use pxectl::store::{EventQuery, Store};
use pxectl::token::Purpose;

use crate::serve::PATIENCE;
use crate::serve::client::{Dhcp, firmware};
use crate::serve::server::{OPTIONS, Server};
use crate::support::rack::Rack;
use crate::support::requirements::missing;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A wall clock that is ahead of the real one by some seconds, for every process that it is given to.
struct WallClock {
    file: PathBuf,
    library: PathBuf,
}

impl WallClock {
    fn new(rack: &Rack) -> Option<Self> {
        let library = library()?;
        let clock = Self {
            file: rack.base().join("clock"),
            library,
        };
        clock.set(0);
        Some(clock)
    }

    fn set(&self, ahead: i64) {
        // A reader must never see half a number.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{ahead:+}")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn give_to(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
    }

    fn serve(&self, rack: &Rack) -> Server {
        let mut command = rack.command(&[&["serve", "all"], &OPTIONS[..]].concat());
        self.give_to(&mut command);
        Server::start_with(&mut command, "all")
    }

    fn run(&self, rack: &Rack, words: &[&str]) -> Output {
        let mut command = rack.command(words);
        self.give_to(&mut command);
        command.output().unwrap()
    }

    fn done(&self, rack: &Rack, words: &[&str]) {
        let output = self.run(rack, words);
        assert!(output.status.success(), "{words:?}: {output:?}");
    }
}

/// Finds the library; reports loudly where it is missing.
fn library() -> Option<PathBuf> {
    let architectures = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut libraries = architectures.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.find(|path| path.exists());
    if found.is_none() {
        missing(&["faketime"]);
    }
    found
}

fn ahead(seconds: i64) -> Timestamp {
    pxectl::clock::wall_time() + SignedDuration::from_secs(seconds)
}

/// What `worker-01` is given to boot at a time.
fn boot(rack: &Rack, server: &Server, seconds_ahead: i64) -> String {
    let (url, _) = rack.boot_url_at(ahead(seconds_ahead));
    server.web().get(&url).text().to_owned()
}

fn installs(script: &str) -> bool {
    script.contains("/s/")
}

fn phase(rack: &Rack) -> Phase {
    rack.record("worker-01").unwrap().phase
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits for a condition that must come true.
fn wait_until(what: &str, is_true: impl Fn() -> bool) {
    let until = std::time::Instant::now() + PATIENCE;
    while !is_true() {
        assert!(std::time::Instant::now() < until, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn events(rack: &Rack, kind: EventKind) -> usize {
    let query = EventQuery {
        after: 0,
        host: None,
        limit: 10_000,
        latest: true,
    };
    let events = rack.store().events(&query).unwrap();
    events.iter().filter(|it| it.event.kind == kind).count()
}

/// The first attack of the issue: the clock goes back after a session expired.
#[test]
fn an_expired_session_stays_expired_when_the_clock_goes_back() {
    let rack = Rack::beside_store();
    let Some(clock) = WallClock::new(&rack) else {
        return;
    };
    let mut server = clock.serve(&rack);
    let arm = ["host", "provision", "worker-01", "--deadline", "1h"];
    clock.done(&rack, &arm);
    assert!(installs(&boot(&rack, &server, 0)));
    assert_eq!(server.web().get("/readyz").status(), 200);

    // Nothing asks: the sweep alone records the expiry, once, and nothing was installed.
    clock.set(2 * HOUR);
    server.event(0, "expired");
    assert_eq!(phase(&rack), Phase::New);
    let session = rack.session("worker-01");
    assert_eq!(session.ended_by, Some(SessionEnd::Expired));
    assert_eq!(events(&rack, EventKind::Expired), 1);
    assert!(!installs(&boot(&rack, &server, 2 * HOUR)));

    clock.set(-10 * DAY);
    let mark = server.mark();
    server.event(mark, "store-impeded");
    assert!(!installs(&boot(&rack, &server, -10 * DAY)));
    let ready = server.web().get("/readyz");
    assert_eq!(ready.status(), 503);
    assert!(ready.text().contains("clock"), "{}", ready.text());
    assert!(ready.text().contains("accept-clock"), "{}", ready.text());
    let refused = clock.run(&rack, &arm);
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("clock"), "{}", stderr(&refused));
    let listed = clock.run(&rack, &["host", "list"]);
    assert!(listed.status.success());
    assert!(
        stderr(&listed).contains("accept-clock"),
        "{}",
        stderr(&listed)
    );
    // Everything that overwrites nothing goes on.
    assert_eq!(server.web().get("/healthz").status(), 200);

    // A clock that catches up needs nobody.
    let mark = server.mark();
    clock.set(2 * HOUR + 60);
    server.event(mark, "store-sound");
    assert_eq!(server.web().get("/readyz").status(), 200);
    assert_eq!(events(&rack, EventKind::Expired), 1);
    server.stop();
}

/// The second attack: a server starts with a dead real-time clock.
#[test]
fn a_server_that_starts_with_a_clock_of_the_past_installs_nothing() {
    let rack = Rack::beside_store();
    let Some(clock) = WallClock::new(&rack) else {
        return;
    };
    clock.done(&rack, &["host", "provision", "worker-01"]);
    clock.set(-DAY);
    let mut server = clock.serve(&rack);
    server.event(0, "store-impeded");
    assert!(!installs(&boot(&rack, &server, -DAY)));
    let dhcp = Dhcp::connect(server.address("dhcp"));
    let guest = MacAddress::new([2, 0, 0, 0, 0, 1]);
    assert!(dhcp.lease(&firmware(guest), 1).is_some(), "DHCP goes on");
    let seed = rack.capability("worker-01", Purpose::Seed);
    let kernel = server.web().get(&format!("/s/{seed}/files/kernel"));
    assert_eq!(kernel.status(), 503, "{}", kernel.text());
    assert_eq!(rack.session("worker-01").attempts, 0);

    // The operator finds that the clock was wrong before, and is right now.
    let mark = server.mark();
    clock.done(&rack, &["store", "accept-clock"]);
    server.event(mark, "store-sound");
    assert_eq!(
        phase(&rack),
        Phase::New,
        "every open session is closed first"
    );
    assert!(!installs(&boot(&rack, &server, -DAY)));
    clock.done(&rack, &["host", "provision", "worker-01"]);
    assert!(installs(&boot(&rack, &server, -DAY)));
    server.stop();
}

/// NTP sets the clock during an install.
#[test]
fn a_step_of_the_clock_does_not_reject_the_report_of_an_installer() {
    let rack = Rack::beside_store();
    let Some(clock) = WallClock::new(&rack) else {
        return;
    };
    let mut server = clock.serve(&rack);
    let arm = ["host", "provision", "worker-01", "--deadline", "2h"];
    clock.done(&rack, &arm);
    let seed = rack.capability("worker-01", Purpose::Seed);
    let callback = rack.capability("worker-01", Purpose::Callback);
    let kernel = server.web().get(&format!("/s/{seed}/files/kernel"));
    assert_eq!(kernel.status(), 200);

    clock.set(30 * DAY);
    server.event(0, "expired");
    assert_eq!(phase(&rack), Phase::Failed, "the disk may be half written");
    let late = server.web().get(&format!("/s/{seed}/user-data"));
    assert_eq!(late.status(), 410, "nothing destructive after either clock");
    let report = server.web().post(&format!("/s/{callback}/installed"), "");
    assert_eq!((report.status(), report.text()), (200, "ok\n"));
    assert_eq!(phase(&rack), Phase::Installed);
    server.stop();
}

#[test]
fn a_server_that_was_off_when_a_deadline_passed_records_it_when_it_starts() {
    let rack = Rack::beside_store();
    let Some(clock) = WallClock::new(&rack) else {
        return;
    };
    let arm = ["host", "provision", "worker-01", "worker-02", "--yes"];
    clock.done(&rack, &[&arm[..], &["--deadline", "1h"]].concat());
    clock.set(DAY);
    let server = clock.serve(&rack);
    wait_until("both sessions expire", || {
        events(&rack, EventKind::Expired) == 2
    });
    assert_eq!(phase(&rack), Phase::New);
    server.stop();
    let server = clock.serve(&rack);
    assert!(!installs(&boot(&rack, &server, DAY)));
    assert_eq!(events(&rack, EventKind::Expired), 2);
    server.stop();
}
