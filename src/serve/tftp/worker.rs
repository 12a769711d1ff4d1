mod requests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, IoSlice};
use std::net::SocketAddrV4;
use std::ops::Range;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::content::{Source, SourceError};
use super::opening::Openings;
use super::socket::{Buffer, Datagram, Route, Socket};
use super::{Shared, Sockets, TftpReport};
use crate::respond::tftp::{Action, Outcome, Transfer};
use crate::serve::shutdown::Shutdown;
use crate::wire::tftp::{BlockNumber, ErrorCode, Packet, Request, data_header};

/// One thread of the server, with the transfers of the peers that the kernel sends its way.
pub(super) struct Worker<'a> {
    shared: &'a Shared,
    sockets: Sockets,
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
    /// The kernel takes many blocks in one call, as far as we know.
    batches: bool,
    /// The earliest entry for this peer among the timers.
    timer: Duration,
}

/// Datagrams that are taken from one socket before timers are looked at again.
const BURST: usize = 64;

/// How long a worker with transfers looks for the next packet before it sleeps. Between the blocks
/// of a lone peer the two processors would otherwise sleep and wake each other all the time.
const LOOK_OUT: Duration = Duration::from_micros(50);

/// How long one socket may keep a worker from the other and from its timers.
const BURST_TIME: Duration = Duration::from_millis(1);

/// The most datagrams that the kernel makes of one call (`UDP_MAX_SEGMENTS`).
const MOST_SEGMENTS: u64 = 64;

/// The most octets that one call may carry: what a UDP datagram may.
const MOST_OCTETS: u64 = 65_507;

