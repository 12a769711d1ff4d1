//! Faulty BMCs: each host's own line says what happened and what to do, and the other hosts are not
//! affected.

use std::net::TcpListener;
use std::time::Duration;

use crate::bmc::emulator::profile::{CONTOSO, HPE, SUSHY};
use crate::bmc::emulator::{Bmc, Emulator, Fault};
use crate::bmc::rack::HostDocument;
use crate::support::rack::Rack;
use crate::support::run_output::RunOutput;

const SYSTEM: &str = "/redfish/v1/Systems/";

/// Two BMCs: the first one has a fault.
struct FaultyPair {
    emulator: Emulator,
    bad: Bmc,
    good: Bmc,
    rack: Rack,
}

impl FaultyPair {
    fn new() -> Self {
        let mut emulator = Emulator::start();
        let (bad, good) = (emulator.add(CONTOSO), emulator.add(CONTOSO));
        let rack = Rack::of_bmcs(&[&bad, &good]);
        Self {
            emulator,
            bad,
            good,
            rack,
        }
    }

    /// Boots both machines. The first must fail with a line of its own, and the second must boot.
    #[track_caller]
    fn assert_first_fails(&self, texts: &[&str]) -> RunOutput {
        let output = self
            .rack
            .bmc(&["boot-pxe", "--all", "--yes", "--timeout", "20s"]);
        output.assert_exit(4).assert_contains(texts);
        let own = output.all();
        let own = own.lines().find(|line| line.contains("host-001-0"));
        assert!(own.is_some(), "no line of its own: {}", output.all());
        assert!(output.all().contains("help"), "{}", output.all());
        let good = self.good.machine(|machine| machine.boots.clone());
        assert_eq!(good, ["Pxe"], "{}", output.all());
        let bad = self.bad.machine(|machine| machine.resets.clone());
        assert_eq!(bad, [""; 0], "{}", output.all());
        output
    }
}

#[test]
fn unreachable_bmc_fails_alone() {
    let pair = FaultyPair::new();
    // A port without a listener.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let url = format!("https://127.0.0.1:{port}");
    pair.rack.edit("hosts.yaml", &pair.bad.url(), &url);
    pair.assert_first_fails(&["cannot reach", &url]);
}

#[test]
fn wrong_password_is_tried_once() {
    for profile in [CONTOSO, SUSHY, HPE] {
        let mut emulator = Emulator::start();
        let bmc = emulator.add(profile);
        bmc.controller(|controller| controller.password = "another".to_owned());
        let rack = Rack::of_bmcs(&[&bmc]);
        let output = rack.bmc(&["status", "--all"]);
        output
            .assert_exit(3)
            .assert_contains(&["admin", "login failed", "help"]);
        let row = output.stdout.lines().last().unwrap_or_default();
        assert!(row.chars().count() <= 100, "{row}");
        let failures = bmc.controller(|controller| controller.failures);
        assert_eq!(failures, 1, "{}: {}", profile.name, output.all());
    }
}

#[test]
fn truncated_and_unexpected_json_are_errors() {
    let pair = FaultyPair::new();
    pair.bad.set_fault(SYSTEM, Fault::Malformed);
    pair.assert_first_fails(&["cannot parse the response"]);
    let pair = FaultyPair::new();
    pair.bad.set_fault(SYSTEM, Fault::Unexpected);
    pair.assert_first_fails(&["cannot parse the response"]);
}

#[test]
fn endless_redirect_and_redirect_to_another_server_are_errors() {
    let pair = FaultyPair::new();
    pair.bad.set_fault(SYSTEM, Fault::RedirectLoop);
    pair.assert_first_fails(&["redirect"]);
    let requests = pair.bad.requests();
    let redirects = requests.iter().filter(|it| it.status == 307).count();
    assert!(redirects <= 10, "{redirects} redirects were followed");

    let pair = FaultyPair::new();
    let mut others = Emulator::start();
    let elsewhere = others.add(CONTOSO);
    pair.bad
        .set_fault(SYSTEM, Fault::RedirectElsewhere(elsewhere.url()));
    pair.assert_first_fails(&["another server"]);
    assert_eq!(
        elsewhere.requests().len(),
        0,
        "credentials were sent to another server"
    );
}

