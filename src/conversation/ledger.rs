use std::collections::HashMap;

use jiff::Timestamp;

use super::finding::{Finding, FindingKind};

/// How many findings are kept in their own words; more are counted.
const FINDINGS: usize = 4096;

/// The findings of a capture, each once.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    findings: Vec<Finding>,
    known: HashMap<(FindingKind, String, String), usize>,
    left_out: u64,
}

impl Ledger {
    /// Adds a finding; `false` where it was known, or there is no room for it.
    pub fn add(
        &mut self,
        kind: FindingKind,
        machine: &str,
        seen: &str,
        at: Timestamp,
        packet: u64,
    ) -> bool {
        let key = (kind, machine.to_owned(), seen.to_owned());
        if let Some(&index) = self.known.get(&key) {
            self.findings[index].count += 1;
            return false;
        }
        if self.findings.len() >= FINDINGS {
            self.left_out += 1;
            return false;
        }
        self.known.insert(key, self.findings.len());
        self.findings.push(Finding {
            name: kind,
            severity: kind.severity(),
            machine: Some(machine.to_owned()).filter(|name| !name.is_empty()),
            at,
            packet,
            seen: seen.to_owned(),
            count: 1,
            rule: kind.rule(),
            fix: kind.fix(),
        });
        true
    }

    /// Returns the findings in the order of their time, the worst of one time first, and how many found
    /// no room.
    pub fn into_findings(mut self) -> (Vec<Finding>, u64) {
        self.findings
            .sort_by_key(|it| (it.at, std::cmp::Reverse(it.severity), it.packet));
        (self.findings, self.left_out)
    }
}
