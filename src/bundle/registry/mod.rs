//! An OCI registry, as far as bundles need one.
//!
//! Ours, because what a server asks for with 429 (`Retry-After`) does not come through the errors of
//! the crates that were looked at, nor can they go on with a broken download.
//!
//! Source: OCI distribution specification 1.1.

mod address;
mod authorize;
mod blob;
mod body;
mod challenge;
mod client;
mod credential_files;
mod credential_helper;
mod credentials;
mod diagnose;
mod options;
mod tls;
mod upload;

pub use address::{ParseRegistryAddressError, RegistryAddress};
pub use blob::RegistryBlob;
pub use challenge::Challenge;
pub use client::Registry;
pub use options::RegistryOptions;
pub use upload::Content;
