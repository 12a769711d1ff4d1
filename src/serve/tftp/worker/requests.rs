//! What a worker does with a request, until its transfer runs.

use std::cmp::Reverse;
use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::{Session, Worker};
use crate::respond::tftp::{
    Action, Allowance, Claim, Limits, Outcome, Refusal, Slot, Transfer, admit, negotiate,
};
use crate::serve::tftp::Opening;
use crate::serve::tftp::content::Source;
use crate::serve::tftp::opening::Asked;
use crate::serve::tftp::poller;
use crate::serve::tftp::socket::{Datagram, Route, Socket, link_mtu};
use crate::wire::tftp::{BlockNumber, OptionName, Request};

impl Worker<'_> {
    pub(super) fn request(&mut self, datagram: &Datagram<'_>, request: Request) {
        let peer = datagram.peer;
        if let Some(session) = self.sessions.get_mut(&peer) {
            let action = if session.request == request {
                session.transfer.repeat_request(self.epoch.elapsed())
            } else {
                Action::StartOver
            };
            if action != Action::StartOver {
                return self.perform(peer, action);
            }
            let outcome = session.transfer.superseded();
            self.finish(peer, outcome);
        }
        let now = self.epoch.elapsed();
        if self.openings.repeat(peer, &request, now) {
            return;
        }
        if self.openings.get(peer).is_some() {
            self.finish(peer, Outcome::superseded(true));
        }
        let name = String::from_utf8_lossy(&request.name).into_owned();
        let route = Route::new(peer, datagram.local);
        let claim = Claim {
            peer,
            known: self.shared.files.knows(*peer.ip()),
            owner: self.number,
        };
        let Some(slot) = self.shared.slots.take(claim) else {
            return self.report(peer, name, Outcome::Busy);
        };
        let admitted = match admit(&request) {
            Ok(admitted) => admitted,
            Err(refusal) => return self.refuse(peer, slot, &route, name, refusal),
        };
        let opening = self.shared.files.open(&admitted.name, peer);
        let asked = Asked {
            request,
            admitted,
            route,
            bytes: datagram.octets.len(),
            slot,
            claim,
        };
        match opening {
            Opening::Now(content) => {
                let source = Source::of(|| content, asked.admitted.netascii);
                self.begin(peer, asked, source);
            }
            Opening::Later(open) => {
                let openers = &self.shared.openers;
                match self.openings.begin(openers, peer, asked, open, now) {
                    Some(deadline) => self.timers.push(Reverse((deadline, peer))),
                    None => self.end_early(peer, slot, name, Outcome::Busy),
                }
            }
        }
    }

    /// Goes on with the requests whose files have been opened.
    pub(super) fn take_opened(&mut self) {
        self.openings.rest();
        while let Some((peer, asked, source)) = self.openings.next() {
            match source {
                Some(source) => self.begin(peer, asked, source),
                None => self.end_early(peer, asked.slot, asked.admitted.name, Outcome::Busy),
            }
        }
    }

    fn begin(&mut self, peer: SocketAddrV4, asked: Asked, source: Result<Source, Refusal>) {
        match source {
            Ok(source) => self.start(peer, asked, source),
            Err(refusal) => {
                self.refuse(peer, asked.slot, &asked.route, asked.admitted.name, refusal);
            }
        }
    }

    /// Answers a request with an ERROR, and gives its slot back.
    fn refuse(
        &self,
        peer: SocketAddrV4,
        slot: Slot,
        route: &Route,
        name: String,
        refusal: Refusal,
    ) {
        let Refusal { code, reason } = refusal;
        self.send_error(route, code, &reason);
        self.end_early(peer, slot, name, Outcome::Refused { code, reason });
    }

    /// Reports a request that came to nothing, and gives its slot back.
    fn end_early(&self, peer: SocketAddrV4, slot: Slot, name: String, outcome: Outcome) {
        self.shared.slots.free(slot);
        self.report(peer, name, outcome);
    }

    fn start(&mut self, peer: SocketAddrV4, asked: Asked, source: Source) {
        let Asked {
            request,
            admitted,
            route,
            bytes,
            slot,
            claim,
        } = asked;
        let socket = match self.transfer_socket(peer, &route) {
            Ok(socket) => socket,
            Err(error) => {
                let reason = error.to_string();
                return self.end_early(peer, slot, admitted.name, Outcome::NoPort { reason });
            }
        };
        let limits = self.limits(peer, &request, socket.as_ref());
        let agreement = negotiate(&request, source.size(), limits);
        let allowance = Allowance::new(limits.ports, bytes);
        let now = self.epoch.elapsed();
        let (transfer, action) = Transfer::start(now, agreement, source.size(), allowance);
        let timer = transfer.deadline();
        self.timers.push(Reverse((timer, peer)));
        self.sessions.insert(
            peer,
            Session {
                request,
                name: admitted.name,
                route,
                transfer,
                source,
                socket,
                slot,
                claim,
                keeps_slot: false,
                batches: true,
                timer,
            },
        );
        self.perform(peer, action);
    }

    /// Opens the port of a transfer, where it has its own.
    fn transfer_socket(&self, peer: SocketAddrV4, route: &Route) -> io::Result<Option<Socket>> {
        let Some(ports) = &self.shared.ports else {
            return Ok(None);
        };
        let address = route.local().unwrap_or(*self.shared.config.address.ip());
        let socket = Socket::transfer(address, ports, peer)?;
        self.poller.add(&socket, poller::Source::Transfer(peer))?;
        Ok(Some(socket))
    }

    fn limits(&self, peer: SocketAddrV4, request: &Request, socket: Option<&Socket>) -> Limits {
        let way = self.shared.files.way(peer);
        let mut mtu = way.mtu.map_or(self.shared.config.mtu, u32::from);
        // Without the option, blocks have 512 octets anyway.
        let names = request.options.iter().map(|option| &option.name);
        if names.into_iter().any(|name| *name == OptionName::BlockSize) {
            mtu = mtu.min(link_mtu(peer, socket).unwrap_or(u32::MAX));
        }
        let ports = self.shared.ports.as_ref().map_or(1, |ports| ports.count());
        Limits::for_mtu(mtu, way.block_size).with_ports(ports)
    }

    /// Forgets a peer that has left before its file was opened.
    pub(super) fn expire_opening(&mut self, peer: SocketAddrV4, now: Duration) {
        match self.openings.get(peer) {
            Some(pending) if pending.deadline > now => {
                self.timers.push(Reverse((pending.deadline, peer)));
            }
            Some(_) => self.finish(
                peer,
                Outcome::TimedOut {
                    block: BlockNumber::new(0),
                },
            ),
            None => {}
        }
    }
}
