//! The bad input of controllers: each host's own line says what happened and what to do, and the
//! others go on.

use std::net::TcpListener;
use std::time::Duration;

use crate::emulator::profile::{CONTOSO, HPE, SUSHY};
use crate::emulator::{Bmc, Emulator, Unwell};
use crate::rack::{HostKeys, Rack, Said};

const SYSTEM: &str = "/redfish/v1/Systems/";

/// Two controllers: the first is disturbed, the second is well.
struct Pair {
    emulator: Emulator,
    bad: Bmc,
    good: Bmc,
    rack: Rack,
}

impl Pair {
    fn new() -> Self {
        let mut emulator = Emulator::start();
        let (bad, good) = (emulator.add(CONTOSO), emulator.add(CONTOSO));
        let rack = Rack::of(&[&bad, &good]);
        Self {
            emulator,
            bad,
            good,
            rack,
        }
    }

    /// Boots both: the first must fail, and say so on a line of its own; the second must boot.
    #[track_caller]
    fn fails(&self, says: &[&str]) -> Said {
        let said = self
            .rack
            .bmc(&["boot-pxe", "--all", "--yes", "--timeout", "20s"]);
        said.ended(4).says(says);
        let own = said.all();
        let own = own.lines().find(|line| line.contains("host-001-0"));
        assert!(own.is_some(), "no line of its own: {}", said.all());
        assert!(said.all().contains("help"), "{}", said.all());
        let good = self.good.machine(|machine| machine.boots.clone());
        assert_eq!(good, ["Pxe"], "{}", said.all());
        let bad = self.bad.machine(|machine| machine.resets.clone());
        assert_eq!(bad, [""; 0], "{}", said.all());
        said
    }
}

#[test]
fn nobody_answers() {
    let pair = Pair::new();
    // A port that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let url = format!("https://127.0.0.1:{port}");
    pair.rack.edit("hosts.yaml", &pair.bad.url(), &url);
    pair.fails(&["cannot reach", &url]);
}

#[test]
fn a_wrong_password_is_tried_once() {
    for profile in [CONTOSO, SUSHY, HPE] {
        let mut emulator = Emulator::start();
        let bmc = emulator.add(profile);
        bmc.controller(|controller| controller.password = "another".to_owned());
        let rack = Rack::of(&[&bmc]);
        let said = rack.bmc(&["status", "--all"]);
        said.ended(3).says(&["admin", "password refused", "help"]);
        let row = said.stdout.lines().last().unwrap_or_default();
        assert!(row.chars().count() <= 100, "{row}");
        let failures = bmc.controller(|controller| controller.failures);
        assert_eq!(failures, 1, "{}: {}", profile.name, said.all());
    }
}

#[test]
fn json_that_ends_too_soon_and_json_of_something_else() {
    let pair = Pair::new();
    pair.bad.unwell(SYSTEM, Unwell::Malformed);
    pair.fails(&["cannot be understood"]);
    let pair = Pair::new();
    pair.bad.unwell(SYSTEM, Unwell::Strange);
    pair.fails(&["cannot be understood"]);
}

#[test]
fn a_redirect_without_end_and_one_to_another_server() {
    let pair = Pair::new();
    pair.bad.unwell(SYSTEM, Unwell::Circle);
    pair.fails(&["redirect"]);
    let asked = pair.bad.asked();
    let circled = asked.iter().filter(|it| it.status == 307).count();
    assert!(circled <= 10, "{circled} redirects were followed");

    let pair = Pair::new();
    let mut others = Emulator::start();
    let elsewhere = others.add(CONTOSO);
    pair.bad.unwell(SYSTEM, Unwell::Elsewhere(elsewhere.url()));
    pair.fails(&["another server"]);
    assert_eq!(
        elsewhere.asked().len(),
        0,
        "credentials were taken elsewhere"
    );
}

#[test]
fn a_huge_body() {
    let pair = Pair::new();
    pair.bad.unwell(SYSTEM, Unwell::Huge);
    pair.fails(&["larger than"]);
}

#[test]
fn connections_that_break_are_made_again_and_not_for_ever() {
    let pair = Pair::new();
    pair.bad.unwell(SYSTEM, Unwell::Cut);
    pair.fails(&["cannot reach"]);
    assert!(pair.bad.asked().len() < 20, "{}", pair.bad.asked().len());

    for unwell in [
        Unwell::CutTimes(2),
        Unwell::Status(2, 500, None),
        Unwell::Status(1, 503, None),
        Unwell::Status(2, 429, Some(1)),
    ] {
        let pair = Pair::new();
        pair.bad.unwell(SYSTEM, unwell.clone());
        let said = pair.rack.bmc(&["boot-pxe", "--all", "--yes"]);
        assert_eq!(said.status, Some(0), "{unwell:?}: {}", said.all());
        let boots = pair.bad.machine(|machine| machine.boots.clone());
        assert_eq!(boots, ["Pxe"], "{unwell:?}");
    }
}

#[test]
fn a_reset_is_never_sent_twice_for_one() {
    let pair = Pair::new();
    // The answer to the reset is lost: it may have been done.
    pair.bad.unwell(
        "/redfish/v1/Systems/437XR1138R2/Actions/",
        Unwell::CutTimes(1),
    );
    pair.fails(&["cannot reach"]);
    let sent = pair.bad.changes();
    let resets = sent.iter().filter(|(method, ..)| method == "POST").count();
    assert_eq!(resets, 1, "{sent:?}");
}

#[test]
fn a_controller_that_lies_about_success() {
    let pair = Pair::new();
    pair.bad.trouble(|trouble| trouble.lies = true);
    pair.fails(&["reports success"]);
}

