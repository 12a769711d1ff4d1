//! Patterns of file names, and the order of the versions in them.

use std::cmp::Ordering;

/// Matches a name with a pattern, in which each `*` stands for anything. Returns what each `*` stands for.
pub fn match_pattern<'n>(pattern: &str, name: &'n str) -> Option<Vec<&'n str>> {
    let mut fixed = pattern.split('*');
    let mut rest = name.strip_prefix(fixed.next()?)?;
    let mut fixed: Vec<&str> = fixed.collect();
    let Some(last) = fixed.pop() else {
        return rest.is_empty().then(Vec::new);
    };
    let mut matched = Vec::new();
    for text in fixed {
        let (before, after) = rest.split_once(text)?;
        matched.push(before);
        rest = after;
    }
    matched.push(rest.strip_suffix(last)?);
    Some(matched)
}

/// Compares versions: `9` < `10`, `12.5` < `12.5.1`, and `12.5-rc1` < `12.5`, because a pre-release comes
/// before its release. A letter after a number is a later version: `1.1` < `1.1a`.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    // Different spellings of one version, such as `1.02` and `1.2`, have an order, too.
    parts(a).cmp(&parts(b)).then_with(|| a.cmp(b))
}

/// A part of a version. The order of the variants is the order of versions that differ in this part.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum VersionPart<'v> {
    /// `~`, with which Debian marks a pre-release.
    Tilde,
    /// The kind of pre-release: its position in [`PRE_RELEASES`].
    PreRelease(usize),
    /// The end of the version.
    End,
    /// Another word, in lower case.
    Word(String),
    /// The number of digits, and the digits, without leading zeros.
    Number(usize, &'v str),
}

/// The words for pre-releases, the earliest first.
const PRE_RELEASES: [&[&str]; 5] = [
    &["dev", "nightly", "snapshot", "daily"],
    &["alpha"],
    &["beta"],
    &["pre", "preview"],
    &["rc", "cr"],
];

fn parts(version: &str) -> Vec<VersionPart<'_>> {
    let mut parts = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let is_digit = |c: char| c.is_ascii_digit();
        let is_same_kind = |c: char| {
            c.is_alphanumeric() && first.is_alphanumeric() && is_digit(c) == is_digit(first)
        };
        let end = rest.find(|c: char| !is_same_kind(c));
        let (text, after) = rest.split_at(end.unwrap_or(rest.len()).max(first.len_utf8()));
        rest = after;
        if first == '~' {
            parts.push(VersionPart::Tilde);
        } else if is_digit(first) {
            let digits = text.trim_start_matches('0');
            parts.push(VersionPart::Number(digits.len(), digits));
        } else if first.is_alphanumeric() {
            let word = text.to_lowercase();
            let kind = PRE_RELEASES
                .iter()
                .position(|words| words.contains(&word.as_str()));
            parts.push(kind.map_or(VersionPart::Word(word), VersionPart::PreRelease));
        }
    }
    parts.push(VersionPart::End);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_in_the_order_of_their_releases() {
        for ordered in [
            &["9", "10", "011", "100"][..],
            &["", ".9", ".10"],
            &[
                "12.5~rc1",
                "12.5-nightly",
                "12.5-alpha.2",
                "12.5_Beta",
                "12.5-preview",
                "12.5-rc2",
                "12.5-rc10",
                "12.5rc11",
                "12.5",
                "12.5.0",
                "12.5.1-rc1",
                "12.5.1",
                "12.6-beta1",
            ],
            &["1.1", "1.1a", "1.1b", "1.1.1"],
            &["9-latest", "9.6"],
            &["42.20250901.3.0", "42.20251001.1.0"],
            &["99999999999999999998", "99999999999999999999"],
        ] {
            for pair in ordered.windows(2) {
                let found = compare_versions(pair[0], pair[1]);
                assert_eq!(found, Ordering::Less, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_pattern_tells_what_each_star_stands_for() {
        for (pattern, name, expected) in [
            ("disk-*.iso", "disk-12.5.iso", Some(vec!["12.5"])),
            (
                "rhel-9.*-x86_64-*.iso",
                "rhel-9.6-x86_64-dvd.iso",
                Some(vec!["6", "dvd"]),
            ),
            ("disk-*.iso", "disk-.iso", Some(vec![""])),
            ("disk.iso", "disk.iso", Some(vec![])),
            ("disk.iso", "disk.iso.sig", None),
            ("disk-*.iso", "disk-12.5.iso.sig", None),
            ("a*a", "a", None),
        ] {
            assert_eq!(match_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn versions_are_ordered_totally(a in "[a0-2.~-]{0,6}", b in "[a0-2.~-]{0,6}", c in "\\PC{0,6}") {
            prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
            let _ = compare_versions(&a, &c);
        }
    }
}
