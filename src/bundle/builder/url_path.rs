//! The text of URLs and paths.

use crate::wire::path::decoded;

/// Reports whether a text is an HTTP or HTTPS URL.
pub fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// Returns the location of a list or signature: a suffix such as `.asc` is appended to the location of the
/// file that it verifies.
pub fn beside(from: &str, verified: &str) -> String {
    let is_suffix = from.starts_with('.') && !from.contains('/');
    if is_suffix {
        format!("{verified}{from}")
    } else {
        from.to_owned()
    }
}

/// Returns the path of a location: of a URL, without scheme, host, query and fragment.
pub fn path_of(from: &str) -> &str {
    if !is_url(from) {
        return from;
    }
    let from = from.find(['?', '#']).map_or(from, |end| &from[..end]);
    let host = from.find("://").map_or(0, |at| at + 3);
    from[host..].find('/').map_or("", |at| &from[host + at..])
}

/// Decodes the `%XX` in a part of a path; leaves invalid ones as they are.
pub fn decode_escapes(part: &str) -> String {
    decoded(part).unwrap_or_else(|| part.to_owned())
}

/// Escapes a file name for the path of a URL.
///
/// Source: RFC 3986 §3.3, `pchar`.
pub fn encode_segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Appends a relative path to a URL or a directory.
pub fn below(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_names_a_file_beside_the_verified_one() {
        for (from, verified, expected) in [
            (".asc", "https://a/b", "https://a/b.asc"),
            ("./SUMS", "https://a/b", "./SUMS"),
            ("https://a/S", "https://a/b", "https://a/S"),
            ("SUMS", "b", "SUMS"),
        ] {
            assert_eq!(beside(from, verified), expected);
        }
    }

    #[test]
    fn escapes_of_a_name_are_those_of_a_url() {
        let name = "a b#c?100%-ж+(1).iso";
        let escaped = "a%20b%23c%3F100%25-%D0%B6+(1).iso";
        assert_eq!(encode_segment(name), escaped);
        assert_eq!(decode_escapes(escaped), name);
        assert_eq!(decode_escapes("100%"), "100%");
    }

    #[test]
    fn the_path_of_a_url_has_no_host_and_no_query() {
        for (from, path) in [
            ("https://a.b/c/d.iso?x=y/z#e", "/c/d.iso"),
            ("http://a", ""),
            ("http://a?b/c", ""),
            ("../x/y", "../x/y"),
        ] {
            assert_eq!(path_of(from), path);
        }
    }
}
