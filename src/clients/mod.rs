//! Models of firmware and loaders: which offer they take, what they ask for next.
//!
//! They follow the sources of the programs they stand for, so that a rehearsal goes wrong where the
//! machine would, and says why.

pub mod dhcp;
pub mod grub;
pub mod grub_script;
pub mod ipxe;
pub mod pxelinux;
pub mod pxelinux_config;
pub mod shim;
mod url;
mod wanted;

pub use wanted::{IfMissing, LoaderRequest, Origin};
