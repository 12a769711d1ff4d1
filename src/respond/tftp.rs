//! One TFTP transfer, from its request to its last acknowledgement.
//!
//! [`admit()`] judges the request, [`negotiate()`] its options, and a [`Transfer`] then says what to
//! send, given the time and what the peer sent. The caller owns the sockets, the clock and the file.

mod admit;
mod allowance;
mod name;
mod negotiate;
pub mod netascii;
mod silence;
mod slots;
mod tally;
mod timing;
mod transfer;

use std::time::Duration;

pub use admit::{AdmittedRequest, Refusal, admit};
pub use allowance::{Allowance, FACTOR};
pub use name::{NameError, sanitise};
pub use negotiate::{Agreement, Limits, negotiate};
pub use silence::{LOADER_PATIENCE, Silences};
pub use slots::{Claim, Slot, Slots};
pub use tally::{Summary, Tally};
pub use transfer::{Action, Ignored, Transfer};

use crate::wire::tftp::{BlockNumber, ErrorCode};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer acknowledged the last block.
    Sent {
        /// The bytes of the file, each counted once.
        bytes: u64,
        /// From the first answer to the last acknowledgement.
        duration: Duration,
        /// Blocks that were sent again.
        retransmissions: u64,
    },
    /// We refused the request, or gave the transfer up, with an ERROR packet.
    Refused {
        /// The code that was sent.
        code: ErrorCode,
        /// Why, for people.
        reason: String,
    },
    /// The peer ended the transfer with an ERROR packet.
    Aborted {
        /// The peer's code.
        code: ErrorCode,
        /// The peer's words.
        message: String,
        /// The peer had asked for options and left on seeing them: edk2 and many ROMs learn the
        /// file's size that way and then ask again, so it is no failure.
        probe: bool,
    },
    /// The peer fell silent.
    TimedOut {
        /// The block that was never acknowledged; 0 where the request's answer never was.
        block: BlockNumber,
    },
    /// As many transfers run as may; the peer's own retry will find room.
    Busy,
    /// The peer had not responded yet, and another request needed its slot.
    Displaced,
    /// The peer's port is closed: it never made the request, or has left.
    Unreachable,
    /// The system gave the transfer no port; the peer's own retry may find one.
    NoPort {
        /// Why.
        reason: String,
    },
    /// The datagram was no request; nothing was sent.
    Malformed {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Reports whether the request may have been forged: nothing that came of it shows that its
    /// sender has the address that it names.
    pub fn is_unproven(&self) -> bool {
        match self {
            Self::Sent { .. } => false,
            Self::Aborted { probe, .. } => *probe,
            Self::TimedOut { block } => *block == BlockNumber::new(0),
            Self::Refused { .. }
            | Self::Busy
            | Self::Displaced
            | Self::Unreachable
            | Self::NoPort { .. }
            | Self::Malformed { .. } => true,
        }
    }

    /// Returns how a request ends whose peer asks for something else instead; `early` where it has
    /// answered nothing yet.
    pub fn superseded(early: bool) -> Self {
        Self::Aborted {
            code: ErrorCode::NotDefined,
            message: "the peer made a new request".to_owned(),
            probe: early,
        }
    }
}
