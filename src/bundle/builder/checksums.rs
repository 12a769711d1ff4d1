//! The lists of digests that publishers provide with their files, in all common formats.

use std::cmp::Ordering;

use serde_json::Value;

use crate::machine::Sha256Digest;

/// A list of digests by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// The name in the list, without `./` and the mark of binary mode, and the digest. The name is empty in
    /// a list with only a digest.
    entries: Vec<(String, Sha256Digest)>,
}

/// Why a list has no single digest of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// The list has no such name.
    #[error("lists no SHA-256 digest of `{0}`")]
    NotListed(String),
    /// The list has several digests of the name.
    #[error("lists several digests of `{0}`")]
    Ambiguous(String),
}

impl Checksums {
    /// Parses a list: output of `sha256sum`, with or without `--tag`; a Debian `Release` file; the metadata of
    /// a Fedora CoreOS stream; or a bare digest. Skips all other lines.
    pub fn parse(text: &str) -> Self {
        if text.trim_start().starts_with('{') {
            let mut entries = Vec::new();
            if let Ok(metadata) = serde_json::from_str(text) {
                collect(&metadata, &mut entries);
            }
            return Self { entries };
        }
        let entries = text.lines().filter_map(line).collect();
        Self { entries }
    }

    /// Finds the digest of a file by its path. The list may have only the end of the path, or only the name.
    ///
    /// # Errors
    /// When the list has no such file, or several.
    pub fn find(&self, path: &str) -> Result<Sha256Digest, ChecksumError> {
        let [(name, digest)] = self.entries.as_slice() else {
            return self.longest(path);
        };
        // A list with one digest may omit the name.
        if name.is_empty() {
            Ok(*digest)
        } else {
            self.longest(path)
        }
    }

    /// Finds the newest name that matches a pattern, in which `*` stands for anything within a part of a path.
    /// Returns the pattern with that name in place of its last parts.
    ///
    /// # Errors
    /// When no name matches.
    pub fn resolve(&self, pattern: &str) -> Result<String, ChecksumError> {
        let parts: Vec<&str> = pattern.split('/').collect();
        let first = parts
            .iter()
            .position(|part| part.contains('*'))
            .unwrap_or(parts.len() - 1);
        let pattern_parts = &parts[first..];
        let matching = self.entries.iter().filter_map(|(name, _)| {
            let name: Vec<&str> = name.split('/').collect();
            let end = &name[name.len().checked_sub(pattern_parts.len())?..];
            let matches = pattern_parts
                .iter()
                .zip(end)
                .all(|(pattern, name)| is_match(pattern, name));
            matches.then(|| end.join("/"))
        });
        let newest = matching
            .max_by(|a, b| by_version(a, b))
            .ok_or_else(|| ChecksumError::NotListed(pattern_parts.join("/")))?;
        Ok(parts[..first]
            .iter()
            .copied()
            .chain([newest.as_str()])
            .collect::<Vec<_>>()
            .join("/"))
    }

    /// Finds the entries that share the most parts with a path, from its end.
    fn longest(&self, path: &str) -> Result<Sha256Digest, ChecksumError> {
        let shared = |name: &str| {
            let both = name.rsplit('/').zip(path.rsplit('/'));
            both.take_while(|(a, b)| a == b).count()
        };
        let whole = |name: &str| name.split('/').count();
        // An entry with another directory is another file.
        let candidates = self.entries.iter().filter(|(name, _)| {
            let shared = shared(name);
            shared > 0
                && (shared == whole(name)
                    || name.contains("://")
                    || shared == 1 && whole(path) == 1)
        });
        let most = candidates.clone().map(|(name, _)| shared(name)).max();
        let name = || path.rsplit('/').next().unwrap_or_default().to_owned();
        let most = most.ok_or_else(|| ChecksumError::NotListed(name()))?;
        let mut digests = candidates
            .filter(|(name, _)| shared(name) == most)
            .map(|(_, digest)| digest);
        let first = digests
            .next()
            .ok_or_else(|| ChecksumError::NotListed(name()))?;
        if digests.any(|other| other != first) {
            return Err(ChecksumError::Ambiguous(name()));
        }
        Ok(*first)
    }
}

fn line(line: &str) -> Option<(String, Sha256Digest)> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("SHA256 (") {
        let (name, digest) = rest.rsplit_once(") = ")?;
        return Some((plain(name), digest.parse().ok()?));
    }
    let (digest, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let digest = (digest.len() == 64).then(|| digest.parse().ok())??;
    let rest = rest.trim_start();
    // `Release` has the size between the two.
    let name = match rest.split_once(' ') {
        Some((size, name)) if size.bytes().all(|byte| byte.is_ascii_digit()) => name.trim_start(),
        _ => rest,
    };
    Some((plain(name), digest))
}

fn plain(name: &str) -> String {
    let name = name.strip_prefix('*').unwrap_or(name);
    name.strip_prefix("./").unwrap_or(name).to_owned()
}

/// Collects every `location` that has a `sha256`, at any depth.
fn collect(metadata: &Value, entries: &mut Vec<(String, Sha256Digest)>) {
    let digest = metadata["sha256"]
        .as_str()
        .and_then(|digest| digest.parse().ok());
    if let (Some(location), Some(digest)) = (metadata["location"].as_str(), digest) {
        entries.push((location.to_owned(), digest));
    }
    match metadata {
        Value::Object(fields) => fields.values().for_each(|field| collect(field, entries)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, entries)),
        _ => {}
    }
}

