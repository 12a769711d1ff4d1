//! Reloads of the active inventory, and the shutdown of a server.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Instant;

use pxectl::machine::MacAddress;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::serve::PATIENCE;
use crate::serve::client::{Dhcp, firmware};
use crate::serve::server::{OPTIONS, Server};
use crate::support::rack::Rack;

const NEW: &str = "52:54:00:85:00:77";

/// The address that a server gives `worker-01` once its card was changed in the inventory.
fn address(server: &Server, mac: &str) -> String {
    let mac: MacAddress = mac.parse().unwrap();
    let ack = Dhcp::connect(server.address("dhcp")).lease(&firmware(mac), 1);
    ack.unwrap().your_address.to_string()
}

fn change_card(text: String) -> String {
    text.replace("52:54:00:85:00:01", NEW)
}

#[test]
fn a_change_is_in_force_soon_and_a_broken_one_is_refused_with_its_diagnostics() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "dhcp");
    assert_eq!(address(&server, NEW), "10.20.0.200");
    let mark = server.mark();
    rack.rewrite("hosts.yaml", change_card);
    let message = server.event(mark, "reloaded");
    assert_eq!(message, "inventory reloaded: 6 hosts");
    assert_eq!(address(&server, NEW), "10.20.0.51");

    let mark = server.mark();
    rack.rewrite("profiles.yaml", |text| {
        text.replace("bundle: ubuntu-24.04-stand-in", "bundle: ubuntu")
    });
    let message = server.event(mark, "reload-refused");
    let expected = "inventory has 1 error; keeping the last valid inventory";
    assert_eq!(message, expected);
    assert_eq!(address(&server, NEW), "10.20.0.51");

    let mark = server.mark();
    rack.rewrite("profiles.yaml", |text| {
        text.replace("bundle: ubuntu\n", "bundle: ubuntu-24.04-stand-in\n")
    });
    rack.rewrite("hosts.yaml", |text| {
        text.replace("10.20.0.51", "10.20.0.59")
    });
    server.event(mark, "reloaded");
    assert_eq!(address(&server, NEW), "10.20.0.59");
    server.stop();
}

#[test]
fn a_fault_of_a_refused_inventory_is_one_event_with_its_place() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "http");
    let mark = server.mark();
    fs::write(rack.file("notes.yml"), "kind: Host\n").unwrap();
    rack.rewrite("profiles.yaml", |text| {
        text.replace("bundle: ubuntu-24.04-stand-in", "bundle: ubuntu")
    });
    server.event(mark, "reload-refused");
    let fault = |level: &'static str| {
        move |line: &Value| line["event"] == "diagnostic" && line["level"] == level
    };
    let error = server.wait_for(mark, fault("error"));
    let file = error["file"].as_str().unwrap();
    assert_eq!(file, rack.file("profiles.yaml").to_str().unwrap());
    for (field, value) in [
        ("severity", json!("error")),
        ("code", json!("dangling-reference")),
        ("message", json!("unknown bundle `ubuntu`")),
        ("line", json!(4)),
        ("column", json!(9)),
    ] {
        assert_eq!(error[field], value, "{error}");
    }
    let warning = server.wait_for(mark, fault("warn"));
    assert_eq!(warning["code"], "passed-over", "{warning}");
    let log = server.log();
    let mut faults = log.lines().filter(|line| line.contains("\"diagnostic\""));
    assert!(faults.all(|line| line.contains("\"code\"")), "{log}");
    server.stop();
}

