/// The name cannot be that of a served file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left of it.
    #[error("the file name is empty")]
    Empty,
    /// It holds control characters, or octets that are no UTF-8.
    #[error("the file name `{seen}` is not text")]
    NotText {
        /// The name, with the odd octets escaped.
        seen: String,
    },
    /// It climbs.
    #[error("the file name `{seen}` climbs with `..`")]
    Traversal {
        /// The name.
        seen: String,
    },
}

/// Turns the name that firmware sent into a relative path such as `boot/grub.cfg`.
///
/// Trailing `0xff` octets are dropped, `\` becomes `/`, and a drive such as `C:`, leading and
/// doubled slashes and `.` components go: firmware writes all of them.
///
/// # Errors
///
/// Refuses names that are empty or no text, and every `..`.
pub fn sanitise(name: &[u8]) -> Result<String, NameError> {
    let end = name.iter().rposition(|&octet| octet != 0xff);
    let name = end.and_then(|end| name.get(..=end)).unwrap_or_default();
    let seen = || name.escape_ascii().to_string();
    let text = str::from_utf8(name)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
        .ok_or_else(|| NameError::NotText { seen: seen() })?;
    let path = match text.split_at_checked(2) {
        Some((drive, path))
            if drive.ends_with(':') && drive.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            path
        }
        _ => text,
    };
    let mut clean = String::with_capacity(path.len());
    for component in path.split(['/', '\\']) {
        match component {
            "" | "." => continue,
            ".." => return Err(NameError::Traversal { seen: seen() }),
            _ => {}
        }
        if !clean.is_empty() {
            clean.push('/');
        }
        clean.push_str(component);
    }
    if clean.is_empty() {
        return Err(NameError::Empty);
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_firmware_writes_around_a_name_is_dropped() {
        for (name, expected) in [
            (&b"pxelinux.0"[..], "pxelinux.0"),
            (b"/boot/x", "boot/x"),
            (b"//grubx64.efi", "grubx64.efi"),
            (b"a//b/./c/", "a/b/c"),
            (b"\\Boot\\BCD", "Boot/BCD"),
            (b"C:\\boot\\x", "boot/x"),
            (b"ipxe.efi\xff", "ipxe.efi"),
            (b"ipxe.efi\xff\xff", "ipxe.efi"),
            (b"a..b/..c", "a..b/..c"),
            (b"with space", "with space"),
            ("\u{444}".as_bytes(), "\u{444}"),
            (b"ab:c", "ab:c"),
        ] {
            assert_eq!(sanitise(name).as_deref(), Ok(expected), "{name:?}");
        }
    }

    #[test]
    fn names_that_climb_or_are_no_text_are_refused() {
        for name in [
            &b".."[..],
            b"../etc/passwd",
            b"a/../../b",
            b"..\\b",
            b"C:..\\b",
            b"/..\xff",
        ] {
            assert!(
                matches!(sanitise(name), Err(NameError::Traversal { .. })),
                "{name:?}"
            );
        }
        for name in [&b""[..], b"/", b"C:", b"\xff", b"./."] {
            assert_eq!(sanitise(name), Err(NameError::Empty), "{name:?}");
        }
        for name in [&b"a\nb"[..], b"a\xffb", b"\x1b[2J"] {
            assert!(
                matches!(sanitise(name), Err(NameError::NotText { .. })),
                "{name:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_sanitised_name_is_relative_and_never_climbs(
            name in prop::collection::vec(
                prop_oneof![Just(b'.'), Just(b'/'), Just(b'\\'), Just(b'C'), Just(b':'), any::<u8>()],
                0..40,
            )
        ) {
            if let Ok(clean) = sanitise(&name) {
                prop_assert!(!clean.starts_with('/'));
                prop_assert!(clean.split('/').all(|part| !matches!(part, "" | "." | "..")));
                prop_assert!(!clean.contains('\\'));
            }
        }
    }
}
