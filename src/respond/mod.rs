//! The protocols as state machines: the time and an input in, outputs out.

pub mod access;
pub mod boot;
pub mod dhcp;
pub mod http;
pub mod tftp;
