use std::collections::HashMap;

use jiff::Timestamp;

use super::finding::{Finding, FindingKind};

/// The most findings that are kept; more are only counted.
const FINDINGS: usize = 4096;

/// The findings of a capture, without duplicates.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    findings: Vec<Finding>,
    known: HashMap<(FindingKind, String, String), usize>,
    left_out: u64,
}

impl Ledger {
    /// Adds a finding. Returns `false` if it is known already, or if there is no room for it.
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

    /// Returns the findings by time, then by severity, and the number of findings without room.
    pub fn into_findings(mut self) -> (Vec<Finding>, u64) {
        self.findings
            .sort_by_key(|it| (it.at, std::cmp::Reverse(it.severity), it.packet));
        (self.findings, self.left_out)
    }
}
