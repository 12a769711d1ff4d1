use std::ops::Range;
use std::time::Duration;

use super::timing::Timing;
use super::{Agreement, Outcome};
use crate::wire::tftp::{BlockNumber, Packet};

/// How long the answer to a request waits for the peer.
const UNANSWERED: Duration = Duration::from_secs(5);

/// A peer that repeats its request after so long without progress has started over.
const STARTED_OVER: Duration = Duration::from_secs(1);

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an OACK with the agreement's options.
    SendOptions,
    /// Send these blocks, in order; the first block of a file has index 1.
    SendBlocks(Range<u64>),
    /// Send nothing.
    Ignore(Ignored),
    /// Forget this transfer and begin the peer's request anew.
    StartOver,
    /// The transfer has ended; nothing is sent.
    Finish(Outcome),
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// The time-out has not come yet.
    TooEarly,
    /// The ACK was seen before. Sending again because of it would double every packet from here on
    /// (the "Sorcerer's Apprentice", RFC 1123 §4.2.3.1); GRUB repeats old ACKs.
    RepeatedAcknowledgement,
    /// The ACK names a block that is not under way.
    StrayAcknowledgement,
    /// The request is repeated in the middle of the transfer that it began.
    RepeatedRequest,
    /// A packet that a reading peer does not send.
    Unexpected,
}

/// One file on its way to one peer.
///
/// Times are durations since any one moment that the caller chooses.
///
/// Until the peer has answered, each request is worth one datagram, the OACK or the first block,
/// and no time-out repeats it: with a forged source address nobody gets more than was sent.
// Deviation: RFC 1123 §4.2.3.2 would repeat the first answer by time-out, too. The peer, which has
// seen nothing, repeats its request, and that is answered again.
#[derive(Clone, Debug)]
pub struct Transfer {
    agreement: Agreement,
    size: u64,
    stage: Stage,
    /// The index of the last block that the peer has.
    acknowledged: u64,
    /// The index of the last block that was sent.
    sent: u64,
    started_at: Duration,
    sent_at: Duration,
    progress_at: Duration,
    deadline: Duration,
    /// What is under way was sent once only, so that its ACK measures the round trip.
    once: bool,
    retransmissions: u64,
    timing: Timing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    OptionsSent,
    FirstBlockSent,
    Answered,
}

impl Transfer {
    /// Begins a transfer of `size` octets, and says what to send first.
    pub fn start(now: Duration, agreement: Agreement, size: u64) -> (Self, Action) {
        let options = !agreement.acknowledged.is_empty();
        let transfer = Self {
            timing: Timing::new(agreement.timeout),
            agreement,
            size,
            stage: if options {
                Stage::OptionsSent
            } else {
                Stage::FirstBlockSent
            },
            acknowledged: 0,
            sent: if options { 0 } else { 1 },
            started_at: now,
            sent_at: now,
            progress_at: now,
            deadline: now + UNANSWERED,
            once: true,
            retransmissions: 0,
        };
        let action = transfer.first_answer();
        (transfer, action)
    }

    /// Returns what was agreed on.
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Returns when [`Transfer::expire`] is due.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Returns which octets of the file the block with this index carries; none for the empty block
    /// that ends a file of whole blocks.
    pub fn octets(&self, index: u64) -> Range<u64> {
        let block_size = u64::from(self.agreement.block_size);
        let start = index.saturating_sub(1).saturating_mul(block_size);
        let end = start.saturating_add(block_size);
        start.min(self.size)..end.min(self.size)
    }

    /// Takes a packet of the peer.
    pub fn receive(&mut self, now: Duration, packet: &Packet<'_>) -> Action {
        match packet {
            Packet::Acknowledgement { block } => self.acknowledge(now, *block),
            Packet::Error { code, message } => Action::Finish(Outcome::Aborted {
                code: *code,
                message: message.clone(),
                probe: self.stage == Stage::OptionsSent,
            }),
            _ => Action::Ignore(Ignored::Unexpected),
        }
    }

    /// Takes the peer's request again, the same as the first.
    pub fn repeat_request(&mut self, now: Duration) -> Action {
        if self.stage != Stage::Answered {
            self.once = false;
            self.deadline = now + UNANSWERED;
            return self.first_answer();
        }
        if now >= self.progress_at + STARTED_OVER {
            return Action::StartOver;
        }
        Action::Ignore(Ignored::RepeatedRequest)
    }

    /// Returns how the transfer ends when the peer asks for something else instead.
    pub fn superseded(&self) -> Outcome {
        Outcome::superseded(self.stage != Stage::Answered)
    }

    /// Takes note of the time: sends again what was not acknowledged by the deadline, or gives up.
    ///
    /// Source: RFC 1350 §2, RFC 7440 §4.
    pub fn expire(&mut self, now: Duration) -> Action {
        if now < self.deadline {
            return Action::Ignore(Ignored::TooEarly);
        }
        let silent = |index| {
            Action::Finish(Outcome::TimedOut {
                block: BlockNumber::of_index(index),
            })
        };
        if self.stage != Stage::Answered {
            return silent(0);
        }
        if !self.timing.timed_out() {
            return silent(self.acknowledged + 1);
        }
        self.send_window(now)
    }

    fn acknowledge(&mut self, now: Duration, block: BlockNumber) -> Action {
        let advance = block.distance_from(BlockNumber::of_index(self.acknowledged));
        let under_way = self.sent - self.acknowledged;
        let answers_options = self.stage == Stage::OptionsSent && advance == 0;
        if !answers_options {
            if advance == 0 {
                return Action::Ignore(Ignored::RepeatedAcknowledgement);
            }
            if u64::from(advance) > under_way {
                return Action::Ignore(Ignored::StrayAcknowledgement);
            }
        }
        self.timing
            .answered(self.once.then(|| now.saturating_sub(self.sent_at)));
        self.stage = Stage::Answered;
        self.acknowledged += u64::from(advance);
        self.progress_at = now;
        if self.acknowledged == self.last_index() {
            return Action::Finish(Outcome::Sent {
                octets: self.size,
                duration: now.saturating_sub(self.started_at),
                retransmissions: self.retransmissions,
            });
        }
        self.send_window(now)
    }

    /// Sends the window that follows the last acknowledged block, be it in the middle of the last
    /// window.
    fn send_window(&mut self, now: Duration) -> Action {
        let first = self.acknowledged + 1;
        let window = u64::from(self.agreement.window_size);
        let last = (self.acknowledged + window).min(self.last_index());
        let again = (self.sent + 1).saturating_sub(first);
        self.retransmissions += again;
        self.once = again == 0;
        self.sent = last;
        self.sent_at = now;
        self.deadline = now + self.timing.timeout();
        Action::SendBlocks(first..last + 1)
    }

    fn first_answer(&self) -> Action {
        match self.stage {
            Stage::OptionsSent => Action::SendOptions,
            _ => Action::SendBlocks(1..2),
        }
    }

    /// The index of the last block: the one that is shorter than the block size.
    fn last_index(&self) -> u64 {
        self.size / u64::from(self.agreement.block_size) + 1
    }
}

#[cfg(test)]
mod tests;
