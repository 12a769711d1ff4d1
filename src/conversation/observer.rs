use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::dhcp::{self, Mapping, Servers};
use super::files;
use super::finding::FindingKind;
use super::http::{Connection, Ends};
use super::machines::Machines;
use super::recorder::{Recorder, TimelineLine};
use super::report::{MachineReport, Report};
use super::table::Table;
use super::tftp::TftpTransfer;
use crate::inventory::Inventory;
use crate::wire::packet::{Packet, Transport};

/// How many transfers by TFTP, and how many connections, are followed at once.
const TRANSFERS: usize = 8192;
const CONNECTIONS: usize = 8192;
/// How long a transfer may be silent before it counts as ended: longer than any loader waits before it
/// asks again.
const TFTP_SILENCE: SignedDuration = SignedDuration::from_secs(20);
const TCP_SILENCE: SignedDuration = SignedDuration::from_secs(90);
/// How long a transfer may be silent at the end of a capture and still count as running.
const PAUSE: SignedDuration = SignedDuration::from_secs(3);
/// How often it is looked for what has ended in silence, in the time of the packets, and where a clock
/// says that time passes.
const ROUND: SignedDuration = SignedDuration::from_secs(10);
const TICK: SignedDuration = SignedDuration::from_secs(1);

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
    pub(super) options: Options,
    pub(super) machines: Machines<'i>,
    pub(super) recorder: Recorder,
    pub(super) servers: Servers,
    pub(super) mapping: Mapping,
    pub(super) tftp: Table<std::net::SocketAddrV4, TftpTransfer>,
    pub(super) tcp: Table<Ends, Connection>,
    /// When it was looked for what has ended in silence, and the packets since then.
    round: Option<Timestamp>,
    since_round: usize,
}

impl<'i> Observer<'i> {
    /// Begins with nothing seen; machines and servers are named from the inventory, where there is one.
    pub fn new(inventory: Option<&'i Inventory>, options: Options) -> Self {
        Self {
            servers: Servers::new(inventory, &options.servers),
            options,
            machines: Machines::new(inventory),
            recorder: Recorder::default(),
            mapping: Mapping::default(),
            tftp: Table::new(TRANSFERS),
            tcp: Table::new(CONNECTIONS),
            round: None,
            since_round: 0,
        }
    }

    /// Takes the next packet, with its time and its number in the capture.
    ///
    /// Returns what it says, for a comment beside the packet; `None` where it says nothing new, as do
    /// the blocks in the middle of a transfer.
    pub fn observe(&mut self, at: Timestamp, number: u64, packet: &Packet<'_>) -> Option<String> {
        self.recorder.start_packet(at, number);
        self.recorder.totals.packets += 1;
        self.look_around(at);
        match packet.transport {
            Transport::Udp(payload) if dhcp::is_dhcp(packet) => self.observe_dhcp(packet, payload),
            Transport::Udp(payload) => {
                if !self.observe_tftp(packet, payload) {
                    self.recorder.totals.others += 1;
                }
            }
            Transport::Tcp(segment) => self.observe_tcp(packet, &segment),
            Transport::Unreachable {
                code,
                protocol,
                source,
                destination,
            } => self.observe_unreachable(code, protocol, *source.ip(), destination),
        }
        self.machines.settle_entries(self.recorder.take_entries());
        self.recorder.comment()
    }

    /// Learns what time it is, where no packet says so: what nobody answers is told while it lasts.
    /// Every packet from before has been observed.
    pub fn tick(&mut self, at: Timestamp) {
        let last = *self.round.get_or_insert(at);
        if at.duration_since(last) < TICK {
            return;
        }
        self.recorder.start_packet(at, self.recorder.packet());
        self.end_idle(at);
        self.machines.settle_entries(self.recorder.take_entries());
    }

    /// Returns the lines of the timelines that were written since the last call; only the latest few
    /// thousand wait for it.
    pub fn drain(&mut self) -> impl Iterator<Item = TimelineLine> + '_ {
        self.recorder.drain()
    }

    /// Ends the capture: what is still open is told as it stands at this time.
    pub fn finish(mut self, at: Timestamp) -> Report {
        self.recorder.start_packet(at, 0);
        let since = earlier(at, PAUSE);
        self.end_idle_tftp(since, true);
        self.end_idle_tcp(since, true);
        for id in self.machines.ids() {
            if let Some(machine) = self.machines.get_mut(id) {
                let exchanges = std::mem::take(&mut machine.exchanges);
                self.close(id, exchanges.open, exchanges.asked, true);
            }
            if let Some(machine) = self.machines.get_mut(id) {
                files::settle(&mut self.recorder, machine);
            }
        }
        let mut totals = self.recorder.totals.clone();
        totals.machines_evicted = self.machines.evicted();
        totals.transfers_evicted = self.tftp.evicted() + self.tcp.evicted();
        let (findings, left_out) = self.recorder.ledger.into_findings();
        totals.findings_left_out = left_out;
        let machines = self.machines.into_machines().into_iter();
        // Our own search is no machine, unless it has found something.
        let machines = machines.filter(|it| !it.only_searches || !it.findings.is_empty());
        Report {
            machines: machines.map(MachineReport::of).collect(),
            findings,
            totals,
        }
    }

    /// Ends what has ended in silence. A capture whose times leap pays for it with its own packets.
    fn look_around(&mut self, at: Timestamp) {
        self.since_round += 1;
        let last = *self.round.get_or_insert(at);
        let open = self.tftp.len() + self.tcp.len() + self.machines.len();
        if at.duration_since(last) < ROUND || self.since_round < open {
            return;
        }
        self.end_idle(at);
    }

    fn end_idle(&mut self, at: Timestamp) {
        self.round = Some(at);
        self.since_round = 0;
        self.end_idle_tftp(earlier(at, TFTP_SILENCE), false);
        self.end_idle_tcp(earlier(at, TCP_SILENCE), false);
        self.tell_unanswered();
    }

    /// Follows an ICMP message that a datagram found nobody.
    fn observe_unreachable(
        &mut self,
        code: u8,
        protocol: u8,
        client: Ipv4Addr,
        server: std::net::SocketAddrV4,
    ) {
        const UDP: u8 = 17;
        const PORT: u8 = 3;
        let what = match server.port() {
            67 => "DHCP",
            69 => "TFTP",
            4011 => "boot servers",
            _ => return,
        };
        if protocol != UDP {
            return;
        }
        let Some(id) = self.machines.by_address(client) else {
            return;
        };
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let why = match code {
            PORT => "nothing listens there",
            9 | 10 | 13 => "a firewall forbids it",
            _ => "it cannot be reached",
        };
        let text = format!("{server}, the port of {what}: {why}");
        self.recorder
            .report_finding(machine, FindingKind::PortUnreachable, text);
    }
}

/// Returns a moment before another; the earliest one where that cannot be expressed.
fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}
