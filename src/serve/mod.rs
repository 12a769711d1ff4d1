//! The servers: receive, respond, send, each on threads of its own.

pub mod context;
mod descriptors;
pub mod dhcp;
pub mod events;
pub mod http;
pub mod live;
pub mod log;
pub mod machine;
pub mod preflight;
pub mod reload;
pub mod run;
pub mod session;
pub mod shutdown;
mod sizes;
pub mod sweep;
pub mod tftp;
pub mod tftp_site;
pub mod volumes;
mod watch;
