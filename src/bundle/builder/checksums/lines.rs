//! The lines that programs print about SHA-256 digests of files.

use crate::machine::Sha256Digest;

/// A name as it is in a list, with `/` between its parts, and the digest. The name is empty if the list has
/// only the digest.
pub type ListedDigest = (String, Sha256Digest);

/// Reads the digests in a list, and skips all other lines.
///
/// The formats: `sha256sum` with and without `--tag`, `cksum`, BSD's `sha256`, `openssl dgst` with and
/// without `-r`, a Debian `Release` file, PowerShell's `Get-FileHash` as a table, a list or CSV, and
/// Windows' `certutil -hashfile`.
pub fn parse_lines(text: &str) -> Vec<ListedDigest> {
    let mut listed = Vec::new();
    let mut pending = Pending::None;
    for line in text.lines() {
        let found = match (&pending, labelled(line)) {
            (_, Some(("hash", value))) => {
                pending = digest(value).map_or(Pending::None, Pending::Digest);
                continue;
            }
            (Pending::Digest(digest), Some(("path", value))) => Some((plain(value), *digest)),
            (Pending::Name(name), _) => {
                let digest = digest(&line.replace(' ', ""));
                digest.map(|digest| (name.clone(), digest))
            }
            _ => tagged(line)
                .or_else(|| digest_first(line))
                .or_else(|| powershell(line)),
        };
        pending = certutil_name(line).map_or(Pending::None, Pending::Name);
        listed.extend(found);
    }
    listed
}

/// What an earlier line states about the file of the next lines.
enum Pending {
    None,
    Digest(Sha256Digest),
    Name(String),
}

/// Parses the lines of `Get-FileHash | Format-List`: a label, a colon, a value.
fn labelled(line: &str) -> Option<(&'static str, &str)> {
    let (label, value) = line.split_once(" : ")?;
    let label = ["hash", "path"]
        .into_iter()
        .find(|known| label.trim().eq_ignore_ascii_case(known))?;
    Some((label, value.trim()))
}

/// Parses `SHA256 (NAME) = DIGEST`, and `SHA256(NAME)= DIGEST` and `SHA2-256(NAME)= DIGEST` of OpenSSL.
fn tagged(line: &str) -> Option<ListedDigest> {
    let (line, is_escaped) = unmarked(line.trim());
    let (algorithm, rest) = line.split_once('(')?;
    if !is_sha256(algorithm.trim()) {
        return None;
    }
    // The name may contain parentheses.
    let (name, value) = rest.rsplit_once(')')?;
    let digest = digest(value.trim_start().strip_prefix('=')?)?;
    Some((named(name, is_escaped), digest))
}

/// Parses `DIGEST  NAME`, `DIGEST *NAME`, a line of a `Release` file, or only the digest.
fn digest_first(line: &str) -> Option<ListedDigest> {
    let (text, is_escaped) = unmarked(line.trim());
    let (hex, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let digest = digest(hex)?;
    let rest = rest.trim_start();
    // The lines of `Release` are indented, and have the size between the two.
    let name = match rest.split_once(' ') {
        Some((size, name))
            if line.starts_with(' ') && size.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name.trim_start()
        }
        _ => rest,
    };
    let name = name.strip_prefix('*').unwrap_or(name);
    Some((named(name, is_escaped), digest))
}

/// Parses a row of `Get-FileHash`, in a table or as CSV: the algorithm, the digest, and the path.
fn powershell(line: &str) -> Option<ListedDigest> {
    let line = line.trim();
    let quoted = line.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let mut fields = match quoted {
        Some(fields) => fields.splitn(3, "\",\"").collect::<Vec<_>>(),
        None => {
            let (algorithm, rest) = line.split_once(char::is_whitespace)?;
            let (hex, path) = rest.trim_start().split_once(char::is_whitespace)?;
            vec![algorithm, hex, path]
        }
    }
    .into_iter();
    let (algorithm, hex, path) = (fields.next()?, fields.next()?, fields.next()?);
    if !is_sha256(algorithm) {
        return None;
    }
    Some((plain(path.trim()), digest(hex)?))
}

/// Returns the name in `certutil`'s line before the digest: `SHA256 hash of file NAME:`.
fn certutil_name(line: &str) -> Option<String> {
    let (algorithm, name) = line.trim().split_once(" hash of ")?;
    let name = name.strip_suffix(':')?;
    let name = name.strip_prefix("file ").unwrap_or(name);
    is_sha256(algorithm).then(|| plain(name))
}

