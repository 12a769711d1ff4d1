//! Data flows one way: each module imports only modules above it in the table of `src/lib.rs`, and
//! those above its line know no disk, no socket, no clock and no terminal.

use std::fs;
use std::path::{Path, PathBuf};

/// What the modules above the line may not name.
const OUTSIDE: [&str; 26] = [
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::env",
    "std::thread::sleep",
    "socket2",
    "pnet",
    "reqwest",
    "rusqlite",
    "rustix",
    "tokio",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "print!",
    "eprint!",
    "eprintln!",
    "println!",
    "dbg!",
];

/// The table of `src/lib.rs`.
struct Layers {
    names: Vec<String>,
    /// How many of them are above the line.
    pure: usize,
}

impl Layers {
    fn read(lib: &str) -> Self {
        let mut layers = Self {
            names: Vec::new(),
            pure: 0,
        };
        for row in lib.lines().filter_map(|line| line.strip_prefix("//! | ")) {
            let cell = row.split(" | ").next().unwrap_or_default();
            match cell
                .strip_prefix("[`")
                .and_then(|cell| cell.strip_suffix("`]"))
            {
                Some(name) => layers.names.push(name.to_owned()),
                None if cell == "—" => layers.pure = layers.names.len(),
                None => {}
            }
        }
        layers
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|layer| layer == name)
    }

    /// Lists what one file of a layer may not do, with its line.
    fn faults(&self, layer: &str, text: &str) -> Vec<(usize, String)> {
        let Some(place) = self.place(layer) else {
            return vec![(1, format!("`{layer}` is not in the table of `src/lib.rs`"))];
        };
        let mut faults = Vec::new();
        for (line, code) in code(text) {
            if place < self.pure {
                let named = OUTSIDE.iter().filter(|outside| names(&code, outside));
                faults.extend(
                    named.map(|outside| (line, format!("`{layer}` is pure and names `{outside}`"))),
                );
            }
            for used in imports(&code) {
                match self.place(used) {
                    Some(other) if other > place => {
                        faults.push((
                            line,
                            format!("`{layer}` imports `{used}`, which is below it"),
                        ));
                    }
                    Some(_) => {}
                    None => faults.push((
                        line,
                        format!("`{used}` is not in the table of `src/lib.rs`"),
                    )),
                }
            }
        }
        faults
    }
}

/// Returns the statements of a file, on one line each, without comments and tests; `use` trees are
/// written out.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut statements = Vec::new();
    let mut pending: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        // By custom, tests that stand in the file are the last of it.
        if line == "mod tests {" {
            break;
        }
        let line = line.split("//").next().unwrap_or_default().trim();
        match &mut pending {
            Some((_, statement)) => statement.push_str(line),
            None => pending = Some((index + 1, line.to_owned())),
        }
        if let Some((at, statement)) = pending.take_if(|(_, it)| !is_use(it) || it.ends_with(';')) {
            let paths = if is_use(&statement) {
                expanded(&statement)
            } else {
                vec![statement]
            };
            statements.extend(paths.into_iter().map(|path| (at, path)));
        }
    }
    statements
}

fn is_use(statement: &str) -> bool {
    statement.starts_with("use ")
        || statement
            .split_once(" use ")
            .is_some_and(|(before, _)| before.starts_with("pub"))
}

/// Writes `use a::{b, c::{d}};` out as `a::b` and `a::c::d`.
fn expanded(statement: &str) -> Vec<String> {
    let (_, tree) = statement.split_once("use ").unwrap_or_default();
    let tree = tree.trim_end_matches(';');
    let mut paths = Vec::new();
    expand("", tree, &mut paths);
    paths
}

fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        if !tree.is_empty() {
            paths.push(format!("{prefix}{tree}"));
        }
        return;
    };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&format!("{prefix}{head}"), &inner[start..at], paths);
                start = (at + 1).min(inner.len());
            }
            _ => {}
        }
    }
}

/// Reports whether code names something, as a whole word and not inside text.
fn names(code: &str, wanted: &str) -> bool {
    let code = code.replace("'\"'", "").replace("\\\"", "");
    let code: String = code.split('"').step_by(2).collect();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(wanted).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(word);
        let after = code[at + wanted.len()..].chars().next().is_some_and(word);
        !(before || after && wanted.ends_with(word))
    })
}

/// Lists the modules of this crate that code names.
fn imports(code: &str) -> Vec<&str> {
    code.match_indices("crate::")
        .filter_map(|(at, found)| {
            code[at + found.len()..]
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// Lists every source file with its module; tests in files of their own are left out.
fn sources() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let relative = path
                .strip_prefix(&root)
                .expect("below it")
                .to_str()
                .expect("text");
            let module = relative.split(['/', '.']).next().unwrap_or_default();
            let tests = relative.ends_with("tests.rs") || relative.contains("/tests/");
            let ours = relative.ends_with(".rs") && !tests;
            if ours && !["lib", "main"].contains(&module) {
                found.push((module.to_owned(), path));
            }
        }
    }
    found
}

