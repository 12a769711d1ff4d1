use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::Serialize;

use super::dhcp::Exchanges;
use super::finding::FindingKind;
use super::recorder::StartPoint;
use crate::clients::dhcp::Client;
use crate::machine::{Architecture, MacAddress, SystemUuid};

/// How much is kept of one machine; more is counted.
const ENTRIES: usize = 500;
const STAGES: usize = 32;
const TRANSFERS: usize = 200;

/// One thing that happened to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineEntry {
    /// When it was seen; what lasts stands where it began.
    pub at: Timestamp,
    /// The number of the packet that showed it.
    pub packet: u64,
    /// The stage of the boot that it belongs to.
    pub stage: usize,
    /// What happened, in one word, or the name of a finding.
    pub what: &'static str,
    /// What there is to say about it.
    pub text: String,
    /// It is a finding.
    pub is_finding: bool,
}

/// A part of a boot: one firmware, loader or system that asks for things.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// What runs.
    pub name: String,
    /// The offers that it got.
    pub offers: Vec<Offer>,
    /// The server whose offer it took.
    pub winner: Option<Ipv4Addr>,
    /// Why that one, by the model of the client.
    pub reason: Option<String>,
    /// What it boots.
    pub boot: Option<Boot>,
    /// What it fetched, and tried to.
    pub transfers: Vec<Transfer>,
    /// Transfers that found no room.
    pub transfers_left_out: u64,
}

/// An offer, as its client takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The server: option 54, else where it came from.
    pub server: Ipv4Addr,
    /// The address; `None` in what a proxy offers.
    pub address: Option<Ipv4Addr>,
    /// The boot file, as it may be shown.
    pub boot_file: Option<String>,
    /// What the client takes it for; `None` where there is no model of it.
    pub class: Option<String>,
}

/// What a client loads first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// The file or URL, as it may be shown.
    pub file: String,
    /// The server; `None` where the file is a URL.
    pub server: Option<Ipv4Addr>,
}

/// What came of one request for a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// `tftp`, `http` or `tls`.
    pub protocol: &'static str,
    /// The file, as it may be shown.
    pub file: String,
    /// Who was asked.
    pub server: Ipv4Addr,
    /// The bytes that came.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub milliseconds: i64,
    /// How it ended, in one word.
    pub outcome: TransferOutcome,
    /// How it ended.
    pub end: String,
    /// Whether it ended as it should.
    pub is_good: bool,
}

/// How a request for a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferOutcome {
    /// It came whole, or as much of it as was asked for.
    Whole,
    /// It is not there.
    Missing,
    /// One side refused to go on.
    Refused,
    /// It ended in the middle, or was never answered.
    Cut,
    /// The capture ended in the middle.
    Running,
    /// It is encrypted.
    Unknown,
}

/// What is known of a machine.
#[derive(Debug)]
pub(super) struct ObservedMachine {
    /// Its name in the inventory, else its address.
    pub name: String,
    /// Its Ethernet addresses, in the order in which they were seen.
    pub macs: Vec<MacAddress>,
    /// Option 97.
    pub uuid: Option<SystemUuid>,
    /// Option 93, the first one seen.
    pub architecture: Option<Architecture>,
    /// The client that speaks, where there is a model of it.
    pub client: Option<Client>,
    pub stages: Vec<Stage>,
    pub entries: Vec<TimelineEntry>,
    pub entries_left_out: u64,
    pub findings: Vec<FindingKind>,
    pub last_seen: Timestamp,
    pub exchanges: Exchanges,
    /// The boot file that it was named last.
    pub expected: Option<Expected>,
    /// A program that it has fetched whole: what it asks for next, the program asks for.
    pub fetched_program: Option<String>,
    /// What it asked for last and did not get, while it has got nothing after it.
    pub missing: Option<MissingFile>,
    /// It is pxectl itself, which looks for other DHCP servers, and nothing else was seen of it.
    pub only_searches: bool,
    /// The ranges of one file that it reads piece by piece.
    pub ranges_of: Option<String>,
}

/// The boot file that a machine is to ask for.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The name or URL, as it was sent.
    pub name: String,
    /// It stood in option 67 alone, and not in `file`.
    pub is_option_only: bool,
    /// Who is to run it.
    pub architecture: Architecture,
    /// It is for firmware, which runs programs, and not for a loader, which reads scripts.
    pub is_firmware: bool,
}

/// A file that is not there.
#[derive(Clone, Debug)]
pub(super) struct MissingFile {
    pub text: String,
    pub began: StartPoint,
}

impl ObservedMachine {
    pub fn new(name: String, now: Timestamp) -> Self {
        Self {
            name,
            macs: Vec::new(),
            uuid: None,
            architecture: None,
            client: None,
            stages: Vec::new(),
            entries: Vec::new(),
            entries_left_out: 0,
            findings: Vec::new(),
            last_seen: now,
            exchanges: Exchanges::default(),
            expected: None,
            fetched_program: None,
            missing: None,
            only_searches: false,
            ranges_of: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds an entry, while there is room.
    pub fn note(&mut self, entry: TimelineEntry) {
        if self.entries.len() >= ENTRIES {
            self.entries_left_out += 1;
        } else {
            self.entries.push(entry);
        }
    }

    /// Begins a stage.
    pub fn begin_stage(&mut self, name: &str) {
        self.fetched_program = None;
        self.ranges_of = None;
        if self.stages.len() < STAGES {
            self.stages.push(Stage {
                name: name.to_owned(),
                ..Stage::default()
            });
        }
    }

    /// Returns the stage that runs.
    pub fn stage(&mut self) -> &mut Stage {
        if self.stages.is_empty() {
            self.begin_stage("already running");
        }
        let last = self.stages.len() - 1;
        &mut self.stages[last]
    }

    /// Adds what came of a request, to the stage that made it.
    pub fn add_transfer(&mut self, transfer: Transfer, stage: usize) {
        let Some(stage) = self.stages.get_mut(stage) else {
            return;
        };
        if stage.transfers.len() < TRANSFERS {
            stage.transfers.push(transfer);
        } else {
            stage.transfers_left_out += 1;
        }
    }
}
