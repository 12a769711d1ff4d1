//! One worker thread of the TFTP server.

mod requests;
mod sending;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, IoSlice};
use std::net::SocketAddrV4;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::epoll;

use super::config::TftpReport;
use super::content::ContentReader;
use super::opening::Openings;
use super::poller::{self, Poller};
use super::shared::TftpShared;
use super::socket::{Datagram, PacketBuffer, ReplyRoute, Socket};
use crate::respond::tftp::{
    NoActionReason, OutgoingTransfer, SlotClaim, TftpOutcome, TransferAction, TransferSlot,
};
use crate::shutdown::Shutdown;
use crate::wire::tftp::{ErrorCode, Packet, Request};

/// One thread of the server, with the transfers of the peers that the kernel sends its way.
pub(super) struct Worker<'a> {
    shared: &'a TftpShared,
    /// Its number among the workers.
    number: usize,
    requests: Socket,
    /// The socket that sends refusals; `None` for the request port. Clients such as tftp-hpa respond
    /// to an ERROR, and these responses need not be read.
    refusals: Option<Socket>,
    poller: Poller,
    events: Vec<epoll::Event>,
    reports: SyncSender<TftpReport>,
    epoch: Instant,
    transfers: HashMap<SocketAddrV4, RunningTransfer>,
    /// The peers that wait for their file to be opened. They have no running transfer.
    openings: Openings,
    /// Times at which to check a peer's deadline. An entry may be early or stale, but never late.
    timers: BinaryHeap<Reverse<(Duration, SocketAddrV4)>>,
}

/// One running transfer, with its resources.
struct RunningTransfer {
    request: Request,
    name: String,
    route: ReplyRoute,
    transfer: OutgoingTransfer,
    source: ContentReader,
    /// Its own socket, connected to the peer; `None` if it uses the request port.
    socket: Option<Socket>,
    slot: TransferSlot,
    claim: SlotClaim,
    /// Whether the client has responded, so that other requests cannot displace the transfer.
    keeps_slot: bool,
    /// Whether the kernel accepts many blocks in one call, as far as we know.
    batches: bool,
    /// The earliest entry for this peer among the timers.
    timer: Duration,
}

/// Limit of datagrams received from the request port in one turn.
const BURST: usize = 64;

/// Time for which a worker with transfers polls for the next packet before it sleeps. Otherwise, the
/// two processors would sleep and wake each other between the blocks of a single peer.
const LOOK_OUT: Duration = Duration::from_micros(50);

/// Limit of the time for which packets delay a worker's timers.
const BURST_TIME: Duration = Duration::from_millis(1);

/// Number of polls of a single peer's socket before all sockets are polled.
const LONE_LOOKS: u32 = 8;

impl<'a> Worker<'a> {
    pub(super) fn new(
        shared: &'a TftpShared,
        number: usize,
        requests: Socket,
        reports: SyncSender<TftpReport>,
    ) -> anyhow::Result<Self> {
        let address = *shared.config.address.ip();
        let refusals = shared.ports.as_ref().map(|ports| {
            let refusals = Socket::unread(address, ports);
            refusals.with_context(|| format!("cannot bind a UDP port of {address} for TFTP"))
        });
        Ok(Self {
            shared,
            number,
            requests,
            refusals: refusals.transpose()?,
            poller: Poller::new()?,
            events: Vec::new(),
            reports,
            epoch: Instant::now(),
            transfers: HashMap::new(),
            openings: Openings::new(shared.config.abandoned_after)?,
            timers: BinaryHeap::new(),
        })
    }

