//! The lists of digests that publishers provide with their files, in all common formats.

mod lines;
mod text;

use serde_json::Value;

use super::url_path::{decode_escapes, encode_segment, is_url, path_of};
use super::version::{compare_versions, match_pattern};
use crate::machine::Sha256Digest;

use lines::{ListedDigest, parse_lines};
use text::decode_text;

/// A list of digests by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    entries: Vec<ListedDigest>,
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
    /// Parses a list: lines of any program that prints digests, in UTF-8 or UTF-16; the metadata of a Fedora
    /// CoreOS stream; or only a digest.
    pub fn parse(list: &[u8]) -> Self {
        let text = decode_text(list);
        if !text.trim_start().starts_with('{') {
            let entries = parse_lines(&text);
            return Self { entries };
        }
        let mut entries = Vec::new();
        if let Ok(metadata) = serde_json::from_str(&text) {
            collect(&metadata, &mut entries);
        }
        Self { entries }
    }

    /// Finds the digest of a file by its URL or path. `list` is the location of this list.
    ///
    /// The list may have only the end of the path, or only the name. A list in the directory of the file may
    /// have the path that the file had where the list was made, and any list may have an absolute path.
    ///
    /// # Errors
    /// When the list has no such file, or several.
    pub fn find(&self, file: &str, list: &str) -> Result<Sha256Digest, ChecksumError> {
        // A list with one digest may omit the name.
        if let [(name, digest)] = self.entries.as_slice()
            && name.is_empty()
        {
            return Ok(*digest);
        }
        let path = path_of(file);
        let file_parts = decoded_parts(path, is_url(file));
        let is_beside = directory_of(file) == directory_of(list) || file_parts.len() == 1;
        let candidates = self.entries.iter().filter_map(|(name, digest)| {
            // A browser's escapes may be in the list instead of the URL.
            let shared = [false, true].map(|decodes| {
                let parts = decoded_parts(name, decodes);
                let pairs = parts.iter().rev().zip(file_parts.iter().rev());
                pairs.take_while(|(a, b)| a == b).count()
            });
            let shared = shared.into_iter().max().filter(|shared| *shared > 0)?;
            let is_whole = shared == name.split('/').count();
            // Elsewhere, a relative path with another directory is another file.
            let is_same = is_whole || name.contains("://") || is_absolute(name) || is_beside;
            is_same.then_some(((is_whole, shared), digest))
        });
        let name = || path.rsplit('/').next().unwrap_or_default().to_owned();
        let most = candidates.clone().map(|(rank, _)| rank).max();
        let most = most.ok_or_else(|| ChecksumError::NotListed(name()))?;
        let mut digests = candidates
            .filter(|(rank, _)| *rank == most)
            .map(|(_, digest)| digest);
        let first = digests
            .next()
            .ok_or_else(|| ChecksumError::NotListed(name()))?;
        if digests.any(|other| other != first) {
            return Err(ChecksumError::Ambiguous(name()));
        }
        Ok(*first)
    }

    /// Finds the newest name that matches a pattern, in which `*` stands for anything within a part of a path.
    /// Only what the stars stand for decides which name is the newest. Returns the pattern with that name in
    /// place of its last parts.
    ///
    /// # Errors
    /// When no name matches.
    pub fn resolve(&self, pattern: &str) -> Result<String, ChecksumError> {
        let parts: Vec<&str> = pattern.split('/').collect();
        let first = parts
            .iter()
            .position(|part| part.contains('*'))
            .unwrap_or(parts.len() - 1);
        let patterns = decoded_parts(&parts[first..].join("/"), is_url(pattern));
        let matching = self.entries.iter().filter_map(|(name, _)| {
            let name = decoded_parts(name, is_url(pattern));
            let end = name[name.len().checked_sub(patterns.len())?..].to_vec();
            let versions = match_parts(&patterns, &end)?;
            Some((versions, end))
        });
        let newest = matching.max_by(|(a, a_name), (b, b_name)| {
            let mut orders = a.iter().zip(b).map(|(a, b)| compare_versions(a, b));
            let order = orders.find(|order| order.is_ne());
            order.unwrap_or_else(|| a_name.cmp(b_name))
        });
        let (_, newest) = newest.ok_or_else(|| ChecksumError::NotListed(patterns.join("/")))?;
        let newest = newest.into_iter().map(|part| {
            if is_url(pattern) {
                encode_segment(&part)
            } else {
                part
            }
        });
        let resolved = parts[..first].iter().map(|part| (*part).to_owned());
        Ok(resolved.chain(newest).collect::<Vec<_>>().join("/"))
    }
}

