//! Credentials in URLs, and parameters that hold a secret.

use std::ops::Range;

use crate::machine::{MASK, is_secret_name};

/// What ends a URL inside a text.
const ENDS: [char; 8] = ['"', '\'', '`', '<', '>', '|', '\\', '^'];

/// Finds user names and passwords in URLs, also in those that lack their scheme: `user:password@host`.
pub fn credentials(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if !text.contains('@') {
        return found;
    }
    let is_end = |c: char| c.is_whitespace() || c.is_control() || ENDS.contains(&c);
    let mut start = 0;
    for word in text.split(is_end) {
        if let Some(range) = credentials_of(word) {
            found.push(start + range.start..start + range.end);
        }
        let end = start + word.len();
        start = end + text[end..].chars().next().map_or(0, char::len_utf8);
    }
    found
}

/// Finds the user and the password of one word that is, or holds, a URL.
fn credentials_of(word: &str) -> Option<Range<usize>> {
    let scheme = word.find("://").map(|at| at + 3);
    let start =
        scheme.unwrap_or_else(|| word.rfind(['(', '[', '{', ',', '=']).map_or(0, |at| at + 1));
    let rest = &word[start..];
    let at = rest.rfind('@')?;
    let (user, host) = (&rest[..at], &rest[at + 1..]);
    // `registry:5000/name@sha256:…` names no user.
    if user.is_empty() || host.is_empty() || host.starts_with("sha256:") || user == MASK {
        return None;
    }
    let authority = user.split(['/', '?', '#']).next().unwrap_or_default();
    if scheme.is_some() && authority.len() == user.len() {
        return Some(start..start + at);
    }
    // A password may hold a slash; a host with a port, and a file whose name has an `@`, do too.
    let named = authority
        .starts_with('[')
        .then(|| authority.split_once(']'))
        .flatten();
    let (_, port) = named.map_or(authority, |(_, rest)| rest).split_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    (!is_port && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
        .then(|| start..start + at)
}

/// Finds the values of parameters such as `token=…` and `password=…`.
pub fn parameters(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('=') {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let name = text[..at]
            .rsplit(|c| !is_name(c))
            .next()
            .unwrap_or_default();
        if name.is_empty() || !is_secret_name(name) {
            continue;
        }
        let value = &text[at + 1..];
        let is_end = |c: char| c.is_whitespace() || "&;,\"'`<>)]}#|…•".contains(c);
        let length = value.find(is_end).unwrap_or(value.len());
        if length > 0 && !value.starts_with(['$', '{', '[']) {
            found.push(at + 1..at + 1 + length);
        }
    }
    found
}
