//! The progress of a build on a terminal and in a pipe.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use crate::bundle::nginx::Nginx;
use crate::bundle::workshop::{Workshop, content};
use crate::support::requirements::missing;
use crate::support::tool::run_tool_in;

const NAMES: [&str; 4] = [
    "linux",
    "initrd.gz",
    "fedora-coreos-42.20250901.3.0-live-rootfs.x86_64.img",
    "fedora-coreos-42.20250901.3.0-live-kernel.x86_64.img",
];

/// A spec with four files that take more than a second each.
fn four(workshop: &Workshop, nginx: &Nginx) {
    let mut files = String::from("files:\n");
    for (name, seed) in NAMES.into_iter().zip(1..) {
        workshop.write(&format!("web/{name}"), content(seed, 600_000));
        let url = nginx.url(&format!("/slow/{name}"));
        files += &format!("  file-{seed}: {{from: '{url}', unverified: true}}\n");
    }
    workshop.spec("a", &files);
}

/// Runs a shell command on a terminal with so many columns; returns everything that the terminal received.
fn on_terminal(workshop: &Workshop, columns: u16, line: &str) -> String {
    let line = format!("stty rows 24 cols {columns}; {line}");
    let at = workshop.path("");
    let arguments = ["-q", "-e", "-c", &line, "/dev/null"];
    run_tool_in(&at, "script", &arguments)
}

/// Splits the output of a terminal at each movement of the cursor.
fn lines(shown: &str) -> impl Iterator<Item = &str> {
    shown.split(['\r', '\n', '\u{1b}']).map(|part| {
        // Source: ECMA-48 §5.4: a control sequence ends in 40 to 7E.
        match part.strip_prefix('[') {
            Some(sequence) => sequence
                .split_once(|it| ('@'..='~').contains(&it))
                .map_or("", |(_, rest)| rest),
            None => part,
        }
    })
}

#[test]
fn each_download_has_a_bar_of_one_line() {
    if missing(&["nginx", "script"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    four(&workshop, &nginx);
    let build = format!(
        "TERM=xterm {} bundle build spec.yaml --bundles store > document.yaml",
        env!("CARGO_BIN_EXE_pxectl")
    );
    for (columns, marks) in [(80, ["█", "585.94 KiB"]), (50, ["%", "KiB/s"])] {
        let shown = on_terminal(&workshop, columns, &build);
        // A line that fills the terminal has no line break: the next one begins below it.
        let bars = lines(&shown).filter(|it| !it.trim().is_empty());
        let bars = bars.flat_map(|drawn| {
            let drawn: Vec<char> = drawn.chars().collect();
            let lines = drawn.chunks(usize::from(columns));
            lines.map(String::from_iter).collect::<Vec<String>>()
        });
        let bars: Vec<String> = bars.collect();
        let names: BTreeSet<&str> = bars.iter().filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(names.len(), 4, "{names:?}: {shown:?}");
        assert!(
            names.contains("linux") && names.contains("initrd.gz"),
            "{names:?}"
        );
        for bar in &bars {
            assert_eq!(bar.chars().count(), usize::from(columns), "{bar:?}");
        }
        for mark in marks {
            assert!(bars.iter().any(|it| it.contains(mark)), "{mark}: {bars:#?}");
        }
        // Nothing of the bars stays: at the end, the lines are removed.
        let end = shown.rfind(char::is_alphanumeric).unwrap();
        assert!(
            !lines(&shown[end + 1..]).any(|it| it.contains(['█', '░'])),
            "{shown:?}"
        );
        assert!(shown.contains("\u{1b}[2K"), "{shown:?}");
        let document = fs::read_to_string(workshop.path("document.yaml")).unwrap();
        assert!(document.contains("kind: Bundle\n") && !document.contains('\u{1b}'));
        fs::remove_dir_all(workshop.path("store")).unwrap();
    }
    // With `--quiet`, or on a terminal without cursor movement, there are no bars.
    let quiet = build.replace("spec.yaml", "spec.yaml -q");
    assert_eq!(on_terminal(&workshop, 80, &quiet), "");
    fs::remove_dir_all(workshop.path("store")).unwrap();
    let shown = on_terminal(&workshop, 80, &build.replace("TERM=xterm", "TERM=dumb"));
    assert!(
        !shown.contains('\u{1b}') && shown.contains("/linux: 585.94 KiB in"),
        "{shown:?}"
    );
}

#[test]
fn a_pipe_gets_plain_lines_and_no_escape_codes() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    four(&workshop, &nginx);
    let ran = workshop.pxectl("bundle build spec.yaml --jobs 4");
    ran.ended(0, &["/slow/linux: 585.94 KiB in"]);
    assert_eq!(ran.stderr.lines().count(), 4, "{ran:#?}");
    assert!(!ran.stderr.contains(['\u{1b}', '\r']), "{ran:#?}");
    fs::remove_dir_all(workshop.path("store")).unwrap();
    let ran = workshop.pxectl("bundle build spec.yaml --quiet");
    assert_eq!(ran.ended(0, &[]).stderr, "");
    // Nothing reads the document: the build must not fail.
    let mut command = workshop.command("bundle build spec.yaml --quiet");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let _ = child.wait().unwrap();
    assert_eq!(workshop.store().names().unwrap().len(), 1);
}
