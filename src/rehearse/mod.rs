//! Plays the firmware of a host through its whole boot chain, without the hardware: the client models
//! of [`crate::clients`] over real sockets.

mod chain;
mod dhcp;
mod download;
mod endpoints;
mod foreign_dhcp;
mod http;
mod report;
mod rom;
mod servers;
mod tftp;

pub use chain::rehearse;
pub use endpoints::{DhcpEndpoint, Endpoints};
pub use report::{ChainFailure, ChainStep, Reach, Rehearsal};
pub use rom::Rom;
pub use servers::RehearsalServers;
