use jiff::Timestamp;
use serde::Serialize;

use super::finding::{Finding, FindingKind};
use super::machine::{Entry, Machine, Stage};
use crate::machine::{Architecture, MacAddress, SystemUuid};

/// All that was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The machines, in the order in which they were seen.
    pub machines: Vec<MachineReport>,
    /// What is wrong, in the order of its time.
    pub findings: Vec<Finding>,
    /// What was counted.
    pub totals: Totals,
}

/// What was seen of one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineReport {
    /// Its name in the inventory, else its Ethernet address, else its address.
    pub name: String,
    /// Its Ethernet addresses.
    pub macs: Vec<MacAddress>,
    /// Its UUID, as option 97 says it.
    pub uuid: Option<SystemUuid>,
    /// Its architecture, as its firmware says it.
    pub architecture: Option<Architecture>,
    /// The stages of its boot.
    pub stages: Vec<Stage>,
    /// What happened, in order.
    pub timeline: Vec<Entry>,
    /// Entries that found no room.
    pub timeline_left_out: u64,
    /// What is wrong.
    pub findings: Vec<FindingKind>,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Packets that were shown.
    pub packets: u64,
    /// DHCP messages among them.
    pub dhcp: u64,
    /// TFTP packets.
    pub tftp: u64,
    /// TCP segments.
    pub tcp: u64,
    /// Packets that belong to no boot.
    pub others: u64,
    /// What could not be read, and packets of which the capture holds too little.
    pub malformed: u64,
    /// Machines that were forgotten for want of room.
    pub machines_evicted: u64,
    /// Transfers and connections that were forgotten for want of room.
    pub transfers_evicted: u64,
    /// Findings that found no room.
    pub findings_left_out: u64,
    /// Lines that nobody printed in time.
    pub lines_left_out: u64,
}

/// One machine in the table of `--summary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SummaryRow {
    /// Its name.
    pub machine: String,
    /// Its firmware.
    pub firmware: String,
    /// Who offered.
    pub offers: String,
    /// Whose offer it took.
    pub winner: String,
    /// What it boots.
    pub file: String,
    /// How many transfers were good, of how many.
    pub transfers: String,
    /// What is wrong.
    pub finding: String,
}

impl Report {
    /// Reports whether there is a finding of one of these kinds.
    pub fn has_any(&self, kinds: &[FindingKind]) -> bool {
        self.findings.iter().any(|it| kinds.contains(&it.name))
    }

    /// Returns the table of `--summary`, a row for each machine.
    pub fn summary(&self) -> Vec<SummaryRow> {
        self.machines.iter().map(MachineReport::summary).collect()
    }
}

impl SummaryRow {
    /// Returns the heads of the table's columns.
    pub const HEADS: [&str; 7] = [
        "MACHINE",
        "FIRMWARE",
        "OFFERS",
        "WINNER",
        "FILE",
        "TRANSFERS",
        "FINDING",
    ];

    /// Returns the cells in the order of the heads.
    pub fn cells(&self) -> [&str; 7] {
        [
            &self.machine,
            &self.firmware,
            &self.offers,
            &self.winner,
            &self.file,
            &self.transfers,
            &self.finding,
        ]
    }
}

impl MachineReport {
    pub(super) fn of(machine: Machine) -> Self {
        let mut timeline = machine.entries;
        timeline.sort_by_key(|entry| (entry.at, entry.packet));
        Self {
            name: machine.name,
            macs: machine.macs,
            uuid: machine.uuid,
            architecture: machine.architecture,
            stages: machine.stages,
            timeline,
            timeline_left_out: machine.entries_left_out,
            findings: machine.findings,
        }
    }

    fn summary(&self) -> SummaryRow {
        let dash = |text: Option<String>| {
            let text = text.filter(|text| !text.is_empty());
            text.unwrap_or_else(|| "-".to_owned())
        };
        let joined = |texts: Vec<String>| {
            let mut seen: Vec<String> = Vec::new();
            for text in texts {
                if !seen.contains(&text) {
                    seen.push(text);
                }
            }
            dash(Some(seen.join(", ")))
        };
        let all = self.stages.iter().flat_map(|stage| &stage.transfers);
        let (good, count) = (all.clone().filter(|it| it.is_good).count(), all.count());
        let firmware = self.architecture.map(|it| it.to_string());
        let first = || self.stages.first().map(|stage| stage.name.clone());
        let offers = self.stages.iter().flat_map(|stage| &stage.offers);
        let winners = self.stages.iter().filter_map(|stage| stage.winner);
        let boots = self.stages.iter().filter_map(|stage| stage.boot.as_ref());
        SummaryRow {
            machine: self.name.clone(),
            firmware: dash(firmware.or_else(first)),
            offers: joined(offers.map(|it| it.server.to_string()).collect()),
            winner: joined(winners.map(|it| it.to_string()).collect()),
            file: joined(boots.map(|it| base_name(&it.file).to_owned()).collect()),
            transfers: match count {
                0 => "-".to_owned(),
                count => format!("{good} of {count}"),
            },
            finding: joined(self.findings.iter().map(|it| it.to_string()).collect()),
        }
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the time from one moment to a later one, in milliseconds; none where the clock went back.
pub(super) fn milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    let passed = to.as_millisecond().saturating_sub(from.as_millisecond());
    passed.max(0)
}
