use std::ops::Range;
use std::time::Duration;

use super::timing::Timing;
use super::{Agreement, Allowance, TftpOutcome};
use crate::wire::tftp::{BlockNumber, Packet};

/// How long a transfer waits for the first answer of the peer.
const UNANSWERED: Duration = Duration::from_secs(5);

/// How often the first window is sent before the peer has acknowledged a block: once, and then by
/// timeout. After that, only a repeated ACK of the peer sends it again.
const FIRST_WINDOWS: u32 = 3;

/// Time without progress after which a repeated request means that the peer has started over.
const STARTED_OVER: Duration = Duration::from_secs(1);

/// The next action of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferAction {
    /// Send an OACK with the agreement's options.
    SendOptions,
    /// Send these blocks, in order; the first block of a file has index 1.
    SendBlocks(Range<u64>),
    /// Send nothing.
    Ignore(NoActionReason),
    /// Drop this transfer and start the peer's request again.
    StartOver,
    /// The transfer has ended; nothing is sent.
    Finish(TftpOutcome),
}

/// Why a packet or a timeout causes no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoActionReason {
    /// The timeout has not passed yet.
    TooEarly,
    /// The timeout has passed, and nothing more is sent until the peer repeats its ACK.
    Withheld,
    /// The ACK is a repetition. Sending again because of it would double every packet from here on
    /// (the "Sorcerer's Apprentice", RFC 1123 §4.2.3.1); GRUB repeats old ACKs.
    RepeatedAcknowledgement,
    /// The ACK is for a block that is not in flight.
    StrayAcknowledgement,
    /// The request is repeated in the middle of the transfer that it began.
    RepeatedRequest,
    /// A packet that a reading peer does not send.
    Unexpected,
}

/// One file on its way to one peer.
///
/// Times are durations since a moment that the caller chooses.
///
/// Until the peer has answered, each request causes one datagram, the OACK or the first block, and no
/// timeout repeats it. After that, the [`Allowance`] limits the bytes that are sent, so that a forged
/// source address never pays, and the first window is sent at most three times before a block has been
/// acknowledged.
// Deviation: RFC 1123 §4.2.3.2 also repeats the first answer by timeout. A peer that did not receive it
// repeats its request, and that is answered again.
#[derive(Clone, Debug)]
pub struct OutgoingTransfer {
    agreement: Agreement,
    size: u64,
    stage: TransferStage,
    /// The index of the last block that the peer has.
    acknowledged: u64,
    /// The index of the last block that was sent.
    sent: u64,
    started_at: Duration,
    sent_at: Duration,
    progress_at: Duration,
    deadline: Duration,
    /// The blocks in flight were sent only once, so that their ACK measures the round trip.
    once: bool,
    retransmissions: u64,
    timing: Timing,
    allowance: Allowance,
    /// How often blocks were sent before the peer acknowledged one.
    first_windows: u32,
    /// A timeout passed while nothing more could be sent: the next repeated ACK of the peer is answered,
    /// once.
    owed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransferStage {
    OptionsSent,
    FirstBlockSent,
    Answered,
}

impl OutgoingTransfer {
    /// Starts a transfer of `size` bytes, and returns the first action.
    pub fn start(
        now: Duration,
        agreement: Agreement,
        size: u64,
        allowance: Allowance,
    ) -> (Self, TransferAction) {
        let options = !agreement.acknowledged.is_empty();
        let mut transfer = Self {
            timing: Timing::new(agreement.timeout),
            agreement,
            size,
            stage: if options {
                TransferStage::OptionsSent
            } else {
                TransferStage::FirstBlockSent
            },
            acknowledged: 0,
            sent: if options { 0 } else { 1 },
            started_at: now,
            sent_at: now,
            progress_at: now,
            deadline: now + UNANSWERED,
            once: true,
            retransmissions: 0,
            allowance,
            first_windows: 0,
            owed: false,
        };
        let action = transfer.first_answer();
        (transfer, action)
    }

    /// Returns the negotiated values.
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Reports whether the peer has responded, as far as that can be distinguished from a forged response: if
    /// the port is not secret, only an acknowledged block counts.
    pub fn has_responded(&self) -> bool {
        let is_response = self.allowance.is_port_secret() || self.acknowledged > 0;
        self.has_begun() && is_response
    }

    /// Reports whether any response has come.
    pub fn has_begun(&self) -> bool {
        self.stage == TransferStage::Answered
    }

    /// Returns when [`OutgoingTransfer::expire`] is due.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Returns the byte range of the block with this index; empty for the empty block that ends a file of
    /// whole blocks.
    pub fn byte_range(&self, index: u64) -> Range<u64> {
        let block_size = u64::from(self.agreement.block_size);
        let start = index.saturating_sub(1).saturating_mul(block_size);
        let end = start.saturating_add(block_size);
        start.min(self.size)..end.min(self.size)
    }

