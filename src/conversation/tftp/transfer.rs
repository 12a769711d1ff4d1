use std::net::SocketAddrV4;

use jiff::{SignedDuration, Timestamp};

use crate::conversation::display::{display_rate, display_size, display_text, display_time};
use crate::conversation::machine::{Transfer, TransferOutcome};
use crate::conversation::machines::MachineId;
use crate::conversation::report::milliseconds;
use crate::conversation::start_point::StartPoint;
use crate::conversation::table::Aged;
use crate::wire::tftp::{BlockNumber, ErrorCode, OptionName, TransferOption};

/// The length of the IPv4, UDP and TFTP headers before a block.
const HEADERS: u32 = 32;
/// A block that repeats sooner than this is a copy: no server retransmits so soon.
const COPY: SignedDuration = SignedDuration::from_millis(2);

/// A transfer, from its request on. The client's address and port identify it.
#[derive(Debug)]
pub(in crate::conversation) struct TftpTransfer {
    pub(super) machine: MachineId,
    pub(super) server: SocketAddrV4,
    pub(super) name: String,
    pub(super) shown: String,
    pub(super) is_write: bool,
    pub(super) began: StartPoint,
    pub(super) last: Timestamp,
    pub(super) requests: u32,
    /// Whether the server has not responded yet.
    pub(super) is_silent: bool,
    pub(super) requests_size: bool,
    pub(super) block_size: u32,
    pub(super) window: u32,
    /// `tsize` from the server.
    pub(super) size: Option<u64>,
    /// The number of blocks that were sent, across rollovers.
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    pub(super) has_last: bool,
    pub(super) is_acknowledged: bool,
    pub(super) retransmits: u64,
    /// The time of the last block.
    pub(super) last_block: Timestamp,
    pub(super) fragments: bool,
    pub(super) is_over_mtu: bool,
}

/// How a transfer ended.
pub(super) enum End {
    /// The last block was acknowledged.
    Whole,
    /// The client requested only the size.
    SizeOnly,
    /// The server does not have the file.
    Missing(String),
    /// One side ended the transfer with an error.
    Refused(String),
    /// No more packets followed.
    Silence,
    /// The capture ended before the transfer.
    Running,
}

impl Aged for TftpTransfer {
    fn last_seen(&self) -> Timestamp {
        self.last
    }
}

impl TftpTransfer {
    /// Applies the options that the server granted.
    pub(super) fn apply(&mut self, options: &[TransferOption]) {
        for option in options {
            match (&option.name, option.value.parse::<u64>()) {
                (OptionName::BlockSize, Ok(value)) => self.block_size = value.min(65464) as u32,
                (OptionName::WindowSize, Ok(value)) => self.window = value.min(65535) as u32,
                (OptionName::TransferSize, Ok(value)) => self.size = Some(value),
                _ => {}
            }
        }
    }

    /// Counts the blocks of a datagram. Returns `true` if the first block of the file is among them.
    ///
    /// With UDP segmentation offload, a capture on the server itself shows several blocks in one
    /// datagram, each with its header.
    pub(super) fn blocks(
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

    /// Counts a block. Returns `true` for the first block of the file.
    pub(super) fn block(
        &mut self,
        number: BlockNumber,
        length: u64,
        fragmented: bool,
        now: Timestamp,
    ) -> bool {
        let known = BlockNumber::of_index(self.blocks);
        let ahead = number.distance_from(known);
        self.fragments |= fragmented;
        // A distance of more than half of all numbers is a block that was sent before.
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
        self.bytes = (self.blocks - 1) * block_size + length;
        self.has_last = length < block_size;
        is_first
    }

    /// Processes an acknowledgement. Returns `true` if it is for the last block.
    pub(super) fn acknowledged(&mut self, number: BlockNumber) -> bool {
        let is_last = number == BlockNumber::of_index(self.blocks);
        self.is_acknowledged = self.has_last && is_last;
        self.is_acknowledged
    }

    pub(super) fn is_over_mtu(&self, mtu: u16) -> bool {
        !self.is_over_mtu && (self.fragments || self.block_size + HEADERS > u32::from(mtu))
    }

    pub(super) fn error(&self, from_server: bool, code: ErrorCode, message: &str) -> End {
        let message = display_text(message);
        match (from_server, code) {
            (true, ErrorCode::FileNotFound) => End::Missing(message),
            (true, _) => End::Refused(format!(
                "the server sends error {} `{message}`",
                code.number()
            )),
            // edk2, iPXE and PXELINUX request only the size first, then the file.
            (false, _) if self.blocks == 0 && self.requests_size => End::SizeOnly,
            (false, _) if self.has_last => End::Whole,
            (false, _) => End::Refused(format!(
                "the client gives up with error {} `{message}`",
                code.number()
            )),
        }
    }

    /// Describes how much arrived, how fast, and the outcome.
    pub(super) fn summary(&self, end: &End) -> String {
        let took = milliseconds(self.began.at, self.last);
        let mut text = match end {
            End::Whole => {
                let fast = display_rate(self.bytes, took).map(|it| format!(" ({it})"));
                let came = display_size(self.bytes);
                format!(
                    "{came} in {}{}",
                    display_time(took),
                    fast.unwrap_or_default()
                )
            }
            End::SizeOnly => match self.size {
                Some(bytes) => format!("requests only the size: {}", display_size(bytes)),
                None => "requests only the size".to_owned(),
            },
            End::Missing(_) | End::Refused(_) | End::Silence | End::Running => self.ending(end),
        };
        if self.blocks > 0 {
            text.push_str(&format!(", blksize {}", self.block_size));
            if self.window > 1 {
                text.push_str(&format!(", windowsize {}", self.window));
            }
        }
        if self.retransmits > 0 {
            text.push_str(&format!(", {} blocks sent again", self.retransmits));
        }
        if self.is_write {
            text.push_str(", written to the server");
        }
        text
    }

    pub(super) fn ending(&self, end: &End) -> String {
        let received = match self.size {
            Some(all) => format!("{} of {}", display_size(self.bytes), display_size(all)),
            None => display_size(self.bytes),
        };
        match end {
            End::Whole => "whole".to_owned(),
            End::SizeOnly => "size only".to_owned(),
            End::Missing(message) => format!("missing (`{message}`)"),
            End::Refused(why) => why.clone(),
            End::Running => format!("still running, {received} so far"),
            End::Silence if self.is_silent => "no response".to_owned(),
            End::Silence if self.blocks == 0 => "options granted, then silence".to_owned(),
            End::Silence => format!("cut off after {received}, then silence"),
        }
    }

    pub(super) fn report(&self, end: &End) -> Transfer {
        Transfer {
            protocol: "tftp",
            file: self.shown.clone(),
            server: *self.server.ip(),
            bytes: self.bytes,
            milliseconds: milliseconds(self.began.at, self.last),
            outcome: match end {
                End::Whole | End::SizeOnly => TransferOutcome::Whole,
                End::Missing(_) => TransferOutcome::Missing,
                End::Refused(_) => TransferOutcome::Refused,
                End::Silence => TransferOutcome::Cut,
                End::Running => TransferOutcome::Running,
            },
            end: self.ending(end),
            is_good: matches!(end, End::Whole | End::SizeOnly),
        }
    }
}
