use std::net::SocketAddrV4;

use jiff::{SignedDuration, Timestamp};

use crate::conversation::display::{display_rate, display_size, display_text, display_time};
use crate::conversation::machine::{Transfer, TransferOutcome};
use crate::conversation::machines::MachineId;
use crate::conversation::recorder::StartPoint;
use crate::conversation::report::milliseconds;
use crate::conversation::table::Aged;
use crate::wire::tftp::{BlockNumber, ErrorCode, OptionName, TransferOption};

/// The headers of IPv4, UDP and TFTP before a block.
const HEADERS: u32 = 32;
/// No server sends a block again so soon without having sent another one.
const COPY: SignedDuration = SignedDuration::from_millis(2);

/// A transfer, from its request on. It is known by the client's address and port.
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
    /// Nothing has come from the server yet.
    pub(super) is_silent: bool,
    pub(super) asks_size: bool,
    pub(super) block_size: u32,
    pub(super) window: u32,
    /// `tsize`, as the server said it.
    pub(super) size: Option<u64>,
    /// The blocks that were sent, over the roll-over.
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    pub(super) has_last: bool,
    pub(super) is_acknowledged: bool,
    pub(super) retransmits: u64,
    /// When the last block was seen.
    pub(super) last_block: Timestamp,
    pub(super) fragments: bool,
    pub(super) is_over_mtu: bool,
}

/// How a transfer ended.
pub(super) enum End {
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

impl TftpTransfer {
    /// Takes the options that a server grants.
    pub(super) fn take(&mut self, options: &[TransferOption]) {
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

    /// Counts a block; `true` for the first one.
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
        self.bytes = (self.blocks - 1) * block_size + length;
        self.has_last = length < block_size;
        is_first
    }

    /// Takes an acknowledgement; `true` where the last block is there.
    pub(super) fn acknowledged(&mut self, number: BlockNumber) -> bool {
        let is_last = number == BlockNumber::of_index(self.blocks);
        self.is_acknowledged = self.has_last && is_last;
        self.is_acknowledged
    }

    pub(super) fn is_over_mtu(&self, mtu: u16) -> bool {
        !self.is_over_mtu && (self.fragments || self.block_size + HEADERS > u32::from(mtu))
    }

    pub(super) fn error(&self, from_server: bool, code: ErrorCode, message: &str) -> End {
        let said = display_text(message);
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
    pub(super) fn summary(&self, end: &End) -> String {
        let took = milliseconds(self.began.at, self.last);
        let mut said = match end {
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
                Some(bytes) => format!("asks for the size only: {}", display_size(bytes)),
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

    pub(super) fn ending(&self, end: &End) -> String {
        let came = match self.size {
            Some(all) => format!("{} of {}", display_size(self.bytes), display_size(all)),
            None => display_size(self.bytes),
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