    pub(super) fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        self.watch(shutdown).context("cannot wait for packets")?;
        while !shutdown.is_requested() {
            let due = self.timers.peek().map(|Reverse((due, _))| *due);
            let timeout = due.map(|due| due.saturating_sub(self.epoch.elapsed()));
            if self.turn(timeout).context("cannot wait for packets")? {
                self.look_out().context("cannot wait for packets")?;
            }
            self.expire();
        }
        let served = self.transfers.keys().copied();
        let peers: Vec<_> = served.chain(self.openings.peers()).collect();
        for peer in peers {
            self.give_up(peer, "the server is shutting down");
        }
        Ok(())
    }

    fn watch(&self, shutdown: &Shutdown) -> io::Result<()> {
        let mailbox = self.shared.slots.mailbox(self.number);
        self.poller
            .add(&self.requests, poller::PollSource::Requests)?;
        self.poller
            .add(&self.openings, poller::PollSource::Opened)?;
        self.poller.add(mailbox, poller::PollSource::Displaced)?;
        self.poller.add(shutdown, poller::PollSource::Shutdown)
    }

    /// Waits for events for at most `timeout`, and processes them. Reports whether a running transfer
    /// received a packet.
    fn turn(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let mut events = std::mem::take(&mut self.events);
        let waited = self.poller.wait(timeout, &mut events);
        let mut heard = false;
        for event in &events {
            match poller::source(event) {
                poller::PollSource::Requests => heard |= self.drain_requests(),
                poller::PollSource::Opened => self.take_opened(),
                poller::PollSource::Displaced => self.forget_displaced(),
                poller::PollSource::Shutdown => {}
                poller::PollSource::Transfer(peer) => heard |= self.hear_from(peer),
            }
        }
        self.events = events;
        waited.map(|()| heard)
    }

    /// Processes packets of running transfers until none arrives for a moment.
    fn look_out(&mut self) -> io::Result<()> {
        let begin = self.epoch.elapsed();
        let mut last = begin;
        let mut looks = 0u32;
        while !self.transfers.is_empty() && last.saturating_sub(begin) < BURST_TIME {
            looks += 1;
            let lone = match self.transfers.len() {
                1 if !looks.is_multiple_of(LONE_LOOKS) => self.transfers.keys().next().copied(),
                _ => None,
            };
            let heard = match lone {
                Some(peer) => self.hear_from(peer),
                None => self.turn(Some(Duration::ZERO))?,
            };
            let now = self.epoch.elapsed();
            if heard {
                last = now;
            } else if now.saturating_sub(last) > LOOK_OUT {
                break;
            } else {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// Processes datagrams of the request port, up to the limit of one turn. Reports whether a running
    /// transfer received a packet.
    fn drain_requests(&mut self) -> bool {
        let mut buffer = PacketBuffer::new();
        let mut heard = false;
        for _ in 0..BURST {
            match self.requests.receive(&mut buffer) {
                Ok(Some(datagram)) => heard |= self.take(&datagram),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An error of an earlier packet; the peer's timer handles it.
                Err(_) => {}
            }
        }
        heard
    }

    /// Processes a datagram of the request port.
    fn take(&mut self, datagram: &Datagram<'_>) -> bool {
        let peer = datagram.peer;
        match Packet::parse(datagram.bytes) {
            Ok(Packet::Request(request)) => self.request(datagram, request),
            // The peer no longer waits for its file.
            Ok(Packet::Error { code, message }) if self.openings.get(peer).is_some() => {
                let probe = false;
                self.finish(
                    peer,
                    TftpOutcome::Aborted {
                        code,
                        message,
                        probe,
                    },
                );
            }
            Ok(packet) if self.shared.ports.is_none() => {
                // A peer without a transfer repeats the end of an earlier one: no response is needed.
                // Deviation: RFC 1350 §4 answers with error 5. GRUB repeats its last ACKs.
                return self.hear(peer, &packet);
            }
            Ok(_) => self.malformed(peer, "not a request"),
            Err(error) => self.malformed(peer, &error.to_string()),
        }
        false
    }

    /// Receives and processes a packet from the socket of a peer's transfer. Reports whether a packet
    /// arrived.
    fn hear_from(&mut self, peer: SocketAddrV4) -> bool {
        let Some(running) = self.transfers.get(&peer) else {
            return false;
        };
        let Some(socket) = &running.socket else {
            return false;
        };
        let mut buffer = PacketBuffer::new();
        match socket.receive(&mut buffer) {
            Ok(Some(datagram)) if datagram.peer == peer => {
                if let Ok(packet) = Packet::parse(datagram.bytes) {
                    self.hear(peer, &packet);
                }
                true
            }
            // A packet of another peer, from before the socket was connected.
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            // No socket is open at the source of the request. The timer handles a peer that has
            // responded once.
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused
                    && !running.transfer.has_begun() =>
            {
                self.finish(peer, TftpOutcome::Unreachable);
                true
            }
            Err(_) => true,
        }
    }

    /// Processes a packet of a peer. Reports whether the peer has a transfer.
    fn hear(&mut self, peer: SocketAddrV4, packet: &Packet<'_>) -> bool {
        let now = self.epoch.elapsed();
        let Some(running) = self.transfers.get_mut(&peer) else {
            return false;
        };
        let action = running.transfer.receive(now, packet);
        if !running.keeps_slot && running.transfer.has_responded() {
            running.keeps_slot = true;
            self.shared.slots.answered(running.slot, running.claim);
        }
        self.perform(peer, action);
        true
    }

    fn malformed(&self, peer: SocketAddrV4, reason: &str) {
        let reason = reason.to_owned();
        self.report(peer, String::new(), TftpOutcome::Malformed { reason });
    }

    fn perform(&mut self, peer: SocketAddrV4, action: TransferAction) {
        let Some(running) = self.transfers.get_mut(&peer) else {
            return;
        };
        match action {
            TransferAction::SendBlocks(blocks) => {
                if let Err(error) = running.send_blocks(&self.requests, blocks) {
                    return self.give_up(peer, &error.to_string());
                }
            }
            TransferAction::SendOptions => running.send_options(&self.requests),
            TransferAction::Ignore(NoActionReason::Withheld) => {}
            TransferAction::Ignore(_) | TransferAction::StartOver => return,
            TransferAction::Finish(outcome) => return self.finish(peer, outcome),
        }
        let deadline = running.transfer.deadline();
        if deadline < running.timer {
            running.timer = deadline;
            self.timers.push(Reverse((deadline, peer)));
        }
    }

    /// Processes expired deadlines.
    fn expire(&mut self) {
        let now = self.epoch.elapsed();
        while let Some(&Reverse((due, peer))) = self.timers.peek() {
            if due > now {
                return;
            }
            self.timers.pop();
            let Some(running) = self.transfers.get_mut(&peer) else {
                self.expire_opening(peer, now);
                continue;
            };
            if running.timer != due {
                continue;
            }
            let action = running.transfer.expire(now);
            running.timer = running.transfer.deadline();
            self.timers.push(Reverse((running.timer, peer)));
            self.perform(peer, action);
        }
    }

    /// Ends transfers whose slot was given to another request.
    fn forget_displaced(&mut self) {
        for (slot, claim) in self.shared.slots.lost(self.number) {
            let peer = claim.peer;
            let served = self.transfers.get(&peer).map(|running| running.slot);
            let waits = || Some(self.openings.get(peer)?.admitted_request.slot);
            if served.or_else(waits) == Some(slot) {
                self.finish(peer, TftpOutcome::Displaced);
            }
        }
    }

    fn give_up(&mut self, peer: SocketAddrV4, reason: &str) {
        let code = ErrorCode::NotDefined;
        let reason = reason.to_owned();
        match self.transfers.get(&peer) {
            Some(running) => running.send_error(&self.requests, code, &reason),
            None => {
                if let Some(pending) = self.openings.get(peer) {
                    self.send_error(&pending.admitted_request.route, code, &reason);
                }
            }
        }
        self.finish(peer, TftpOutcome::Refused { code, reason });
    }

    fn finish(&mut self, peer: SocketAddrV4, outcome: TftpOutcome) {
        let served = self.transfers.remove(&peer).map(|it| (it.name, it.slot));
        let waits = || Some(self.openings.remove(peer)?).map(|it| (it.admitted.name, it.slot));
        if let Some((name, slot)) = served.or_else(waits) {
            self.shared.slots.free(slot);
            self.report(peer, name, outcome);
        }
    }

    /// Sends an ERROR to a peer without a running transfer.
    fn send_error(&self, route: &ReplyRoute, code: ErrorCode, reason: &str) {
        let message = reason.to_owned();
        let packet = Packet::Error { code, message }.to_bytes();
        let socket = self.refusals.as_ref().unwrap_or(&self.requests);
        // A packet that cannot be sent counts as lost.
        let _ = socket.send(route, &[IoSlice::new(&packet)], None);
    }

    fn report(&self, peer: SocketAddrV4, name: String, outcome: TftpOutcome) {
        let _ = self.reports.try_send(TftpReport {
            peer,
            name,
            outcome,
        });
    }
}
