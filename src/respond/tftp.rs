//! One TFTP transfer, from its request to its last acknowledgment.
//!
//! [`admit()`] checks the request and [`negotiate()`] its options. An [`OutgoingTransfer`] then decides what to send,
//! from the time and the peer's packets. The caller owns the sockets, the clock and the file.

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

pub use admit::{AdmittedRequest, TftpRefusal, admit};
pub use allowance::{Allowance, FACTOR};
pub use name::{NameError, sanitize};
pub use negotiate::{Agreement, TransferLimits, negotiate};
pub use silence::{LOADER_PATIENCE, Silences};
pub use slots::{SlotClaim, TransferSlot, TransferSlots};
pub use tally::{Tally, TallySummary};
pub use transfer::{NoActionReason, OutgoingTransfer, TransferAction};

use crate::wire::tftp::{BlockNumber, ErrorCode};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TftpOutcome {
    /// The peer acknowledged the last block.
    Sent {
        /// The bytes of the file, each counted once.
        bytes: u64,
        /// The time from the first answer to the last acknowledgment.
        duration: Duration,
        /// Blocks that were sent again.
        retransmissions: u64,
    },
    /// The server refused the request or ended the transfer with an ERROR packet.
    Refused {
        /// The code that was sent.
        code: ErrorCode,
        /// The reason, for people.
        reason: String,
    },
    /// The peer ended the transfer with an ERROR packet.
    Aborted {
        /// The peer's code.
        code: ErrorCode,
        /// The peer's message.
        message: String,
        /// The peer requested options and ended the transfer after it received them. edk2 and many ROMs
        /// learn the file's size that way and then send a new request, so this is not a failure.
        probe: bool,
    },
    /// The peer stopped responding.
    TimedOut {
        /// The block that was never acknowledged; 0 if the peer never acknowledged the first response.
        block: BlockNumber,
    },
    /// The limit of transfers is reached; the peer can retry.
    Busy,
    /// The peer had not responded yet, and another request took its slot.
    Displaced,
    /// The peer's port is closed: it never made the request, or has left.
    Unreachable,
    /// The system had no port for the transfer; the peer can retry.
    NoPort {
        /// The reason.
        reason: String,
    },
    /// The datagram was not a request; nothing was sent.
    Malformed {
        /// The reason.
        reason: String,
    },
}

impl TftpOutcome {
    /// Reports whether the request may have been forged: nothing shows that the sender owns its source
    /// address.
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

    /// Returns the outcome of a request that the peer replaced by another; `early` means that the peer had
    /// not responded yet.
    pub fn superseded(early: bool) -> Self {
        Self::Aborted {
            code: ErrorCode::NotDefined,
            message: "the peer made a new request".to_owned(),
            probe: early,
        }
    }
}
