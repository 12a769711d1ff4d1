//! Where the value of a secret-like key ends in a YAML text, be it broken. In doubt it ends later.

use std::collections::BTreeSet;
use std::ops::Range;

use super::flow::{
    closing_bracket, closing_quote, depth, is_name_letter, open_quote, plain_flow_end,
};
use crate::machine::{is_secret_name, may_be_secret_name, united};

/// The keys by which a secret is named and not given.
const REFERENCES: [&str; 4] = ["env", "file", "exec", "vault"];

/// Reports whether a key below a secret's says where it is found.
pub fn is_reference(key: &str) -> bool {
    REFERENCES.contains(&key)
}

/// Reports whether a value is the name of an environment variable, and no password: `BMC_0008`.
pub fn is_variable(key: &str, value: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    key == "env" && value.contains('_') && value.chars().all(is_letter)
}

/// Finds what secret-like keys hold, in YAML of every shape and in `key=value`.
pub fn secret_ranges(text: &str) -> Vec<Range<usize>> {
    let mut scan = Scan::new(text);
    let mut at = 0;
    while let Some(key) = scan.next_key(at) {
        at = scan.cover(&key).max(key.value);
    }
    // What an alias repeats stands elsewhere.
    let mut names = BTreeSet::new();
    for range in &scan.ranges {
        names.extend(words_after(&text[range.clone()], '*').map(|(_, name)| name));
    }
    for (at, name) in words_after(text, '&') {
        if names.contains(name) {
            let line = scan.line_at(at);
            scan.cover(&SecretKey {
                start: scan.content(line),
                value: at + 1 + name.len(),
                kind: Separator::Colon,
            });
        }
    }
    united(scan.ranges)
}

/// Lists the names that follow a mark, as in `&anchor` and `*alias`.
fn words_after(text: &str, mark: char) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices(mark).filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let is_end = |c: char| c.is_whitespace() || ",[]{}".contains(c);
        let name = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        (!name.is_empty()).then_some((at, name))
    })
}

/// A secret-like key.
struct SecretKey {
    start: usize,
    /// Where its value may begin.
    value: usize,
    kind: Separator,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// `key: value`
    Colon,
    /// `key=value`
    Equals,
    /// `key value`, where the colon is missing.
    Missing,
}