/// Reports whether a name matches a pattern, in which each `*` stands for anything.
fn is_match(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
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

/// Compares names so that `24.04.10` comes after `24.04.9`, and that after `24.04`.
fn by_version(a: &str, b: &str) -> Ordering {
    fn next(text: &str) -> Option<(&str, &str)> {
        let is_digit = text.starts_with(|c: char| c.is_ascii_digit());
        let end = text.find(|c: char| c.is_ascii_digit() != is_digit);
        (!text.is_empty()).then(|| text.split_at(end.unwrap_or(text.len())))
    }
    let (mut a, mut b) = (a, b);
    loop {
        let (Some((first, rest_a)), Some((second, rest_b))) = (next(a), next(b)) else {
            return a.len().cmp(&b.len());
        };
        let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let ordering = if number(first) && number(second) {
            let (first, second) = (
                first.trim_start_matches('0'),
                second.trim_start_matches('0'),
            );
            first
                .len()
                .cmp(&second.len())
                .then_with(|| first.cmp(second))
        } else {
            first.cmp(second)
        };
        if ordering.is_ne() {
            return ordering;
        }
        (a, b) = (rest_a, rest_b);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(byte: u8) -> Sha256Digest {
        Sha256Digest::new([byte; 32])
    }

    #[test]
    fn each_format_of_a_list_is_parsed() {
        let (a, b) = (digest(0xaa), digest(0xbb));
        for (text, path) in [
            (format!("{a}  live.iso\n{b}  other.iso\n"), "live.iso"),
            (format!("{a} *live.iso\n{b} *other.iso\n"), "/24.04/live.iso"),
            (format!("# live.iso: 3 bytes\nSHA256 (live.iso) = {a}\nSHA256 (x) = {b}\n"), "live.iso"),
            (format!("{a}\n"), "live.iso"),
            (format!("SHA256:\n {a}  123 main/i/SHA256SUMS\n {b} 4 main/SHA256SUMS\n"), "/debian/dists/x/main/i/SHA256SUMS"),
            (format!("{a}  ./netboot/linux\n{b}  ./cdrom/linux\n"), "https://a/images/netboot/linux"),
            (
                serde_json::json!({"a": [{"pxe": {"kernel": {"location": "https://a/b/live.iso", "sha256": a.to_string()}}}]}).to_string(),
                "https://mirror/b/live.iso",
            ),
        ] {
            assert_eq!(Checksums::parse(&text).find(path), Ok(a), "{text}");
        }
    }

    #[test]
    fn the_digest_of_another_file_is_never_used() {
        let (a, b) = (digest(0xaa), digest(0xbb));
        let list = Checksums::parse(&format!("{a}  ./netboot/linux\n{b}  ./cdrom/linux\n"));
        let not_listed = |name: &str| Err(ChecksumError::NotListed(name.into()));
        assert_eq!(list.find("https://a/images/hd/linux"), not_listed("linux"));
        assert_eq!(
            list.find("https://a/images/netboot/xlinux"),
            not_listed("xlinux")
        );
        assert_eq!(
            list.find("linux"),
            Err(ChecksumError::Ambiguous("linux".into()))
        );
        let list = Checksums::parse(&format!("{a}  a.iso\n{b}  a.iso\n"));
        assert_eq!(
            list.find("a.iso"),
            Err(ChecksumError::Ambiguous("a.iso".into()))
        );
        // MD5 and SHA-1 digests do not count, and a list with one name is only for that name.
        let list = Checksums::parse("d41d8cd98f00b204e9800998ecf8427e  a.iso\n");
        assert_eq!(list.find("a.iso"), not_listed("a.iso"));
        assert_eq!(
            Checksums::parse(&format!("{a}  a.iso\n")).find("b.iso"),
            not_listed("b.iso")
        );
    }

    #[test]
    fn a_pattern_finds_the_newest() {
        let a = digest(1);
        let names = [
            "ubuntu-24.04-live-server-amd64.iso",
            "ubuntu-24.04.10-live-server-amd64.iso",
            "ubuntu-24.04.9-live-server-amd64.iso",
            "ubuntu-24.04.11-desktop-amd64.iso",
        ];
        let text: String = names.iter().map(|name| format!("{a} *{name}\n")).collect();
        let list = Checksums::parse(&text);
        assert_eq!(
            list.resolve("https://a/24.04/ubuntu-24.04*-live-server-amd64.iso")
                .as_deref(),
            Ok("https://a/24.04/ubuntu-24.04.10-live-server-amd64.iso")
        );
        assert!(list.resolve("https://a/debian-*.iso").is_err());
        let list = Checksums::parse(&serde_json::json!({"location": "https://o/s/builds/42.1/x86_64/c-42.1-live-kernel.x86_64", "sha256": a.to_string()}).to_string());
        let pattern = "/mirror/s/builds/*/x86_64/c-*-live-kernel*x86_64";
        assert_eq!(
            list.resolve(pattern).as_deref(),
            Ok("/mirror/s/builds/42.1/x86_64/c-42.1-live-kernel.x86_64")
        );
    }

    proptest! {
        #[test]
        fn arbitrary_lists_never_panic(text in any::<String>(), path in "[a-z*/.]{0,20}") {
            let list = Checksums::parse(&text);
            let _ = list.find(&path);
            let _ = list.resolve(&path);
        }

        #[test]
        fn versions_are_ordered_totally(a in "[a0-2.]{0,6}", b in "[a0-2.]{0,6}") {
            prop_assert_eq!(by_version(&a, &b), by_version(&b, &a).reverse());
        }
    }
}
