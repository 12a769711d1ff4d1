use std::ops::Range;

/// The headers of a request that choose a part of a file, or none of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// The `Range` header.
    pub range: Option<&'a str>,
    /// The `If-Range` header.
    pub if_range: Option<&'a str>,
    /// The `If-None-Match` header.
    pub if_none_match: Option<&'a str>,
}

/// The part of a file that answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeSelection {
    /// All of it (200).
    Whole,
    /// A part of it, in bytes, end exclusive (206).
    Part(Range<u64>),
    /// The client has it already (304).
    NotModified,
    /// The range lies outside it (416).
    Unsatisfiable,
}

/// Chooses the part of a file of `size` bytes that answers a request. `etag` is quoted.
///
/// GRUB requests open ranges, iPXE bounded ranges. A request for several ranges gets the whole file, as
/// the standard allows. Source: RFC 9110 §13.2.2, §14.2.
pub fn select(size: u64, etag: Option<&str>, conditions: Conditions<'_>) -> RangeSelection {
    let matches = |list: &str| {
        list.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || Some(tag.trim_start_matches("W/")) == etag)
    };
    if etag.is_some() && conditions.if_none_match.is_some_and(matches) {
        return RangeSelection::NotModified;
    }
    // A weak or dated validator never matches ours, so the whole file is sent.
    if conditions
        .if_range
        .is_some_and(|tag| Some(tag.trim()) != etag)
    {
        return RangeSelection::Whole;
    }
    let Some(spec) = conditions
        .range
        .and_then(|range| range.trim().strip_prefix("bytes="))
    else {
        return RangeSelection::Whole;
    };
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else {
        return RangeSelection::Whole;
    };
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Some(text.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) if last.is_none_or(|last| last >= first) => {
            let end = last.map_or(size, |last| last.saturating_add(1).min(size));
            if first < size {
                RangeSelection::Part(first..end)
            } else {
                RangeSelection::Unsatisfiable
            }
        }
        (Some(None), Some(Some(length))) => {
            if length > 0 && size > 0 {
                RangeSelection::Part(size.saturating_sub(length)..size)
            } else {
                RangeSelection::Unsatisfiable
            }
        }
        _ => RangeSelection::Whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranged(range: &str) -> RangeSelection {
        select(
            100,
            Some("\"e\""),
            Conditions {
                range: Some(range),
                ..Conditions::default()
            },
        )
    }

    #[test]
    fn ranges_of_every_form_are_answered() {
        let rows = [
            ("bytes=0-", RangeSelection::Part(0..100)),
            ("bytes=10-", RangeSelection::Part(10..100)),
            ("bytes=10-19", RangeSelection::Part(10..20)),
            ("bytes=10-999", RangeSelection::Part(10..100)),
            ("bytes=-10", RangeSelection::Part(90..100)),
            ("bytes=-999", RangeSelection::Part(0..100)),
            ("bytes=99-99", RangeSelection::Part(99..100)),
            ("bytes=100-", RangeSelection::Unsatisfiable),
            ("bytes=-0", RangeSelection::Unsatisfiable),
            ("bytes=99999999999999999999-", RangeSelection::Unsatisfiable),
            ("bytes=20-10", RangeSelection::Whole),
            ("bytes=0-1,5-6", RangeSelection::Whole),
            ("bytes=a-b", RangeSelection::Whole),
            ("bytes=-", RangeSelection::Whole),
            ("lines=1-2", RangeSelection::Whole),
        ];
        for (range, expected) in rows {
            assert_eq!(ranged(range), expected, "{range}");
        }
    }

    #[test]
    fn validators_are_compared() {
        let etag = Some("\"e\"");
        let conditions = Conditions {
            range: Some("bytes=1-2"),
            ..Conditions::default()
        };
        let rows = [
            (Some("\"e\""), None, RangeSelection::Part(1..3)),
            (Some("\"old\""), None, RangeSelection::Whole),
            (Some("W/\"e\""), None, RangeSelection::Whole),
            (None, Some("\"x\", W/\"e\""), RangeSelection::NotModified),
            (None, Some("*"), RangeSelection::NotModified),
            (None, Some("\"x\""), RangeSelection::Part(1..3)),
        ];
        for (if_range, if_none_match, expected) in rows {
            let conditions = Conditions {
                if_range,
                if_none_match,
                ..conditions
            };
            assert_eq!(select(100, etag, conditions), expected, "{conditions:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_headers_never_panic_nor_reach_outside(size in 0u64..1000, range in "(bytes=)?[-0-9, ]{0,30}") {
            let selection = select(size, None, Conditions { range: Some(&range), ..Conditions::default() });
            if let RangeSelection::Part(part) = selection {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
