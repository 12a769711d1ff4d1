use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;

use super::global::{Color, Format, Global};
use crate::machine::{escaped_json, shown_lines};
use crate::serve::log::{Level, Log, mask_texts};

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

    /// Reports whether results are printed as JSON.
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

    /// Reports whether standard error shows progress bars: it is a terminal that can move its cursor.
    /// Other terminals and files get lines.
    pub fn shows_progress(&self) -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        io::stderr().is_terminal() && !is_dumb && !self.quiet
    }

    /// Reports whether only errors are printed.
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

    /// Prints a result as text; masks secrets and escapes invisible characters.
    pub fn result(&self, text: &str) {
        self.stream(text);
    }

    /// Prints a part of a longer result. Returns `false` if the reader is gone.
    pub fn stream(&self, text: &str) -> bool {
        write_to_stdout(&shown(text, self.stdout_color()))
    }

    /// Prints a result that is data, byte for byte: a script, a document, a key, a manual page.
    pub fn data(&self, text: &str) {
        write_to_stdout(text);
    }

    /// Prints a result as indented JSON; masks secrets in its texts.
    pub fn json(&self, value: &impl Serialize) {
        if let Ok(mut value) = serde_json::to_value(value) {
            mask_texts(&mut value);
            self.json_data(&value);
        }
    }

    /// Prints data as indented JSON, without changes to its texts.
    pub fn json_data(&self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string_pretty(value) {
            write_to_stdout(&escaped_json(format!("{text}\n")));
        }
    }

    /// Formats a value as one line of JSON; masks secrets in its texts.
    pub fn json_line(mut value: Value) -> String {
        mask_texts(&mut value);
        escaped_json(format!("{value}\n"))
    }

    /// Writes a line to standard error, where no output is at hand.
    pub fn line_to_stderr(text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", shown_lines(text));
    }

    /// Prints the error of a command line, before its options are known.
    pub fn refusal(text: &str) {
        let plain = Self {
            json: false,
            log_json: false,
            quiet: false,
            verbose: false,
            color: Color::Auto,
        };
        if plain.stderr_color() {
            plain.stderr(text);
        } else {
            plain.stderr(&without_colors(text));
        }
    }

    /// Prints a note to standard error, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr(&format!("{text}\n"));
        }
    }

    /// Prints a warning with its help.
    pub fn warning(&self, what: &str, help: &str) {
        if !self.quiet {
            self.with_help(&self.painted("warning", "33"), what, help);
        }
    }

    /// Prints an error with its help.
    pub fn error(&self, what: &str, help: &str) {
        self.with_help(&self.painted("error", "31"), what, help);
    }

    fn with_help(&self, level: &str, what: &str, help: &str) {
        let what = shown_lines(what);
        let help = if help.is_empty() {
            String::new()
        } else {
            format!("  = help: {}\n", shown_lines(help))
        };
        self.stderr(&format!("{level}: {what}\n{help}"));
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

    /// Writes text to standard error; removes its colors unless colors are on.
    pub fn stderr(&self, text: &str) {
        let text = shown(text, self.stderr_color());
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

/// Writes to standard output. Returns `false` if its reader is gone, which is not an error.
fn write_to_stdout(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    written.and_then(|()| stdout.flush()).is_ok()
}

/// Removes the colors from a text.
fn without_colors(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain.push_str(piece.split_once('m').map_or(piece, |(_, rest)| rest));
    }
    plain
}

/// Returns a text that is safe to print on a terminal: escapes every control sequence except colors,
/// and these too unless colors are on.
pub fn shown(text: &str, with_colors: bool) -> Cow<'_, str> {
    if !with_colors || !text.contains('\x1b') {
        return shown_lines(text);
    }
    let mut pieces = text.split("\x1b[");
    let mut shown = shown_lines(pieces.next().unwrap_or_default()).into_owned();
    for piece in pieces {
        let length = piece
            .bytes()
            .take_while(|it| it.is_ascii_digit() || *it == b';')
            .count();
        match piece[length..].strip_prefix('m') {
            Some(rest) => {
                shown.push_str(&format!("\x1b[{}m", &piece[..length]));
                shown.push_str(&shown_lines(rest));
            }
            None => shown.push_str(&shown_lines(&format!("\x1b[{piece}"))),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colors_reach_a_terminal_and_only_if_they_are_on() {
        let text =
            "\x1b[1;31merror\x1b[0m: /s/j4gCMvHuS60AAAABAUY0jA \x1b[2J\x1b]0;t\x07\u{202e}\n";
        let rest = ": /s/••• \\u{1b}[2J\\u{1b}]0;t\\u{7}\\u{202e}\n";
        assert_eq!(shown(text, true), format!("\x1b[1;31merror\x1b[0m{rest}"));
        assert_eq!(
            shown(text, false),
            format!("\\u{{1b}}[1;31merror\\u{{1b}}[0m{rest}")
        );
    }
}
