//! Progress on a terminal, and in a pipe.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use crate::bmc::emulator::profile::CONTOSO;
use crate::bmc::emulator::{Bmc, Emulator};
use crate::support::rack::Rack;
use crate::support::requirements::missing;
use crate::support::run_output::RunOutput;

/// The number of hosts. Sixteen are shown at a time.
const HOSTS: usize = 20;

/// Makes a rack of slow BMCs.
fn slow() -> (Emulator, Vec<Bmc>, Rack) {
    let mut emulator = Emulator::start();
    let bmcs: Vec<Bmc> = (0..HOSTS).map(|_| emulator.add(CONTOSO)).collect();
    for bmc in &bmcs {
        bmc.set_latency(Duration::from_millis(400));
    }
    let rack = Rack::of_bmcs(&bmcs.iter().collect::<Vec<_>>());
    (emulator, bmcs, rack)
}

/// Runs `bmc` with some arguments on a terminal of 24 lines and `columns` columns; its table goes
/// into a file. Returns everything that was written to the terminal.
fn on_terminal(rack: &Rack, terminal: &str, columns: usize, words: &str) -> String {
    let line = format!(
        "stty rows 24 cols {columns}; TERM={terminal} {} bmc {words} >table",
        env!("CARGO_BIN_EXE_pxectl")
    );
    let mut script = rack.on_terminal(&line);
    script.stdin(Stdio::null());
    RunOutput::of(&mut script).assert_success().stdout.clone()
}

/// Lists the texts between two cursor movements.
fn drawn(written: &str, columns: usize) -> Vec<String> {
    let parts = written.split(['\r', '\n', '\u{1b}']).map(|part| {
        // Source: ECMA-48 §5.4: a control sequence ends in 40 to 7E.
        match part.strip_prefix('[') {
            Some(sequence) => sequence
                .split_once(|it| ('@'..='~').contains(&it))
                .map_or("", |(_, rest)| rest),
            None => part,
        }
    });
    // A line that fills the terminal has no line break: the next one begins below it.
    let parts = parts.filter(|it| !it.trim().is_empty()).flat_map(|part| {
        let letters: Vec<char> = part.chars().collect();
        let lines = letters.chunks(columns).map(String::from_iter);
        lines.collect::<Vec<String>>()
    });
    parts.collect()
}

#[test]
fn each_host_has_a_line_below_the_total_bar() {
    if missing(&["script", "stty"]) {
        return;
    }
    let (_emulator, _bmcs, rack) = slow();
    for columns in [80, 40] {
        let written = on_terminal(&rack, "xterm", columns, "status --all");
        let lines = drawn(&written, columns);
        // The bar appears before any host has finished.
        let first = lines.iter().find(|it| it.contains("/20 hosts"));
        assert!(
            first.is_some_and(|it| it.contains(" 0/20 hosts")),
            "{lines:#?}"
        );
        // Notes name hosts too, but have no spinner in front.
        let is_host =
            |line: &&String| line.contains(" host-") && !line.starts_with(char::is_alphabetic);
        let hosts: Vec<&String> = lines.iter().filter(is_host).collect();
        let name = |line: &str| line.split(' ').nth(1).map(str::to_owned);
        let names: BTreeSet<_> = hosts.iter().filter_map(|it| name(it)).collect();
        assert!(names.len() >= 16, "{names:?}");
        for activity in ["connecting", "logging in", "finding the system"] {
            let line = hosts.iter().find(|it| it.contains(activity));
            // The activities are in one column.
            let column = line.and_then(|it| it.find(activity));
            assert!(column.is_some(), "{activity}: {hosts:#?}");
            assert_eq!(column, hosts[0].find("connecting"), "{activity}");
        }
        for line in &lines {
            assert!(line.chars().count() <= columns, "{line:?}");
        }
        // Hosts are sorted by name in every picture.
        for picture in lines.split(|it| it.contains("/20 hosts")) {
            let order = picture.iter().filter(is_host).filter_map(|it| name(it));
            let order: Vec<_> = order.collect();
            assert!(order.is_sorted() && order.len() <= 16, "{order:?}");
        }
        // The bars leave nothing on the terminal and nothing in the table.
        let end = written.rfind(char::is_alphanumeric).unwrap_or_default();
        assert!(written.contains("\u{1b}[2K"), "{written:?}");
        assert!(!written[..=end].ends_with("hosts"), "{written:?}");
        let table = rack.read("table");
        assert_eq!(table.lines().count(), HOSTS + 1, "{table}");
        assert!(!table.contains(['\u{1b}', '\r']), "{table:?}");
    }
}

#[test]
fn bars_appear_only_on_a_capable_terminal() {
    if missing(&["script", "stty"]) {
        return;
    }
    let (_emulator, bmcs, rack) = slow();
    for bmc in &bmcs {
        bmc.set_latency(Duration::ZERO);
    }
    let plain = |output: &str| {
        assert!(!output.contains('\u{1b}'), "{output:?}");
        let done = output.lines().filter(|it| it.contains("/20 host-")).count();
        assert_eq!(done, HOSTS, "{output}");
    };
    let change = "power on --all";
    for bmc in &bmcs {
        bmc.machine(|machine| machine.power = "Off");
    }
    plain(&on_terminal(&rack, "dumb", 80, change));
    plain(&rack.bmc(&["power", "on", "--all"]).assert_success().stderr);
    assert_eq!(
        on_terminal(&rack, "xterm", 80, "power on --all --quiet"),
        ""
    );
}