#[test]
fn address_without_a_listener_is_not_activated() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "dhcp");
    let mark = server.mark();
    rack.rewrite("site.yaml", |text| {
        text.replace("address: 10.20.0.10", "address: 10.20.0.11")
    });
    let message = server.event(mark, "reload-refused");
    let expected = "`server.address` changes from 10.20.0.10 to 10.20.0.11; keeping the last \
                    valid inventory until a restart";
    assert_eq!(message, expected);
    let mac = NEW.parse().unwrap();
    let ack = Dhcp::connect(server.address("dhcp")).lease(&firmware(mac), 1);
    assert_eq!(ack.unwrap().server_address.to_string(), "10.20.0.10");
    // Other changes become active once the address is the old one again.
    let mark = server.mark();
    rack.rewrite("hosts.yaml", change_card);
    server.event(mark, "reload-refused");
    let mark = server.mark();
    rack.rewrite("site.yaml", |text| {
        text.replace("address: 10.20.0.11", "address: 10.20.0.10")
    });
    server.event(mark, "reloaded");
    assert_eq!(address(&server, NEW), "10.20.0.51");
    server.stop();
}

#[test]
fn directory_that_was_removed_and_created_again_is_followed() {
    // In the last row we stand in the directory that goes away.
    for (inventory, stands_in) in [("rack-a", "."), (".", "rack-a")] {
        let rack = Rack::beside_store();
        let kept = rack.copy_to("kept");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pxectl"));
        command
            .args([&["serve", "dhcp", "-i", inventory], &OPTIONS[..]].concat())
            .arg("--state")
            .arg(rack.state())
            .current_dir(rack.base().join(stands_in));
        let mut server = Server::start_with(&mut command, "dhcp");
        let mark = server.mark();
        fs::remove_dir_all(rack.base().join("rack-a")).unwrap();
        let message = server.event(mark, "reload-refused");
        assert!(message.contains("no inventory at"), "{message}");
        fs::rename(kept, rack.base().join("rack-a")).unwrap();
        let message = server.event(mark, "readable");
        assert_eq!(message, "inventory is readable again");
        let mark = server.mark();
        rack.rewrite("hosts.yaml", change_card);
        let message = server.event(mark, "reloaded");
        assert_eq!(message, "inventory reloaded: 6 hosts");
        assert_eq!(address(&server, NEW), "10.20.0.51");
        server.stop();
    }
}

#[test]
fn a_link_that_leads_to_another_release_is_followed() {
    let rack = Rack::beside_store();
    let second = rack.copy_to("second");
    let text = fs::read_to_string(second.join("hosts.yaml")).unwrap();
    fs::write(second.join("hosts.yaml"), change_card(text)).unwrap();
    let link = rack.base().join("rack-a");
    fs::rename(&link, rack.base().join("first")).unwrap();
    symlink("first", &link).unwrap();
    let mut server = Server::start(&rack, "dhcp");
    assert_eq!(address(&server, NEW), "10.20.0.200");
    let mark = server.mark();
    symlink("second", rack.base().join("next")).unwrap();
    fs::rename(rack.base().join("next"), &link).unwrap();
    server.event(mark, "reloaded");
    assert_eq!(address(&server, NEW), "10.20.0.51");
    // From now on the second release is the one that is watched.
    let mark = server.mark();
    rack.rewrite("hosts.yaml", |text| text.replace(NEW, "52:54:00:85:00:78"));
    server.event(mark, "reloaded");
    assert_eq!(address(&server, "52:54:00:85:00:78"), "10.20.0.51");
    server.stop();
}

#[test]
fn a_hangup_reloads_what_no_watch_can_see() {
    let rack = Rack::beside_store();
    // The watch sees the directory, not what lies below it.
    fs::create_dir(rack.file("below")).unwrap();
    let elsewhere = rack.file("below/elsewhere.yaml");
    fs::rename(rack.file("hosts.yaml"), &elsewhere).unwrap();
    symlink(&elsewhere, rack.file("hosts.yaml")).unwrap();
    let mut server = Server::start(&rack, "dhcp");
    let text = fs::read_to_string(&elsewhere).unwrap();
    fs::write(&elsewhere, change_card(text)).unwrap();
    assert_eq!(address(&server, NEW), "10.20.0.200");
    let mark = server.mark();
    server.signal(Signal::HUP);
    server.event(mark, "reloaded");
    assert_eq!(address(&server, NEW), "10.20.0.51");
    server.stop();
}

