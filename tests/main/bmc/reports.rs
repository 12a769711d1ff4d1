//! What BMCs report: Secure Boot, the boot order, health and event logs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bmc::emulator::profile::{CONTOSO, SUPERMICRO_X10};
use crate::bmc::emulator::{Bmc, EmulatedLog, Emulator, PASSWORD, log_entry};
use crate::bmc::rack::single_host;
use crate::support::rack::Rack;

const HOST: &str = "host-001-0";

fn one() -> (Emulator, Bmc, Rack) {
    single_host(CONTOSO)
}

fn set_logs(bmc: &Bmc, logs: Vec<EmulatedLog>) {
    bmc.controller(|controller| controller.logs = logs);
}

/// Returns the messages of a log in JSON.
fn messages(rack: &Rack, words: &[&str]) -> Vec<String> {
    let words = [&["log", HOST, "--format", "json"], words].concat();
    let listed = rack.bmc(&words).assert_success().json();
    let entries = listed[0]["entries"].as_array().expect("entries");
    let texts = entries.iter().map(|entry| entry["message"].as_str());
    texts.map(|text| text.expect("a text").to_owned()).collect()
}

#[test]
fn status_shows_secure_boot_and_the_boot_order() {
    let (_emulator, bmc, rack) = one();
    bmc.machine(|machine| {
        machine.secure_boot = Some((true, false));
        machine.boot_order = vec![("Boot0003", "PXE NIC 1"), ("Boot0000", "ubuntu")];
    });
    let status = rack.bmc(&["status", HOST]);
    status.assert_success().assert_contains(&[
        "SECURE BOOT",
        "enabled after a restart",
        "BOOT ORDER",
        "PXE NIC 1 (Boot0003), ubuntu (Boot0000)",
    ]);
    let json = rack.bmc(&["status", HOST, "--format", "json"]).json();
    let machine = &json[0]["machine"];
    assert_eq!(
        machine["secure_boot"],
        json!({"active": false, "enabled": true, "mode": "UserMode"})
    );
    assert_eq!(
        machine["boot_order"],
        json!([
            {"reference": "Boot0003", "name": "PXE NIC 1"},
            {"reference": "Boot0000", "name": "ubuntu"},
        ])
    );
    assert_eq!(bmc.changes(), []);
}

#[test]
fn status_shows_the_rolled_up_health_without_a_health() {
    let (_emulator, bmc, rack) = one();
    for (status, shown) in [
        (
            json!({"Health": null, "HealthRollup": "Critical"}),
            "Critical",
        ),
        (
            json!({"Health": "Warning", "HealthRollup": "Critical"}),
            "Warning",
        ),
    ] {
        bmc.machine(|machine| machine.status = status);
        rack.bmc(&["status", HOST])
            .assert_success()
            .assert_contains(&[shown]);
    }
}

#[test]
fn log_merges_the_logs_of_system_and_manager() {
    let (_emulator, bmc, rack) = one();
    let sel = vec![
        log_entry(1, "10:00:00", "OK", "The system was powered on."),
        log_entry(
            2,
            "12:00:00",
            "Critical",
            "Secure Boot violation: the image is not signed.",
        ),
    ];
    // A manager's log, the newest first.
    let lifecycle = vec![
        log_entry(9, "11:00:00", "OK", "A user logged in."),
        log_entry(8, "09:00:00", "Warning", "A fan is slow."),
    ];
    let recording = vec![log_entry(1, "08:00:00", "OK", "console output")];
    set_logs(
        &bmc,
        vec![
            EmulatedLog::new("SEL", sel),
            EmulatedLog::new("HostLogger", recording),
            EmulatedLog {
                at_manager: true,
                ..EmulatedLog::new("Lclog", lifecycle)
            },
        ],
    );
    let log = rack.bmc(&["log", HOST]);
    let expected = "\
2026-11-29T09:00:00Z  Warning   Lclog: A fan is slow.
2026-11-29T10:00:00Z  OK        SEL: The system was powered on.
2026-11-29T11:00:00Z  OK        Lclog: A user logged in.
2026-11-29T12:00:00Z  Critical  SEL: Secure Boot violation: the image is not signed.
";
    assert_eq!(log.assert_success().stdout, expected);
    let all = messages(&rack, &[]);
    assert_eq!(all.len(), 4);
    let newest = messages(&rack, &["--since", "2026-11-29T11:00:00Z"]);
    assert_eq!(newest, all[2..]);
    assert_eq!(messages(&rack, &["--lines", "1"]), all[3..]);
    // A log that is not an event log is read by its name.
    let recorded = messages(&rack, &["--log", "hostlogger"]);
    assert_eq!(recorded, ["console output"]);
    rack.bmc(&["log", HOST, "--log", "IML"])
        .assert_exit(3)
        .assert_contains(&["no log `IML`", "`SEL`, `HostLogger`, `Lclog`", "--log"]);
    let entry = rack.bmc(&["log", HOST, "--log", "SEL", "-n", "1", "--format", "json"]);
    let entry = &entry.json()[0]["entries"][0];
    assert_eq!(
        *entry,
        json!({
            "time": "2026-11-29T12:00:00Z", "log": "SEL", "id": "2", "severity": "Critical",
            "message": "Secure Boot violation: the image is not signed.",
            "message_id": "Event.1.0.Event",
        })
    );
    assert_eq!(bmc.changes(), []);
}

