//! Actions that need confirmation, and actions that are always refused.

use pxectl::machine::{HostRecord, Phase};
use pxectl::store::{EventQuery, HostUpdate, SqliteStore, Store};

use crate::bmc::emulator::profile::CONTOSO;
use crate::bmc::emulator::{Bmc, Emulator};
use crate::bmc::rack::single_host;
use crate::support::rack::Rack;

const HOST: &str = "host-001-0";

fn one() -> (Emulator, Bmc, Rack) {
    single_host(CONTOSO)
}

/// Puts the host into a phase, as its installation would.
fn set_phase(rack: &Rack, phase: Phase) {
    update_record(rack, |record| record.phase = phase);
}

fn update_record(rack: &Rack, change: impl FnOnce(&mut HostRecord)) {
    let store = SqliteStore::open(&rack.file("state")).expect("a store");
    let records = store.hosts().expect("the records");
    let mut record = records
        .into_iter()
        .find(|record| record.host == HOST)
        .unwrap_or_else(|| HostRecord::new(HOST, pxectl::clock::wall_time()));
    change(&mut record);
    let update = HostUpdate {
        record,
        plan: None,
        events: Vec::new(),
    };
    let mut update = Some(update);
    let updated = store.update(&[HOST], &mut |_, _, _| update.take());
    updated.expect("an update");
}

