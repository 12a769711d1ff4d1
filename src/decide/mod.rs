//! What a machine boots now, and why: the decision table, and the rules by which phases change.

mod address;
mod admission;
mod boot;
mod rate;
mod request;
mod standing;
mod transition;

pub use crate::machine::{IDENTITY_LIMIT, cleaned};
pub use address::{ATTEMPT_ADDRESSES, AttemptAddress, attempt_address};
pub use admission::{
    Admission, CallbackClass, CallbackTally, LATE_LIMIT, LOG_LIMIT, PROGRESS_LIMIT, READY_LIMIT,
    admit_callback,
};
pub use boot::{Action, ArmedHost, BootDecision, Reason, decide};
pub use rate::Rate;
pub use request::{BootRequest, TokenState};
pub use standing::{CLOCK_TOLERANCE, Impediment, Standing, StoreDoubt};
pub use transition::{
    Attempt, Callback, CallbackKind, Refusal, arm, begin_attempt, cancel, close, expire,
    install_under_way, release, report, set_aside, suspend,
};
