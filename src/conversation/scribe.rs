use std::collections::VecDeque;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::finding::FindingKind;
use super::ledger::Ledger;
use super::machine::{Entry, Machine};
use super::report::Totals;

/// How many lines wait for somebody to print them; the oldest go first.
const LINES: usize = 4096;

/// One line of a timeline, as it is told while packets still come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
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

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.replace('\n', " ");
        write!(f, "{} {} {text}", self.machine, self.what)
    }
}

/// When something began, and in which stage of a boot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    pub at: Timestamp,
    pub packet: u64,
    pub stage: usize,
}

/// Writes down what is seen: into the timeline of a machine, for whoever prints as it happens, for the
/// comment of the packet, and into the list of findings.
#[derive(Debug, Default)]
pub(super) struct Scribe {
    /// The findings.
    pub ledger: Ledger,
    /// What was counted.
    pub totals: Totals,
    lines: VecDeque<Line>,
    /// What the packet at hand says.
    said: String,
    at: Timestamp,
    packet: u64,
    /// Entries that were written since they were counted.
    entries: usize,
}

impl Scribe {
    /// Turns to the next packet.
    pub fn turn_to(&mut self, at: Timestamp, packet: u64) {
        self.at = at;
        self.packet = packet;
        self.said.clear();
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
        let said = std::mem::take(&mut self.said);
        (!said.is_empty()).then_some(said)
    }

    /// Returns the lines that nobody has printed yet.
    pub fn drain(&mut self) -> impl Iterator<Item = Line> + '_ {
        self.lines.drain(..)
    }

    /// Returns how many entries were written since the last call.
    pub fn take_entries(&mut self) -> usize {
        std::mem::take(&mut self.entries)
    }

    /// Says something of the packet at hand that is no entry of a timeline.
    pub fn comment_only(&mut self, text: String) {
        if !self.said.is_empty() {
            self.said.push('\n');
        }
        self.said.push_str(&text);
    }

    /// Returns that something begins now, in the stage that a machine is in.
    pub fn begins(&self, machine: &Machine) -> Began {
        Began {
            at: self.at,
            packet: self.packet,
            stage: machine.stages.len().saturating_sub(1),
        }
    }

    /// Writes down what happens now.
    pub fn tell(&mut self, machine: &mut Machine, what: &'static str, text: String) {
        let began = self.begins(machine);
        self.tell_of(machine, what, text, began);
    }

    /// Writes down something that began earlier and is known only now.
    pub fn tell_of(
        &mut self,
        machine: &mut Machine,
        what: &'static str,
        text: String,
        began: Began,
    ) {
        self.say(machine.name(), what, &text);
        machine.note(Entry {
            at: began.at,
            packet: began.packet,
            stage: began.stage,
            what,
            text,
            is_finding: false,
        });
    }

    /// Writes down a fault of what happens now, once for each machine and wording.
    pub fn find(&mut self, machine: &mut Machine, kind: FindingKind, seen: String) {
        let began = self.begins(machine);
        self.find_of(machine, kind, seen, began);
    }

    /// Writes down a fault of something that began earlier.
    pub fn find_of(
        &mut self,
        machine: &mut Machine,
        kind: FindingKind,
        seen: String,
        began: Began,
    ) {
        let Began { at, packet, stage } = began;
        let name = machine.name().to_owned();
        if !self.ledger.add(kind, &name, &seen, at, packet) {
            return;
        }
        self.say(&name, kind.name(), &seen);
        if !machine.findings.contains(&kind) {
            machine.findings.push(kind);
        }
        machine.note(Entry {
            at,
            packet,
            stage,
            what: kind.name(),
            text: seen,
            is_finding: true,
        });
    }

    fn say(&mut self, machine: &str, what: &'static str, text: &str) {
        self.entries += 1;
        self.comment_only(format!("{machine}: {what} {text}"));
        if self.lines.len() >= LINES {
            self.lines.pop_front();
            self.totals.lines_left_out += 1;
        }
        self.lines.push_back(Line {
            at: self.at,
            packet: self.packet,
            machine: machine.to_owned(),
            what,
            text: text.to_owned(),
        });
    }
}
