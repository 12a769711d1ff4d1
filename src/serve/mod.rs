//! The servers: receive, respond, send, each on threads of its own.

pub mod dhcp;
pub mod events;
pub mod http;
pub mod live;
pub mod log;
pub mod preflight;
pub mod run;
pub mod shutdown;
pub mod tftp;