fn table() -> Layers {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    Layers::read(&fs::read_to_string(lib).expect("the map of the crate"))
}

#[test]
fn data_flows_one_way_and_the_pure_layers_stay_pure() {
    let layers = table();
    let sources = sources();
    assert!(sources.len() > 80, "{} files", sources.len());
    let mut faults = Vec::new();
    for (module, path) in sources {
        let text = fs::read_to_string(&path).expect("a source");
        for (line, fault) in layers.faults(&module, &text) {
            faults.push(format!("{}:{line}: {fault}", path.display()));
        }
    }
    faults.sort();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A network file system may hang, and the thread that answers DHCP answers everybody.
#[test]
fn the_dhcp_server_touches_no_file() {
    const FILES: [&str; 6] = [
        "fs",
        "File",
        "OpenOptions",
        "FileRoots",
        "roots",
        "workspace",
    ];
    let sources = sources().into_iter().map(|(_, path)| path);
    let dhcp = sources.filter(|path| path.to_string_lossy().contains("/src/serve/dhcp/"));
    let mut seen = 0;
    for path in dhcp {
        seen += 1;
        let text = fs::read_to_string(&path).expect("a source");
        for (line, code) in code(&text) {
            let found = FILES.iter().find(|it| names(&code, it));
            assert_eq!(found, None, "{}:{line}: {code}", path.display());
        }
    }
    assert!(seen > 5, "{seen} files");
}

#[test]
fn the_table_names_every_module_of_the_crate() {
    let layers = table();
    let lib = include_str!("../src/lib.rs");
    let mut modules: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let mut names: Vec<&str> = layers.names.iter().map(String::as_str).collect();
    modules.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, modules);
    let pure = [
        "machine",
        "installer",
        "inventory",
        "wire",
        "token",
        "decide",
        "render",
        "clients",
        "lint",
        "conversation",
        "respond",
    ];
    assert_eq!(layers.names[..layers.pure], pure);
}

#[test]
fn each_kind_of_fault_is_found() {
    let layers = Layers::read(
        "//! | [`low`] | a |\n//! | [`mid`] | b |\n//! | — | — |\n//! | [`high`] | c |\n",
    );
    assert_eq!((layers.names.len(), layers.pure), (3, 2));
    for (layer, text, fault) in [
        (
            "low",
            "use std::fs;",
            Some("`low` is pure and names `std::fs`"),
        ),
        (
            "low",
            "use std::{fmt, fs::File};",
            Some("`low` is pure and names `std::fs`"),
        ),
        (
            "low",
            "use std::{\n    fmt,\n    fs,\n};",
            Some("`low` is pure and names `std::fs`"),
        ),
        (
            "mid",
            "let a = std::net::UdpSocket::bind(b);",
            Some("`mid` is pure and names `std::net::UdpSocket`"),
        ),
        (
            "mid",
            "use std::net::{Ipv4Addr, UdpSocket};",
            Some("`mid` is pure and names `std::net::UdpSocket`"),
        ),
        (
            "mid",
            "use std::{env, fmt};",
            Some("`mid` is pure and names `std::env`"),
        ),
        (
            "mid",
            "std::env::var(\"A\")",
            Some("`mid` is pure and names `std::env`"),
        ),
        (
            "mid",
            "tokio::spawn(a);",
            Some("`mid` is pure and names `tokio`"),
        ),
        (
            "low",
            "let now = Timestamp::now();",
            Some("`low` is pure and names `Timestamp::now`"),
        ),
        (
            "low",
            "let now = std::time::Instant::now();",
            Some("`low` is pure and names `Instant::now`"),
        ),
        (
            "low",
            "eprintln!(\"a\");",
            Some("`low` is pure and names `eprintln!`"),
        ),
        (
            "low",
            "println!(\"a\");",
            Some("`low` is pure and names `println!`"),
        ),
        (
            "low",
            "use crate::mid::A;",
            Some("`low` imports `mid`, which is below it"),
        ),
        (
            "low",
            "use crate::{low::A, mid::B};",
            Some("`low` imports `mid`, which is below it"),
        ),
        (
            "mid",
            "fn a() -> crate::high::A {",
            Some("`mid` imports `high`, which is below it"),
        ),
        (
            "mid",
            "use crate::strange::A;",
            Some("`strange` is not in the table of `src/lib.rs`"),
        ),
        (
            "other",
            "",
            Some("`other` is not in the table of `src/lib.rs`"),
        ),
        (
            "high",
            "use std::fs;\nuse crate::{low::A, mid::B};\nprintln!();",
            None,
        ),
        (
            "mid",
            "use crate::low::{A, B};\n// std::fs\n/// [`crate::high`]",
            None,
        ),
        ("mid", "let a = \"std::fs\";\nlet my_tokio_1 = 1;", None),
        (
            "mid",
            "let a = 1;\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
            None,
        ),
    ] {
        let faults = layers.faults(layer, text);
        let said: Vec<&str> = faults.iter().map(|(_, fault)| fault.as_str()).collect();
        assert_eq!(said, Vec::from_iter(fault), "{layer}: {text}");
    }
}
