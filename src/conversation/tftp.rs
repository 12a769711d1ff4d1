//! Following TFTP: which file a machine reads, how fast, and how that ends.

use std::net::SocketAddrV4;

use jiff::{SignedDuration, Timestamp};

use super::files;
use super::finding::FindingKind;
use super::loader;
use super::machine::Transfer;
use super::machines::MachineId;
use super::observer::Observer;
use super::report::milliseconds;
use super::scribe::Began;
use super::shown::{rate, shown_text, size, time};
use super::table::Aged;
use crate::wire::packet::Packet;
use crate::wire::tftp::{
    BlockNumber, Direction, ErrorCode, OptionName, Packet as TftpPacket, Request, TransferOption,
};

/// The port of TFTP servers.
const PORT: u16 = 69;
/// The headers of IPv4, UDP and TFTP before a block.
const HEADERS: u32 = 32;
/// So many blocks that are sent again are a fault, where they are one in so many.
const RETRANSMITS: u64 = 3;
const RETRANSMITS_OF: u64 = 100;
/// No server sends a block again so soon without having sent another one.
const COPY: SignedDuration = SignedDuration::from_millis(2);

/// A transfer, from its request on. It is known by the client's address and port.
#[derive(Debug)]
pub(super) struct TftpTransfer {
    machine: MachineId,
    server: SocketAddrV4,
    name: String,
    shown: String,
    is_write: bool,
    began: Began,
    last: Timestamp,
    requests: u32,
    /// Nothing has come from the server yet.
    is_silent: bool,
    asks_size: bool,
    block_size: u32,
    window: u32,
    /// `tsize`, as the server said it.
    size: Option<u64>,
    /// The blocks that were sent, over the roll-over.
    blocks: u64,
    octets: u64,
    has_last: bool,
    is_acknowledged: bool,
    retransmits: u64,
    /// When the last block was seen.
    last_block: Timestamp,
    fragments: bool,
    is_over_mtu: bool,
}

/// How a transfer ended.
enum End {
    /// The last block was acknowledged.
    Whole,
    /// The client asked for the size only.
    SizeOnly,
    /// The server says that the file is not there.
    Missing(String),
    /// One side refused to go on.
    Refused(String),
    /// Nobody said anything any more.
    Silence,
    /// The capture ended in the middle.
    Running,
}

impl Aged for TftpTransfer {
    fn last_seen(&self) -> Timestamp {
        self.last
    }
}