    /// Handles a packet of the peer.
    pub fn receive(&mut self, now: Duration, packet: &Packet<'_>) -> TransferAction {
        match packet {
            Packet::Acknowledgement { block } => self.acknowledge(now, *block),
            Packet::Error { code, message } => TransferAction::Finish(TftpOutcome::Aborted {
                code: *code,
                message: message.clone(),
                probe: self.stage == TransferStage::OptionsSent,
            }),
            _ => TransferAction::Ignore(NoActionReason::Unexpected),
        }
    }

    /// Handles a repetition of the peer's request.
    pub fn repeat_request(&mut self, now: Duration) -> TransferAction {
        if self.stage != TransferStage::Answered {
            self.once = false;
            self.deadline = now + UNANSWERED;
            self.allowance.add_request();
            return self.first_answer();
        }
        if now >= self.progress_at + STARTED_OVER {
            return TransferAction::StartOver;
        }
        TransferAction::Ignore(NoActionReason::RepeatedRequest)
    }

    /// Returns the outcome of the transfer if the peer sends another request instead.
    pub fn superseded(&self) -> TftpOutcome {
        TftpOutcome::superseded(self.stage != TransferStage::Answered)
    }

    /// Handles the deadline: sends unacknowledged blocks again, or ends the transfer.
    ///
    /// Source: RFC 1350 §2, RFC 7440 §4.
    pub fn expire(&mut self, now: Duration) -> TransferAction {
        if now < self.deadline {
            return TransferAction::Ignore(NoActionReason::TooEarly);
        }
        let silent = |index| {
            TransferAction::Finish(TftpOutcome::TimedOut {
                block: BlockNumber::of_index(index),
            })
        };
        if self.stage != TransferStage::Answered {
            return silent(0);
        }
        if !self.timing.timed_out() {
            return silent(self.acknowledged + 1);
        }
        if self.acknowledged == 0 && self.first_windows >= FIRST_WINDOWS {
            return self.withhold(now);
        }
        self.send_window(now)
    }

    fn acknowledge(&mut self, now: Duration, block: BlockNumber) -> TransferAction {
        let advance = block.distance_from(BlockNumber::of_index(self.acknowledged));
        let in_flight = self.sent - self.acknowledged;
        let answers_options = self.stage == TransferStage::OptionsSent && advance == 0;
        let asks_again = self.owed && advance == 0;
        self.allowance.add_acknowledgement();
        if !answers_options && !asks_again {
            if advance == 0 {
                return TransferAction::Ignore(NoActionReason::RepeatedAcknowledgement);
            }
            if u64::from(advance) > in_flight {
                return TransferAction::Ignore(NoActionReason::StrayAcknowledgement);
            }
        }
        self.timing
            .answered(self.once.then(|| now.saturating_sub(self.sent_at)));
        self.stage = TransferStage::Answered;
        self.acknowledged += u64::from(advance);
        self.progress_at = now;
        if self.acknowledged == self.last_index() {
            return TransferAction::Finish(TftpOutcome::Sent {
                bytes: self.size,
                duration: now.saturating_sub(self.started_at),
                retransmissions: self.retransmissions,
            });
        }
        self.send_window(now)
    }

    /// Sends the window after the last acknowledged block, which may be in the middle of the last window,
    /// within the allowance.
    fn send_window(&mut self, now: Duration) -> TransferAction {
        let first = self.acknowledged + 1;
        let block_size = self.agreement.block_size;
        let window = u64::from(self.agreement.window_size).min(self.allowance.blocks(block_size));
        if window == 0 {
            return self.withhold(now);
        }
        let last = (self.acknowledged + window).min(self.last_index());
        let again = (self.sent.min(last) + 1).saturating_sub(first);
        self.retransmissions += again;
        self.once = again == 0;
        self.owed = false;
        if self.acknowledged == 0 {
            self.first_windows += 1;
        }
        self.allowance.spend_blocks(last + 1 - first, block_size);
        self.sent = self.sent.max(last);
        self.sent_at = now;
        self.deadline = now + self.timing.timeout();
        TransferAction::SendBlocks(first..last + 1)
    }

    /// Sends nothing, and waits for the peer to repeat its ACK.
    fn withhold(&mut self, now: Duration) -> TransferAction {
        self.owed = true;
        self.deadline = now + self.timing.timeout();
        TransferAction::Ignore(NoActionReason::Withheld)
    }

    fn first_answer(&mut self) -> TransferAction {
        match self.stage {
            TransferStage::OptionsSent => {
                let options = self.agreement.acknowledged.iter();
                let lengths = options.map(|it| it.name.text().len() + it.value.len() + 2);
                self.allowance.spend_packet(2 + lengths.sum::<usize>());
                TransferAction::SendOptions
            }
            _ => {
                self.allowance.spend_blocks(1, self.agreement.block_size);
                TransferAction::SendBlocks(1..2)
            }
        }
    }

    /// The index of the last block, which is shorter than the block size.
    fn last_index(&self) -> u64 {
        self.size / u64::from(self.agreement.block_size) + 1
    }
}

#[cfg(test)]
mod tests;