/// Matches each part of a path with a pattern, and returns what the stars stand for.
pub fn match_parts(patterns: &[String], parts: &[String]) -> Option<Vec<String>> {
    if patterns.len() != parts.len() {
        return None;
    }
    let mut versions = Vec::new();
    for (pattern, part) in patterns.iter().zip(parts) {
        let matched = match_pattern(pattern, part)?;
        versions.extend(matched.into_iter().map(str::to_owned));
    }
    Some(versions)
}

fn decoded_parts(path: &str, decodes: bool) -> Vec<String> {
    let parts = path.split('/');
    parts
        .map(|part| {
            if decodes {
                decode_escapes(part)
            } else {
                part.to_owned()
            }
        })
        .collect()
}

fn directory_of(location: &str) -> &str {
    location.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Reports whether a name in a list is an absolute path, of Unix or of Windows.
fn is_absolute(name: &str) -> bool {
    name.starts_with('/')
        || matches!(name.as_bytes(), [drive, b':', b'/', ..] if drive.is_ascii_alphabetic())
}

/// Collects every `location` that has a `sha256`, at any depth.
fn collect(metadata: &Value, entries: &mut Vec<ListedDigest>) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A list in another directory than the files.
    const ELSEWHERE: &str = "https://lists/SUMS";

    fn digest(byte: u8) -> Sha256Digest {
        Sha256Digest::new([byte; 32])
    }

    fn parsed(text: impl AsRef<str>) -> Checksums {
        Checksums::parse(text.as_ref().as_bytes())
    }

    #[test]
    fn the_digest_is_found_by_the_end_of_the_path() {
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
            assert_eq!(parsed(&text).find(path, ELSEWHERE), Ok(a), "{text}");
        }
    }

    #[test]
    fn escapes_in_the_list_or_in_the_url_stand_for_their_characters() {
        let (a, b) = (digest(0xaa), digest(0xbb));
        for name in ["my disk.iso", "my%20disk.iso"] {
            let list = parsed(format!("{a}  {name}\n{b}  other.iso\n"));
            let url = "https://a/b/my%20disk.iso?x=y";
            assert_eq!(list.find(url, ELSEWHERE), Ok(a), "{name}");
            assert_eq!(list.find("isos/my disk.iso", ELSEWHERE), Ok(a), "{name}");
            let pattern = "https://a/my%20*.iso";
            let resolved = list.resolve(pattern);
            assert_eq!(resolved.as_deref(), Ok("https://a/my%20disk.iso"));
        }
        // A local name is as it is.
        let list = parsed(format!("{a}  my%20disk.iso\n{b}  my disk.iso\n"));
        assert_eq!(list.find("my%20disk.iso", "SUMS"), Ok(a));
    }

    #[test]
    fn a_list_may_have_the_paths_of_the_machine_that_made_it() {
        let (a, b) = (digest(0xaa), digest(0xbb));
        let list = "https://a/24.04/SUMS";
        for name in [
            "out/live.iso",
            "/srv/build/live.iso",
            "C:\\build\\live.iso",
            "../live.iso",
        ] {
            let listed = parsed(format!("{a}  {name}\n{b}  other/x.iso\n"));
            let found = listed.find("https://a/24.04/live.iso", list);
            assert_eq!(found, Ok(a), "{name}");
        }
        // The exact path takes precedence.
        let listed = parsed(format!("{b}  old/live.iso\n{a}  live.iso\n"));
        assert_eq!(listed.find("https://a/24.04/live.iso", list), Ok(a));
        // In another directory, a relative path is another file.
        let listed = parsed(format!("{a}  amd64/SHA256SUMS\n"));
        assert_eq!(
            listed.find("https://a/24.04/arm64/SHA256SUMS", list),
            Err(ChecksumError::NotListed("SHA256SUMS".into()))
        );
    }

    #[test]
    fn lists_by_windows_are_read() {
        let a = digest(0xaa);
        let text = format!(
            "\r\nAlgorithm       Hash                                Path\r\n---------       ----     ----\r\n\
             SHA256          {}       C:\\isos\\live.iso\r\n",
            a.to_string().to_uppercase()
        );
        let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes);
        let list: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16).collect();
        let list = Checksums::parse(&list);
        assert_eq!(list.find("https://a/b/live.iso", ELSEWHERE), Ok(a));
        let marked = Checksums::parse(format!("\u{feff}{a}  live.iso\r\n").as_bytes());
        assert_eq!(marked.find("live.iso", "SUMS"), Ok(a));
    }

    #[test]
    fn the_digest_of_another_file_is_never_used() {
        let (a, b) = (digest(0xaa), digest(0xbb));
        let list = parsed(format!("{a}  ./netboot/linux\n{b}  ./cdrom/linux\n"));
        let not_listed = |name: &str| Err(ChecksumError::NotListed(name.into()));
        for (path, name) in [
            ("https://a/images/hd/linux", "linux"),
            ("https://a/images/netboot/xlinux", "xlinux"),
        ] {
            assert_eq!(list.find(path, ELSEWHERE), not_listed(name));
        }
        let ambiguous = |name: &str| Err(ChecksumError::Ambiguous(name.into()));
        assert_eq!(list.find("linux", ELSEWHERE), ambiguous("linux"));
        let list = parsed(format!("{a}  a.iso\n{b}  a.iso\n"));
        assert_eq!(list.find("a.iso", ELSEWHERE), ambiguous("a.iso"));
        // MD5 and SHA-1 digests do not count, and a list with one name is only for that name.
        let list = parsed("d41d8cd98f00b204e9800998ecf8427e  a.iso\n");
        assert_eq!(list.find("a.iso", ELSEWHERE), not_listed("a.iso"));
        let list = parsed(format!("{a}  a.iso\n"));
        assert_eq!(list.find("b.iso", ELSEWHERE), not_listed("b.iso"));
    }

    #[test]
    fn a_pattern_finds_the_newest() {
        let a = digest(1);
        for (pattern, names, newest) in [
            (
                "https://a/24.04/ubuntu-24.04*-live-server-amd64.iso",
                &[
                    "ubuntu-24.04-live-server-amd64.iso",
                    "ubuntu-24.04-beta-live-server-amd64.iso",
                    "ubuntu-24.04.10-live-server-amd64.iso",
                    "ubuntu-24.04.9-live-server-amd64.iso",
                    "ubuntu-24.04.11-desktop-amd64.iso",
                ][..],
                "https://a/24.04/ubuntu-24.04.10-live-server-amd64.iso",
            ),
            ("disk-*.iso", &["disk-9.iso", "disk-10.iso"], "disk-10.iso"),
            (
                "disk-*.iso",
                &["disk-12.5.iso", "disk-12.5.1.iso"],
                "disk-12.5.1.iso",
            ),
            (
                "disk-*.iso",
                &["disk-12.5-rc1.iso", "disk-12.5.iso", "disk-12.4.9.iso"],
                "disk-12.5.iso",
            ),
            (
                "disk-*.iso",
                &["disk-12.5.iso", "disk-12.6-rc1.iso"],
                "disk-12.6-rc1.iso",
            ),
            (
                "https://a/b/disk-*.iso",
                &["/x/disk-9.iso", "out/disk-10.iso"],
                "https://a/b/disk-10.iso",
            ),
        ] {
            let mut names = names.to_vec();
            for _ in 0..names.len() {
                names.rotate_left(1);
                let text: String = names.iter().map(|name| format!("{a} *{name}\n")).collect();
                assert_eq!(
                    parsed(&text).resolve(pattern).as_deref(),
                    Ok(newest),
                    "{text}"
                );
            }
        }
        assert!(
            parsed(format!("{a}  x.iso"))
                .resolve("https://a/debian-*.iso")
                .is_err()
        );
        let list = serde_json::json!({"location": "https://o/s/builds/42.1/x86_64/c-42.1-live-kernel.x86_64", "sha256": a.to_string()});
        let pattern = "/mirror/s/builds/*/x86_64/c-*-live-kernel*x86_64";
        assert_eq!(
            parsed(list.to_string()).resolve(pattern).as_deref(),
            Ok("/mirror/s/builds/42.1/x86_64/c-42.1-live-kernel.x86_64")
        );
    }

    proptest! {
        #[test]
        fn arbitrary_lists_never_panic(
            text in any::<String>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            path in "(https://)?[a-z*/.%0-9]{0,20}",
        ) {
            for list in [text.as_bytes(), &bytes] {
                let list = Checksums::parse(list);
                let _ = list.find(&path, "https://a/b");
                let _ = list.resolve(&path);
            }
        }
    }
}
