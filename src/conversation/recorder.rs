use std::collections::VecDeque;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::finding::FindingKind;
use super::ledger::Ledger;
use super::machine::{ObservedMachine, TimelineEntry};
use super::report::Totals;
use super::start_point::StartPoint;

/// The most lines that wait to be printed; the oldest are dropped first.
const LINES: usize = 4096;

/// One line of a timeline, available while the capture runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineLine {
    /// The time of the event.
    pub at: Timestamp,
    /// The number of the packet that shows it.
    pub packet: u64,
    /// The machine's name, else its address.
    pub machine: String,
    /// The kind of event in one word, or the name of a finding.
    pub what: &'static str,
    /// The details.
    pub text: String,
}

impl fmt::Display for TimelineLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.replace('\n', " ");
        write!(f, "{} {} {text}", self.machine, self.what)
    }
}

/// Records events: in the timeline of the machine, in the lines to print, in the comment on the packet,
/// and in the list of findings.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// The findings.
    pub ledger: Ledger,
    /// The counters.
    pub totals: Totals,
    lines: VecDeque<TimelineLine>,
    /// The comment on the current packet.
    comment: String,
    at: Timestamp,
    packet: u64,
    /// The number of timeline entries since the last `take_entries`.
    entries: usize,
}

impl Recorder {
    /// Starts the next packet.
    pub fn start_packet(&mut self, at: Timestamp, packet: u64) {
        self.at = at;
        self.packet = packet;
        self.comment.clear();
    }

    /// Returns the time of the current packet.
    pub fn now(&self) -> Timestamp {
        self.at
    }

    /// Returns the number of the current packet.
    pub fn packet(&self) -> u64 {
        self.packet
    }

    /// Takes the comment on the current packet, if there is one.
    pub fn comment(&mut self) -> Option<String> {
        let comment = std::mem::take(&mut self.comment);
        (!comment.is_empty()).then_some(comment)
    }

    /// Takes the lines that were not printed yet.
    pub fn drain(&mut self) -> impl Iterator<Item = TimelineLine> + '_ {
        self.lines.drain(..)
    }

    /// Returns the number of timeline entries since the last call.
    pub fn take_entries(&mut self) -> usize {
        std::mem::take(&mut self.entries)
    }

    /// Adds to the comment on the current packet without a timeline entry.
    pub fn add_comment(&mut self, text: String) {
        if !self.comment.is_empty() {
            self.comment.push('\n');
        }
        self.comment.push_str(&text);
    }

    /// Returns the current time and the current stage of a machine.
    pub fn start_point(&self, machine: &ObservedMachine) -> StartPoint {
        StartPoint {
            at: self.at,
            packet: self.packet,
            stage: machine.stages.len().saturating_sub(1),
        }
    }

    /// Records an event of the current packet.
    pub fn record(&mut self, machine: &mut ObservedMachine, what: &'static str, text: String) {
        let began = self.start_point(machine);
        self.record_at(machine, what, text, began);
    }

    /// Records an event that started earlier.
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

    /// Records a finding in the current packet, once for each machine and text.
    pub fn report_finding(
        &mut self,
        machine: &mut ObservedMachine,
        kind: FindingKind,
        seen: String,
    ) {
        let began = self.start_point(machine);
        self.report_finding_at(machine, kind, seen, began);
    }

    /// Records a finding in an event that started earlier.
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
