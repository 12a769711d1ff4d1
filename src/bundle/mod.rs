//! The bundle store: an OCI image layout on disk, opened, added to and read by digest.
//!
//! Source: OCI image specification 1.1, "Image Layout".

mod layout;
mod verify;

pub use layout::{BundleStore, BundleStoreError};
pub use verify::Verifier;
