//! Text for people of what a packet carries: printable, bounded, and without our secrets.

use crate::wire::path::shown_path;

/// The most characters of a text that are shown.
const LIMIT: usize = 120;

/// Formats received text.
pub(super) fn display_bytes(bytes: &[u8]) -> String {
    display_text(&String::from_utf8_lossy(bytes))
}

/// Formats received text, with `·` for each control character.
pub(super) fn display_text(text: &str) -> String {
    let mut shown: String = text.chars().take(LIMIT).map(printable).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

/// Formats a path or a URL without boot tokens, capabilities and queries.
pub(super) fn display_file(name: &str) -> String {
    display_text(&shown_path(name))
}

fn printable(c: char) -> char {
    match c {
        '`' => '\'',
        c if c.is_control() => '·',
        c => c,
    }
}

/// Formats the first bytes as hexadecimal digits.
pub(super) fn display_hex(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(24)];
    let mut text = data_encoding::HEXLOWER.encode(head);
    if head.len() < bytes.len() {
        text.push('…');
    }
    text
}

/// Formats a number of bytes: `512 B`, `3.4 KiB`, `12 MiB`.
pub(super) fn display_size(bytes: u64) -> String {
    scaled(bytes as f64, "B")
}

/// The fewest bytes from which a rate is worth printing.
const LEAST_FOR_RATE: u64 = 16 * 1024;

/// Formats a rate: `3.4 MiB/s`. `None` for too few bytes to tell.
pub(super) fn display_rate(bytes: u64, milliseconds: i64) -> Option<String> {
    if milliseconds <= 0 || bytes < LEAST_FOR_RATE {
        return None;
    }
    let each_second = bytes as f64 * 1000.0 / milliseconds as f64;
    Some(format!("{}/s", scaled(each_second, "B")))
}

fn scaled(mut number: f64, unit: &str) -> String {
    let mut prefix = "";
    for next in ["Ki", "Mi", "Gi"] {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        prefix = next;
    }
    let digits = usize::from(number < 10.0 && !prefix.is_empty());
    format!("{number:.digits$} {prefix}{unit}")
}

/// Formats a time span: `240 ms`, `1.2 s`, `3 min`.
pub(super) fn display_time(milliseconds: i64) -> String {
    match milliseconds {
        ..1000 => format!("{milliseconds} ms"),
        1000..120_000 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        _ => format!("{} min", milliseconds / 60_000),
    }
}

/// Formats a lease time: `30 min`, `12 h`, `forever`.
pub(super) fn display_lease_time(seconds: u64) -> String {
    match seconds {
        0xffff_ffff => "forever".to_owned(),
        s if s % 86_400 == 0 && s > 0 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 && s > 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 && s > 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_text_is_shown_printable_and_bounded() {
        assert_eq!(display_bytes(b"a\x1b[2J`b\0"), "a·[2J'b·");
        assert_eq!(display_bytes(&[b'x'; 500]).chars().count(), LIMIT + 1);
        assert_eq!(display_file("/m/MAC/TOKEN/x.efi?token=T"), "/m/MAC/…/x.efi");
        assert_eq!(display_hex(&[0xab; 30]).len(), 48 + "…".len());
    }

    #[test]
    fn sizes_rates_and_times_are_short() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (3500, "3.4 KiB"),
            (955 * 1024, "955 KiB"),
            (45_000_000, "43 MiB"),
            (u64::MAX, "17179869184 GiB"),
        ] {
            assert_eq!(display_size(bytes), expected);
        }
        assert_eq!(display_rate(1_048_576, 500).as_deref(), Some("2.0 MiB/s"));
        assert_eq!(display_rate(1_048_576, 0), None);
        assert_eq!(display_rate(512, 10), None);
        for (milliseconds, expected) in [(7, "7 ms"), (1250, "1.2 s"), (360_000, "6 min")] {
            assert_eq!(display_time(milliseconds), expected);
        }
        for (seconds, expected) in [
            (1800, "30 min"),
            (43_200, "12 h"),
            (86_400, "1 d"),
            (90, "90 s"),
            (0xffff_ffff, "forever"),
        ] {
            assert_eq!(display_lease_time(seconds), expected);
        }
    }
}
