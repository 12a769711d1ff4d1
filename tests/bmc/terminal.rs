//! What a terminal shows while many controllers are asked, and what a pipe gets.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::emulator::profile::CONTOSO;
use crate::emulator::{Bmc, Emulator};
use crate::rack::{Rack, said};
use crate::requirements::missing;

/// How many hosts there are; sixteen are shown at a time.
const HOSTS: usize = 20;

/// A rack whose controllers take their time.
fn slow() -> (Emulator, Vec<Bmc>, Rack) {
    let mut emulator = Emulator::start();
    let bmcs: Vec<Bmc> = (0..HOSTS).map(|_| emulator.add(CONTOSO)).collect();
    for bmc in &bmcs {
        bmc.slow(Duration::from_millis(400));
    }
    let rack = Rack::of(&bmcs.iter().collect::<Vec<_>>());
    (emulator, bmcs, rack)
}

/// Runs `bmc` with some words on a terminal of 24 lines and so many columns; its table goes into a
/// file. Returns all that the terminal got.
fn on_terminal(rack: &Rack, terminal: &str, columns: usize, words: &str) -> String {
    let line = format!(
        "stty rows 24 cols {columns}; TERM={terminal} {} bmc {words} >table",
        env!("CARGO_BIN_EXE_pxectl")
    );
    let mut script = Command::new("script");
    // The settings of `pxectl` here, under another program.
    for (name, value) in rack.pxectl(&[]).get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .current_dir(rack.file(""))
        .stdin(Stdio::null());
    said(&mut script).done().stdout.clone()
}

/// Lists what was written from one movement of the cursor to the next.
fn drawn(shown: &str, columns: usize) -> Vec<String> {
    let parts = shown.split(['\r', '\n', '\u{1b}']).map(|part| {
        // Source: ECMA-48 §5.4: a control sequence ends in 40 to 7E.
        match part.strip_prefix('[') {
            Some(sequence) => sequence
                .split_once(|it| ('@'..='~').contains(&it))
                .map_or("", |(_, rest)| rest),
            None => part,
        }
    });
    // A line that fills the terminal needs no end: the next one begins below it.
    let parts = parts.filter(|it| !it.trim().is_empty()).flat_map(|part| {
        let letters: Vec<char> = part.chars().collect();
        let lines = letters.chunks(columns).map(String::from_iter);
        lines.collect::<Vec<String>>()
    });
    parts.collect()
}

#[test]
fn each_host_has_a_line_below_a_bar_for_all() {
    if missing(&["script", "stty"]) {
        return;
    }
    let (_emulator, _bmcs, rack) = slow();
    for columns in [80, 40] {
        let shown = on_terminal(&rack, "xterm", columns, "status --all");
        let lines = drawn(&shown, columns);
        // The bar is there before anything is done.
        let first = lines.iter().find(|it| it.contains("/20 hosts"));
        assert!(
            first.is_some_and(|it| it.contains(" 0/20 hosts")),
            "{lines:#?}"
        );
        // Notes name hosts too, and have no spinner in front.
        let is_host =
            |line: &&String| line.contains(" host-") && !line.starts_with(char::is_alphabetic);
        let hosts: Vec<&String> = lines.iter().filter(is_host).collect();
        let name = |line: &str| line.split(' ').nth(1).map(str::to_owned);
        let names: BTreeSet<_> = hosts.iter().filter_map(|it| name(it)).collect();
        assert!(names.len() >= 16, "{names:?}");
        for what in ["connecting", "logging in", "looking for its system"] {
            let line = hosts.iter().find(|it| it.contains(what));
            // What each does stands in one column.
            let place = line.and_then(|it| it.find(what));
            assert!(place.is_some(), "{what}: {hosts:#?}");
            assert_eq!(place, hosts[0].find("connecting"), "{what}");
        }
        for line in &lines {
            assert!(line.chars().count() <= columns, "{line:?}");
        }
        // In the order of their names, in every picture.
        for picture in lines.split(|it| it.contains("/20 hosts")) {
            let order = picture.iter().filter(is_host).filter_map(|it| name(it));
            let order: Vec<_> = order.collect();
            assert!(order.is_sorted() && order.len() <= 16, "{order:?}");
        }
        // Nothing of them stays on the terminal, and nothing of it gets into the table.
        let end = shown.rfind(char::is_alphanumeric).unwrap_or_default();
        assert!(shown.contains("\u{1b}[2K"), "{shown:?}");
        assert!(!shown[..=end].ends_with("hosts"), "{shown:?}");
        let table = rack.read("table");
        assert_eq!(table.lines().count(), HOSTS + 1, "{table}");
        assert!(!table.contains(['\u{1b}', '\r']), "{table:?}");
    }
}

#[test]
fn nobody_who_cannot_see_bars_gets_any() {
    if missing(&["script", "stty"]) {
        return;
    }
    let (_emulator, bmcs, rack) = slow();
    for bmc in &bmcs {
        bmc.slow(Duration::ZERO);
    }
    let plain = |said: &str| {
        assert!(!said.contains('\u{1b}'), "{said:?}");
        let done = said.lines().filter(|it| it.contains("/20 host-")).count();
        assert_eq!(done, HOSTS, "{said}");
    };
    let change = "power on --all";
    for bmc in &bmcs {
        bmc.machine(|machine| machine.power = "Off");
    }
    plain(&on_terminal(&rack, "dumb", 80, change));
    plain(&rack.bmc(&["power", "on", "--all"]).done().stderr);
    assert_eq!(
        on_terminal(&rack, "xterm", 80, "power on --all --quiet"),
        ""
    );
}
