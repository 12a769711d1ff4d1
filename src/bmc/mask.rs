//! Masks the secrets that BMCs repeat, in every encoding.
//!
//! The error message of a BMC may quote a request: the password itself, inside JSON or a URL, as
//! HTML, or in base64 as in basic authentication. [`SecretMask::masked`] is the one place that
//! searches for them. It must get the text unchanged, before anything is removed from it.

mod spelling;

use std::ops::Range;

use data_encoding::BASE64_NOPAD;
use serde_json::Value;

use self::spelling::{base64_after, base64_before, end_of_secret};
use crate::machine::{Secret, united};

/// The replacement for a secret: plain ASCII, like all texts of BMCs.
const MASK: &str = "***";
/// The shortest secret to mask, in bytes. Shorter ones occur in ordinary words.
const MIN_SECRET: usize = 4;
/// The replacement for a text that may hold a shorter secret.
const WITHHELD: &str = "(not shown: the password is too short to be masked)";

/// The secrets that one BMC was sent.
#[derive(Debug, Default)]
pub struct SecretMask {
    secrets: Vec<MaskedSecret>,
    /// Whether a password is too short to be masked.
    has_short_password: bool,
}

/// One secret and its replacement.
#[derive(Debug)]
struct MaskedSecret {
    secret: Secret,
    /// The base64 of the secret, for each of the three offsets at which it can begin in the encoded
    /// bytes.
    base64: [Secret; 3],
    replacement: String,
}

impl SecretMask {
    /// Adds a password. If it is very short, no text of the BMC is shown.
    pub fn add_password(&mut self, password: &Secret) {
        self.has_short_password |= !password.is_empty() && password.expose().len() < MIN_SECRET;
        self.add_secret(password.expose(), MASK);
    }

    /// Adds another secret, such as a boot token, and its replacement.
    pub fn add_secret(&mut self, secret: &str, replacement: &str) {
        if secret.len() < MIN_SECRET {
            return;
        }
        self.secrets.push(MaskedSecret {
            secret: secret.into(),
            base64: base64_forms(secret.as_bytes()),
            replacement: replacement.replace('…', MASK),
        });
        // A URL contains its token, so the longer secret is masked first.
        self.secrets
            .sort_by_key(|masked| std::cmp::Reverse(masked.secret.expose().len()));
    }

    /// Returns a text of the BMC in a form that may be printed. Withholds it if a password is too
    /// short to be masked.
    pub fn printable(&self, text: &str) -> String {
        if self.has_short_password && !text.trim().is_empty() {
            WITHHELD.to_owned()
        } else {
            self.masked(text)
        }
    }

    /// Returns a text with the secrets replaced in every encoding.
    pub fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for masked in &self.secrets {
            let mut ranges = occurrences(&text, masked.secret.expose(), false);
            for base64 in &masked.base64 {
                ranges.extend(occurrences(&text, base64.expose(), true));
            }
            for range in united(ranges).into_iter().rev() {
                text.replace_range(range, &masked.replacement);
            }
        }
        text
    }

    /// Masks every text in a JSON value, including field names.
    pub fn mask_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.masked(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_json(item)),
            Value::Object(fields) => {
                let masked = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                    self.mask_json(&mut value);
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

/// Returns the part of the base64 of some bytes that does not depend on the bytes around them, for
/// each of the three offsets at which they can begin.
fn base64_forms(bytes: &[u8]) -> [Secret; 3] {
    [0, 1, 2].map(|offset| {
        let padded = [&[0; 2][..offset], bytes].concat();
        let text = BASE64_NOPAD.encode(&padded);
        let first = (offset * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        Secret::new(&text[first..last])
    })
}

/// Finds a secret in a text. For base64, finds the whole word that contains it.
fn occurrences(text: &str, secret: &str, in_base64: bool) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = text
            .is_char_boundary(at)
            .then(|| end_of_secret(bytes, at, secret, in_base64))
            .flatten();
        let Some(mut end) = end else {
            at += 1;
            continue;
        };
        let mut start = at;
        if in_base64 {
            while let Some(length) = base64_before(&bytes[..start]) {
                start -= length;
            }
            while let Some(length) = base64_after(&bytes[end..]) {
                end += length;
            }
        }
        found.push(start..end);
        at = end;
    }
    found
}

#[cfg(test)]
mod tests;
