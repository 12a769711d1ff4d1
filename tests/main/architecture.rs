//! Data flows one way: each module imports only modules above it in the table of `src/lib.rs`, no two
//! files import each other, and the pure layers use no disk, socket, clock, thread or terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What the pure modules must not name.
const OUTSIDE: [&str; 30] = [
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
    "std::thread",
    "thread::spawn",
    "thread::scope",
    "thread::sleep",
    "thread::Builder",
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
        for (line, code) in code_with_expanded_uses(text) {
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

/// Returns the statements of a file, on one line each, without comments and tests.
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
        statements.extend(pending.take_if(|(_, it)| !is_use(it) || it.ends_with(';')));
    }
    statements
}

/// Returns the statements of a file as [`code`] does, with one line for each path of a `use` tree.
fn code_with_expanded_uses(text: &str) -> Vec<(usize, String)> {
    let statements = code(text).into_iter();
    statements
        .flat_map(|(at, statement)| {
            let paths = if is_use(&statement) {
                expanded(&statement)
            } else {
                vec![statement]
            };
            paths.into_iter().map(move |path| (at, path))
        })
        .collect()
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
    let code = without_text(code);
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(wanted).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(word);
        let after = code[at + wanted.len()..].chars().next().is_some_and(word);
        !(before || after && wanted.ends_with(word))
    })
}

/// Returns code without its string literals.
fn without_text(code: &str) -> String {
    let code = code.replace("'\"'", "").replace("\\\"", "");
    code.split('"').step_by(2).collect()
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

/// The files of the crate, and what each of them imports.
struct ImportGraph {
    /// By module path: `["wire", "dhcp"]` is `crate::wire::dhcp`.
    files: BTreeMap<Vec<String>, SourceFile>,
}

/// One file of the crate, without its tests.
struct SourceFile {
    /// Its path below `src/`.
    name: String,
    uses: Vec<UsePath>,
    /// Paths like `super::shell::run` in its code, outside `use` statements.
    inline_paths: Vec<String>,
}

/// One path of a `use` statement, with its tree written out.
struct UsePath {
    path: String,
    /// It has a visibility, as `pub use` has: other files see the name through this file.
    is_reexport: bool,
}

impl UsePath {
    /// Returns the path without its alias.
    fn target(&self) -> &str {
        self.path.split(" as ").next().unwrap_or_default().trim()
    }

    /// Returns the name that it brings into scope.
    fn name(&self) -> &str {
        let last = self.path.rsplit("::").next().unwrap_or_default();
        last.rsplit(" as ").next().unwrap_or_default().trim()
    }
}

impl ImportGraph {
    /// Builds the graph of files, each with its path below `src/` and its text.
    fn new<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let files = files.into_iter().map(|(name, text)| {
            let statements = code(text);
            let uses = statements.iter().filter(|(_, statement)| is_use(statement));
            let others = statements
                .iter()
                .filter(|(_, statement)| !is_use(statement));
            let file = SourceFile {
                name: name.to_owned(),
                uses: uses
                    .flat_map(|(_, statement)| use_paths(statement))
                    .collect(),
                inline_paths: others.flat_map(|(_, code)| inline_paths(code)).collect(),
            };
            (module_path(name), file)
        });
        Self {
            files: files.collect(),
        }
    }

    /// Returns the module whose file defines what a path in a file of `module` names. A name that
    /// another file re-exports leads to the file that defines it.
    fn resolve(&self, module: &[String], path: &str, depth: usize) -> Option<Vec<String>> {
        let mut rest: Vec<&str> = path.split("::").map(str::trim).collect();
        let mut base = match rest[0] {
            "crate" => Vec::new(),
            "self" | "super" => module.to_vec(),
            child => {
                let mut child_module = module.to_vec();
                child_module.push(child.to_owned());
                self.files.get(&child_module)?;
                module.to_vec()
            }
        };
        while let Some(word @ ("crate" | "self" | "super")) = rest.first().copied() {
            if word == "super" {
                base.pop();
            }
            rest.remove(0);
        }
        while let Some(child) = rest.first() {
            base.push((*child).to_owned());
            if !self.files.contains_key(&base) {
                base.pop();
                break;
            }
            rest.remove(0);
        }
        let file = self.files.get(&base)?;
        let mut reexports = file.uses.iter().filter(|it| it.is_reexport);
        let reexport = rest
            .first()
            .filter(|_| depth < 8)
            .and_then(|name| reexports.find(|it| it.name() == *name));
        reexport
            .and_then(|reexport| self.resolve(&base, reexport.target(), depth + 1))
            .or(Some(base))
    }

    /// Lists the modules that a file imports. A re-export is not an import: those who use the name
    /// import the file that defines it.
    fn imports(&self, module: &[String]) -> BTreeSet<Vec<String>> {
        let file = &self.files[module];
        let uses = file.uses.iter().filter(|it| !it.is_reexport);
        let paths = uses.map(UsePath::target);
        let paths = paths.chain(file.inline_paths.iter().map(String::as_str));
        paths
            .filter_map(|path| self.resolve(module, path, 0))
            .filter(|imported| imported.as_slice() != module)
            .collect()
    }

    /// Lists the cycles: each is the largest set of files that reach one another, in order.
    fn cycles(&self) -> BTreeSet<Vec<String>> {
        let imports: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> = self
            .files
            .keys()
            .map(|module| (module, self.imports(module)))
            .collect();
        let reachable: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = imports
            .keys()
            .map(|module| {
                let mut found = BTreeSet::new();
                let mut open = vec![*module];
                while let Some(next) = open.pop() {
                    open.extend(imports[next].iter().filter(|it| found.insert(*it)));
                }
                (*module, found)
            })
            .collect();
        reachable
            .iter()
            .filter(|(module, found)| found.contains(*module))
            .map(|(module, found)| {
                let members = found.iter().filter(|it| reachable[**it].contains(module));
                let mut names: Vec<String> =
                    members.map(|it| self.files[*it].name.clone()).collect();
                names.sort();
                names
            })
            .collect()
    }
}

