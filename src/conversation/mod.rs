//! Follows the packets of a boot: which server answered, which offer the machine took, and what went wrong.
//!
//! An [`Observer`] receives the packets of a network segment in order, each with its time, and follows
//! every machine over DHCP, proxyDHCP, TFTP and HTTP. It returns each event as it happens
//! ([`TimelineLine`]), and a [`Report`] at the end: a timeline for each machine, and [`Finding`]s from one
//! table ([`FindingKind`]), by the rules of the client models in [`crate::clients`].
//!
//! Its state is bounded, whatever the packets hold: it forgets the oldest entries first, and counts them.

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
mod start_point;
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
