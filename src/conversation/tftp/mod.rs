//! Follows TFTP: the files that a machine reads, their rates, and the outcome of each transfer.

mod transfer;

use std::net::SocketAddrV4;

use jiff::Timestamp;

use super::files;
use super::finding::FindingKind;
use super::loader;
use super::observer::Observer;
use crate::wire::packet::Packet;
use crate::wire::tftp::{BlockNumber, Direction, OptionName, Packet as TftpPacket, Request};

use transfer::End;
pub(super) use transfer::TftpTransfer;

/// The port of TFTP servers.
const PORT: u16 = 69;
/// Retransmissions become a finding from this number, if they are at least one block in
/// [`RETRANSMITS_OF`].
const RETRANSMITS: u64 = 3;
const RETRANSMITS_OF: u64 = 100;

impl Observer<'_> {
    /// Processes a datagram that is not DHCP. Returns `false` if it does not belong to a transfer.
    pub(super) fn observe_tftp(&mut self, packet: &Packet<'_>, payload: &[u8]) -> bool {
        let is_request = packet.destination.port() == PORT && matches!(payload, [0, 1 | 2, ..]);
        if is_request {
            self.recorder.totals.tftp += 1;
            match TftpPacket::parse(payload) {
                Ok(TftpPacket::Request(request)) => self.tftp_request(packet, &request),
                _ => self.recorder.totals.malformed += 1,
            }
            return true;
        }
        let (client, from_server) = match self.tftp.get_mut(&packet.destination) {
            Some(transfer) if transfer.server.ip() == packet.source.ip() => {
                (packet.destination, true)
            }
            _ => (packet.source, false),
        };
        let now = self.recorder.now();
        let Some(transfer) = self.tftp.get_mut(&client) else {
            return false;
        };
        let peer = if from_server {
            packet.source
        } else {
            packet.destination
        };
        if transfer.server.ip() != peer.ip() {
            return false;
        }
        self.recorder.totals.tftp += 1;
        // The last packets of a transfer may be sent again after its end.
        transfer.last = now;
        if from_server {
            transfer.server = peer;
            transfer.is_silent = false;
        }
        // Most packets are blocks: their header is enough.
        match *payload {
            [0, 3, high, low, ref block @ ..] if from_server != transfer.is_write => {
                let number = BlockNumber::new(u16::from_be_bytes([high, low]));
                let length = packet.length.saturating_sub(4) as u64;
                let is_first = transfer.blocks(number, length, packet.fragmented, now);
                let needs_check = transfer.is_over_mtu(self.options.mtu) || is_first;
                if self.options.comment_blocks {
                    let text = format!("block {number} of `{}`", transfer.shown);
                    self.recorder.add_comment(text);
                }
                if needs_check {
                    self.tftp_first_block(client, block);
                }
            }
            [0, 4, high, low, ..] if from_server == transfer.is_write => {
                let number = BlockNumber::new(u16::from_be_bytes([high, low]));
                if transfer.acknowledged(number) {
                    self.tftp_end(client, End::Whole);
                }
            }
            _ => match TftpPacket::parse(payload) {
                Ok(TftpPacket::OptionAcknowledgement(options)) => {
                    transfer.apply(&options);
                    self.check_block_size(client);
                }
                Ok(TftpPacket::Error { code, message }) => {
                    let end = transfer.error(from_server, code, &message);
                    self.tftp_end(client, end);
                }
                _ => self.recorder.totals.malformed += 1,
            },
        }
        true
    }

    fn tftp_request(&mut self, packet: &Packet<'_>, request: &Request) {
        let now = self.recorder.now();
        let client = packet.source;
        let name = String::from_utf8_lossy(&request.name).into_owned();
        if let Some(known) = self.tftp.get_mut(&client)
            && known.is_silent
            && known.name == name
        {
            known.requests += 1;
            known.last = now;
            return;
        }
        if self.tftp.get_mut(&client).is_some() {
            self.tftp_end(client, End::Silence);
        }
        let id = self
            .machines
            .of_client(packet.source_mac, *client.ip(), now);
        let requests_size = request
            .options
            .iter()
            .any(|it| it.name == OptionName::TransferSize);
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        files::request_begins(machine, &name);
        files::check_bare_name(&mut self.recorder, machine, &name);
        machine.stage();
        let began = self.recorder.start_point(machine);
        let shown = super::display::display_file(&name);
        self.recorder
            .add_comment(format!("requests `{shown}` by TFTP"));
        let transfer = TftpTransfer {
            machine: id,
            server: packet.destination,
            shown,
            name,
            is_write: request.direction == Direction::Write,
            began,
            last: now,
            requests: 1,
            is_silent: true,
            requests_size,
            block_size: 512,
            window: 1,
            size: None,
            blocks: 0,
            bytes: 0,
            has_last: false,
            is_acknowledged: false,
            retransmits: 0,
            last_block: now,
            fragments: false,
            is_over_mtu: false,
        };
        self.tftp.insert(client, transfer);
    }

    /// Checks the first block, which shows the format of the file, and blocks that are too long.
    fn tftp_first_block(&mut self, client: SocketAddrV4, block: &[u8]) {
        let Some(transfer) = self.tftp.get_mut(&client) else {
            return;
        };
        if transfer.blocks == 1
            && !transfer.is_write
            && let Some(machine) = self.machines.get_mut(transfer.machine)
        {
            files::check_head(&mut self.recorder, machine, &transfer.name, block);
        }
        self.check_block_size(client);
    }

    /// Records blocks that do not fit into the MTU, once for each transfer.
    fn check_block_size(&mut self, client: SocketAddrV4) {
        let mtu = self
            .machines
            .inventory()
            .and_then(|it| it.mtu(*client.ip()));
        let mtu = mtu.unwrap_or(self.options.mtu);
        let Some(transfer) = self.tftp.get_mut(&client) else {
            return;
        };
        if transfer.is_over_mtu || !transfer.is_over_mtu(mtu) {
            return;
        }
        transfer.is_over_mtu = true;
        let how = if transfer.fragments {
            "its blocks are fragmented".to_owned()
        } else {
            format!("with headers, it exceeds the MTU of {mtu}")
        };
        let text = format!(
            "`{}` is sent with blksize {}: {how}",
            transfer.shown, transfer.block_size
        );
        if let Some(machine) = self.machines.get_mut(transfer.machine) {
            self.recorder
                .report_finding(machine, FindingKind::BlksizeOverMtu, text);
        }
    }

    /// Ends the transfers that have been silent since a time, or all at the end of the capture.
    pub(super) fn end_idle_tftp(&mut self, since: Timestamp, at_end: bool) {
        let limit = if at_end { self.recorder.now() } else { since };
        for (_, transfer) in self.tftp.take_idle(limit) {
            let end = if transfer.has_last {
                End::Whole
            } else if at_end && transfer.last > since {
                End::Running
            } else {
                End::Silence
            };
            self.record_transfer(transfer, end);
        }
    }

    fn tftp_end(&mut self, client: SocketAddrV4, end: End) {
        if let Some(transfer) = self.tftp.remove(&client) {
            self.record_transfer(transfer, end);
        }
    }

    fn record_transfer(&mut self, transfer: TftpTransfer, end: End) {
        let Some(machine) = self.machines.get_mut(transfer.machine) else {
            return;
        };
        let end = match end {
            End::Silence if transfer.has_last => End::Whole,
            end => end,
        };
        let began = transfer.began;
        let text = format!(
            "`{}` from {}: {}",
            transfer.shown,
            transfer.server.ip(),
            transfer.summary(&end)
        );
        let report = transfer.report(&end);
        self.recorder.record_at(machine, "tftp", text, began);
        let recorder = &mut self.recorder;
        match end {
            End::Whole => {
                files::arrived(recorder, machine, &transfer.name, &report, transfer.began)
            }
            End::Missing(by) => {
                files::is_missing(recorder, machine, &transfer.name, &format!("TFTP: `{by}`"));
            }
            End::Refused(why) => {
                let text = format!("`{}`: {why}", transfer.shown);
                if !loader::is_optional(&transfer.name) {
                    recorder.report_finding_at(machine, FindingKind::TftpError, text, began);
                }
            }
            End::Silence if transfer.is_silent => {
                let text = format!(
                    "{} does not respond to the request for `{}`{}",
                    transfer.server.ip(),
                    transfer.shown,
                    match transfer.requests {
                        1 => String::new(),
                        count => format!(" ({count} requests)"),
                    }
                );
                recorder.report_finding_at(machine, FindingKind::TftpSilent, text, began);
            }
            End::Silence if transfer.blocks > 0 => {
                let text = format!("`{}`: {}", transfer.shown, report.end);
                recorder.report_finding_at(machine, FindingKind::TransferCut, text, began);
            }
            End::Silence | End::SizeOnly | End::Running => {}
        }
        let share = transfer.retransmits * RETRANSMITS_OF;
        if transfer.retransmits >= RETRANSMITS && share >= transfer.blocks {
            let text = format!(
                "`{}`: {} of {} blocks were sent again",
                transfer.shown, transfer.retransmits, transfer.blocks
            );
            recorder.report_finding_at(machine, FindingKind::TftpRetransmits, text, began);
        }
        machine.add_transfer(report, began.stage);
    }
}
