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

use super::content::Source;
use super::opening::Openings;
use super::poller::{self, Poller};
use super::socket::{Buffer, Datagram, Route, Socket};
use super::{Shared, TftpReport};
use crate::respond::tftp::{Action, Claim, Ignored, Outcome, Slot, Transfer};
use crate::serve::shutdown::Shutdown;
use crate::wire::tftp::{ErrorCode, Packet, Request};

/// One thread of the server, with the transfers of the peers that the kernel sends its way.
pub(super) struct Worker<'a> {
    shared: &'a Shared,
    /// Its number among the workers.
    number: usize,
    requests: Socket,
    /// Where refusals are sent from, unless that is the request port. Clients such as tftp-hpa respond
    /// to an ERROR, which nobody needs to read.
    refusals: Option<Socket>,
    poller: Poller,
    events: Vec<epoll::Event>,
    reports: SyncSender<TftpReport>,
    epoch: Instant,
    sessions: HashMap<SocketAddrV4, Session>,
    /// The peers that wait for their file; none of them has a session.
    openings: Openings,
    /// When to look at a peer's deadline. An entry may be early or stale, and is never late.
    timers: BinaryHeap<Reverse<(Duration, SocketAddrV4)>>,
}

/// One transfer and what it needs.
struct Session {
    request: Request,
    name: String,
    route: Route,
    transfer: Transfer,
    source: Source,
    /// Its own port, connected to the peer; left out where it runs on the request port.
    socket: Option<Socket>,
    slot: Slot,
    claim: Claim,
    /// The slot is not lent any more.
    keeps_slot: bool,
    /// The kernel takes many blocks in one call, as far as we know.
    batches: bool,
    /// The earliest entry for this peer among the timers.
    timer: Duration,
}

/// Datagrams that are taken from the request port before it is others' turn.
const BURST: usize = 64;

/// How long a worker with transfers looks for the next packet before it sleeps. Between the blocks
/// of a lone peer the two processors would otherwise sleep and wake each other all the time.
const LOOK_OUT: Duration = Duration::from_micros(50);

/// How long packets may keep a worker from its timers.
const BURST_TIME: Duration = Duration::from_millis(1);

/// How often a worker looks at the socket of a lone peer before it looks at all others.
const LONE_LOOKS: u32 = 8;

impl<'a> Worker<'a> {
    pub(super) fn new(
        shared: &'a Shared,
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
            sessions: HashMap::new(),
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
        let served = self.sessions.keys().copied();
        let peers: Vec<_> = served.chain(self.openings.peers()).collect();
        for peer in peers {
            self.give_up(peer, "the server is shutting down");
        }
        Ok(())
    }

    fn watch(&self, shutdown: &Shutdown) -> io::Result<()> {
        let mailbox = self.shared.slots.mailbox(self.number);
        self.poller.add(&self.requests, poller::Source::Requests)?;
        self.poller.add(&self.openings, poller::Source::Opened)?;
        self.poller.add(mailbox, poller::Source::Displaced)?;
        self.poller.add(shutdown, poller::Source::Shutdown)
    }

    /// Waits until something is there, as long as `timeout` says, and sees to it; returns whether a
    /// running transfer got a packet.
    fn turn(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let mut events = std::mem::take(&mut self.events);
        let waited = self.poller.wait(timeout, &mut events);
        let mut heard = false;
        for event in &events {
            match poller::source(event) {
                poller::Source::Requests => heard |= self.drain_requests(),
                poller::Source::Opened => self.take_opened(),
                poller::Source::Displaced => self.forget_displaced(),
                poller::Source::Shutdown => {}
                poller::Source::Transfer(peer) => heard |= self.hear_from(peer),
            }
        }
        self.events = events;
        waited.map(|()| heard)
    }

