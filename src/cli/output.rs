use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::{Color, Exit, Format, Global};
use crate::bundle::transport::TransferError;
use crate::bundle::{BundleStoreError, KeyError};
use crate::capture::CaptureError;
use crate::serve::log::{Level, Log};
use crate::store::StoreError;
use crate::workspace::NoPlaceForStore;

/// The one place where commands print: results to standard output, everything else to standard
/// error.
pub struct Output {
    json: bool,
    log_json: bool,
    quiet: bool,
    verbose: bool,
    color: Color,
}

impl Output {
    pub fn new(global: &Global) -> Self {
        Self {
            json: global.format == Format::Json,
            log_json: global.log_format == Format::Json,
            quiet: global.quiet,
            verbose: global.verbose,
            color: global.color,
        }
    }

    /// Reports whether results are wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Reports whether standard output takes color.
    pub fn stdout_color(&self) -> bool {
        self.colored(io::stdout().is_terminal())
    }

    /// Reports whether standard error takes color.
    pub fn stderr_color(&self) -> bool {
        self.colored(io::stderr().is_terminal())
    }

    /// Reports whether somebody watches standard error, and wants to see progress. A terminal that
    /// cannot move its cursor gets lines, as a file does.
    pub fn shows_progress(&self) -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        io::stderr().is_terminal() && !is_dumb && !self.quiet
    }

    /// Reports whether errors only are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    fn colored(&self, terminal: bool) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }

    /// Prints a result as it is. A reader that has gone away is no error.
    pub fn result(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        let _ = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
    }

    /// Prints a part of a result that goes on; `false` where the reader has gone away.
    pub fn stream(&self, text: &str) -> bool {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes());
        written.and_then(|()| stdout.flush()).is_ok()
    }

    /// Prints a result as JSON, on lines of its own.
    pub fn json(&self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string_pretty(value) {
            self.result(&format!("{text}\n"));
        }
    }

    /// Writes a line to standard error, from wherever.
    pub fn line_to_stderr(text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", harmless(text));
    }

    /// Tells something on the side, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr(&format!("{}\n", harmless(text)));
        }
    }

    /// Prints a warning with its help.
    pub fn warning(&self, what: &str, help: &str) {
        if !self.quiet {
            self.stderr(&format!(
                "{}: {}\n  = help: {}\n",
                self.painted("warning", "33"),
                harmless(what),
                harmless(help)
            ));
        }
    }

    /// Prints an error with its help.
    pub fn error(&self, what: &str, help: &str) {
        let help = if help.is_empty() {
            String::new()
        } else {
            format!("  = help: {}\n", harmless(help))
        };
        let what = harmless(what);
        self.stderr(&format!("{}: {what}\n{help}", self.painted("error", "31")));
    }

    /// Prints why a command failed. It could not be done, unless what was asked about is at fault.
    pub fn failed(&self, error: &anyhow::Error) -> Exit {
        let help = error.chain().find_map(|cause| {
            let store = cause.downcast_ref().map(StoreError::help);
            let place = || cause.downcast_ref().map(NoPlaceForStore::help);
            store
                .or_else(|| cause.downcast_ref().and_then(BundleStoreError::help))
                .or_else(|| cause.downcast_ref().and_then(TransferError::help))
                .or_else(|| {
                    cause
                        .downcast_ref()
                        .map(|it: &KeyError| it.help().to_owned())
                })
                .or_else(|| cause.downcast_ref().map(CaptureError::help))
                .or_else(place)
        });
        self.error(&spelled(error), &help.unwrap_or_default());
        let is_no = |cause: &(dyn std::error::Error + 'static)| {
            let store = cause.downcast_ref().is_some_and(BundleStoreError::is_no);
            store || cause.downcast_ref().is_some_and(TransferError::is_no)
        };
        match error.chain().any(is_no) {
            true => Exit::No,
            false => Exit::Failed,
        }
    }

    /// Makes the log that servers write to.
    pub fn log(&self) -> Log {
        let least = match (self.quiet, self.verbose) {
            (true, _) => Level::Warn,
            (_, true) => Level::Debug,
            _ => Level::Info,
        };
        Log::stderr(self.log_json, least, Some(self.stderr_color()))
    }

    /// Writes to standard error as it is.
    pub fn stderr(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush());
    }

    fn painted(&self, word: &str, code: &str) -> String {
        if self.stderr_color() {
            format!("\x1b[1;{code}m{word}\x1b[0m")
        } else {
            word.to_owned()
        }
    }
}

/// Writes an error with what caused it, each once: many say what caused them themselves.
fn spelled(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let said = cause.to_string();
        if text.ends_with(&said) {
            continue;
        }
        if !text.is_empty() {
            text += ": ";
        }
        text += &said;
    }
    text
}

/// Takes out of a text what a terminal would do, and not show: it may name what others have written.
pub fn harmless(text: &str) -> String {
    let moves = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.replace(moves, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        let disk = || BundleStoreError::Io {
            path: "b".into(),
            source: io::Error::other("no"),
        };
        assert_eq!(spelled(&disk().into()), "`b`: no");
        let error = anyhow::Error::from(disk()).context("cannot write");
        assert_eq!(spelled(&error), "cannot write: `b`: no");
    }
}
