//! The servers: receive, respond, send, each on threads of its own.

pub mod dhcp;
pub mod events;
pub mod live;
pub mod log;
pub mod shutdown;
pub mod tftp;
