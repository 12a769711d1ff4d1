use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::Serialize;

use super::dhcp::Exchanges;
use super::finding::FindingKind;
use super::start_point::StartPoint;
use crate::clients::dhcp::Client;
use crate::machine::{Architecture, MacAddress, SystemUuid};

/// How much is kept of one machine; more is only counted.
const ENTRIES: usize = 500;
const STAGES: usize = 32;
const TRANSFERS: usize = 200;

/// One event of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineEntry {
    /// The time of the event; of a transfer, the time of its start.
    pub at: Timestamp,
    /// The number of the packet that shows it.
    pub packet: u64,
    /// The index of the stage of the boot.
    pub stage: usize,
    /// The kind of event in one word, or the name of a finding.
    pub what: &'static str,
    /// The details.
    pub text: String,
    /// Whether the event is a finding.
    pub is_finding: bool,
}

/// A part of a boot: one firmware, loader or system that sends requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// The firmware, loader or system.
    pub name: String,
    /// The offers that it received.
    pub offers: Vec<Offer>,
    /// The server whose offer it accepted.
    pub winner: Option<Ipv4Addr>,
    /// Why it accepted that offer, by the model of the client.
    pub reason: Option<String>,
    /// The boot file.
    pub boot: Option<Boot>,
    /// The transfers that it started.
    pub transfers: Vec<Transfer>,
    /// The number of transfers without room in the list.
    pub transfers_left_out: u64,
}

/// An offer, as its client classifies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The server: option 54, else the source address.
    pub server: Ipv4Addr,
    /// The address; `None` in the offer of a proxy.
    pub address: Option<Ipv4Addr>,
    /// The boot file, without secrets.
    pub boot_file: Option<String>,
    /// The client's classification; `None` without a model of the client.
    pub class: Option<String>,
}

/// The boot file of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// The file or URL, without secrets.
    pub file: String,
    /// The server; `None` if the file is a URL.
    pub server: Option<Ipv4Addr>,
}

/// One request for a file, and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// `tftp`, `http` or `tls`.
    pub protocol: &'static str,
    /// The file, without secrets.
    pub file: String,
    /// The server.
    pub server: Ipv4Addr,
    /// The number of bytes that arrived.
    pub bytes: u64,
    /// The duration in milliseconds.
    pub milliseconds: i64,
    /// The outcome, in one word.
    pub outcome: TransferOutcome,
    /// The outcome as a sentence.
    pub end: String,
    /// Whether the outcome is the expected one.
    pub is_good: bool,
}

/// The outcome of a request for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferOutcome {
    /// The whole file, or the requested part, arrived.
    Whole,
    /// The server does not have the file.
    Missing,
    /// One side ended the transfer with an error.
    Refused,
    /// The transfer ended early, or the server never responded.
    Cut,
    /// The capture ended before the transfer.
    Running,
    /// The transfer is encrypted.
    Unknown,
}

/// The state of a machine that the observer follows.
#[derive(Debug)]
pub(super) struct ObservedMachine {
    /// The name in the inventory, else the address.
    pub name: String,
    /// The Ethernet addresses, in the order of their first packets.
    pub macs: Vec<MacAddress>,
    /// Option 97.
    pub uuid: Option<SystemUuid>,
    /// The first value of option 93.
    pub architecture: Option<Architecture>,
    /// The model of the current client, if there is one.
    pub client: Option<Client>,
    pub stages: Vec<Stage>,
    pub entries: Vec<TimelineEntry>,
    pub entries_left_out: u64,
    pub findings: Vec<FindingKind>,
    pub last_seen: Timestamp,
    pub exchanges: Exchanges,
    /// The boot file that DHCP named last.
    pub expected: Option<Expected>,
    /// The last program that it fetched completely: the next request comes from that program.
    pub fetched_program: Option<String>,
    /// The file that was missing, while no other file has arrived since.
    pub missing: Option<MissingFile>,
    /// Every message so far is the search of `pxectl serve` for other DHCP servers.
    pub only_searches: bool,
    /// The file that it reads in ranges.
    pub ranges_of: Option<String>,
}

/// The boot file that a machine should request next.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The name or URL from the DHCP message.
    pub name: String,
    /// Only option 67 named it, not `file`.
    pub is_option_only: bool,
    /// The architecture that runs it.
    pub architecture: Architecture,
    /// Firmware requests it, which runs programs; loaders read scripts.
    pub is_firmware: bool,
}

/// A file that the server does not have.
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

    /// Adds an entry if there is room.
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

    /// Returns the current stage.
    pub fn stage(&mut self) -> &mut Stage {
        if self.stages.is_empty() {
            self.begin_stage("already running");
        }
        let last = self.stages.len() - 1;
        &mut self.stages[last]
    }

    /// Adds a transfer to the stage that started it.
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