fn is_sha256(algorithm: &str) -> bool {
    ["SHA256", "SHA2-256", "SHA-256"]
        .iter()
        .any(|name| algorithm.eq_ignore_ascii_case(name))
}

fn digest(text: &str) -> Option<Sha256Digest> {
    let text = text.trim();
    // A digest with its own prefix is a word of another format.
    (text.len() == 64).then(|| text.parse().ok())?
}

/// Removes the backslash with which GNU programs mark a line that has an escaped name.
fn unmarked(line: &str) -> (&str, bool) {
    match line.strip_prefix('\\') {
        Some(rest) => (rest, true),
        None => (line, false),
    }
}

fn named(name: &str, is_escaped: bool) -> String {
    if !is_escaped {
        return plain(name);
    }
    let mut plain = String::new();
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        plain.push(match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                other => other.unwrap_or('\\'),
            },
            (other, false) => other,
        });
    }
    plain.strip_prefix("./").unwrap_or(&plain).to_owned()
}

/// Returns a name with `/` between its parts, and without `./`.
fn plain(name: &str) -> String {
    let is_windows = name.contains('\\') && !name.contains('/');
    let name = if is_windows {
        name.replace('\\', "/")
    } else {
        name.to_owned()
    };
    name.strip_prefix("./").unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_every_program_are_read() {
        let a = "ab".repeat(32);
        let upper = a.to_uppercase();
        for (text, expected) in [
            (format!("{a}  live.iso"), "live.iso"),
            (format!("{a} *live.iso"), "live.iso"),
            (format!("{a}\tlive.iso"), "live.iso"),
            (format!("{a}  ./a b/live (1).iso"), "a b/live (1).iso"),
            (format!("{a}  2024 live.iso"), "2024 live.iso"),
            (format!(" {a}  2024 main/live.iso"), "main/live.iso"),
            (format!("\\{a}  a\\\\b\\nc"), "a\\b\nc"),
            (format!("\\SHA256 (a\\\\b) = {a}"), "a\\b"),
            (format!("SHA256 (live.iso) = {a}"), "live.iso"),
            (format!("SHA256(live.iso)= {a}"), "live.iso"),
            (format!("SHA2-256(live.iso)= {a}"), "live.iso"),
            (format!("sha256(live (2).iso)={a}"), "live (2).iso"),
            (a.clone(), ""),
            (
                format!("SHA256          {upper}       C:\\isos\\live.iso"),
                "C:/isos/live.iso",
            ),
            (
                format!("\"SHA256\",\"{upper}\",\"C:\\isos\\live, x.iso\""),
                "C:/isos/live, x.iso",
            ),
            (
                format!(
                    "\r\nAlgorithm : SHA256\r\nHash      : {upper}\r\nPath      : C:\\isos\\live.iso\r\n"
                ),
                "C:/isos/live.iso",
            ),
            (
                format!("SHA256 hash of file C:\\live.iso:\n{a}\nCertUtil: done"),
                "C:/live.iso",
            ),
            (
                format!("SHA256 hash of live.iso:\n{}\n", "ab ".repeat(32)),
                "live.iso",
            ),
        ] {
            let expected = (expected.to_owned(), a.parse().unwrap());
            assert_eq!(parse_lines(&text), [expected], "{text}");
        }
    }

    #[test]
    fn digests_of_other_kinds_and_damaged_lines_are_skipped() {
        let a = "ab".repeat(32);
        for text in [
            format!("HMAC-SHA2-256(live.iso)= {a}"),
            format!("SHA3-256(live.iso)= {a}"),
            format!("SHA512 (live.iso) = {a}{a}"),
            format!("BLAKE2b-256 (live.iso) = {a}"),
            format!("SHA512          {a}       C:\\live.iso"),
            "d41d8cd98f00b204e9800998ecf8427e  live.iso".to_owned(),
            format!("{}  live.iso", &a[1..]),
            format!("SHA256 (live.iso = {a}"),
            "SHA256 hash of live.iso:\nnothing".to_owned(),
            "Algorithm : SHA256\nPath : C:\\live.iso".to_owned(),
        ] {
            assert_eq!(parse_lines(&text), [], "{text}");
        }
    }
}
