//! Sources and faults as they may be shown: without passwords, whatever shape they are in.
//!
//! Faults quote lines of the inventory, and a line that is at fault may hold a password where none
//! belongs. What a secret-like key holds is found in the text, since a broken document has no tree, and
//! in the tree, which knows what escapes and aliases stand for.

mod extent;
mod flow;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;

use super::diagnostic::{Diagnostic, Label, PLAIN_SECRET};
use super::source::{SourceFile, Span};
use super::tree::{self, Node, Value};
use crate::machine::{MASK, is_invisible, may_be_secret_name, secrets_in, shown_lines, united};

/// A value that is shorter is only looked for where a message quotes all of it.
const SHORT: usize = 4;
/// A value that is as long is looked for in whatever stands near it.
const LONG: usize = 6;

/// The files of an inventory, as far as faults may show them.
pub struct Sources<'f> {
    files: &'f [SourceFile],
    /// Where faults say that there is a secret.
    plain: Vec<Span>,
    concealed: Vec<OnceCell<Concealed>>,
}

/// A file without its secrets.
struct Concealed {
    /// The text; each byte stands where it stood.
    text: String,
    ranges: Vec<Range<usize>>,
    /// The secrets, as messages may quote them; the longest first.
    values: Vec<String>,
}

impl<'f> Sources<'f> {
    /// Wraps files that faults are about. A file is looked at once a fault in it is shown.
    pub fn new(files: &'f [SourceFile], diagnostics: &[Diagnostic]) -> Self {
        let plain = diagnostics.iter().filter(|it| it.code == PLAIN_SECRET);
        Self {
            files,
            plain: plain.filter_map(Diagnostic::span).collect(),
            concealed: files.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    /// Returns a file as it is, for places in it.
    pub(super) fn file(&self, number: u32) -> Option<&'f SourceFile> {
        self.files.get(number as usize)
    }

    /// Returns the text of a file as it may be shown. Each byte stands where it stood.
    pub(super) fn text(&self, number: u32) -> Option<&str> {
        Some(self.concealed(number)?.text.as_str())
    }

    /// Returns what a fault says, as it may be shown.
    pub(super) fn message(&self, diagnostic: &Diagnostic, text: &str) -> String {
        let mut text = text.to_owned();
        let mut seen = BTreeSet::new();
        for span in diagnostic.labels.iter().map(|label| label.span) {
            let Some(concealed) = self.concealed(span.file) else {
                continue;
            };
            if seen.insert(span.file) {
                let of_file = |label: &&Label| label.span.file == span.file;
                let mut places = diagnostic.labels.iter().filter(of_file);
                let is_about_secret = places.any(|label| concealed.holds(label.span));
                text = without(&text, &concealed.values, is_about_secret);
            }
        }
        shown_lines(&text).into_owned()
    }

    fn concealed(&self, number: u32) -> Option<&Concealed> {
        let cell = self.concealed.get(number as usize)?;
        let file = self.file(number)?;
        Some(cell.get_or_init(|| {
            let plain = self.plain.iter().filter(|span| span.file == number);
            Concealed::new(&file.text, plain.copied())
        }))
    }
}

impl Concealed {
    fn new(text: &str, plain: impl Iterator<Item = Span>) -> Self {
        let mut ranges = extent::secret_ranges(text);
        for span in plain {
            ranges.extend(lines_of(text, span));
        }
        let mut found = TreeSecrets {
            ranges: united(ranges),
            spans: Vec::new(),
            values: BTreeSet::new(),
        };
        for node in tree::parse(0, text, &mut Vec::new()) {
            found.walk(&node, false);
        }
        let TreeSecrets {
            mut ranges,
            spans,
            mut values,
        } = found;
        for span in spans {
            ranges.extend(lines_of(text, span));
        }
        values.extend(ranges.iter().map(|it| bare(&text[it.clone()]).to_owned()));
        let mut values: Vec<_> = values.into_iter().filter(|it| !it.is_empty()).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        ranges.extend(secrets_in(text));
        for value in values.iter().filter(|it| it.len() >= LONG && !is_word(it)) {
            ranges.extend(
                text.match_indices(value.as_str())
                    .map(|(at, it)| at..at + it.len()),
            );
        }
        let ranges = united(ranges);
        Self {
            text: covered(text, &ranges),
            ranges,
            values,
        }
    }