impl Observer<'_> {
    /// Follows a datagram that is not DHCP; `false` where it belongs to no transfer.
    pub(super) fn observe_tftp(&mut self, packet: &Packet<'_>, payload: &[u8]) -> bool {
        let is_request = packet.destination.port() == PORT && matches!(payload, [0, 1 | 2, ..]);
        if is_request {
            self.scribe.totals.tftp += 1;
            match TftpPacket::parse(payload) {
                Ok(TftpPacket::Request(request)) => self.tftp_request(packet, &request),
                _ => self.scribe.totals.malformed += 1,
            }
            return true;
        }
        let (client, from_server) = match self.tftp.get_mut(&packet.destination) {
            Some(transfer) if transfer.server.ip() == packet.source.ip() => {
                (packet.destination, true)
            }
            _ => (packet.source, false),
        };
        let now = self.scribe.now();
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
        self.scribe.totals.tftp += 1;
        // A transfer that is over may be followed by its last packets again.
        transfer.last = now;
        if from_server {
            transfer.server = peer;
            transfer.is_silent = false;
        }
        // The bulk of all packets: no need to look at more than the head.
        match *payload {
            [0, 3, high, low, ref block @ ..] if from_server != transfer.is_write => {
                let number = BlockNumber::new(u16::from_be_bytes([high, low]));
                let length = packet.length.saturating_sub(4) as u64;
                let is_first = transfer.blocks(number, length, packet.fragmented, now);
                let is_odd = transfer.is_over_mtu(self.options.mtu) || is_first;
                if self.options.comment_blocks {
                    let text = format!("block {number} of `{}`", transfer.shown);
                    self.scribe.comment_only(text);
                }
                if is_odd {
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
                    transfer.take(&options);
                    self.check_block_size(client);
                }
                Ok(TftpPacket::Error { code, message }) => {
                    let end = transfer.error(from_server, code, &message);
                    self.tftp_end(client, end);
                }
                _ => self.scribe.totals.malformed += 1,
            },
        }
        true
    }

    fn tftp_request(&mut self, packet: &Packet<'_>, request: &Request) {
        let now = self.scribe.now();
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
        let asks_size = request
            .options
            .iter()
            .any(|it| it.name == OptionName::TransferSize);
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        files::begins(machine, &name);
        files::check_bare_name(&mut self.scribe, machine, &name);
        machine.stage();
        let began = self.scribe.begins(machine);
        let shown = super::shown::shown_file(&name);
        self.scribe
            .comment_only(format!("asks for `{shown}` by TFTP"));
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
            asks_size,
            block_size: 512,
            window: 1,
            size: None,
            blocks: 0,
            octets: 0,
            has_last: false,
            is_acknowledged: false,
            retransmits: 0,
            last_block: now,
            fragments: false,
            is_over_mtu: false,
        };
        self.tftp.insert(client, transfer);
    }

    /// Looks at the first block, which says what the file is, and at blocks that are too long.
    fn tftp_first_block(&mut self, client: SocketAddrV4, block: &[u8]) {
        let Some(transfer) = self.tftp.get_mut(&client) else {
            return;
        };
        if transfer.blocks == 1
            && !transfer.is_write
            && let Some(machine) = self.machines.get_mut(transfer.machine)
        {
            files::check_head(&mut self.scribe, machine, &transfer.name, block);
        }
        self.check_block_size(client);
    }

    /// Tells of blocks that do not fit into the MTU, once for each transfer.
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
            "its blocks travel in fragments".to_owned()
        } else {
            format!("with the headers over the MTU of {mtu}")
        };
        let text = format!(
            "`{}` is sent with blksize {}: {how}",
            transfer.shown, transfer.block_size
        );
        if let Some(machine) = self.machines.get_mut(transfer.machine) {
            self.scribe.find(machine, FindingKind::BlksizeOverMtu, text);
        }
    }

    /// Ends what was silent since a moment, or, where the capture ends, all.
    pub(super) fn end_idle_tftp(&mut self, since: Timestamp, at_end: bool) {
        let limit = if at_end { self.scribe.now() } else { since };
        for (_, transfer) in self.tftp.take_idle(limit) {
            let end = match () {
                () if transfer.has_last => End::Whole,
                () if at_end && transfer.last > since => End::Running,
                () => End::Silence,
            };
            self.tell_transfer(transfer, end);
        }
    }

    fn tftp_end(&mut self, client: SocketAddrV4, end: End) {
        if let Some(transfer) = self.tftp.remove(&client) {
            self.tell_transfer(transfer, end);
        }
    }

    fn tell_transfer(&mut self, transfer: TftpTransfer, end: End) {
        let Some(machine) = self.machines.get_mut(transfer.machine) else {
            return;
        };
        let end = match end {
            End::Silence if transfer.has_last => End::Whole,
            end => end,
        };
        let began = transfer.began;
        let text = format!(
            "`{}` of {}: {}",
            transfer.shown,
            transfer.server.ip(),
            transfer.summary(&end)
        );
        let told = transfer.report(&end);
        self.scribe.tell_of(machine, "tftp", text, began);
        let scribe = &mut self.scribe;
        match end {
            End::Whole => files::came(scribe, machine, &transfer.name, &told, transfer.began),
            End::Missing(by) => {
                files::is_missing(scribe, machine, &transfer.name, &format!("TFTP: `{by}`"));
            }
            End::Refused(why) => {
                let text = format!("`{}`: {why}", transfer.shown);
                if !loader::is_optional(&transfer.name) {
                    scribe.find_of(machine, FindingKind::TftpError, text, began);
                }
            }
            End::Silence if transfer.is_silent => {
                let text = format!(
                    "{} does not answer the request for `{}`{}",
                    transfer.server.ip(),
                    transfer.shown,
                    match transfer.requests {
                        1 => String::new(),
                        times => format!(", made {times} times"),
                    }
                );
                scribe.find_of(machine, FindingKind::TftpSilent, text, began);
            }
            End::Silence if transfer.blocks > 0 => {
                let text = format!("`{}`: {}", transfer.shown, told.end);
                scribe.find_of(machine, FindingKind::TransferCut, text, began);
            }
            End::Silence | End::SizeOnly | End::Running => {}
        }
        let share = transfer.retransmits * RETRANSMITS_OF;
        if transfer.retransmits >= RETRANSMITS && share >= transfer.blocks {
            let text = format!(
                "`{}`: {} of {} blocks were sent again",
                transfer.shown, transfer.retransmits, transfer.blocks
            );
            scribe.find_of(machine, FindingKind::TftpRetransmits, text, began);
        }
        machine.add_transfer(told, began.stage);
    }
}

impl TftpTransfer {
    /// Takes the options that a server grants.
    fn take(&mut self, options: &[TransferOption]) {
        for option in options {
            match (&option.name, option.value.parse::<u64>()) {
                (OptionName::BlockSize, Ok(value)) => self.block_size = value.min(65464) as u32,
                (OptionName::WindowSize, Ok(value)) => self.window = value.min(65535) as u32,
                (OptionName::TransferSize, Ok(value)) => self.size = Some(value),
                _ => {}
            }
        }
    }

