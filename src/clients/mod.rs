//! Models of firmware and loaders: the offer that they accept, and the files that they request next.
//!
//! They follow the sources of the real programs, so that a rehearsal fails where the machine would fail,
//! and explains why.

pub mod dhcp;
pub mod grub;
pub mod grub_script;
pub mod ipxe;
mod loader_request;
pub mod pxelinux;
pub mod pxelinux_config;
pub mod shim;
mod url;

pub use loader_request::{IfMissing, LoaderRequest, Origin};
