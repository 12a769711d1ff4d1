//! What is not done without being told to, and what is not done at all.

use pxectl::machine::{HostRecord, Phase};
use pxectl::store::{EventQuery, HostUpdate, SqliteStore, Store};

use crate::emulator::profile::CONTOSO;
use crate::emulator::{Bmc, Emulator};
use crate::rack::Rack;

const HOST: &str = "host-001-0";

fn one() -> (Emulator, Bmc, Rack) {
    let mut emulator = Emulator::start();
    let bmc = emulator.add(CONTOSO);
    let rack = Rack::of(&[&bmc]);
    (emulator, bmc, rack)
}

/// Puts the host into a phase, as its installation would.
fn set_phase(rack: &Rack, phase: Phase) {
    change(rack, |record| record.phase = phase);
}

fn change(rack: &Rack, change: impl FnOnce(&mut HostRecord)) {
    let store = SqliteStore::open(&rack.file("state")).expect("a store");
    let kept = store.hosts().expect("the records");
    let mut record = kept
        .into_iter()
        .find(|record| record.host == HOST)
        .unwrap_or_else(|| HostRecord::new(HOST, jiff::Timestamp::now()));
    change(&mut record);
    let update = HostUpdate {
        record,
        plan: None,
        events: Vec::new(),
    };
    let mut update = Some(update);
    let kept = store.update(&[HOST], &mut |_, _, _| update.take());
    kept.expect("it is kept");
}