    /// Counts the blocks of a datagram; `true` where the first one is among them.
    ///
    /// A server that leaves it to its card to cut what it sends into datagrams (UDP segmentation
    /// offload) is seen to send several blocks at once, each with its header, where it is captured
    /// on the server itself.
    fn blocks(
        &mut self,
        number: BlockNumber,
        length: u64,
        fragmented: bool,
        now: Timestamp,
    ) -> bool {
        const HEADER: u64 = 4;
        let block_size = u64::from(self.block_size).max(1);
        let mut left = length;
        let mut index = u64::from(number.number());
        let mut is_first = false;
        loop {
            let here = left.min(block_size);
            is_first |= self.block(BlockNumber::of_index(index), here, fragmented, now);
            if left < block_size + HEADER {
                return is_first;
            }
            left -= block_size + HEADER;
            index += 1;
        }
    }

    /// Counts a block; `true` for the first one.
    fn block(
        &mut self,
        number: BlockNumber,
        length: u64,
        fragmented: bool,
        now: Timestamp,
    ) -> bool {
        let known = BlockNumber::of_index(self.blocks);
        let ahead = number.distance_from(known);
        self.fragments |= fragmented;
        // More than half of all numbers ahead is behind: a block that was sent before.
        if ahead == 0 || ahead > u16::MAX / 2 {
            // A bridge and its port show one packet twice, at once.
            let is_copy = ahead == 0 && now.duration_since(self.last_block) < COPY;
            self.retransmits += u64::from(!is_copy);
            return false;
        }
        self.last_block = now;
        let is_first = self.blocks == 0;
        self.blocks += u64::from(ahead);
        let block_size = u64::from(self.block_size);
        self.octets = (self.blocks - 1) * block_size + length;
        self.has_last = length < block_size;
        is_first
    }

    /// Takes an acknowledgement; `true` where the last block is there.
    fn acknowledged(&mut self, number: BlockNumber) -> bool {
        let is_last = number == BlockNumber::of_index(self.blocks);
        self.is_acknowledged = self.has_last && is_last;
        self.is_acknowledged
    }

    fn is_over_mtu(&self, mtu: u16) -> bool {
        !self.is_over_mtu && (self.fragments || self.block_size + HEADERS > u32::from(mtu))
    }

    fn error(&self, from_server: bool, code: ErrorCode, message: &str) -> End {
        let said = shown_text(message);
        match (from_server, code) {
            (true, ErrorCode::FileNotFound) => End::Missing(said),
            (true, _) => End::Refused(format!("the server refuses: {} `{said}`", code.number())),
            // edk2, iPXE and PXELINUX ask for the size and leave it at that, before they ask again.
            (false, _) if self.blocks == 0 && self.asks_size => End::SizeOnly,
            (false, _) if self.has_last => End::Whole,
            (false, _) => End::Refused(format!("the client gives up: {} `{said}`", code.number())),
        }
    }

    /// Says what came, how fast, and how it ended.
    fn summary(&self, end: &End) -> String {
        let took = milliseconds(self.began.at, self.last);
        let mut said = match end {
            End::Whole => {
                let fast = rate(self.octets, took).map(|it| format!(" ({it})"));
                let came = size(self.octets);
                format!("{came} in {}{}", time(took), fast.unwrap_or_default())
            }
            End::SizeOnly => match self.size {
                Some(octets) => format!("asks for the size only: {}", size(octets)),
                None => "asks for the size only".to_owned(),
            },
            End::Missing(_) | End::Refused(_) | End::Silence | End::Running => self.ending(end),
        };
        if self.blocks > 0 {
            said.push_str(&format!(", blksize {}", self.block_size));
            if self.window > 1 {
                said.push_str(&format!(", windowsize {}", self.window));
            }
        }
        if self.retransmits > 0 {
            said.push_str(&format!(", {} blocks sent again", self.retransmits));
        }
        if self.is_write {
            said.push_str(", written to the server");
        }
        said
    }

    fn ending(&self, end: &End) -> String {
        let came = match self.size {
            Some(all) => format!("{} of {}", size(self.octets), size(all)),
            None => size(self.octets),
        };
        match end {
            End::Whole => "whole".to_owned(),
            End::SizeOnly => "size only".to_owned(),
            End::Missing(said) => format!("not there (`{said}`)"),
            End::Refused(why) => why.clone(),
            End::Running => format!("still running, {came} so far"),
            End::Silence if self.is_silent => "no answer".to_owned(),
            End::Silence if self.blocks == 0 => "the options were granted, and no more".to_owned(),
            End::Silence => format!("cut off after {came}, without a word"),
        }
    }

    fn report(&self, end: &End) -> Transfer {
        Transfer {
            protocol: "tftp",
            file: self.shown.clone(),
            server: *self.server.ip(),
            octets: self.octets,
            milliseconds: milliseconds(self.began.at, self.last),
            end: self.ending(end),
            is_good: matches!(end, End::Whole | End::SizeOnly),
        }
    }
}
