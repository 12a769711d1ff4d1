use std::collections::VecDeque;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::finding::FindingKind;
use super::ledger::Ledger;
use super::machine::{ObservedMachine, TimelineEntry};
use super::report::Totals;

/// How many lines wait for somebody to print them; the oldest go first.
const LINES: usize = 4096;

/// One line of a timeline, as it is told while packets still come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineLine {
    /// When it was seen.
    pub at: Timestamp,
    /// The number of the packet that showed it.
    pub packet: u64,
    /// The machine's name, else its address.
    pub machine: String,
    /// What happened, in one word, or the name of a finding.
    pub what: &'static str,
    /// What there is to say about it.
    pub text: String,
}

impl fmt::Display for TimelineLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.replace('\n', " ");
        write!(f, "{} {} {text}", self.machine, self.what)
    }
}

/// When something began, and in which stage of a boot.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartPoint {
    pub at: Timestamp,
    pub packet: u64,
    pub stage: usize,
}

/// Writes down what is seen: into the timeline of a machine, for whoever prints as it happens, for the
/// comment of the packet, and into the list of findings.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// The findings.
    pub ledger: Ledger,
    /// What was counted.
    pub totals: Totals,
    lines: VecDeque<TimelineLine>,
    /// What the packet at hand says.
    comment: String,
    at: Timestamp,
    packet: u64,
    /// Entries that were written since they were counted.
    entries: usize,
}

impl Recorder {
    /// Turns to the next packet.
    pub fn start_packet(&mut self, at: Timestamp, packet: u64) {
        self.at = at;
        self.packet = packet;
        self.comment.clear();
    }

    /// Returns when the packet at hand was seen.
    pub fn now(&self) -> Timestamp {
        self.at
    }

    /// Returns the number of the packet at hand.
    pub fn packet(&self) -> u64 {
        self.packet
    }

    /// Returns what the packet at hand says, if it says anything.
    pub fn comment(&mut self) -> Option<String> {
        let comment = std::mem::take(&mut self.comment);
        (!comment.is_empty()).then_some(comment)
    }

    /// Returns the lines that nobody has printed yet.
    pub fn drain(&mut self) -> impl Iterator<Item = TimelineLine> + '_ {
        self.lines.drain(..)
    }

    /// Returns how many entries were written since the last call.
    pub fn take_entries(&mut self) -> usize {
        std::mem::take(&mut self.entries)
    }

    /// Says something of the packet at hand that is no entry of a timeline.
    pub fn add_comment(&mut self, text: String) {
        if !self.comment.is_empty() {
            self.comment.push('\n');
        }
        self.comment.push_str(&text);
    }

    /// Returns that something begins now, in the stage that a machine is in.
    pub fn start_point(&self, machine: &ObservedMachine) -> StartPoint {
        StartPoint {
            at: self.at,
            packet: self.packet,
            stage: machine.stages.len().saturating_sub(1),
        }
    }

    /// Writes down what happens now.
    pub fn record(&mut self, machine: &mut ObservedMachine, what: &'static str, text: String) {
        let began = self.start_point(machine);
        self.record_at(machine, what, text, began);
    }

    /// Writes down something that began earlier and is known only now.
    pub fn record_at(
        &mut self,
        machine: &mut ObservedMachine,
        what: &'static str,
        text: String,
        began: StartPoint,
    ) {
        self.add_line(machine.name(), what, &text);
        machine.note(TimelineEntry {
            at: began.at,
            packet: began.packet,
            stage: began.stage,
            what,
            text,
            is_finding: false,
        });
    }

    /// Writes down a fault of what happens now, once for each machine and wording.
    pub fn report_finding(
        &mut self,
        machine: &mut ObservedMachine,
        kind: FindingKind,
        seen: String,
    ) {
        let began = self.start_point(machine);
        self.report_finding_at(machine, kind, seen, began);
    }

    /// Writes down a fault of something that began earlier.
    pub fn report_finding_at(
        &mut self,
        machine: &mut ObservedMachine,
        kind: FindingKind,
        seen: String,
        began: StartPoint,
    ) {
        let StartPoint { at, packet, stage } = began;
        let name = machine.name().to_owned();
        if !self.ledger.add(kind, &name, &seen, at, packet) {
            return;
        }
        self.add_line(&name, kind.name(), &seen);
        if !machine.findings.contains(&kind) {
            machine.findings.push(kind);
        }
        machine.note(TimelineEntry {
            at,
            packet,
            stage,
            what: kind.name(),
            text: seen,
            is_finding: true,
        });
    }

    fn add_line(&mut self, machine: &str, what: &'static str, text: &str) {
        self.entries += 1;
        self.add_comment(format!("{machine}: {what} {text}"));
        if self.lines.len() >= LINES {
            self.lines.pop_front();
            self.totals.lines_left_out += 1;
        }
        self.lines.push_back(TimelineLine {
            at: self.at,
            packet: self.packet,
            machine: machine.to_owned(),
            what,
            text: text.to_owned(),
        });
    }
}
