//! The bundle store: an OCI image layout on disk, whose blobs are written and read by digest.
//!
//! Source: OCI image specification 1.1, "Image Layout".

mod blob;
mod error;
mod garbage;
mod hashed_copy;
mod index;
mod layout;
mod lock;
mod named_bundle;
#[cfg(test)]
mod sample;
mod temporary;
mod verify;
mod writeback;

pub use blob::BlobWriter;
pub use error::BundleStoreError;
pub use garbage::{BundlesInUse, Garbage, GarbageRules};
pub use layout::BundleStore;
pub use lock::{ExclusiveLock, SharedLock};
pub use named_bundle::{CREATED_ANNOTATION, NamedBundle, RETIRED_ANNOTATION};
pub use verify::Verifier;

pub(super) use error::io_error;
pub(super) use hashed_copy::{CopyError, copy_hashed, hash};
pub(super) use named_bundle::merge_signatures;
#[cfg(test)]
pub(super) use sample::SampleStore;
pub(super) use temporary::{Temporary, move_durably};
pub(super) use writeback::Writeback;