#[test]
fn a_controller_that_never_ends_its_self_test() {
    let pair = Pair::new();
    pair.bad
        .controller(|controller| controller.post = Some((1000, 501)));
    pair.fails(&["not done after"]);
}

#[test]
fn a_controller_that_is_too_slow() {
    let pair = Pair::new();
    pair.bad.slow(Duration::from_secs(600));
    pair.fails(&["not done after"]);
}

#[test]
fn a_certificate_that_changed_stops_everything_until_it_is_pinned() {
    let pair = Pair::new();
    let [first, second] = pair.emulator.fingerprints();
    let said = pair.rack.bmc(&["status", "--all"]);
    said.done().says(&[&first]);
    pair.bad.rotate();
    pair.bad.forget();
    pair.fails(&["certificate", &second, "pxectl bmc pin"]);
    // Nothing at all was said to who answered there.
    assert_eq!(pair.bad.asked().len(), 0);
    assert!(pair.bad.handshakes_refused() > 0);

    let host = "host-001-0";
    let fits = |said: &Said| {
        let table = said.stdout.split("\n\n").next().unwrap_or_default();
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|width| width <= 100), "{}", said.all());
    };
    // What went wrong stands in full beside the table, once.
    let status = pair.rack.bmc(&["status", "--all"]);
    status.ended(4).says(&["certificate not trusted"]);
    assert_eq!(status.all().matches(&second).count(), 1, "{}", status.all());
    fits(&status);
    let refused = pair.rack.bmc(&["pin", host]);
    refused.ended(1).says(&[&second, "--yes", "not accepted"]);
    let planned = pair.rack.bmc(&["pin", host, "--dry-run"]);
    planned.done().says(&["would be accepted"]);
    let pinned = pair.rack.bmc(&["pin", host, "--yes"]);
    pinned.done().says(&[&first, &second, "accepted"]);
    assert!(!pinned.all().contains("to be accepted"), "{}", pinned.all());
    fits(&pinned);
    // Nothing is new: nobody is asked.
    for words in [&["pin", host][..], &["pin", "host-002-0"]] {
        let same = pair.rack.bmc(words);
        same.done().says(&["unchanged"]);
        fits(&same);
    }
    let same = pair.rack.bmc(&["pin", host, "--format", "json"]);
    assert_eq!(same.done().json()[0]["result"], "unchanged");
    pair.rack.bmc(&["boot-pxe", host, "--yes"]).done();
    assert_eq!(pair.bad.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn a_certificate_that_changes_under_way_stops_what_was_begun() {
    for known in [true, false] {
        // After the log-in and before anything was changed.
        for after in [1, 2, 3, 4, 5] {
            let pair = Pair::new();
            if known {
                pair.rack.bmc(&["status", "--all"]).done();
            }
            pair.bad.forget();
            pair.bad
                .trouble(|trouble| trouble.rotates_after = Some(after));
            let host = "host-001-0";
            let said = pair
                .rack
                .bmc(&["boot-pxe", host, "--yes", "--timeout", "20s"]);
            let asked = pair.bad.asked().len();
            said.ended(3).says(&["certificate"]);
            assert_eq!(asked, after, "it went on: {}", said.all());
        }
    }
}

/// The rack of one controller, with another key in its `bmc`.
fn with_key(bmc: &Bmc, key: &str) -> Rack {
    let mut host = HostKeys::of(bmc, 0);
    let keys = host.bmc.strip_suffix('}').expect("a mapping");
    host.bmc = format!("{keys}, {key}}}");
    Rack::new(&[host])
}

#[test]
fn an_old_certificate_is_taken_where_the_inventory_pins_it_and_says_that_it_is_old() {
    let mut emulator = Emulator::start();
    let (bmc, pin) = emulator.add_old(CONTOSO);
    let said = Rack::of(&[&bmc]).bmc(&["status", "--all"]);
    said.ended(3).says(&["tls: legacy", "help"]);
    assert_eq!(bmc.asked().len(), 0);
    let rack = with_key(&bmc, "tls: legacy");
    rack.run(&["validate"]).ended(1).says(&["needs a `pin`"]);
    let rack = with_key(&bmc, &format!("tls: legacy, pin: \"sha256:{pin}\""));
    rack.bmc(&["boot-pxe", "--all", "--yes"]).done();
    assert_eq!(bmc.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn pins_and_authorities_of_the_inventory_are_held_to() {
    let mut emulator = Emulator::start();
    let (own, signed) = (emulator.add(CONTOSO), emulator.add_signed(CONTOSO));
    let [pin, other] = emulator.fingerprints();
    let with = |bmc: &Bmc, key: &str| {
        let rack = with_key(bmc, key);
        std::fs::copy(emulator.authority(), rack.file("authority.pem")).expect("a copy");
        rack
    };
    with(&own, &format!("pin: \"sha256:{pin}\""))
        .bmc(&["status", "--all"])
        .done();
    with(&signed, "ca: authority.pem")
        .bmc(&["status", "--all"])
        .done();
    own.forget();
    signed.forget();
    for (bmc, key) in [
        (&own, format!("pin: \"sha256:{other}\"")),
        (&own, "ca: authority.pem".to_owned()),
        (&signed, format!("pin: \"sha256:{pin}\"")),
    ] {
        let said = with(bmc, &key).bmc(&["status", "--all"]);
        said.ended(3).says(&["certificate", "help"]);
        assert_eq!(bmc.asked().len(), 0, "{key}");
    }
}