#[test]
fn huge_response_is_an_error() {
    let pair = FaultyPair::new();
    pair.bad.set_fault(SYSTEM, Fault::Huge);
    pair.assert_first_fails(&["exceeds 4 MiB"]);
}

#[test]
fn broken_connections_are_retried_a_few_times() {
    let pair = FaultyPair::new();
    pair.bad.set_fault(SYSTEM, Fault::Cut);
    pair.assert_first_fails(&["cannot reach"]);
    assert!(
        pair.bad.requests().len() < 20,
        "{}",
        pair.bad.requests().len()
    );

    for fault in [
        Fault::CutTimes(2),
        Fault::Status(2, 500, None),
        Fault::Status(1, 503, None),
        Fault::Status(2, 429, Some(1)),
    ] {
        let pair = FaultyPair::new();
        pair.bad.set_fault(SYSTEM, fault.clone());
        let output = pair.rack.bmc(&["boot-pxe", "--all", "--yes"]);
        assert_eq!(output.status, Some(0), "{fault:?}: {}", output.all());
        let boots = pair.bad.machine(|machine| machine.boots.clone());
        assert_eq!(boots, ["Pxe"], "{fault:?}");
    }
}

#[test]
fn reset_with_a_lost_response_is_not_repeated() {
    let pair = FaultyPair::new();
    // The response to the reset is lost, so the reset may have happened.
    pair.bad.set_fault(
        "/redfish/v1/Systems/437XR1138R2/Actions/",
        Fault::CutTimes(1),
    );
    pair.assert_first_fails(&["cannot reach"]);
    let sent = pair.bad.changes();
    let resets = sent.iter().filter(|(method, ..)| method == "POST").count();
    assert_eq!(resets, 1, "{sent:?}");
}

#[test]
fn false_success_is_detected() {
    let pair = FaultyPair::new();
    pair.bad
        .change_faults(|faults| faults.ignores_changes = true);
    pair.assert_first_fails(&["reports success"]);
}

#[test]
fn endless_self_test_times_out() {
    let pair = FaultyPair::new();
    pair.bad
        .controller(|controller| controller.post = Some((1000, 501)));
    pair.assert_first_fails(&["timed out after"]);
}

#[test]
fn slow_bmc_times_out() {
    let pair = FaultyPair::new();
    pair.bad.set_latency(Duration::from_secs(600));
    pair.assert_first_fails(&["timed out after"]);
}

