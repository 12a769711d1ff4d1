//! The last step before a screen or a log: secrets are masked by their form, and what a reader cannot
//! see is escaped.
//!
//! Texts come from many places: an error repeats the odd name that a machine asked for, a program
//! quotes its own input. The author of a text should leave secrets out; this step catches the rest.

mod form;
mod invisible;
mod link;

use std::borrow::Cow;
use std::ops::Range;

use super::MASK;

pub use form::{is_base64url, is_place_of_secret, secret_runs};
pub use invisible::{escaped_json, is_invisible};

/// Returns a text of several lines as it may be shown: without anything that has the form of a boot
/// token, of a capability or of credentials in a URL, and with what is invisible escaped.
pub fn shown_lines(text: &str) -> Cow<'_, str> {
    escaped(masked(text), |c| c == '\n' || c == '\t')
}

/// Returns a text as it may be shown on one line; see [`shown_lines`].
pub fn shown_line(text: &str) -> Cow<'_, str> {
    escaped(masked(text), |_| false)
}

/// Returns a text with [`MASK`] in the place of everything that has the form of a secret.
pub fn masked(text: &str) -> Cow<'_, str> {
    let ranges = secrets_in(text);
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut start = 0;
    for range in ranges {
        shown.push_str(&text[start..range.start]);
        shown.push_str(MASK);
        start = range.end;
    }
    shown.push_str(&text[start..]);
    Cow::Owned(shown)
}

/// Finds everything in a text that has the form of a secret: sorted, and none inside another.
pub fn secrets_in(text: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<_> = secret_runs(text.as_bytes()).collect();
    if let Some(decoded) = form::Decoded::of(text) {
        ranges.extend(decoded.secret_runs());
    }
    ranges.extend(link::credentials(text));
    ranges.extend(link::parameters(text));
    united(ranges)
}

/// Sorts ranges, and joins those that touch.
pub fn united(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut united: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match united.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => united.push(range),
        }
    }
    united
}

fn escaped(text: Cow<'_, str>, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => invisible::escaped(text, is_kept),
        Cow::Owned(text) => Cow::Owned(invisible::escaped(&text, is_kept).into_owned()),
    }
}

#[cfg(test)]
mod tests;
