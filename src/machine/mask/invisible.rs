//! Characters that are invisible, or that change how other characters are displayed.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// What is invisible beside control characters. Source: Unicode 16, `Default_Ignorable_Code_Point` and
/// `Bidi_Control` of the character database; line and paragraph separators; the braille blank.
const RANGES: [RangeInclusive<char>; 19] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
    '\u{f0000}'..='\u{10ffff}',
];

/// Reports whether a character is a control character, or one that turns, joins or hides others.
pub fn is_invisible(c: char) -> bool {
    match c {
        ' '..='~' => false,
        c => c.is_control() || RANGES.iter().any(|range| range.contains(&c)),
    }
}

/// Writes what is invisible as `\u{202e}`, but for what is kept.
pub fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |c: char| is_invisible(c) && !is_kept(c);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Writes what is invisible in a JSON text by JSON's own escapes: a program reads the same text.
pub fn escaped_json(json: String) -> String {
    // Outside of strings, JSON has no control characters but line ends.
    let is_escaped = |c: char| is_invisible(c) && !matches!(c, '\n' | '\r' | '\t');
    if !json.contains(is_escaped) {
        return json;
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if !is_escaped(c) {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}