impl<'a> Worker<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        sockets: Sockets,
        reports: SyncSender<TftpReport>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            shared,
            sockets,
            reports,
            epoch: Instant::now(),
            sessions: HashMap::new(),
            openings: Openings::new(shared.config.abandoned_after)?,
            timers: BinaryHeap::new(),
        })
    }

    pub(super) fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        while !shutdown.is_requested() {
            let [requests, data, opened] =
                self.wait(shutdown).context("cannot wait for packets")?;
            if requests {
                self.drain(true);
            }
            if data {
                self.drain(false);
                self.look_out();
            }
            if opened {
                self.take_opened();
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

    /// Waits for a packet, an opened file, a deadline or the shutdown; returns which sockets are
    /// readable, for requests and for data, and whether a file was opened.
    fn wait(&self, shutdown: &Shutdown) -> io::Result<[bool; 3]> {
        let timeout = self.timers.peek().map(|Reverse((due, _))| {
            let wait = due.saturating_sub(self.epoch.elapsed());
            Timespec {
                tv_sec: wait.as_secs() as i64,
                tv_nsec: i64::from(wait.subsec_nanos()),
            }
        });
        let requests = &self.sockets.requests;
        let data = self.sockets.data.as_ref().unwrap_or(requests);
        let mut descriptors = [
            PollFd::new(requests, PollFlags::IN),
            PollFd::new(data, PollFlags::IN),
            PollFd::new(&self.openings, PollFlags::IN),
            PollFd::new(shutdown, PollFlags::IN),
        ];
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [requests, data, opened, _] =
            descriptors.map(|descriptor| !descriptor.revents().is_empty());
        Ok([requests, data && self.sockets.data.is_some(), opened])
    }

    /// Takes the packets of running transfers until none has come for a moment.
    fn look_out(&mut self) {
        let begin = self.epoch.elapsed();
        let mut last = begin;
        while !self.sessions.is_empty() && last.saturating_sub(begin) < BURST_TIME {
            let now = self.epoch.elapsed();
            if self.drain(false) {
                last = now;
            } else if now.saturating_sub(last) > LOOK_OUT {
                return;
            } else {
                std::thread::yield_now();
            }
        }
    }

    /// Takes the packets that have arrived at one socket; returns whether there were any.
    fn drain(&mut self, on_request_port: bool) -> bool {
        let mut buffer = Buffer::new();
        for count in 0..BURST {
            let socket = match &self.sockets.data {
                Some(data) if !on_request_port => data,
                _ => &self.sockets.requests,
            };
            match socket.receive(&mut buffer) {
                Ok(Some(datagram)) => self.take(&datagram, on_request_port),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return count > 0,
                // What the network reports about an earlier packet; the peer's timer sees to it.
                Err(_) => {}
            }
        }
        true
    }

    fn take(&mut self, datagram: &Datagram<'_>, on_request_port: bool) {
        let peer = datagram.peer;
        match Packet::parse(datagram.octets) {
            Ok(Packet::Request(request)) if on_request_port => {
                self.request(datagram, request);
            }
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
            Ok(packet) if !on_request_port || self.sockets.data.is_none() => {
                let now = self.epoch.elapsed();
                // A peer without a transfer here repeats the end of one: nothing more to say.
                // Deviation: RFC 1350 §4 answers with error 5. GRUB repeats its last ACKs.
                if let Some(session) = self.sessions.get_mut(&peer) {
                    let action = session.transfer.receive(now, &packet);
                    self.perform(peer, action);
                }
            }
            Ok(_) => self.malformed(peer, "it is no request"),
            Err(error) if on_request_port => self.malformed(peer, &error.to_string()),
            Err(_) => {}
        }
    }

    fn malformed(&self, peer: SocketAddrV4, reason: &str) {
        let reason = reason.to_owned();
        self.report(peer, String::new(), Outcome::Malformed { reason });
    }

    fn perform(&mut self, peer: SocketAddrV4, action: Action) {
        let Some(session) = self.sessions.get_mut(&peer) else {
            return;
        };
        let socket = self.sockets.data.as_ref().unwrap_or(&self.sockets.requests);
        match action {
            Action::SendBlocks(blocks) => {
                if let Err(error) = session.send_blocks(socket, blocks) {
                    return self.give_up(peer, &error.to_string());
                }
            }
            Action::SendOptions => {
                let options = session.transfer.agreement().acknowledged.clone();
                let packet = Packet::OptionAcknowledgement(options).to_bytes();
                // A packet that cannot be sent is a packet that is lost, here and below.
                let _ = socket.send(&session.route, &[IoSlice::new(&packet)], None);
            }
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

    fn give_up(&mut self, peer: SocketAddrV4, reason: &str) {
        let code = ErrorCode::NotDefined;
        let reason = reason.to_owned();
        let served = self.sessions.get(&peer).map(|session| &session.route);
        let waits = || Some(&self.openings.get(peer)?.asked.route);
        if let Some(route) = served.or_else(waits) {
            self.send_error(route, code, &reason);
        }
        self.finish(peer, Outcome::Refused { code, reason });
    }

    fn finish(&mut self, peer: SocketAddrV4, outcome: Outcome) {
        let served = self.sessions.remove(&peer).map(|session| session.name);
        let waits = || Some(self.openings.remove(peer)?.admitted.name);
        if let Some(name) = served.or_else(waits) {
            self.shared.transfers.free(*peer.ip());
            self.report(peer, name, outcome);
        }
    }

    fn send_error(&self, route: &Route, code: ErrorCode, reason: &str) {
        let message = reason.to_owned();
        let packet = Packet::Error { code, message }.to_bytes();
        let socket = self.sockets.data.as_ref().unwrap_or(&self.sockets.requests);
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

impl Session {
    fn send_blocks(&mut self, socket: &Socket, blocks: Range<u64>) -> Result<(), SourceError> {
        let segment = self.transfer.agreement().block_size + 4;
        let together = MOST_SEGMENTS.min(MOST_OCTETS / u64::from(segment)).max(1);
        let mut first = blocks.start;
        while first < blocks.end {
            let next = blocks.end.min(first + together);
            self.send_together(socket, first..next, segment)?;
            first = next;
        }
        Ok(())
    }

    /// Sends blocks in one call where the kernel can, else one by one.
    fn send_together(
        &mut self,
        socket: &Socket,
        blocks: Range<u64>,
        segment: u16,
    ) -> Result<(), SourceError> {
        let range =
            self.transfer.octets(blocks.start).start..self.transfer.octets(blocks.end - 1).end;
        let octets = self.source.read(range)?;
        let headers: Vec<_> = blocks
            .map(|index| data_header(BlockNumber::of_index(index)))
            .collect();
        // The last block may be empty, where the octets have run out.
        let payloads = octets.chunks(usize::from(segment) - 4).chain([&[][..]]);
        let buffers: Vec<_> = headers
            .iter()
            .zip(payloads)
            .flat_map(|(header, payload)| [IoSlice::new(header), IoSlice::new(payload)])
            .collect();
        if headers.len() > 1 && self.batches {
            match socket.send(&self.route, &buffers, Some(segment)) {
                // EINVAL, EIO: the path's MTU is smaller, or its device cannot. One by one, then.
                Err(error)
                    if matches!(
                        Errno::from_io_error(&error),
                        Some(Errno::INVAL | Errno::IO | Errno::OPNOTSUPP | Errno::MSGSIZE)
                    ) =>
                {
                    self.batches = false;
                }
                _ => return Ok(()),
            }
        }
        for datagram in buffers.chunks(2) {
            let _ = socket.send(&self.route, datagram, None);
        }
        Ok(())
    }
}