    /// Takes the packets of running transfers until none has come for a moment.
    fn look_out(&mut self) -> io::Result<()> {
        let begin = self.epoch.elapsed();
        let mut last = begin;
        let mut looks = 0u32;
        while !self.sessions.is_empty() && last.saturating_sub(begin) < BURST_TIME {
            looks += 1;
            let lone = match self.sessions.len() {
                1 if !looks.is_multiple_of(LONE_LOOKS) => self.sessions.keys().next().copied(),
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

    /// Takes what has arrived at the request port, as much as is one turn's share; returns whether
    /// there was something for a running transfer.
    fn drain_requests(&mut self) -> bool {
        let mut buffer = Buffer::new();
        let mut heard = false;
        for _ in 0..BURST {
            match self.requests.receive(&mut buffer) {
                Ok(Some(datagram)) => heard |= self.take(&datagram),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What the network reports about an earlier packet; the peer's timer sees to it.
                Err(_) => {}
            }
        }
        heard
    }

    /// Takes a datagram of the request port.
    fn take(&mut self, datagram: &Datagram<'_>) -> bool {
        let peer = datagram.peer;
        match Packet::parse(datagram.octets) {
            Ok(Packet::Request(request)) => self.request(datagram, request),
            // The peer does not wait for its file any more.
            Ok(Packet::Error { code, message }) if self.openings.get(peer).is_some() => {
                let probe = false;
                self.finish(
                    peer,
                    Outcome::Aborted {
                        code,
                        message,
                        probe,
                    },
                );
            }
            Ok(packet) if self.shared.ports.is_none() => {
                // A peer without a transfer here repeats the end of one: nothing more to say.
                // Deviation: RFC 1350 §4 answers with error 5. GRUB repeats its last ACKs.
                return self.hear(peer, &packet);
            }
            Ok(_) => self.malformed(peer, "not a request"),
            Err(error) => self.malformed(peer, &error.to_string()),
        }
        false
    }

    /// Takes a packet from the port of a peer's transfer; returns whether there was one.
    fn hear_from(&mut self, peer: SocketAddrV4) -> bool {
        let Some(session) = self.sessions.get(&peer) else {
            return false;
        };
        let Some(socket) = &session.socket else {
            return false;
        };
        let mut buffer = Buffer::new();
        match socket.receive(&mut buffer) {
            Ok(Some(datagram)) if datagram.peer == peer => {
                if let Ok(packet) = Packet::parse(datagram.octets) {
                    self.hear(peer, &packet);
                }
                true
            }
            // Of another peer, from before the socket was connected.
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            // Nobody listens where the request seems to come from. A peer that has responded once
            // is asked again by its timer.
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused
                    && !session.transfer.has_begun() =>
            {
                self.finish(peer, Outcome::Unreachable);
                true
            }
            Err(_) => true,
        }
    }

    /// Takes a packet of a peer; returns whether it has a transfer.
    fn hear(&mut self, peer: SocketAddrV4, packet: &Packet<'_>) -> bool {
        let now = self.epoch.elapsed();
        let Some(session) = self.sessions.get_mut(&peer) else {
            return false;
        };
        let action = session.transfer.receive(now, packet);
        if !session.keeps_slot && session.transfer.has_responded() {
            session.keeps_slot = true;
            self.shared.slots.answered(session.slot, session.claim);
        }
        self.perform(peer, action);
        true
    }

    fn malformed(&self, peer: SocketAddrV4, reason: &str) {
        let reason = reason.to_owned();
        self.report(peer, String::new(), Outcome::Malformed { reason });
    }

    fn perform(&mut self, peer: SocketAddrV4, action: Action) {
        let Some(session) = self.sessions.get_mut(&peer) else {
            return;
        };
        match action {
            Action::SendBlocks(blocks) => {
                if let Err(error) = session.send_blocks(&self.requests, blocks) {
                    return self.give_up(peer, &error.to_string());
                }
            }
            Action::SendOptions => session.send_options(&self.requests),
            Action::Ignore(Ignored::Withheld) => {}
            Action::Ignore(_) | Action::StartOver => return,
            Action::Finish(outcome) => return self.finish(peer, outcome),
        }
        let deadline = session.transfer.deadline();
        if deadline < session.timer {
            session.timer = deadline;
            self.timers.push(Reverse((deadline, peer)));
        }
    }

    /// Looks at the deadlines that are due.
    fn expire(&mut self) {
        let now = self.epoch.elapsed();
        while let Some(&Reverse((due, peer))) = self.timers.peek() {
            if due > now {
                return;
            }
            self.timers.pop();
            let Some(session) = self.sessions.get_mut(&peer) else {
                self.expire_opening(peer, now);
                continue;
            };
            if session.timer != due {
                continue;
            }
            let action = session.transfer.expire(now);
            session.timer = session.transfer.deadline();
            self.timers.push(Reverse((session.timer, peer)));
            self.perform(peer, action);
        }
    }

    /// Ends the transfers whose slot another request has got.
    fn forget_displaced(&mut self) {
        for (slot, claim) in self.shared.slots.lost(self.number) {
            let peer = claim.peer;
            let served = self.sessions.get(&peer).map(|session| session.slot);
            let waits = || Some(self.openings.get(peer)?.asked.slot);
            if served.or_else(waits) == Some(slot) {
                self.finish(peer, Outcome::Displaced);
            }
        }
    }

    fn give_up(&mut self, peer: SocketAddrV4, reason: &str) {
        let code = ErrorCode::NotDefined;
        let reason = reason.to_owned();
        match self.sessions.get(&peer) {
            Some(session) => session.send_error(&self.requests, code, &reason),
            None => {
                if let Some(pending) = self.openings.get(peer) {
                    self.send_error(&pending.asked.route, code, &reason);
                }
            }
        }
        self.finish(peer, Outcome::Refused { code, reason });
    }

    fn finish(&mut self, peer: SocketAddrV4, outcome: Outcome) {
        let served = self.sessions.remove(&peer).map(|it| (it.name, it.slot));
        let waits = || Some(self.openings.remove(peer)?).map(|it| (it.admitted.name, it.slot));
        if let Some((name, slot)) = served.or_else(waits) {
            self.shared.slots.free(slot);
            self.report(peer, name, outcome);
        }
    }

    /// Sends an ERROR where no transfer runs.
    fn send_error(&self, route: &Route, code: ErrorCode, reason: &str) {
        let message = reason.to_owned();
        let packet = Packet::Error { code, message }.to_bytes();
        let socket = self.refusals.as_ref().unwrap_or(&self.requests);
        // A packet that cannot be sent is a packet that is lost.
        let _ = socket.send(route, &[IoSlice::new(&packet)], None);
    }

    fn report(&self, peer: SocketAddrV4, name: String, outcome: Outcome) {
        let _ = self.reports.try_send(TftpReport {
            peer,
            name,
            outcome,
        });
    }
}
