mod kind;
mod table;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;

pub use kind::FindingKind;
use table::{FindingRow, TABLE};

use crate::inventory::{Severity, nearest};

impl FindingKind {
    /// Lists every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.kind)
    }

    /// Returns the name that `--fail-on` takes.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the severity.
    pub fn severity(self) -> Severity {
        self.row().severity
    }

    /// Returns the broken rule, with its source.
    pub fn rule(self) -> &'static str {
        self.row().rule
    }

    /// Returns the fix.
    pub fn fix(self) -> &'static str {
        self.row().fix
    }

    fn row(self) -> &'static FindingRow {
        // The table lists every variant in the order of the enum; a test checks that.
        &TABLE[self as usize]
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for FindingKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The text is not the name of a finding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a finding{}", .near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
pub struct UnknownFinding {
    seen: String,
    near: Option<&'static str>,
}

impl FromStr for FindingKind {
    type Err = UnknownFinding;

    fn from_str(text: &str) -> Result<Self, UnknownFinding> {
        let found = TABLE.iter().find(|row| row.name == text);
        found.map(|row| row.kind).ok_or_else(|| UnknownFinding {
            seen: text.chars().take(64).collect(),
            near: nearest(text, TABLE.iter().map(|row| row.name)),
        })
    }
}

/// One error that the packets show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of finding.
    pub name: FindingKind,
    /// The severity.
    pub severity: Severity,
    /// The affected machine: its name, else its Ethernet address. `None` if the segment is affected.
    pub machine: Option<String>,
    /// The time of the first occurrence.
    pub at: Timestamp,
    /// The number of the packet that shows it.
    pub packet: u64,
    /// What the packets show.
    pub seen: String,
    /// The number of occurrences.
    pub count: u64,
    /// The broken rule, with its source.
    pub rule: &'static str,
    /// The fix.
    pub fix: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_finding_in_order_with_a_rule_and_a_fix() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.kind as usize, index, "{}", row.name);
            assert_eq!(row.name.parse(), Ok(row.kind));
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(row.name.chars().all(plain), "{}", row.name);
            assert!(row.rule.len() > 20 && row.fix.len() > 20, "{}", row.name);
            let same = TABLE.iter().filter(|other| other.name == row.name);
            assert_eq!(same.count(), 1, "{}", row.name);
        }
    }

    #[test]
    fn a_misspelled_name_gets_a_suggestion() {
        for (text, expected) in [
            ("rouge", "`rouge` is not a finding; did you mean `rogue`?"),
            (
                "no-answr",
                "`no-answr` is not a finding; did you mean `no-answer`?",
            ),
            ("everything", "`everything` is not a finding"),
        ] {
            let error = text.parse::<FindingKind>().unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
