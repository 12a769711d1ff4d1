//! The documents match the sources: the manual pages name every key, template, error and deviation, the
//! guides name files that exist, and texts are in plain English.

mod english;
mod named_files;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::requirements::missing;

#[test]
fn every_key_of_the_inventory_has_its_place_in_the_manual() {
    let page = read("man/pxectl-inventory.5");
    for (source, heading) in [
        (
            "src/inventory/site.rs src/inventory/server.rs src/inventory/network.rs src/inventory/client_class.rs src/inventory/loader_syntax.rs src/inventory/menu.rs src/inventory/signature_policy.rs",
            "SITE",
        ),
        ("src/inventory/profile.rs", "PROFILE"),
        (
            "src/inventory/host.rs src/inventory/disk.rs src/inventory/controller.rs src/inventory/secret.rs",
            "HOST",
        ),
        ("src/inventory/bundle.rs", "BUNDLE"),
        ("src/inventory/spec.rs", "BUNDLESPEC"),
    ] {
        let sources = source.split(' ').map(|name| code(&read(name)).to_owned());
        let accepted = keys(&sources.collect::<String>());
        assert!(accepted.len() > 4, "{source} has only {accepted:?}");
        let section = section(&page, heading);
        let named = words_after_ic(section.lines());
        let missing: Vec<_> = accepted.difference(&named).collect();
        assert!(missing.is_empty(), "{heading} does not name {missing:?}");
        let listed = words_after_ic(section.lines().filter(|line| line.starts_with(".It ")));
        let unknown: Vec<_> = listed.difference(&accepted).collect();
        assert!(
            unknown.is_empty(),
            "{heading} lists {unknown:?}, which {source} does not read"
        );
    }
}

#[test]
fn every_word_that_the_inventory_knows_is_in_the_manual() {
    let page = read("man/pxectl-inventory.5");
    let architectures = pxectl::machine::Architecture::all().map(|it| it.name());
    let installers = pxectl::installer::Installer::all().flat_map(|it| {
        let words = [it.name()].into_iter();
        let templates = it.templates().iter().map(|(name, _)| *name);
        words
            .chain(it.seeds().iter().copied())
            .chain(it.bundle_files().iter().copied())
            .chain(templates)
    });
    let vars = pxectl::installer::default_vars().map(|(name, _)| name);
    let words = architectures.chain(installers).chain(vars);
    let mut wanted: BTreeSet<String> = words.map(str::to_owned).collect();
    let scripts = pxectl::loader::Dialect::all().flat_map(|it| it.templates());
    wanted.extend(scripts.map(|(name, _)| name.to_owned()));
    wanted.extend(pxectl::loader::LoaderKind::all().map(|it| it.name().to_owned()));
    for source in rust_sources() {
        let text = fs::read_to_string(&source).unwrap();
        wanted.extend(codes(code(&text)));
    }
    assert!(wanted.contains("duplicate-mac") && wanted.contains("mirror_host"));
    let missing: Vec<_> = wanted
        .iter()
        .filter(|word| !has_word(&page, word))
        .collect();
    assert!(missing.is_empty(), "the page does not name {missing:?}");
}

#[test]
fn every_deviation_has_a_row_in_the_manual() {
    let page = read("man/pxectl-booting.7");
    let section = section(&page, "DEVIATIONS");
    let mut found = 0;
    for source in rust_sources() {
        let text = fs::read_to_string(&source).unwrap();
        let name = source.strip_prefix(root()).unwrap().display().to_string();
        let commented = text.matches("// Deviation:").count();
        let row = format!(".\\\" {name}\n.It ");
        let rows = section.matches(row.as_str()).count();
        assert_eq!(
            rows,
            commented,
            "rows under `{}` in DEVIATIONS",
            row.trim_end()
        );
        found += commented;
    }
    assert!(found > 0);
    assert_eq!(
        section.matches(".It ").count(),
        found,
        "a row names no source"
    );
}