#[test]
fn unarmed_host_is_not_rebooted_without_confirmation() {
    let (_emulator, bmc, rack) = one();
    for command in [&["boot-pxe"][..], &["boot-http"]] {
        let output = rack.bmc(&[command, &[HOST]].concat());
        output
            .assert_exit(1)
            .assert_contains(&[HOST, "--yes", "not armed"]);
    }
    assert_eq!(bmc.changes(), []);
    rack.bmc(&["boot-pxe", HOST, "--yes"]).assert_success();
    assert_eq!(bmc.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn armed_host_is_booted_without_a_prompt() {
    let (_emulator, bmc, rack) = one();
    rack.arm(&[HOST]);
    rack.bmc(&["boot-pxe", HOST]).assert_success();
    assert_eq!(bmc.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn installed_host_is_not_interrupted_without_confirmation() {
    let (_emulator, bmc, rack) = one();
    set_phase(&rack, Phase::Installed);
    for command in [
        &["power", "off"][..],
        &["power", "cycle"],
        &["power", "reset"],
        &["power", "graceful"],
        &["boot-pxe"],
        &["boot-disk"],
    ] {
        let output = rack.bmc(&[command, &[HOST]].concat());
        output.assert_exit(1).assert_contains(&[HOST, "--yes"]);
    }
    assert_eq!(bmc.changes(), []);
    // Reading the status and powering on interrupt nothing.
    rack.bmc(&["status", HOST]).assert_success();
    rack.bmc(&["power", "on", HOST]).assert_success();
    rack.bmc(&["power", "reset", HOST, "--yes"])
        .assert_success();
    assert_eq!(bmc.machine(|it| it.resets.clone()), ["ForceRestart"]);
}

#[test]
fn installing_host_is_not_interrupted_without_confirmation() {
    let (_emulator, bmc, rack) = one();
    rack.arm(&[HOST]);
    rack.bmc(&["boot-pxe", HOST]).assert_success();
    // The kernel was fetched, so the installer is running.
    update_record(&rack, |record| {
        record.session.as_mut().expect("an open session").attempts = 1;
    });
    bmc.clear_requests();
    for command in [
        &["boot-pxe"][..],
        &["boot-http"],
        &["boot-disk"],
        &["power", "cycle"],
        &["power", "off"],
        &["media", "insert", "--boot"],
    ] {
        let image = (command[0] == "media").then_some("http://10.20.0.10/a.iso");
        let words = command.iter().copied().chain([HOST]).chain(image);
        let output = rack.bmc(&words.collect::<Vec<_>>());
        output
            .assert_exit(1)
            .assert_contains(&[HOST, "installing", "--yes"]);
    }
    assert_eq!(bmc.changes(), []);
    rack.bmc(&["boot-pxe", HOST, "--yes"]).assert_success();
    assert_eq!(bmc.machine(|machine| machine.boots.len()), 2);
}

#[test]
fn dry_run_reports_the_result_and_the_prompt() {
    let (_emulator, bmc, rack) = one();
    let image = "http://10.20.0.10:8080/a.iso";
    for (command, expected) in [
        (&["power", "off"][..], "would be powered off\n"),
        (&["power", "on"], "would not change: already on"),
        (
            &["boot-pxe"],
            "would boot from the network (PXE) once; would be reset\n",
        ),
        (
            &["boot-disk", "--no-power"],
            "would boot from its disk once\n",
        ),
        (&["media", "insert"], "would be inserted\n"),
        (
            &["media", "eject"],
            "would not change: the drive is already empty",
        ),
    ] {
        let inserted = (command.contains(&"insert")).then_some(image);
        let words = command.iter().copied().chain([HOST]).chain(inserted);
        let words: Vec<_> = words.chain(["--dry-run"]).collect();
        let output = rack.bmc(&words);
        output
            .assert_success()
            .assert_contains(&[&format!("{HOST}: {expected}")]);
        let asks = command[0] == "boot-pxe";
        assert_eq!(
            output.stderr.contains("asks first"),
            asks,
            "{}",
            output.all()
        );
        let json = rack.bmc(&[&words[..], &["--format", "json"]].concat());
        let result = json.assert_success().json()[0]["result"].clone();
        let result = result.as_str().expect("a text").to_owned();
        assert!(result.starts_with("would "), "{result}");
    }
    bmc.machine(|machine| {
        machine.boot.enabled = "Once".to_owned();
        machine.boot.target = "Pxe".to_owned();
        machine.image = Some(image.to_owned());
    });
    rack.bmc(&["boot-pxe", HOST, "--dry-run", "--no-power"])
        .assert_success()
        .assert_contains(&["would boot from the network (PXE) once, as already set"]);
    rack.bmc(&["media", "eject", HOST, "--dry-run"])
        .assert_success()
        .assert_contains(&["would be ejected"]);
    set_phase(&rack, Phase::Installed);
    let output = rack.bmc(&["power", "off", HOST, "--dry-run"]);
    output
        .assert_success()
        .assert_contains(&["is installed", "asks first", "refuses", "--yes"]);
    assert_eq!(bmc.changes(), []);
    // The event log does not report the planned actions as done.
    let shown = rack.run(&["host", "show", HOST]);
    for change in ["ejected", "powered", "set to boot"] {
        assert!(
            !shown.assert_success().all().contains(change),
            "{}",
            shown.all()
        );
    }
}

#[test]
fn changed_serial_or_uuid_is_refused_even_with_yes() {
    for property in ["serial", "uuid"] {
        let (_emulator, bmc, rack) = one();
        rack.arm(&[HOST]);
        bmc.machine(|machine| match property {
            "serial" => machine.serial = "ANOTHER1".to_owned(),
            _ => machine.uuid = "5d2e8f10-7c34-4b9a-a6e1-90f3c27d4b58".to_owned(),
        });
        for command in [
            &["boot-pxe", "--yes"][..],
            &["power", "off", "--yes"],
            &["boot-disk", "--yes"],
        ] {
            let output = rack.bmc(&[command, &[HOST]].concat());
            output
                .assert_exit(3)
                .assert_contains(&["another machine", "help"]);
        }
        assert_eq!(bmc.changes(), [], "{property}");
        // Commands that only read show a note, and offer no value of the other machine as a
        // correction.
        for words in [&["status", HOST][..], &["inventory", HOST]] {
            let output = rack.bmc(words);
            output.assert_exit(1).assert_contains(&["another machine"]);
        }
        let written = rack.bmc(&["inventory", HOST, "--write"]);
        written
            .assert_exit(1)
            .assert_contains(&["no document is written"]);
        assert_eq!(written.stdout, "");
    }
}

#[test]
fn machine_without_an_identity_in_the_inventory_is_remembered() {
    let (_emulator, bmc, rack) = one();
    let (serial, uuid) = bmc.machine(|machine| (machine.serial.clone(), machine.uuid.clone()));
    rack.edit("hosts.yaml", &format!("serial: {serial}\n"), "");
    rack.edit("hosts.yaml", &format!("uuid: {uuid}\n"), "");
    rack.bmc(&["status", HOST]).assert_success();
    bmc.machine(|machine| machine.serial = "ANOTHER1".to_owned());
    let output = rack.bmc(&["boot-pxe", HOST, "--yes"]);
    output
        .assert_exit(3)
        .assert_contains(&["another machine", "ANOTHER1"]);
    assert_eq!(bmc.changes(), []);
}

#[test]
fn change_that_is_already_in_effect_is_not_repeated() {
    let (_emulator, bmc, rack) = one();
    bmc.machine(|machine| machine.power = "Off");
    rack.bmc(&["power", "off", HOST, "--yes"])
        .assert_success()
        .assert_contains(&["already"]);
    assert_eq!(bmc.changes(), []);
    // The override is already set, so it is not sent again.
    bmc.machine(|machine| {
        machine.boot.enabled = "Once".to_owned();
        machine.boot.target = "Pxe".to_owned();
    });
    rack.bmc(&["boot-pxe", HOST, "--yes"]).assert_success();
    assert_eq!(bmc.patches(), [] as [serde_json::Value; 0]);
    assert_eq!(bmc.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn dry_run_appends_no_event() {
    let (_emulator, bmc, rack) = one();
    bmc.machine(|machine| machine.image = Some("http://10.20.0.10/a.iso".to_owned()));
    for (command, would) in [
        (&["power", "reset"][..], "would be reset"),
        (&["power", "off"], "would be powered off"),
        (
            &["boot-pxe"],
            "would boot from the network (PXE) once; would be reset",
        ),
        (&["media", "eject"], "would be ejected"),
    ] {
        let output = rack.bmc(&[command, &[HOST, "--dry-run"]].concat());
        output.assert_success().assert_contains(&[would]);
    }
    assert_eq!(bmc.changes(), []);
    let store = SqliteStore::open(&rack.file("state")).expect("a store");
    let query = EventQuery {
        after: 0,
        host: Some(HOST.to_owned()),
        limit: 10,
        latest: false,
    };
    assert_eq!(store.events(&query).expect("events"), []);
}

#[test]
fn plain_http_is_refused_unless_the_inventory_allows_it() {
    let (_emulator, bmc, rack) = one();
    rack.edit(
        "hosts.yaml",
        &bmc.url(),
        &bmc.url().replace("https", "http"),
    );
    let output = rack.bmc(&["status", HOST]);
    output
        .assert_exit(1)
        .assert_contains(&["in clear", "plain_http"]);
    assert_eq!(bmc.requests().len(), 0);
}