#[test]
fn sighup_reloads_an_unchanged_inventory() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "http");
    let mark = server.mark();
    server.signal(Signal::HUP);
    let message = server.event(mark, "reloaded");
    let expected = "inventory reloaded, no changes: 6 hosts";
    assert_eq!(message, expected);
    assert_eq!(server.count("reloaded"), 1);
    server.stop();
}

#[test]
fn changes_that_do_not_stop_put_a_reload_off_for_a_while_only() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "dhcp");
    let mark = server.mark();
    rack.rewrite("hosts.yaml", change_card);
    let busy = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Its time changes, its text does not.
            let file = fs::File::options()
                .append(true)
                .open(rack.file("hosts.yaml"))
                .unwrap();
            while busy.load(std::sync::atomic::Ordering::Relaxed) {
                file.set_modified(std::time::SystemTime::now()).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            server.event(mark, "reloaded")
        }));
        busy.store(false, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(ended.unwrap(), "inventory reloaded: 6 hosts");
    });
    server.stop();
}

#[test]
fn a_change_waits_until_git_has_let_go_of_its_lock() {
    let rack = Rack::beside_store();
    fs::create_dir(rack.file(".git")).unwrap();
    let lock = rack.file(".git/index.lock");
    let mut server = Server::start(&rack, "dhcp");
    fs::write(&lock, "").unwrap();
    let mark = server.mark();
    rack.rewrite("hosts.yaml", change_card);
    let message = server.event(mark, "reload-refused");
    let expected = format!(
        "git is running: `{}` exists; keeping the last valid inventory",
        fs::canonicalize(&lock).unwrap().display()
    );
    assert_eq!(message, expected);
    assert_eq!(address(&server, NEW), "10.20.0.200");
    assert_eq!(server.count("reloaded"), 0);
    // Nothing in the inventory changes now.
    fs::remove_file(&lock).unwrap();
    server.event(mark, "reloaded");
    assert_eq!(server.count("reload-refused"), 1);
    assert_eq!(address(&server, NEW), "10.20.0.51");
    server.stop();
}

#[test]
fn a_signal_ends_every_server_cleanly_also_while_it_waits_for_git() {
    for (service, signal) in [
        ("dhcp", Signal::TERM),
        ("tftp", Signal::INT),
        ("http", Signal::TERM),
        ("all", Signal::INT),
        ("all", Signal::TERM),
    ] {
        let rack = Rack::beside_store();
        fs::create_dir(rack.file(".git")).unwrap();
        let mut server = Server::start(&rack, service);
        fs::write(rack.file(".git/index.lock"), "").unwrap();
        rack.rewrite("hosts.yaml", change_card);
        // A connection that is only open holds nobody up.
        let _idle = (service == "all").then(|| server.web());
        let start = Instant::now();
        server.signal(signal);
        let status = server.ended();
        assert!(
            status.success(),
            "{service} {signal:?}: {status} {}",
            server.log()
        );
        // Far below the bound of the tests: it does not wait for what may never come.
        let took = start.elapsed();
        assert!(took < PATIENCE / 2, "{service} {signal:?}: {took:?}");
        assert_eq!(server.event(0, "stopped"), "ended cleanly");
        let signs = fs::read_dir(rack.state().join("run")).unwrap();
        assert_eq!(signs.count(), 0, "{service}");
    }
}

#[test]
fn a_second_signal_ends_a_server_that_still_finishes_a_transfer() {
    let rack = Rack::beside_store();
    let size = 256 << 20;
    let large = fs::File::create(rack.file("boot/large")).unwrap();
    large.set_len(size).unwrap();
    let mut server = Server::start(&rack, "http");
    let mut web = server.web();
    // It is asked for, and not read.
    web.send(b"GET /files/large HTTP/1.1\r\nHost: x\r\n\r\n");
    let mark = server.mark();
    server.signal(Signal::INT);
    server.event(mark, "stopping");
    server.signal(Signal::INT);
    // At once, or cleanly when the first one was quicker.
    let status = server.ended().code();
    assert!(matches!(status, Some(0 | 3)), "{status:?}");
}