/// Each row of a table has a promise, the place that keeps it, and its proof.
#[test]
fn every_promise_of_the_security_page_names_code_and_tests_that_exist() {
    let page = read("SECURITY.md");
    let (_, promises) = page.split_once("\n## What is promised\n").unwrap();
    let (promises, _) = promises.split_once("\n## ").unwrap();
    let directories = ["src", "tests"].map(|name| root().join(name));
    let sources = directories.iter().flat_map(|path| rust_files(path));
    let sources: String = sources
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let rows: Vec<Vec<&str>> = promises
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").collect())
        .collect();
    assert!(rows.len() > 20, "{} promises", rows.len());
    let mut errors = Vec::new();
    for row in rows {
        let [promise, place, proof] = row[..] else {
            panic!("not three cells: {row:?}");
        };
        let code_words = place.split('`').skip(1).step_by(2);
        let (paths, items): (Vec<&str>, Vec<&str>) = code_words.partition(|it| it.contains('/'));
        assert!(!paths.is_empty(), "no file: {promise}");
        for path in paths.iter().filter(|path| !named_files::exists(path)) {
            errors.push(format!("no `{path}`: {promise}"));
        }
        let files = paths.iter().filter(|path| path.ends_with(".rs"));
        let code: String = files
            .filter_map(|path| fs::read_to_string(root().join(path)).ok())
            .collect();
        for item in items
            .iter()
            .filter(|item| !named_files::defines(&code, item))
        {
            errors.push(format!("no `{item}` in {paths:?}: {promise}"));
        }
        let mut tests = proof.split('`').skip(1).step_by(2).peekable();
        assert!(tests.peek().is_some(), "no test: {promise}");
        for test in tests.filter(|test| !has_word(&sources, &format!("fn {test}"))) {
            errors.push(format!("no test `{test}`: {promise}"));
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
}

/// `UPDATE_FIXTURES=1` rewrites the table.
#[test]
fn the_manual_lists_every_finding_as_the_code_knows_it() {
    const PAGE: &str = "man/pxectl-capture.7";
    const START: &str = "from src/conversation/finding/table.rs.\n.Bl -tag -width Ds\n";
    let page = read(PAGE);
    let (before, rest) = page.split_once(START).expect("the table's place");
    let (table, after) = rest.split_once(".El\n").expect("the table's end");
    let expected: String = pxectl::conversation::FindingKind::all()
        .map(|kind| {
            format!(
                ".It Cm {kind} Pq {}\n{}.br\n{}",
                kind.severity(),
                paragraph(kind.rule()),
                paragraph(kind.fix())
            )
        })
        .collect();
    if crate::support::fixture_updates::updates_fixtures() {
        let page = format!("{before}{START}{expected}.El\n{after}");
        fs::write(root().join(PAGE), page).unwrap();
        return;
    }
    assert_eq!(table, expected, "UPDATE_FIXTURES=1 rewrites it");
}

/// Writes a sentence as lines of a manual page; what stands in backticks is literal.
fn paragraph(sentence: &str) -> String {
    let first = sentence.split(' ').next().unwrap_or_default();
    let is_name = !first.chars().all(|c| c.is_ascii_lowercase());
    let mut text = match sentence.split_at_checked(1).filter(|_| !is_name) {
        Some((first, rest)) => format!("{}{rest}", first.to_uppercase()),
        None => sentence.to_owned(),
    };
    if !text.ends_with('?') {
        text.push('.');
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("one at least");
        if !line.is_empty() && line.len() + word.len() >= 100 {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let lines = lines.iter().map(|line| {
        let shield = if line.starts_with(['.', '\'']) {
            "\\&"
        } else {
            ""
        };
        format!("{shield}{}\n", line.replace('`', "\\(aq"))
    });
    lines.collect()
}

#[test]
fn the_manual_pages_are_clean() {
    let pages = [
        "man/pxectl-inventory.5",
        "man/pxectl-booting.7",
        "man/pxectl-store.7",
        "man/pxectl-bundles.7",
        "man/pxectl-bmc.7",
        "man/pxectl-capture.7",
    ];
    if missing(&["mandoc"]) {
        return;
    }
    let mandoc = Command::new("mandoc")
        .args(["-T", "lint", "-W", "warning"])
        .args(pages)
        .current_dir(root())
        .output()
        .expect("mandoc");
    let said = String::from_utf8_lossy(&mandoc.stdout);
    assert_eq!((mandoc.status.code(), &*said), (Some(0), ""));
}

#[test]
fn the_checks_see_what_is_missing() {
    let source = "fields.required(reader, \"name\", x); fields\n.optional(\n  reader,\n  \"disk\", y); fields.node(\"kind\")";
    let accepted = keys(source);
    assert_eq!(
        accepted,
        words_after_ic([".It Ic kind , name : No x", ".Ic disk ."].into_iter())
    );
    assert_eq!(section(".Sh A\nx\n.Sh B\ny\n.Sh C\n", "B"), "y\n");
    assert!(has_word(".Cm http-x64 ,", "http-x64") && !has_word(".Cm http-x64 ,", "x64"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn rust_sources() -> Vec<PathBuf> {
    rust_files(&root().join("src"))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut directories = vec![directory.to_owned()];
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => directories.push(path),
                Some(extension) if extension == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// Returns a source without its tests, which stand last.
fn code(source: &str) -> &str {
    source.split("\nmod tests {").next().unwrap_or_default()
}

/// Finds the keys that a reader of the inventory asks for.
fn keys(source: &str) -> BTreeSet<String> {
    let source = code(source);
    let calls = ["required(", ".optional(", ".node("];
    calls
        .iter()
        .flat_map(|call| after(source, call))
        .filter_map(|rest| {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix("reader,").unwrap_or(rest).trim_start();
            rest.strip_prefix('"')
                .map(|rest| until_quote(rest).to_owned())
        })
        .collect()
}

/// Finds the codes of the faults that a source reports.
fn codes(source: &str) -> BTreeSet<String> {
    let calls = [
        "Diagnostic::error(",
        "Diagnostic::warning(",
        ".refuse(",
        "Severity::Error,",
        "Severity::Warning,",
        "Severity::Note,",
    ];
    let literal = calls
        .iter()
        .flat_map(|call| after(source, call))
        .filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let words =
        after(source, "=> (\"duplicate-").map(|rest| format!("duplicate-{}", until_quote(rest)));
    literal
        .map(|rest| until_quote(rest).to_owned())
        .chain(words)
        .collect()
}

fn after<'t>(text: &'t str, pattern: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(pattern)
        .map(move |(at, _)| &text[at + pattern.len()..])
}

fn until_quote(text: &str) -> &str {
    text.split('"').next().unwrap_or_default()
}

/// Returns the text below one heading of a manual page.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let start = format!(".Sh {heading}\n");
    let (_, rest) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("no section {heading}"));
    rest.find("\n.Sh ").map_or(rest, |end| &rest[..=end])
}

/// Returns what stands after `Ic` on macro lines, up to the next macro.
fn words_after_ic<'p>(lines: impl Iterator<Item = &'p str>) -> BTreeSet<String> {
    lines
        .filter(|line| line.starts_with('.'))
        .flat_map(|line| {
            let mut on = false;
            line[1..].split_whitespace().filter_map(move |word| {
                match word {
                    "Ic" => on = true,
                    "No" | "Cm" | "Ar" | "Li" | "Pa" | "Ql" | "Ns" => on = false,
                    _ if on && !matches!(word, "," | ":" | "." | ";") => {
                        return Some(word.to_owned());
                    }
                    _ => {}
                }
                None
            })
        })
        .collect()
}

/// Reports whether a page holds a word that is not a part of a longer one.
fn has_word(page: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    page.match_indices(word)
        .any(|(at, _)| !page[..at].ends_with(part) && !page[at + word.len()..].starts_with(part))
}
