use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::rack::{fixture, remove_settings};

/// One run of the binary, and its expected output. Unless set, output must be empty and the status 0.
///
/// In expected text, `[..]` matches any text within a line.
#[must_use = "nothing is checked before `run`"]
pub struct Pxectl {
    command: Command,
    stdin: Vec<u8>,
    stdout: Expected,
    stderr: Expected,
    status: i32,
}

enum Expected {
    Text(String),
    Golden(PathBuf),
    Anything,
}

impl Pxectl {
    /// Prepares a run in a directory, which is also its inventory, and whose `state` is its store.
    pub fn at(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pxectl"));
        remove_settings(&mut command);
        command
            .current_dir(directory)
            .env("PXECTL_STATE", "state")
            .env("PXECTL_WITNESS", "witness");
        Self {
            command,
            stdin: Vec::new(),
            stdout: Expected::Text(String::new()),
            stderr: Expected::Text(String::new()),
            status: 0,
        }
    }

    /// Adds arguments, separated by blanks.
    pub fn args(mut self, line: &str) -> Self {
        self.command.args(line.split_whitespace());
        self
    }

    /// Adds one argument, which may contain blanks.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.command.arg(argument.into());
        self
    }

    /// Removes the store from the environment.
    pub fn without_state(mut self) -> Self {
        self.command.env_remove("PXECTL_STATE");
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.into();
        self
    }

    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout = Expected::Text(text.into());
        self
    }

    /// Expects the text of a file below `fixtures/`; `UPDATE_FIXTURES=1` rewrites it.
    pub fn stdout_golden(mut self, name: &str) -> Self {
        self.stdout = Expected::Golden(fixture(name));
        self
    }

    /// Accepts any standard output, which [`Pxectl::run`] returns.
    pub fn stdout_returned(mut self) -> Self {
        self.stdout = Expected::Anything;
        self
    }

    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr = Expected::Text(text.into());
        self
    }

    /// Accepts any standard error.
    pub fn stderr_anything(mut self) -> Self {
        self.stderr = Expected::Anything;
        self
    }

    pub fn status(mut self, status: i32) -> Self {
        self.status = status;
        self
    }

    /// Runs the binary, and returns its standard output.
    ///
    /// # Panics
    /// If the output or the status is not as expected.
    #[track_caller]
    pub fn run(mut self) -> String {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // The program may have ended without reading its input.
        let _ = child.stdin.take().expect("piped").write_all(&self.stdin);
        let output = child.wait_with_output().expect("its output");
        let stdout = String::from_utf8(output.stdout).expect("text on standard output");
        let stderr = String::from_utf8(output.stderr).expect("text on standard error");
        let mut faults = String::new();
        self.stdout.check("stdout", &stdout, &mut faults);
        self.stderr.check("stderr", &stderr, &mut faults);
        if output.status.code() != Some(self.status) {
            let _ = writeln!(
                faults,
                "-- status: {}, expected {}",
                output.status, self.status
            );
        }
        assert!(
            faults.is_empty(),
            "{:?}\n{faults}-- stdout was:\n{stdout}-- stderr was:\n{stderr}",
            self.command
        );
        stdout
    }
}

impl Expected {
    #[track_caller]
    fn check(&self, name: &str, actual: &str, faults: &mut String) {
        match self {
            Self::Text(text) if matches(text, actual) => {}
            Self::Text(text) => {
                let _ = writeln!(faults, "-- {name} should be:\n{text}");
            }
            Self::Golden(path) => {
                if let Err(fault) = golden(path, actual) {
                    let _ = writeln!(faults, "-- {name}: {fault}");
                }
            }
            Self::Anything => {}
        }
    }
}

/// Compares with a checked-in file, or rewrites it with `UPDATE_FIXTURES=1`.
pub fn golden(path: &Path, actual: &str) -> Result<(), String> {
    let shown = path.display();
    if crate::support::fixture_updates::updates_fixtures() {
        return std::fs::write(path, actual).map_err(|error| format!("`{shown}`: {error}"));
    }
    let expected = std::fs::read_to_string(path).map_err(|error| format!("`{shown}`: {error}"))?;
    if expected == actual {
        return Ok(());
    }
    let line = expected
        .lines()
        .zip(actual.lines())
        .take_while(|(expected, actual)| expected == actual)
        .count();
    Err(format!(
        "differs from `{shown}` at line {}; if the change is intended, rewrite it with UPDATE_FIXTURES=1",
        line + 1
    ))
}

/// Compares line by line; `[..]` in `expected` matches any text.
fn matches(expected: &str, actual: &str) -> bool {
    let (expected, actual): (Vec<_>, Vec<_>) =
        (expected.split('\n').collect(), actual.split('\n').collect());
    expected.len() == actual.len()
        && expected
            .iter()
            .zip(actual)
            .all(|(expected, actual)| line_matches(expected, actual))
}

pub fn line_matches(expected: &str, actual: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(mut rest) = parts.next().and_then(|first| actual.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn the_wildcard_stands_for_anything_within_a_line() {
    for (expected, actual, matched) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a[..]", "ab", true),
        ("[..]b", "ab", true),
        ("a[..]c[..]e", "abcde", true),
        ("a[..]c[..]e", "abcd", false),
        ("a[..]a", "a", false),
        ("a[..]", "a\nb", false),
        ("", "a", false),
    ] {
        assert_eq!(matches(expected, actual), matched, "{expected} {actual}");
    }
}
