//! A client for OCI registries, as far as bundles need one.
//!
//! It is our own: with the crates that were evaluated, the `Retry-After` of a 429 response is lost, and
//! a broken download cannot be resumed.
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
mod error;
mod options;
mod response;
mod tls;
mod upload;

pub use address::{ParseRegistryAddressError, RegistryAddress};
pub use blob::RegistryBlob;
pub use challenge::Challenge;
pub use client::Registry;
pub use error::{RegistryError, TlsFailure};
pub use options::RegistryOptions;
pub use upload::UploadContent;