#[test]
fn changed_certificate_is_refused_until_it_is_pinned() {
    let pair = FaultyPair::new();
    let [first, second] = pair.emulator.fingerprints();
    let output = pair.rack.bmc(&["status", "--all"]);
    output.assert_success().assert_contains(&[&first]);
    pair.bad.rotate();
    pair.bad.clear_requests();
    pair.assert_first_fails(&["certificate", &second, "pxectl bmc pin"]);
    // No request was sent to the BMC with the other certificate.
    assert_eq!(pair.bad.requests().len(), 0);
    assert!(pair.bad.refused_handshakes() > 0);

    let host = "host-001-0";
    let fits = |output: &RunOutput| {
        let table = output.stdout.split("\n\n").next().unwrap_or_default();
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|width| width <= 100), "{}", output.all());
    };
    // The full error is printed once, beside the table.
    let status = pair.rack.bmc(&["status", "--all"]);
    status
        .assert_exit(4)
        .assert_contains(&["certificate not trusted"]);
    assert_eq!(status.all().matches(&second).count(), 1, "{}", status.all());
    fits(&status);
    let refused = pair.rack.bmc(&["pin", host]);
    refused
        .assert_exit(1)
        .assert_contains(&[&second, "--yes", "not accepted"]);
    let planned = pair.rack.bmc(&["pin", host, "--dry-run"]);
    planned
        .assert_success()
        .assert_contains(&["would be accepted"]);
    let pinned = pair.rack.bmc(&["pin", host, "--yes"]);
    pinned
        .assert_success()
        .assert_contains(&[&first, &second, "accepted"]);
    assert!(
        !pinned.all().contains("would be accepted"),
        "{}",
        pinned.all()
    );
    fits(&pinned);
    // Nothing is new, so there is no prompt.
    for words in [&["pin", host][..], &["pin", "host-002-0"]] {
        let same = pair.rack.bmc(words);
        same.assert_success().assert_contains(&["unchanged"]);
        fits(&same);
    }
    let same = pair.rack.bmc(&["pin", host, "--format", "json"]);
    assert_eq!(same.assert_success().json()[0]["result"], "unchanged");
    pair.rack.bmc(&["boot-pxe", host, "--yes"]).assert_success();
    assert_eq!(pair.bad.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn certificate_change_during_a_command_stops_it() {
    for known in [true, false] {
        // After the login and before the first change.
        for after in [1, 2, 3, 4, 5] {
            let pair = FaultyPair::new();
            if known {
                pair.rack.bmc(&["status", "--all"]).assert_success();
            }
            pair.bad.clear_requests();
            pair.bad
                .change_faults(|faults| faults.rotates_after = Some(after));
            let host = "host-001-0";
            let output = pair
                .rack
                .bmc(&["boot-pxe", host, "--yes", "--timeout", "20s"]);
            let requests = pair.bad.requests().len();
            output.assert_exit(3).assert_contains(&["certificate"]);
            assert_eq!(requests, after, "the command continued: {}", output.all());
        }
    }
}

/// Makes a rack of one BMC with one more key in its `bmc`.
fn rack_with_bmc_key(bmc: &Bmc, key: &str) -> Rack {
    let mut host = HostDocument::of(bmc, 0);
    let keys = host.bmc.strip_suffix('}').expect("a mapping");
    host.bmc = format!("{keys}, {key}}}");
    Rack::with_hosts(&[host])
}

#[test]
fn old_certificate_needs_a_pin_and_legacy_tls() {
    let mut emulator = Emulator::start();
    let (bmc, pin) = emulator.add_old(CONTOSO);
    let output = Rack::of_bmcs(&[&bmc]).bmc(&["status", "--all"]);
    output
        .assert_exit(3)
        .assert_contains(&["tls: legacy", "help"]);
    assert_eq!(bmc.requests().len(), 0);
    let rack = rack_with_bmc_key(&bmc, "tls: legacy");
    rack.run(&["validate"])
        .assert_exit(1)
        .assert_contains(&["requires a `pin`"]);
    let rack = rack_with_bmc_key(&bmc, &format!("tls: legacy, pin: \"sha256:{pin}\""));
    rack.bmc(&["boot-pxe", "--all", "--yes"]).assert_success();
    assert_eq!(bmc.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn pins_and_authorities_of_the_inventory_are_enforced() {
    let mut emulator = Emulator::start();
    let (own, signed) = (emulator.add(CONTOSO), emulator.add_signed(CONTOSO));
    let [pin, other] = emulator.fingerprints();
    let with = |bmc: &Bmc, key: &str| {
        let rack = rack_with_bmc_key(bmc, key);
        std::fs::copy(emulator.authority(), rack.file("authority.pem")).expect("a copy");
        rack
    };
    with(&own, &format!("pin: \"sha256:{pin}\""))
        .bmc(&["status", "--all"])
        .assert_success();
    with(&signed, "ca: authority.pem")
        .bmc(&["status", "--all"])
        .assert_success();
    own.clear_requests();
    signed.clear_requests();
    for (bmc, key) in [
        (&own, format!("pin: \"sha256:{other}\"")),
        (&own, "ca: authority.pem".to_owned()),
        (&signed, format!("pin: \"sha256:{pin}\"")),
    ] {
        let output = with(bmc, &key).bmc(&["status", "--all"]);
        output
            .assert_exit(3)
            .assert_contains(&["certificate", "help"]);
        assert_eq!(bmc.requests().len(), 0, "{key}");
    }
}