/// Returns the module path of a file below `src/`.
fn module_path(name: &str) -> Vec<String> {
    let name = name.strip_suffix(".rs").unwrap_or(name);
    let name = name.strip_suffix("/mod").unwrap_or(name);
    match name {
        "lib" => Vec::new(),
        _ => name.split('/').map(str::to_owned).collect(),
    }
}

/// Lists the paths of one expanded `use` statement.
fn use_paths(statement: &str) -> Vec<UsePath> {
    let is_reexport = statement.starts_with("pub");
    let paths = expanded(statement).into_iter();
    paths.map(|path| UsePath { path, is_reexport }).collect()
}

/// Lists the paths in code that begin with `crate`, `self` or `super`.
fn inline_paths(code: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    without_text(code)
        .split(|c: char| !is_path(c))
        .map(|word| word.trim_end_matches(':'))
        .filter(|word| {
            ["crate::", "self::", "super::"]
                .iter()
                .any(|it| word.starts_with(it))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn data_flows_one_way_and_the_pure_layers_stay_pure() {
    let layers = table();
    let sources = sources();
    assert!(sources.len() > 400, "{} files", sources.len());
    let mut imported = 0;
    let mut faults = Vec::new();
    for (module, path) in sources {
        let text = fs::read_to_string(&path).expect("a source");
        let statements = code_with_expanded_uses(&text);
        imported += statements
            .iter()
            .map(|(_, it)| imports(it).len())
            .sum::<usize>();
        for (line, fault) in layers.faults(&module, &text) {
            faults.push(format!("{}:{line}: {fault}", path.display()));
        }
    }
    assert!(imported > 1500, "{imported} imports between modules");
    faults.sort();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn files_do_not_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources: Vec<(String, String)> = sources()
        .into_iter()
        .map(|(_, path)| {
            let name = path.strip_prefix(&root).expect("a file below src");
            let text = fs::read_to_string(&path).expect("a source");
            (name.to_str().expect("text").to_owned(), text)
        })
        .collect();
    let graph = ImportGraph::new(sources.iter().map(|(name, text)| (&**name, &**text)));
    let imports: usize = graph.files.keys().map(|it| graph.imports(it).len()).sum();
    assert!(graph.files.len() > 400, "{} files", graph.files.len());
    assert!(imports > 1500, "{imports} imports between files");

    let cycles = graph.cycles();
    assert!(cycles.is_empty(), "import cycles: {cycles:#?}");
}

#[test]
fn cycles_are_found_through_every_kind_of_import() {
    let cycles = |files: &[(&'static str, &'static str)]| {
        let cycles = ImportGraph::new(files.iter().copied()).cycles();
        cycles
            .into_iter()
            .map(|it| it.join(" "))
            .collect::<Vec<_>>()
    };
    for (files, expected) in [
        (
            &[("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")][..],
            &["a.rs b.rs"][..],
        ),
        (
            &[
                ("a.rs", "use crate::b::B;"),
                ("b.rs", "fn f() -> crate::a::A {}"),
            ],
            &["a.rs b.rs"],
        ),
        (
            &[
                ("a/mod.rs", "mod c;\nuse c::C;"),
                ("a/c.rs", "use super::A;"),
            ],
            &["a/c.rs a/mod.rs"],
        ),
        (
            &[
                ("a.rs", "mod c;\nuse self::c::C;"),
                ("a/c.rs", "use super::{\n    A,\n};"),
            ],
            &["a.rs a/c.rs"],
        ),
        // A parent that only declares and re-exports.
        (
            &[
                (
                    "a/mod.rs",
                    "mod c;\nmod d;\npub use c::C;\npub(crate) use d::D;",
                ),
                ("a/c.rs", "use super::D;"),
                ("a/d.rs", "use super::A;"),
            ],
            &[],
        ),
        // The re-exported name leads to its file.
        (
            &[
                ("a/mod.rs", "pub use c::C;\npub use d::{D, E as F};"),
                ("a/c.rs", "use super::F;"),
                ("a/d.rs", "use crate::a::C;"),
            ],
            &["a/c.rs a/d.rs"],
        ),
        (
            &[
                ("a.rs", "use crate::b::B;"),
                ("b.rs", "use crate::c::C;"),
                ("c.rs", "use crate::a::A;"),
                ("d.rs", "use crate::a::A;"),
            ],
            &["a.rs b.rs c.rs"],
        ),
        (
            &[
                ("a.rs", "use crate::b::B;"),
                (
                    "b.rs",
                    "// use crate::a::A;\nlet s = \"crate::a\";\nmod tests {\nuse crate::a;\n}",
                ),
            ],
            &[],
        ),
    ] {
        assert_eq!(cycles(files), expected, "{files:?}");
    }
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
        for (line, code) in code_with_expanded_uses(&text) {
            let found = FILES.iter().find(|it| names(&code, it));
            assert_eq!(found, None, "{}:{line}: {code}", path.display());
        }
    }
    assert!(seen > 5, "{seen} files");
}

#[test]
fn the_table_names_every_module_of_the_crate() {
    let layers = table();
    let lib = include_str!("../../src/lib.rs");
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
        "wire",
        "installer",
        "loader",
        "inventory",
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
            "use std::thread;",
            Some("`mid` is pure and names `std::thread`"),
        ),
        (
            "mid",
            "thread::scope(|scope| a);",
            Some("`mid` is pure and names `thread::scope`"),
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