#[test]
fn password_in_a_log_is_masked() {
    // Characters of the second password are removed from texts of BMCs.
    for password in [PASSWORD, "pa$s'w\"o;rd"] {
        let (_emulator, bmc, mut rack) = one();
        rack.set_environment("BMC_PASSWORD", password);
        bmc.controller(|controller| controller.password = password.to_owned());
        let message = format!("Login of admin with {password} failed.");
        let entry = log_entry(1, "12:00:00", "Warning", &message);
        set_logs(&bmc, vec![EmulatedLog::new("SEL", vec![entry])]);
        assert_eq!(messages(&rack, &[]), ["Login of admin with *** failed."]);
    }
}

/// Makes 500 entries, one for each second, the oldest first.
fn many() -> Vec<Value> {
    let entry = |number: usize| {
        let time = format!("12:{:02}:{:02}", number / 60, number % 60);
        log_entry(number, &time, "OK", &format!("event {number}"))
    };
    (0..500).map(entry).collect()
}

#[test]
fn newest_entries_of_a_long_log_are_shown() {
    let newest_first = || many().into_iter().rev().collect::<Vec<_>>();
    let log = |entries, has_entries, can_skip| EmulatedLog {
        page: 50,
        has_entries,
        can_skip,
        ..EmulatedLog::new("SEL", entries)
    };
    for (name, log, most_requests) in [
        ("newest first", log(newest_first(), true, false), 2),
        ("oldest first", log(many(), true, false), 12),
        ("with $skip", log(many(), true, true), 3),
        // An entry that is only referred to has a request of its own.
        (
            "references",
            EmulatedLog {
                page: 500,
                ..log(many(), false, false)
            },
            23,
        ),
    ] {
        let (_emulator, bmc, rack) = one();
        set_logs(&bmc, vec![log]);
        let found = messages(&rack, &["--lines", "20"]);
        let expected: Vec<_> = (480..500).map(|number| format!("event {number}")).collect();
        assert_eq!(found, expected, "{name}");
        let requests = bmc.requests();
        let reads = requests
            .iter()
            .filter(|it| it.request.path.contains("/Entries"));
        let reads = reads.count();
        assert!(reads <= most_requests, "{name}: {reads} requests");
    }
}

#[test]
fn entries_of_several_hosts_are_merged_by_time() {
    let mut emulator = Emulator::start();
    let bmcs = [
        emulator.add(CONTOSO),
        emulator.add(CONTOSO),
        emulator.add(SUPERMICRO_X10),
    ];
    let rack = Rack::of_bmcs(&bmcs.iter().collect::<Vec<_>>());
    let log = |entries| vec![EmulatedLog::new("SEL", entries)];
    set_logs(
        &bmcs[0],
        log(vec![log_entry(1, "12:00:00", "OK", "first host")]),
    );
    set_logs(
        &bmcs[1],
        log(vec![log_entry(1, "11:00:00", "OK", "second host")]),
    );
    let output = rack.bmc(&["log", "--all"]);
    // The third BMC has no log.
    output.assert_exit(4).assert_contains(&[
        "host-003-0: the BMC has no event log",
        "2026-11-29T11:00:00Z  host-002-0  OK        SEL: second host\n\
         2026-11-29T12:00:00Z  host-001-0  OK        SEL: first host\n",
    ]);
}

#[test]
fn followed_log_prints_each_entry_once_until_interrupted() {
    let (_emulator, bmc, rack) = one();
    let entry = |id: usize| log_entry(id, &format!("12:00:{id:02}"), "OK", &format!("event {id}"));
    set_logs(
        &bmc,
        vec![EmulatedLog::new("SEL", (1..4).map(entry).collect())],
    );
    let mut child = rack
        .command(&["bmc", "log", HOST, "--follow", "--lines", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().ends_with("event 2"));
    assert!(next().ends_with("event 3"));
    bmc.controller(|controller| controller.logs[0].entries.push(entry(4)));
    assert!(next().ends_with("event 4"));
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    assert!(lines.next().is_none());
    let open = bmc.controller(|controller| controller.sessions.len());
    assert_eq!(open, 0, "a session was left open");
}
