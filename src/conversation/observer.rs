use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::machines::Machines;
use super::report::{MachineReport, Report};
use super::scribe::{Line, Scribe};
use crate::inventory::Inventory;
use crate::wire::packet::{Packet, Transport};

/// What an [`Observer`] is told beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The DHCP servers that belong here, besides that of the inventory; with any, every other is rogue.
    pub servers: Vec<Ipv4Addr>,
    /// The largest datagram that the links carry, where the inventory does not say it.
    pub mtu: u16,
    /// Also comment on each block of a TFTP transfer, which takes time.
    pub comment_blocks: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            mtu: 1500,
            comment_blocks: false,
        }
    }
}

/// Follows the conversations of machines, packet by packet.
pub struct Observer<'i> {
    options: Options,
    machines: Machines<'i>,
    scribe: Scribe,
}

impl<'i> Observer<'i> {
    /// Begins with nothing seen; machines and servers are named from the inventory, where there is one.
    pub fn new(inventory: Option<&'i Inventory>, options: Options) -> Self {
        Self {
            options,
            machines: Machines::new(inventory),
            scribe: Scribe::default(),
        }
    }

    /// Takes the next packet, with its time and its number in the capture.
    ///
    /// Returns what it says, for a comment beside the packet; `None` where it says nothing new, as do
    /// the blocks in the middle of a transfer.
    pub fn observe(&mut self, at: Timestamp, number: u64, packet: &Packet<'_>) -> Option<String> {
        self.scribe.turn_to(at, number);
        self.scribe.totals.packets += 1;
        match packet.transport {
            Transport::Udp(_) | Transport::Tcp(_) | Transport::Unreachable { .. } => {
                self.scribe.totals.others += 1;
            }
        }
        let _ = (&self.options, &self.machines);
        self.scribe.comment()
    }

    /// Returns the lines of the timelines that were written since the last call; only the latest few
    /// thousand wait for it.
    pub fn drain(&mut self) -> impl Iterator<Item = Line> + '_ {
        self.scribe.drain()
    }

    /// Ends the capture: what is still open is told as it stands at this time.
    pub fn finish(mut self, at: Timestamp) -> Report {
        self.scribe.turn_to(at, 0);
        let Self {
            machines, scribe, ..
        } = self;
        let mut totals = scribe.totals;
        totals.machines_evicted = machines.evicted();
        let (findings, left_out) = scribe.ledger.into_findings();
        totals.findings_left_out = left_out;
        Report {
            machines: machines
                .into_machines()
                .into_iter()
                .map(MachineReport::of)
                .collect(),
            findings,
            totals,
        }
    }
}
