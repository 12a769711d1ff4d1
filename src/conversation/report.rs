use jiff::Timestamp;
use serde::Serialize;

use super::finding::{Finding, FindingKind};
use super::loader;
use super::machine::{ObservedMachine, Stage, TimelineEntry, Transfer, TransferOutcome};
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
    pub timeline: Vec<TimelineEntry>,
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
    pub firmware: Option<String>,
    /// Who offered.
    pub offers: Vec<String>,
    /// Whose offers it took.
    pub winner: Option<String>,
    /// What it boots.
    pub file: Option<String>,
    /// What it fetched.
    pub transfers: Fetched,
    /// What is wrong.
    pub finding: Option<String>,
}

/// How many transfers came whole, of those that were wanted: what a loader looks for and can do
/// without is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// Those that came whole.
    pub good: usize,
    /// Those that were wanted.
    pub wanted: usize,
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

    /// Returns the cells in the order of the heads; `-` where there is nothing.
    pub fn cells(&self) -> [String; 7] {
        let dash = || "-".to_owned();
        let text = |text: &Option<String>| text.clone().unwrap_or_else(dash);
        [
            self.machine.clone(),
            text(&self.firmware),
            text(&joined(self.offers.iter().cloned())),
            text(&self.winner),
            text(&self.file),
            match self.transfers {
                Fetched { wanted: 0, .. } => dash(),
                Fetched { good, wanted } => format!("{good} of {wanted}"),
            },
            text(&self.finding),
        ]
    }
}

impl MachineReport {
    pub(super) fn of(machine: ObservedMachine) -> Self {
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
        let all = || self.stages.iter().flat_map(|stage| &stage.transfers);
        // What GRUB and shim look for is often not there; without a finding, nothing was amiss.
        let lacks = self.findings.contains(&FindingKind::MissingFile);
        let is_wanted = |it: &&Transfer| {
            it.outcome != TransferOutcome::Missing || lacks && !loader::is_optional(&it.file)
        };
        let transfers = Fetched {
            good: all().filter(|it| it.is_good).count(),
            wanted: all().filter(is_wanted).count(),
        };
        let firmware = self.architecture.map(|it| it.to_string());
        let first = || self.stages.first().map(|stage| stage.name.clone());
        let offers = self.stages.iter().flat_map(|stage| &stage.offers);
        let winners = self.stages.iter().filter_map(|stage| stage.winner);
        let boots = self.stages.iter().filter_map(|stage| stage.boot.as_ref());
        SummaryRow {
            machine: self.name.clone(),
            firmware: firmware.or_else(first).filter(|it| !it.is_empty()),
            offers: distinct(offers.map(|it| it.server.to_string())),
            winner: joined(winners.map(|it| it.to_string())),
            file: joined(boots.map(|it| base_name(&it.file).to_owned())),
            transfers,
            finding: joined(self.findings.iter().map(|it| it.to_string())),
        }
    }
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

/// Joins what is not the same; none where there is nothing.
fn joined(texts: impl Iterator<Item = String>) -> Option<String> {
    Some(distinct(texts).join(", ")).filter(|text| !text.is_empty())
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the time from one moment to a later one, in milliseconds; none where the clock went back.
pub(super) fn milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    let passed = to.as_millisecond().saturating_sub(from.as_millisecond());
    passed.max(0)
}
