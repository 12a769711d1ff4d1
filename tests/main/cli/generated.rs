//! Completions and manual pages: what is checked in is what the command line generates.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::pxectl::golden;
use crate::support::rack::Rack;
use crate::support::requirements::missing;

const COMPLETIONS: [(&str, &str, &[&str]); 3] = [
    ("bash", "pxectl.bash", &["-n"]),
    ("zsh", "_pxectl", &["-n"]),
    ("fish", "pxectl.fish", &["--no-execute"]),
];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program that must find nothing; returns what it says.
fn judged(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .output()
        .expect(program);
    let said = [output.stdout, output.stderr].concat();
    let mut said = String::from_utf8_lossy(&said).into_owned();
    if !output.status.success() && said.is_empty() {
        said = output.status.to_string();
    }
    said
}

#[test]
fn the_completions_are_those_of_the_command_line() {
    for (shell, name, _) in COMPLETIONS {
        let script = Rack::empty()
            .pxectl(&format!("completions {shell}"))
            .stdout_returned()
            .run();
        golden(&repository("completions").join(name), &script).unwrap();
    }
}

#[test]
fn each_shell_can_read_its_completions() {
    for (shell, name, check) in COMPLETIONS {
        if !missing(&[shell]) {
            assert_eq!(
                judged(shell, check, &repository("completions").join(name)),
                "",
                "{shell}"
            );
        }
    }
}

#[test]
fn bash_offers_what_the_command_line_knows() {
    let script = repository("completions/pxectl.bash");
    for (typed, offered) in [
        ("pxectl va", "validate"),
        ("pxectl host pro", "provision"),
        ("pxectl validate --den", "--deny"),
        ("pxectl validate --deny w", "warnings"),
    ] {
        let words: Vec<&str> = typed.split(' ').collect();
        let program = format!(
            "source \"$1\"; COMP_WORDS=({typed}); COMP_CWORD={last}; \
             _pxectl pxectl {current} {previous}; echo \"${{COMPREPLY[@]}}\"",
            last = words.len() - 1,
            current = words[words.len() - 1],
            previous = words[words.len() - 2],
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &program, "bash"])
            .arg(&script)
            .output()
            .expect("bash");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            said.trim(),
            offered,
            "{typed}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_manual_pages_are_those_of_the_command_line() {
    let rack = Rack::empty();
    rack.pxectl("man --out pages").run();
    let names = |directory: &Path| -> BTreeSet<String> {
        fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .filter(|name| name.ends_with(".1"))
            .collect()
    };
    let (made, kept) = (names(&rack.file("pages")), repository("man"));
    for name in &made {
        let page = fs::read_to_string(rack.file("pages").join(name)).expect("a page");
        golden(&kept.join(name), &page).unwrap();
    }
    assert_eq!(
        names(&kept),
        made,
        "remove the pages of commands that are gone"
    );
}

#[test]
fn the_manual_pages_are_good_roff() {
    if missing(&["mandoc"]) {
        return;
    }
    for entry in fs::read_dir(repository("man")).expect("a directory") {
        let path = entry.expect("an entry").path();
        let said = judged("mandoc", &["-T", "lint", "-W", "warning"], &path);
        // A date would change the pages without a reason.
        let faults: Vec<&str> = said
            .lines()
            .filter(|line| !line.ends_with("missing date, using \"\": TH"))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn generated_pages_have_only_the_headings_of_manual_pages() {
    const HEADINGS: [&str; 10] = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "GLOBAL OPTIONS",
        "SUBCOMMANDS",
        "VERSION",
        "NOTES",
        "EXAMPLES",
        "EXIT STATUS",
    ];
    let mut checked = 0;
    for entry in fs::read_dir(repository("man")).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "1") {
            continue;
        }
        let page = fs::read_to_string(&path).expect("the page");
        for heading in page.lines().filter_map(|line| line.strip_prefix(".SH ")) {
            let heading = heading.trim_matches('"');
            assert!(HEADINGS.contains(&heading), "{}: {heading}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 200, "{checked} headings");
}

#[test]
fn man_prints_the_page_of_a_command() {
    let rack = Rack::empty();
    for (line, name) in [
        ("man", "pxectl.1"),
        ("man host provision", "pxectl-host-provision.1"),
    ] {
        let page = fs::read_to_string(repository("man").join(name)).expect("the page");
        rack.pxectl(line).stdout(page).run();
    }
    rack.pxectl("man hots")
        .stderr("error: unknown command `hots`\n  = help: run `pxectl help` to list the commands\n")
        .status(1)
        .run();
}
