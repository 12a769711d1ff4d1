//! The paths of requests: decoding escapes, and removing secrets before display.

use crate::machine::SystemUuid;

/// Returns the path of a request without secrets, for logs: the parts after `/s/` and `/m/MAC/` may be a
/// capability and a boot token, in any spelling, and a query may hold a token.
pub fn shown_path(target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let Some(path) = decoded(path) else {
        return "…".to_owned();
    };
    let path = path.replace('\\', "/");
    let mut parts: Vec<&str> = path.split('/').filter(|part| *part != ".").collect();
    let first = parts.iter().position(|part| ["s", "m"].contains(part));
    if let Some(at) = first {
        // Readers of the path skip empty parts, so they do not count here either.
        let after = |count: usize| {
            let named = parts.iter().enumerate().skip(at + 1);
            let named = named.filter(|(_, part)| !part.is_empty());
            named.map(|(index, _)| index).nth(count)
        };
        let secret = match parts[at] {
            "s" => after(0),
            _ => after(1),
        };
        for (index, part) in parts.iter_mut().enumerate().skip(at + 1) {
            if Some(index) == secret || may_be_secret(part) {
                *part = "…";
            }
        }
    }
    parts.join("/").chars().take(200).collect()
}

/// Decodes `%XX`; `None` if an escape is invalid or the result is not UTF-8.
pub fn decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// Reports whether a part has the form of a secret in an unexpected position.
fn may_be_secret(part: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    part.len() >= 20 && part.chars().all(good) && part.parse::<SystemUuid>().is_err()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_logged_without_its_capability_its_token_and_its_query() {
        for (target, expected) in [
            ("/files/../secret?token=T", "/files/../secret"),
            ("/s/CAP/installed", "/s/…/installed"),
            ("//s//CAP/installed", "//s//…/installed"),
            ("/./s/./CAP/installed", "/s/…/installed"),
            ("/%73/CAP/installed", "/s/…/installed"),
            ("/s%2fCAP", "/s/…"),
            ("/s%5cCAP", "/s/…"),
            ("s/CAP/files/kernel", "s/…/files/kernel"),
            ("http://10.20.0.10:8080/s/CAP", "http://10.20.0.10:8080/s/…"),
            ("/%73/CAP%zz", "…"),
            ("/m/MAC/TOKEN/bootx64.efi", "/m/MAC/…/bootx64.efi"),
            ("m/MAC//TOKEN/grub.cfg", "m/MAC//…/grub.cfg"),
            ("/m/MAC", "/m/MAC"),
            (
                "/m/MAC/TOKEN/pxelinux.cfg/4c4c4544-0051-3610-8043-c2c04f4b3135",
                "/m/MAC/…/pxelinux.cfg/4c4c4544-0051-3610-8043-c2c04f4b3135",
            ),
            (
                "/s/j4gCMvHuS60AAAABAUY0j/../j4gCMvHuS60AAAABAUY0j",
                "/s/…/../…",
            ),
        ] {
            assert_eq!(shown_path(target), expected, "{target}");
        }
    }

    proptest! {
        #[test]
        fn no_spelling_shows_a_capability(slashes in "/{1,3}", dots in "(\\./){0,2}") {
            for target in [
                format!("{slashes}s/{dots}SECRET/x"),
                format!("{dots}s{slashes}SECRET"),
                format!("/m{slashes}MAC/{dots}SECRET/x"),
            ] {
                prop_assert!(!shown_path(&target).contains("SECRET"), "{}", target);
            }
        }
    }
}
