/// Why a file name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty after the cleanup.
    #[error("the file name is empty")]
    Empty,
    /// The name contains control characters or is not UTF-8.
    #[error("the file name `{name}` is not printable UTF-8 text")]
    NotText {
        /// The name, with unprintable bytes escaped.
        name: String,
    },
    /// The name contains `..`.
    #[error("the file name `{name}` contains `..`")]
    Traversal {
        /// The name.
        name: String,
    },
}

/// Converts a name that firmware sent into a relative path such as `boot/grub.cfg`.
///
/// Trailing `0xff` bytes are dropped, `\` becomes `/`, and a drive such as `C:`, leading and
/// doubled slashes and `.` components are removed: firmware sends all of them. The text that Dell's
/// firmware puts in place of the name of shim's second stage becomes `grubx64.efi`.
///
/// # Errors
///
/// Refuses names that are empty or not printable text, and every `..`.
pub fn sanitize(name: &[u8]) -> Result<String, NameError> {
    let end = name.iter().rposition(|&byte| byte != 0xff);
    let name = end.and_then(|end| name.get(..=end)).unwrap_or_default();
    let escaped = || name.escape_ascii().to_string();
    let directory = name.len() - last_component(name).len();
    let second_stage = is_boot_option_text(&name[directory..]);
    let name = if second_stage {
        &name[..directory]
    } else {
        name
    };
    let text = str::from_utf8(name)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
        .ok_or_else(|| NameError::NotText { name: escaped() })?;
    let path = match text.split_at_checked(2) {
        Some((drive, path))
            if drive.ends_with(':') && drive.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            path
        }
        _ => text,
    };
    let mut clean = String::with_capacity(path.len());
    let second_stage = second_stage.then_some(SECOND_STAGE);
    for component in path.split(['/', '\\']).chain(second_stage) {
        match component {
            "" | "." => continue,
            ".." => return Err(NameError::Traversal { name: escaped() }),
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

/// The second stage of shim on x86-64, the only processor on which this behavior was observed.
const SECOND_STAGE: &str = "grubx64.efi";

/// The first words of the titles of Dell's boot options, "Onboard NIC (IPv4)" and "USB NIC (IPv4)".
const BOOT_OPTION_WORDS: [&str; 2] = ["Onboard", "USB"];

/// Reports whether the last component of a name is the start of a boot option instead of a file name.
// Deviation: shim 15.8 takes the load options that Dell's firmware passes for the name of its second
// stage, and requests a name that starts with an unprintable byte and the option's first word. On
// "file not found" it gives up; later versions then request `grubx64.efi`. Seen on Latitude 3590 and
// 5300, OptiPlex 3040 and 3050, Wyse 5070: issues 649 and 696 of shim.
fn is_boot_option_text(component: &[u8]) -> bool {
    let start = component.iter().position(u8::is_ascii_graphic);
    let word = start.map_or(&[][..], |start| &component[start..]);
    let is_word = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
    start != Some(0) && BOOT_OPTION_WORDS.iter().any(|known| is_word(known))
}

fn last_component(name: &[u8]) -> &[u8] {
    let slash = name.iter().rposition(|byte| b"/\\".contains(byte));
    slash.map_or(name, |slash| &name[slash + 1..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn additions_of_firmware_to_a_name_are_dropped() {
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
            (b"grub/\xeaOnboard", "grub/grubx64.efi"),
            (b"loader\\\x01USB", "loader/grubx64.efi"),
            ("\u{ea}onboard".as_bytes(), "grubx64.efi"),
            (b"Onboard", "Onboard"),
            (b"usb", "usb"),
            ("\u{ea}tage".as_bytes(), "\u{ea}tage"),
        ] {
            assert_eq!(sanitize(name).as_deref(), Ok(expected), "{name:?}");
        }
    }

    #[test]
    fn names_with_dot_dot_or_unprintable_bytes_are_refused() {
        for name in [
            &b".."[..],
            b"../etc/passwd",
            b"a/../../b",
            b"..\\b",
            b"C:..\\b",
            b"/..\xff",
            b"../\xeaUSB",
        ] {
            assert!(
                matches!(sanitize(name), Err(NameError::Traversal { .. })),
                "{name:?}"
            );
        }
        for name in [&b""[..], b"/", b"C:", b"\xff", b"./."] {
            assert_eq!(sanitize(name), Err(NameError::Empty), "{name:?}");
        }
        for name in [
            &b"a\nb"[..],
            b"a\xffb",
            b"\x1b[2J",
            b"\xeaUSB/x",
            b"\xeaOnboard NIC",
        ] {
            assert!(
                matches!(sanitize(name), Err(NameError::NotText { .. })),
                "{name:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_sanitized_name_is_relative_and_has_no_dot_dot(
            name in prop::collection::vec(
                prop_oneof![Just(b'.'), Just(b'/'), Just(b'\\'), Just(b'C'), Just(b':'), Just(0xea), any::<u8>()],
                0..40,
            )
        ) {
            if let Ok(clean) = sanitize(&name) {
                prop_assert!(!clean.starts_with('/'));
                prop_assert!(clean.split('/').all(|part| !matches!(part, "" | "." | "..")));
                prop_assert!(!clean.contains('\\'));
            }
        }
    }
}