struct Scan<'t> {
    text: &'t str,
    /// The lines, without their ends.
    lines: Vec<Range<usize>>,
    ranges: Vec<Range<usize>>,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str) -> Self {
        let mut start = 0;
        let lines = text.split_inclusive('\n').map(|line| {
            let range = start..start + line.trim_end_matches(['\n', '\r']).len();
            start += line.len();
            range
        });
        Self {
            text,
            lines: lines.collect(),
            ranges: Vec::new(),
        }
    }

    fn line_at(&self, at: usize) -> usize {
        self.lines.partition_point(|line| line.end < at)
    }

    fn line(&self, number: usize) -> &'t str {
        &self.text[self.lines[number].clone()]
    }

    /// Returns where the first key of a line stands: behind its indentation and its dashes.
    fn content(&self, number: usize) -> usize {
        let line = self.line(number);
        self.lines[number].start + line.len() - line.trim_start_matches([' ', '\t', '-', '?']).len()
    }

    /// Returns where the question of an answer for Debian's installer stands: `d-i passwd/root-password
    /// password x`.
    fn answer(&self, number: usize) -> Option<usize> {
        let line = self.line(number);
        let rest = line.trim_start().strip_prefix("d-i ")?.trim_start();
        let place = rest.find(char::is_whitespace)?;
        let name = &rest[..place];
        let last = name.rfind('/').map_or(0, |at| at + 1);
        is_secret_name(&name[last..]).then(|| self.lines[number].end - rest.len() + last)
    }

    fn indent(&self, number: usize) -> usize {
        let line = self.line(number);
        line.len() - line.trim_start_matches([' ', '\t']).len()
    }

    /// Finds the next secret-like key from `at`.
    fn next_key(&self, at: usize) -> Option<SecretKey> {
        (self.line_at(at)..self.lines.len()).find_map(|number| {
            let line = self.lines[number].clone();
            let from = at.max(line.start);
            let rest = self.text.get(from..line.end)?;
            let separators = rest.match_indices([':', '=']);
            let mut keys = separators.filter_map(|(place, mark)| {
                let place = from + place;
                let after = &self.text[place + 1..line.end];
                // `password://` and `==` are something else.
                let is_other = mark == ":" && after.starts_with("//");
                let (start, name) = name_before(self.text, line.start, place)?;
                let is_key = !is_other && start >= from && may_be_secret_name(name);
                is_key.then_some(SecretKey {
                    start,
                    value: place + 1,
                    kind: if mark == ":" {
                        Separator::Colon
                    } else {
                        Separator::Equals
                    },
                })
            });
            keys.next().or_else(|| {
                let start = self.answer(number).unwrap_or(self.content(number));
                let rest = self.text.get(start..line.end)?;
                let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let is_key = start >= from && is_secret_name(&rest[..length]);
                let is_name = rest[..length].chars().all(is_name_letter);
                (is_key && is_name).then_some(SecretKey {
                    start,
                    value: start + length,
                    kind: Separator::Missing,
                })
            })
        })
    }

    /// Covers the value of a key; returns where it ends.
    fn cover(&mut self, key: &SecretKey) -> usize {
        let number = self.line_at(key.start);
        let line = self.lines[number].clone();
        let is_flow = depth(&self.text[line.start..key.start]) > 0;
        let column = if is_flow {
            self.indent(number)
        } else {
            key.start - line.start
        };
        let start = self.value_start(key.value, line.end);
        if key.kind == Separator::Equals {
            let end = self.assigned_end(key, start, line.end);
            return self.push(start, end);
        }
        let value = &self.text[start..line.end];
        let far = self.lines[self.last_line(number, column, !is_flow)].end;
        let end = match value.chars().next() {
            None | Some('#') if key.kind == Separator::Missing => {
                far.max(self.explicit_end(number))
            }
            None | Some('#') => self.loose_end(number, column, !is_flow),
            Some('|' | '>') if !is_flow => far,
            Some(quote @ ('"' | '\'')) => match closing_quote(&self.text[start..far], quote) {
                Some(length) => self.checked_end(start + length, is_flow),
                None => self.loose_end(number, column, !is_flow),
            },
            Some('{' | '[') => {
                let far = self.lines[self.closing_line(number, column)].end;
                match closing_bracket(&self.text[start..far]) {
                    Some(length) => {
                        let end = self.checked_end(start + length, is_flow);
                        if self.cover_reference(start, start + length) {
                            return self.push(start + length, end);
                        }
                        end
                    }
                    None => self.loose_end(number, column, !is_flow),
                }
            }
            _ if is_flow => match plain_flow_end(value) {
                Some(length) => start + length,
                None => far,
            },
            _ => far,
        };
        self.push(start, end)
    }

    /// Passes over blanks, an anchor and a tag.
    fn value_start(&self, mut at: usize, end: usize) -> usize {
        loop {
            let rest = &self.text[at..end];
            let blanks = rest.len() - rest.trim_start().len();
            at += blanks;
            let rest = &rest[blanks..];
            let word = rest.split(char::is_whitespace).next().unwrap_or_default();
            if !word.starts_with(['&', '!']) || word.len() == rest.len() {
                return at;
            }
            at += word.len();
        }
    }

    /// Returns the last line that belongs to a value by its indentation.
    fn last_line(&self, number: usize, column: usize, may_be_list: bool) -> usize {
        let mut last = number;
        for next in number + 1..self.lines.len() {
            let (line, indent) = (self.line(next), self.indent(next));
            let content = line.trim();
            if content.is_empty() {
                continue;
            }
            let is_item = content.starts_with("- ") || content == "-";
            let is_deeper = indent > column || line[..indent].contains('\t');
            let belongs = is_deeper || may_be_list && is_item && indent == column;
            if !belongs || is_marker(line) {
                break;
            }
            last = next;
        }
        last
    }

    /// Returns the end of a value that does not end where it should: what follows belongs to it, up to
    /// the next line that is an entry of its own.
    fn loose_end(&self, number: usize, column: usize, may_be_list: bool) -> usize {
        let mut last = self.last_line(number, column, may_be_list);
        for next in last + 1..self.lines.len() {
            let line = self.line(next);
            if line.trim().is_empty() {
                continue;
            }
            if is_entry(line) {
                break;
            }
            last = next;
        }
        self.lines[last].end
    }

    /// Returns the last line on which a bracket may close: it may stand below its key.
    fn closing_line(&self, number: usize, column: usize) -> usize {
        let last = self.last_line(number, column, false);
        let closes = |next: usize| self.line(next).trim_start().starts_with(['}', ']']);
        if last + 1 < self.lines.len() && closes(last + 1) {
            last + 1
        } else {
            last
        }
    }

    /// Returns the end of the value of a key that stands alone behind a `?`.
    fn explicit_end(&self, number: usize) -> usize {
        let next = (number + 1).min(self.lines.len() - 1);
        let is_value = self.line(number).trim_start().starts_with('?')
            && self.line(next).trim_start().starts_with(':');
        if is_value {
            self.lines[self.last_line(next, self.indent(next), false)].end
        } else {
            self.lines[number].end
        }
    }

    /// Returns where a value ends whose end was seen: what follows it on its line belongs to it, unless
    /// it is the next entry.
    fn checked_end(&self, end: usize, is_flow: bool) -> usize {
        let line_end = self.lines[self.line_at(end)].end;
        let rest = self.text[end..line_end].trim_start();
        let ends_well = rest.is_empty() || is_flow && rest.starts_with([',', '}', ']', '#']);
        if ends_well { end } else { line_end }
    }

    fn assigned_end(&self, key: &SecretKey, start: usize, line_end: usize) -> usize {
        let line = self.line_at(key.start);
        let before = &self.text[self.lines[line].start..key.start];
        let value = &self.text[start..line_end];
        let quote = value.chars().next().filter(|c| "\"'".contains(*c));
        let length = match (quote, open_quote(before)) {
            (Some(quote), _) => closing_quote(value, quote),
            (None, Some(quote)) => value.find(quote),
            (None, None) if key.start == self.content(line) => None,
            (None, None) => value.find(|c: char| c.is_whitespace() || "&,;]}\"'".contains(c)),
        };
        length.map_or(line_end, |length| start + length)
    }

    /// Covers a mapping that names a secret: `{env: NAME}` is shown but for a password in it. Reports
    /// whether it is one.
    fn cover_reference(&mut self, start: usize, end: usize) -> bool {
        let inner = &self.text[start + 1..end - 1];
        let Some((key, value)) = inner.split_once(':') else {
            return false;
        };
        let is_alone = !value.contains(':') || !value.contains(',');
        if !self.text[start..].starts_with('{') || !is_reference(key.trim()) || !is_alone {
            return false;
        }
        let at = end - 1 - value.len();
        self.push_line(key.trim(), at, end - 1);
        true
    }

    /// Covers a stretch of text, line by line; returns where it ends.
    fn push(&mut self, start: usize, end: usize) -> usize {
        let (first, last) = (self.line_at(start), self.line_at(end));
        for number in first..=last {
            let line = self.lines[number].clone();
            let (from, to) = (start.max(line.start), end.min(line.end));
            if from >= to {
                continue;
            }
            let text = &self.text[from..to];
            match text.split_once(':') {
                Some((key, value)) if number > first && is_reference(key.trim()) => {
                    self.push_line(key.trim(), to - value.len(), to);
                }
                _ => self.push_line("", from, to),
            }
        }
        end
    }

    fn push_line(&mut self, key: &str, from: usize, to: usize) {
        let text = &self.text[from..to];
        let bare = text.trim().trim_matches(['"', '\'']);
        if bare.is_empty() || is_variable(key, bare) {
            return;
        }
        let start = from + text.len() - text.trim_start().len();
        self.ranges.push(start..start + text.trim().len());
    }
}

/// Returns the name that ends before a separator, quoted or not.
fn name_before(text: &str, line_start: usize, place: usize) -> Option<(usize, &str)> {
    let before = text[line_start..place].trim_end();
    let (before, start) = match before.chars().next_back()? {
        quote @ ('"' | '\'') => {
            let inner = &before[..before.len() - 1];
            (inner, inner.rfind(quote).map_or(0, |at| at + 1))
        }
        _ => {
            let letters = before.chars().rev().take_while(|c| is_name_letter(*c));
            let length: usize = letters.map(char::len_utf8).sum();
            (before, before.len() - length)
        }
    };
    let name = &before[start..];
    (!name.is_empty()).then_some((line_start + start, name))
}

/// Reports whether a line separates documents.
fn is_marker(line: &str) -> bool {
    line == "---" || line.starts_with("--- ") || line == "..."
}

/// Reports whether a line is an entry of its own: a key, an item, a comment, a bracket that closes.
fn is_entry(line: &str) -> bool {
    let content = line.trim();
    let is_item = content.starts_with("- ") || content == "-" || is_marker(line);
    let is_key = content.find(": ").is_some() || content.ends_with(':');
    is_item || is_key || content.starts_with(['#', '}', ']', '?'])
}
