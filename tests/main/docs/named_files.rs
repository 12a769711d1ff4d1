//! Every file, folder and function that the guides for contributors name exists.

use std::fs;
use std::path::Path;

const GUIDES: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

/// What the text of a guide names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    /// Files and folders, below the root of the project.
    paths: Vec<String>,
    /// Functions, types and constants, each with its file.
    items: Vec<(String, String)>,
}

/// Reads the names in backticks: `path`, or `name` in `path`; several names may share a path.
fn named(guide: &str) -> Named {
    let text = without_examples(guide);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts: Vec<&str> = text.split('`').collect();
    let mut named = Named::default();
    for (index, path) in parts.iter().enumerate().skip(1).step_by(2) {
        if !is_path(path) {
            continue;
        }
        named.paths.push((*path).to_owned());
        let mut at = index;
        let mut separators = &[" in "][..];
        while at >= 3 && separators.contains(&parts[at - 1]) && is_name(parts[at - 2]) {
            named
                .items
                .push((parts[at - 2].to_owned(), (*path).to_owned()));
            separators = &[", ", " or ", " and ", " of "];
            at -= 2;
        }
    }
    named
}

/// Returns a guide without code blocks and without literals in double backticks.
fn without_examples(guide: &str) -> String {
    let prose = guide
        .split("\n```")
        .step_by(2)
        .collect::<Vec<_>>()
        .join("\n");
    prose.split("``").step_by(2).collect()
}

/// Reports whether a word in backticks is a path of the project: not a URL, not a command.
fn is_path(word: &str) -> bool {
    word.contains('/') && !word.starts_with('/') && !word.contains([' ', '<', ':'])
}

/// Reports whether a word in backticks is the name of an item.
fn is_name(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !word.is_empty() && word.chars().all(is_part)
}

/// Reports whether a file or folder exists; `*` stands for any part of the last name.
pub fn exists(path: &str) -> bool {
    let Some((start, end)) = path.split_once('*') else {
        return root().join(path).exists();
    };
    let (folder, start) = start.rsplit_once('/').unwrap_or(("", start));
    let files = fs::read_dir(root().join(folder)).into_iter().flatten();
    files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with(start) && name.ends_with(end)
    })
}

/// Reports whether code defines an item. `Type::function` stands for its last part.
pub fn defines(code: &str, item: &str) -> bool {
    let name = item.rsplit("::").next().unwrap_or(item);
    ["fn", "struct", "enum", "type", "trait", "const"]
        .iter()
        .any(|kind| {
            let definition = format!("{kind} {name}");
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            code.match_indices(&definition).any(|(at, _)| {
                let (before, after) = (&code[..at], &code[at + definition.len()..]);
                !before.ends_with(is_word) && !after.starts_with(is_word)
            })
        })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

#[test]
fn every_file_and_function_that_the_guides_name_exists() {
    let mut errors = Vec::new();
    let mut counts = (0, 0);
    for guide in GUIDES {
        let Named { paths, items } = named(&read(guide));
        counts = (counts.0 + paths.len(), counts.1 + items.len());
        for path in paths.iter().filter(|path| !exists(path)) {
            errors.push(format!("{guide}: no `{path}`"));
        }
        for (item, path) in items
            .iter()
            .filter(|(item, path)| !defines(&read(path), item))
        {
            errors.push(format!("{guide}: no `{item}` in `{path}`"));
        }
    }
    assert!(
        counts.0 > 120 && counts.1 > 50,
        "{counts:?} paths and items"
    );
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn names_are_read_from_prose_only() {
    let guide = "`a`, `b` or\n`C::c` in `src/x.rs`, then `src/y/`; `GET /z`, `/m/n`, `man/*.1`.\n\
                 ```sh\n`no/file`\n```\nAlso ``no `such/file` here`` and `d` in `src/x.rs`.";
    let item = |name: &str| (name.to_owned(), "src/x.rs".to_owned());
    let expected = Named {
        paths: ["src/x.rs", "src/y/", "man/*.1", "src/x.rs"]
            .map(str::to_owned)
            .to_vec(),
        items: vec![item("C::c"), item("b"), item("a"), item("d")],
    };
    assert_eq!(named(guide), expected);
    assert!(exists("man/*.1") && exists("src/") && !exists("man/*.99") && !exists("src/none.rs"));
    assert!(defines("pub fn one() {}", "A::one") && !defines("fn one_more() {}", "one"));
}
