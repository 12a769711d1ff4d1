//! The DHCP, TFTP and HTTP servers: each receives, responds and sends on its own threads.
//!
//! [`router`] answers every request that arrives by HTTP or TFTP; `http` and `tftp_site` adapt it to
//! their protocols.

pub mod active;
pub mod context;
mod control_message;
mod descriptors;
pub mod dhcp;
pub mod events;
pub mod http;
pub mod links;
pub mod log;
pub mod machine;
pub mod preflight;
pub mod reload;
pub mod request;
pub mod router;
pub mod run;
pub mod service;
pub mod session;
mod sizes;
pub mod sweep;
pub mod tftp;
pub mod tftp_site;
pub mod volumes;
mod watch;
