//! What machines and servers said to each other while a machine booted, and what went wrong.
//!
//! An [`Observer`] is shown the packets of a wire in their order, each with its time, and follows every
//! machine over DHCP, proxyDHCP, TFTP and HTTP. It tells what it sees as it goes ([`TimelineLine`]), and at the
//! end all of it ([`Report`]): a timeline for each machine, and [`Finding`]s from one table
//! ([`FindingKind`]), by the rules of the client models in [`crate::clients`].
//!
//! It keeps a bounded amount of state, whatever it is shown: the oldest goes first, and is counted.

mod dhcp;
mod display;
mod files;
mod finding;
mod http;
mod ledger;
mod loader;
mod machine;
mod machines;
mod observer;
mod recorder;
mod report;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod tftp;

pub use finding::{Finding, FindingKind, UnknownFinding};
pub use machine::{Boot, Offer, Stage, TimelineEntry, Transfer};
pub use observer::{Observer, Options};
pub use recorder::TimelineLine;
pub use report::{MachineReport, Report, SummaryRow, Totals};
