//! The servers: receive, respond, send, each on threads of its own.

pub mod shutdown;
pub mod tftp;
