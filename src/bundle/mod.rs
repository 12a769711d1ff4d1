//! The bundle store: an OCI image layout on disk, opened, added to and read by digest.
//!
//! Source: OCI image specification 1.1, "Image Layout".

mod blob;
pub mod build;
mod checksums;
mod error;
mod index;
mod layout;
pub mod presets;
mod temporary;
mod verify;

pub use blob::BlobWriter;
pub use error::BundleStoreError;
pub use index::{Descriptor, Index, MANIFEST_LIMIT, NAME_ANNOTATION};
pub use layout::{Alone, BundleStore, Writing};
pub use verify::Verifier;
use verify::hash;
