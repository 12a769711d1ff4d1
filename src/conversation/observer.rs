use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::dhcp::{Mapping, Servers, is_dhcp};
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

/// The most TFTP transfers and connections that are followed at once.
const TRANSFERS: usize = 8192;
const CONNECTIONS: usize = 8192;
/// How long a transfer may be silent before it counts as ended: longer than the retry timeout of any
/// loader.
const TFTP_SILENCE: SignedDuration = SignedDuration::from_secs(20);
const TCP_SILENCE: SignedDuration = SignedDuration::from_secs(90);
/// How long a transfer may be silent at the end of a capture and still count as running.
const PAUSE: SignedDuration = SignedDuration::from_secs(3);
/// How often the observer checks for silent transfers: by the times of the packets, and by the clock.
const PACKET_CHECK_INTERVAL: SignedDuration = SignedDuration::from_secs(10);
const CLOCK_CHECK_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// The options of an [`Observer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The DHCP servers that belong here, besides the server of the inventory. If there are any, every
    /// other server is a rogue.
    pub servers: Vec<Ipv4Addr>,
    /// The MTU of networks that the inventory does not describe.
    pub mtu: u16,
    /// Whether to comment on each block of a TFTP transfer, which takes time.
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
    /// The time of the last check for silent transfers, and the number of packets since then.
    last_check: Option<Timestamp>,
    packets_since_check: usize,
}

impl<'i> Observer<'i> {
    /// Creates an observer that has seen no packets. The inventory, if there is one, names machines and
    /// servers.
    pub fn new(inventory: Option<&'i Inventory>, options: Options) -> Self {
        Self {
            servers: Servers::new(inventory, &options.servers),
            options,
            machines: Machines::new(inventory),
            recorder: Recorder::default(),
            mapping: Mapping::default(),
            tftp: Table::new(TRANSFERS),
            tcp: Table::new(CONNECTIONS),
            last_check: None,
            packets_since_check: 0,
        }
    }

    /// Processes the next packet, with its time and its number in the capture.
    ///
    /// Returns a comment on the packet; `None` if there is nothing new, as for a block in the middle of
    /// a transfer.
    pub fn observe(&mut self, at: Timestamp, number: u64, packet: &Packet<'_>) -> Option<String> {
        self.recorder.start_packet(at, number);
        self.recorder.totals.packets += 1;
        self.check_silence(at);
        match packet.transport {
            Transport::Udp(payload) if is_dhcp(packet) => self.observe_dhcp(packet, payload),
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

    /// Sets the time while no packets arrive, so that unanswered requests are reported promptly. Every
    /// earlier packet must have been observed.
    pub fn tick(&mut self, at: Timestamp) {
        let last = *self.last_check.get_or_insert(at);
        if at.duration_since(last) < CLOCK_CHECK_INTERVAL {
            return;
        }
        self.recorder.start_packet(at, self.recorder.packet());
        self.end_idle(at);
        self.machines.settle_entries(self.recorder.take_entries());
    }

    /// Returns the timeline lines since the last call; only the latest few thousand are kept.
    pub fn drain(&mut self) -> impl Iterator<Item = TimelineLine> + '_ {
        self.recorder.drain()
    }

    /// Ends the capture at a time, and reports what is still open then.
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
        // The search of `pxectl serve` is not a machine, unless it found something.
        let machines = machines.filter(|it| !it.only_searches || !it.findings.is_empty());
        Report {
            machines: machines.map(MachineReport::of).collect(),
            findings,
            totals,
        }
    }

    /// Ends silent transfers. The packet count bounds the cost if the times of a capture jump.
    fn check_silence(&mut self, at: Timestamp) {
        self.packets_since_check += 1;
        let last = *self.last_check.get_or_insert(at);
        let open = self.tftp.len() + self.tcp.len() + self.machines.len();
        if at.duration_since(last) < PACKET_CHECK_INTERVAL || self.packets_since_check < open {
            return;
        }
        self.end_idle(at);
    }

    fn end_idle(&mut self, at: Timestamp) {
        self.last_check = Some(at);
        self.packets_since_check = 0;
        self.end_idle_tftp(earlier(at, TFTP_SILENCE), false);
        self.end_idle_tcp(earlier(at, TCP_SILENCE), false);
        self.report_unanswered();
    }

    /// Processes an ICMP message that a datagram was not delivered.
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
            PORT => "no server listens there",
            9 | 10 | 13 => "a firewall blocks it",
            _ => "the address is unreachable",
        };
        let text = format!("{server} ({what}): {why}");
        self.recorder
            .report_finding(machine, FindingKind::PortUnreachable, text);
    }
}

/// Returns the time `by` before `at`, or the earliest time.
fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}
