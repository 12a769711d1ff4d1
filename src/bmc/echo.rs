//! What controllers repeat of the secrets that they were sent, in whatever encoding.
//!
//! An error of a controller may quote a request: the password as it is, inside JSON or a URL, as HTML,
//! or in base64 as basic authentication has it. [`Echoes::masked`] is the one place where that is looked
//! for, in text as it came, before anything is taken out of it.

mod spelling;

use std::ops::Range;

use data_encoding::BASE64_NOPAD;
use serde_json::Value;

use self::spelling::{base64_after, base64_before, ends};
use crate::machine::{Secret, united};

/// What stands in the place of a secret: plain ASCII, as everything that a controller says.
const MASK: &str = "***";
/// A secret that is shorter stands in every other word.
const SHORTEST: usize = 4;
/// What stands in the place of a text that may hold such a secret.
const WITHHELD: &str = "(not shown: the password is too short to be masked)";

/// The secrets that one controller was sent.
#[derive(Debug, Default)]
pub struct Echoes {
    known: Vec<Known>,
    /// One of them is too short to be masked.
    is_short: bool,
}

/// One secret, and what is shown in its place.
#[derive(Debug)]
struct Known {
    secret: Secret,
    /// What its base64 has in common wherever it stands in what is encoded: at three places.
    encoded: [Secret; 3],
    shown: String,
}

impl Echoes {
    /// Learns a password. While it is very short, nothing is shown of what the controller says.
    pub fn password(&mut self, password: &Secret) {
        self.is_short |= !password.is_empty() && password.expose().len() < SHORTEST;
        self.secret(password.expose(), MASK);
    }

    /// Learns another secret, such as a boot token, and what is shown in its place.
    pub fn secret(&mut self, secret: &str, shown: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        self.known.push(Known {
            secret: secret.into(),
            encoded: encoded(secret.as_bytes()),
            shown: shown.replace('…', MASK),
        });
        // A URL holds its token: the longer one is looked for first.
        self.known
            .sort_by_key(|known| std::cmp::Reverse(known.secret.expose().len()));
    }

    /// Returns what a controller says, as it may be shown, or only that it cannot be.
    pub fn repeated(&self, text: &str) -> String {
        match self.is_short && !text.trim().is_empty() {
            true => WITHHELD.to_owned(),
            false => self.masked(text),
        }
    }

    /// Returns a text without the secrets, however they are spelled in it.
    pub fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for known in &self.known {
            let mut ranges = found(&text, known.secret.expose(), false);
            for encoded in &known.encoded {
                ranges.extend(found(&text, encoded.expose(), true));
            }
            for range in united(ranges).into_iter().rev() {
                text.replace_range(range, &known.shown);
            }
        }
        text
    }

    /// Masks every text of a JSON value, names of fields too.
    pub fn mask_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.masked(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_in(item)),
            Value::Object(fields) => {
                let masked = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                    self.mask_in(&mut value);
                    (self.masked(&name), value)
                });
                *fields = masked.collect();
            }
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.masked(&text);
                if masked != text {
                    *value = Value::String(masked);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

/// Returns the part of the base64 of some bytes that does not depend on what is encoded before and
/// after them, for each of the three places where they can begin.
fn encoded(octets: &[u8]) -> [Secret; 3] {
    [0, 1, 2].map(|before| {
        let whole = [&[0; 2][..before], octets].concat();
        let text = BASE64_NOPAD.encode(&whole);
        let first = (before * 8).div_ceil(6);
        let last = whole.len() * 8 / 6;
        Secret::new(&text[first..last])
    })
}

/// Finds a secret in a text; of base64, the whole word that it is part of.
fn found(text: &str, secret: &str, in_base64: bool) -> Vec<Range<usize>> {
    let octets = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = match text.is_char_boundary(at) {
            true => ends(octets, at, secret, in_base64),
            false => None,
        };
        let Some(end) = end else {
            at += 1;
            continue;
        };
        let (mut from, mut to) = (at, end);
        if in_base64 {
            while let Some(length) = base64_before(&octets[..from]) {
                from -= length;
            }
            while let Some(length) = base64_after(&octets[to..]) {
                to += length;
            }
        }
        found.push(from..to);
        at = to;
    }
    found
}

#[cfg(test)]
mod tests;
