//! The protocols as state machines: the time and an input in, outputs out.

pub mod boot;
pub mod dhcp;
pub mod http;
mod shown;
pub mod tftp;

pub use shown::shown_path;