#[test]
fn a_host_that_is_not_armed_is_asked_about_and_nobody_answers() {
    let (_emulator, bmc, rack) = one();
    for command in [&["boot-pxe"][..], &["boot-http"]] {
        let said = rack.bmc(&[command, &[HOST]].concat());
        said.ended(1).says(&[HOST, "--yes", "not armed"]);
    }
    assert_eq!(bmc.changes(), []);
    rack.bmc(&["boot-pxe", HOST, "--yes"]).done();
    assert_eq!(bmc.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn a_host_that_is_armed_is_booted_without_a_question() {
    let (_emulator, bmc, rack) = one();
    rack.arm(&[HOST]);
    rack.bmc(&["boot-pxe", HOST]).done();
    assert_eq!(bmc.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn an_installed_host_is_not_interrupted_without_being_told_to() {
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
        let said = rack.bmc(&[command, &[HOST]].concat());
        said.ended(1).says(&[HOST, "--yes"]);
    }
    assert_eq!(bmc.changes(), []);
    // To look at it, and to switch it on, interrupts nobody.
    rack.bmc(&["status", HOST]).done();
    rack.bmc(&["power", "on", HOST]).done();
    rack.bmc(&["power", "reset", HOST, "--yes"]).done();
    assert_eq!(bmc.machine(|it| it.resets.clone()), ["ForceRestart"]);
}

#[test]
fn a_host_that_is_installing_is_not_interrupted_without_being_told_to() {
    let (_emulator, bmc, rack) = one();
    rack.arm(&[HOST]);
    rack.bmc(&["boot-pxe", HOST]).done();
    // Its kernel was fetched, so its installer is at work.
    let store = SqliteStore::open(&rack.file("state")).expect("a store");
    let mut record = store.hosts().expect("records").remove(0);
    record.session.as_mut().expect("it is armed").attempts = 1;
    let mut update = Some(HostUpdate {
        record,
        plan: None,
        events: Vec::new(),
    });
    let kept = store.update(&[HOST], &mut |_, _, _| update.take());
    kept.expect("it is kept");
    drop(store);
    bmc.forget();
    for command in [
        &["boot-pxe"][..],
        &["boot-http"],
        &["boot-disk"],
        &["power", "cycle"],
        &["power", "off"],
        &["media", "insert", "http://10.20.0.10/a.iso", "--boot"],
    ] {
        let said = rack.bmc(&[command, &[HOST]].concat());
        said.ended(1).says(&[HOST, "installing", "--yes"]);
    }
    assert_eq!(bmc.changes(), []);
    rack.bmc(&["boot-pxe", HOST, "--yes"]).done();
    assert_eq!(bmc.machine(|machine| machine.boots.len()), 2);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_that_it_would_ask() {
    let (_emulator, bmc, rack) = one();
    let image = "http://10.20.0.10:8080/a.iso";
    for (command, says) in [
        (&["power", "off"][..], "would be powered off\n"),
        (&["power", "on"], "would be left as it is: it is on already"),
        (
            &["boot-pxe"],
            "would boot from the network (PXE) once; would be reset\n",
        ),
        (
            &["boot-disk", "--no-power"],
            "would boot from its disk once\n",
        ),
        (&["media", "insert", image], "would be inserted\n"),
        (
            &["media", "eject"],
            "would be left as it is: its drive is empty already",
        ),
    ] {
        let said = rack.bmc(&[command, &[HOST, "--dry-run"]].concat());
        said.done().says(&[&format!("{HOST}: {says}")]);
        let asks = command[0] == "boot-pxe";
        assert_eq!(said.stderr.contains("asks first"), asks, "{}", said.all());
        let json = rack.bmc(&[command, &[HOST, "--dry-run", "--format", "json"]].concat());
        let result = json.done().json()[0]["result"].clone();
        let result = result.as_str().expect("a text").to_owned();
        assert!(result.starts_with("would "), "{result}");
    }
    bmc.machine(|machine| {
        machine.boot.enabled = "Once".to_owned();
        machine.boot.target = "Pxe".to_owned();
        machine.image = Some(image.to_owned());
    });
    rack.bmc(&["boot-pxe", HOST, "--dry-run", "--no-power"])
        .done()
        .says(&["would boot from the network (PXE) once, as it was told already"]);
    rack.bmc(&["media", "eject", HOST, "--dry-run"])
        .done()
        .says(&["would be ejected"]);
    set_phase(&rack, Phase::Installed);
    let said = rack.bmc(&["power", "off", HOST, "--dry-run"]);
    said.done()
        .says(&["is installed", "asks first", "refuses", "--yes"]);
    assert_eq!(bmc.changes(), []);
    // Nor is it told in the events that it was done.
    let shown = rack.run(&["host", "show", HOST]);
    for told in ["ejected", "powered", "told to boot"] {
        assert!(!shown.done().all().contains(told), "{}", shown.all());
    }
}

#[test]
fn a_changed_serial_or_uuid_stops_also_who_says_yes() {
    for what in ["serial", "uuid"] {
        let (_emulator, bmc, rack) = one();
        rack.arm(&[HOST]);
        bmc.machine(|machine| match what {
            "serial" => machine.serial = "ANOTHER1".to_owned(),
            _ => machine.uuid = "5d2e8f10-7c34-4b9a-a6e1-90f3c27d4b58".to_owned(),
        });
        for command in [
            &["boot-pxe", "--yes"][..],
            &["power", "off", "--yes"],
            &["boot-disk", "--yes"],
        ] {
            let said = rack.bmc(&[command, &[HOST]].concat());
            said.ended(3).says(&["another machine", "help"]);
        }
        assert_eq!(bmc.changes(), [], "{what}");
        // Who looks is told, and nothing of the other machine is offered as a correction.
        for words in [&["status", HOST][..], &["inventory", HOST]] {
            let said = rack.bmc(words);
            said.ended(1).says(&["another machine"]);
        }
        let written = rack.bmc(&["inventory", HOST, "--write"]);
        written.ended(1).says(&["no document is written"]);
        assert_eq!(written.stdout, "");
    }
}

#[test]
fn a_machine_that_the_inventory_does_not_name_is_remembered() {
    let (_emulator, bmc, rack) = one();
    let (serial, uuid) = bmc.machine(|machine| (machine.serial.clone(), machine.uuid.clone()));
    rack.edit("hosts.yaml", &format!("serial: {serial}\n"), "");
    rack.edit("hosts.yaml", &format!("uuid: {uuid}\n"), "");
    rack.bmc(&["status", HOST]).done();
    bmc.machine(|machine| machine.serial = "ANOTHER1".to_owned());
    let said = rack.bmc(&["boot-pxe", HOST, "--yes"]);
    said.ended(3).says(&["another machine", "ANOTHER1"]);
    assert_eq!(bmc.changes(), []);
}

#[test]
fn what_is_so_already_is_not_done_again() {
    let (_emulator, bmc, rack) = one();
    bmc.machine(|machine| machine.power = "Off");
    rack.bmc(&["power", "off", HOST, "--yes"])
        .done()
        .says(&["already"]);
    assert_eq!(bmc.changes(), []);
    // The override is there already: it is not sent again.
    bmc.machine(|machine| {
        machine.boot.enabled = "Once".to_owned();
        machine.boot.target = "Pxe".to_owned();
    });
    rack.bmc(&["boot-pxe", HOST, "--yes"]).done();
    assert_eq!(bmc.patches(), [] as [serde_json::Value; 0]);
    assert_eq!(bmc.machine(|machine| machine.boots.clone()), ["Pxe"]);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_tells_no_event_of_it() {
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
        let said = rack.bmc(&[command, &[HOST, "--dry-run"]].concat());
        said.done().says(&[would]);
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
fn plain_http_is_refused_unless_the_inventory_says_so() {
    let (_emulator, bmc, rack) = one();
    rack.edit(
        "hosts.yaml",
        &bmc.url(),
        &bmc.url().replace("https", "http"),
    );
    let said = rack.bmc(&["status", HOST]);
    said.ended(1).says(&["in clear", "plain_http"]);
    assert_eq!(bmc.asked().len(), 0);
}
