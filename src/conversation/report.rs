use jiff::Timestamp;
use serde::Serialize;

use super::finding::{Finding, FindingKind};
use super::loader;
use super::machine::{ObservedMachine, Stage, TimelineEntry, Transfer, TransferOutcome};
use crate::machine::{Architecture, MacAddress, SystemUuid};

/// The result of a capture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The machines, in the order of their first packets.
    pub machines: Vec<MachineReport>,
    /// The findings, by time.
    pub findings: Vec<Finding>,
    /// The counters.
    pub totals: Totals,
}

/// The boot of one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineReport {
    /// The name in the inventory, else the Ethernet address, else the IP address.
    pub name: String,
    /// The Ethernet addresses.
    pub macs: Vec<MacAddress>,
    /// The UUID of option 97.
    pub uuid: Option<SystemUuid>,
    /// The architecture of option 93.
    pub architecture: Option<Architecture>,
    /// The stages of its boot.
    pub stages: Vec<Stage>,
    /// The events, in order.
    pub timeline: Vec<TimelineEntry>,
    /// The number of events without room in the timeline.
    pub timeline_left_out: u64,
    /// The kinds of findings.
    pub findings: Vec<FindingKind>,
}

/// The counters of a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Observed packets.
    pub packets: u64,
    /// DHCP messages among them.
    pub dhcp: u64,
    /// TFTP packets.
    pub tftp: u64,
    /// TCP segments.
    pub tcp: u64,
    /// Packets that do not belong to a boot.
    pub others: u64,
    /// Packets that could not be parsed, or of which the capture holds too little.
    pub malformed: u64,
    /// Machines that were forgotten because the table was full.
    pub machines_evicted: u64,
    /// Transfers and connections that were forgotten because a table was full.
    pub transfers_evicted: u64,
    /// Findings without room in the list.
    pub findings_left_out: u64,
    /// Timeline lines that were dropped before they were printed.
    pub lines_left_out: u64,
}

/// One row of `--summary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SummaryRow {
    /// The machine's name.
    pub machine: String,
    /// The firmware.
    pub firmware: Option<String>,
    /// The servers that sent offers.
    pub offers: Vec<String>,
    /// The servers whose offers it accepted.
    pub winner: Option<String>,
    /// The boot files.
    pub file: Option<String>,
    /// The transfers.
    pub transfers: Fetched,
    /// The findings.
    pub finding: Option<String>,
}

/// How many of the needed transfers were complete. Files that a loader tries and can do without do not
/// count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// Complete transfers.
    pub good: usize,
    /// Needed transfers.
    pub wanted: usize,
}

impl Report {
    /// Reports whether there is a finding of one of these kinds.
    pub fn has_any(&self, kinds: &[FindingKind]) -> bool {
        self.findings.iter().any(|it| kinds.contains(&it.name))
    }

    /// Returns the rows of `--summary`, one for each machine.
    pub fn summary(&self) -> Vec<SummaryRow> {
        self.machines.iter().map(MachineReport::summary).collect()
    }
}

impl SummaryRow {
    /// The column headings.
    pub const HEADS: [&str; 7] = [
        "MACHINE",
        "FIRMWARE",
        "OFFERS",
        "WINNER",
        "FILE",
        "TRANSFERS",
        "FINDING",
    ];

    /// Returns the cells in the order of the headings; `-` for an empty cell.
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
        // GRUB and shim often try names that do not exist; without a finding, nothing is wrong.
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

/// Joins distinct texts; `None` if there are none.
fn joined(texts: impl Iterator<Item = String>) -> Option<String> {
    Some(distinct(texts).join(", ")).filter(|text| !text.is_empty())
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the time between two moments in milliseconds; 0 if the clock went back.
pub(super) fn milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    let passed = to.as_millisecond().saturating_sub(from.as_millisecond());
    passed.max(0)
}
