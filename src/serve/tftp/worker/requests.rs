//! Processes a request until its transfer runs.

use std::cmp::Reverse;
use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::{RunningTransfer, Worker};
use crate::respond::tftp::{
    Allowance, OutgoingTransfer, SlotClaim, TftpOutcome, TftpRefusal, TransferAction,
    TransferLimits, TransferSlot, admit, negotiate,
};
use crate::serve::tftp::content::ContentReader;
use crate::serve::tftp::files::Opening;
use crate::serve::tftp::opening::PendingTransfer;
use crate::serve::tftp::poller;
use crate::serve::tftp::socket::{Datagram, ReplyRoute, Socket, link_mtu};
use crate::wire::tftp::{BlockNumber, OptionName, Request};

impl Worker<'_> {
    pub(super) fn request(&mut self, datagram: &Datagram<'_>, request: Request) {
        let peer = datagram.peer;
        if let Some(running) = self.transfers.get_mut(&peer) {
            let action = if running.request == request {
                running.transfer.repeat_request(self.epoch.elapsed())
            } else {
                TransferAction::StartOver
            };
            if action != TransferAction::StartOver {
                return self.perform(peer, action);
            }
            let outcome = running.transfer.superseded();
            self.finish(peer, outcome);
        }
        let now = self.epoch.elapsed();
        if self.openings.repeat(peer, &request, now) {
            return;
        }
        if self.openings.get(peer).is_some() {
            self.finish(peer, TftpOutcome::superseded(true));
        }
        let name = String::from_utf8_lossy(&request.name).into_owned();
        let route = ReplyRoute::new(peer, datagram.local);
        let claim = SlotClaim {
            peer,
            known: self.shared.files.is_known_machine(*peer.ip()),
            owner: self.number,
        };
        let Some(slot) = self.shared.slots.take(claim) else {
            return self.report(peer, name, TftpOutcome::Busy);
        };
        let admitted = match admit(&request) {
            Ok(admitted) => admitted,
            Err(refusal) => return self.refuse(peer, slot, &route, name, refusal),
        };
        let opening = self.shared.files.open(&admitted.name, peer);
        let admitted_request = PendingTransfer {
            request,
            admitted,
            route,
            bytes: datagram.bytes.len(),
            slot,
            claim,
        };
        match opening {
            Opening::Now(content) => {
                let source = ContentReader::of(|| content, admitted_request.admitted.netascii);
                self.begin(peer, admitted_request, source);
            }
            Opening::Later(open) => {
                let openers = &self.shared.openers;
                match self
                    .openings
                    .begin(openers, peer, admitted_request, open, now)
                {
                    Some(deadline) => self.timers.push(Reverse((deadline, peer))),
                    None => self.end_early(peer, slot, name, TftpOutcome::Busy),
                }
            }
        }
    }

    /// Continues the requests whose files have been opened.
    pub(super) fn take_opened(&mut self) {
        self.openings.clear_ready();
        while let Some((peer, admitted_request, source)) = self.openings.next() {
            match source {
                Some(source) => self.begin(peer, admitted_request, source),
                None => self.end_early(
                    peer,
                    admitted_request.slot,
                    admitted_request.admitted.name,
                    TftpOutcome::Busy,
                ),
            }
        }
    }

    fn begin(
        &mut self,
        peer: SocketAddrV4,
        admitted_request: PendingTransfer,
        source: Result<ContentReader, TftpRefusal>,
    ) {
        match source {
            Ok(source) => self.start(peer, admitted_request, source),
            Err(refusal) => {
                self.refuse(
                    peer,
                    admitted_request.slot,
                    &admitted_request.route,
                    admitted_request.admitted.name,
                    refusal,
                );
            }
        }
    }

    /// Answers a request with an ERROR, and frees its slot.
    fn refuse(
        &self,
        peer: SocketAddrV4,
        slot: TransferSlot,
        route: &ReplyRoute,
        name: String,
        refusal: TftpRefusal,
    ) {
        let TftpRefusal { code, reason } = refusal;
        self.send_error(route, code, &reason);
        self.end_early(peer, slot, name, TftpOutcome::Refused { code, reason });
    }

    /// Reports a request that ended without a transfer, and frees its slot.
    fn end_early(
        &self,
        peer: SocketAddrV4,
        slot: TransferSlot,
        name: String,
        outcome: TftpOutcome,
    ) {
        self.shared.slots.free(slot);
        self.report(peer, name, outcome);
    }

    fn start(
        &mut self,
        peer: SocketAddrV4,
        admitted_request: PendingTransfer,
        source: ContentReader,
    ) {
        let PendingTransfer {
            request,
            admitted,
            route,
            bytes,
            slot,
            claim,
        } = admitted_request;
        let socket = match self.transfer_socket(peer, &route) {
            Ok(socket) => socket,
            Err(error) => {
                let reason = error.to_string();
                return self.end_early(peer, slot, admitted.name, TftpOutcome::NoPort { reason });
            }
        };
        let limits = self.limits(peer, &request, socket.as_ref());
        let agreement = negotiate(&request, source.size(), limits);
        let allowance = Allowance::new(limits.ports, bytes);
        let now = self.epoch.elapsed();
        let (transfer, action) = OutgoingTransfer::start(now, agreement, source.size(), allowance);
        let timer = transfer.deadline();
        self.timers.push(Reverse((timer, peer)));
        self.transfers.insert(
            peer,
            RunningTransfer {
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

    /// Opens the socket of a transfer; `None` if transfers use the request port.
    fn transfer_socket(
        &self,
        peer: SocketAddrV4,
        route: &ReplyRoute,
    ) -> io::Result<Option<Socket>> {
        let Some(ports) = &self.shared.ports else {
            return Ok(None);
        };
        let address = route.local().unwrap_or(*self.shared.config.address.ip());
        let socket = Socket::transfer(address, ports, peer)?;
        self.poller
            .add(&socket, poller::PollSource::Transfer(peer))?;
        Ok(Some(socket))
    }

    fn limits(
        &self,
        peer: SocketAddrV4,
        request: &Request,
        socket: Option<&Socket>,
    ) -> TransferLimits {
        let path = self.shared.files.path_limits(peer);
        let mut mtu = path.mtu.map_or(self.shared.config.mtu, u32::from);
        // Without the option, blocks have 512 bytes anyway.
        let names = request.options.iter().map(|option| &option.name);
        if names.into_iter().any(|name| *name == OptionName::BlockSize) {
            mtu = mtu.min(link_mtu(peer, socket).unwrap_or(u32::MAX));
        }
        let ports = self.shared.ports.as_ref().map_or(1, |ports| ports.count());
        TransferLimits::for_mtu(mtu, path.block_size).with_ports(ports)
    }

    /// Abandons a peer that was silent for too long before its file was opened.
    pub(super) fn expire_opening(&mut self, peer: SocketAddrV4, now: Duration) {
        match self.openings.get(peer) {
            Some(pending) if pending.deadline > now => {
                self.timers.push(Reverse((pending.deadline, peer)));
            }
            Some(_) => self.finish(
                peer,
                TftpOutcome::TimedOut {
                    block: BlockNumber::new(0),
                },
            ),
            None => {}
        }
    }
}