    /// Reports whether a place touches a secret.
    fn holds(&self, span: Span) -> bool {
        touches(&self.ranges, span)
    }
}

fn touches(ranges: &[Range<usize>], span: Span) -> bool {
    let (start, end) = (span.start as usize, span.end as usize);
    ranges
        .iter()
        .any(|it| it.start < end.max(start + 1) && start < it.end)
}

/// What is found in the tree of a file.
struct TreeSecrets {
    /// What was found in its text.
    ranges: Vec<Range<usize>>,
    spans: Vec<Span>,
    values: BTreeSet<String>,
}

impl TreeSecrets {
    fn walk(&mut self, node: &Node, is_secret: bool) {
        match &node.value {
            Value::Scalar { text, .. } => {
                if is_secret {
                    self.spans.push(node.span);
                }
                if is_secret || touches(&self.ranges, node.span) {
                    self.values.insert(text.trim().to_owned());
                }
            }
            Value::Sequence(items) => items.iter().for_each(|item| self.walk(item, is_secret)),
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    let is_reference = extent::is_reference(&key.text);
                    if !is_reference && (is_secret || touches(&self.ranges, key.span)) {
                        self.values.insert(key.text.clone());
                    }
                    let is_known = match &value.value {
                        Value::Scalar { text, .. } => extent::is_variable(&key.text, text),
                        _ => false,
                    };
                    let is_secret = is_secret || may_be_secret_name(&key.text);
                    self.walk(value, is_secret && !is_known);
                }
            }
        }
    }
}

/// Lists the parts of a stretch of text, without the blanks around each line.
fn lines_of(text: &str, span: Span) -> Vec<Range<usize>> {
    let mut start = span.start as usize;
    let lines = text.get(start..span.end as usize).unwrap_or_default();
    let parts = lines.split_inclusive('\n').map(|line| {
        let from = start + line.len() - line.trim_start().len();
        start += line.len();
        from..from + line.trim().len()
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// Takes the quotes off a value.
fn bare(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'']).trim()
}

/// Reports whether a text is a word that messages use.
fn is_word(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_lowercase())
}

/// Masks secrets in a message. One that is a word, or short, counts only where it is quoted.
fn without(text: &str, values: &[String], is_about_secret: bool) -> String {
    let mut text = text.to_owned();
    for value in values {
        let is_long = value.len() >= if is_about_secret { SHORT } else { LONG };
        if is_long && !is_word(value) {
            text = text.replace(value.as_str(), MASK);
        } else if is_about_secret {
            text = text.replace(&format!("`{value}`"), &format!("`{MASK}`"));
        }
    }
    text
}

/// Covers parts of a text, and what is invisible, by characters of the same length: places stay right.
fn covered(text: &str, ranges: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut ranges = ranges.iter().peekable();
    for (at, c) in text.char_indices() {
        while ranges.next_if(|range| range.end <= at).is_some() {}
        let is_secret = ranges.peek().is_some_and(|range| range.contains(&at));
        match (c, c.len_utf8()) {
            ('\n' | '\r' | '\t', _) => shown.push(c),
            (_, 1) if is_secret => shown.push('*'),
            (_, 2) if is_secret => shown.push('×'),
            (_, 3) if is_secret => shown.push('•'),
            _ if is_secret => shown.push_str("××"),
            (c, 1) if is_invisible(c) => shown.push('?'),
            (c, 2) if is_invisible(c) => shown.push('·'),
            (c, 3) if is_invisible(c) => shown.push('\u{fffd}'),
            (c, _) if is_invisible(c) => shown.push_str("··"),
            _ => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests;
