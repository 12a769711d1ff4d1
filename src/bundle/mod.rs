//! The bundle store: an OCI image layout on disk, opened, added to and read by digest; and the
//! places that bundles come from and go to.
//!
//! Source: OCI image specification 1.1, "Image Layout".

mod at_once;
mod blob;
pub mod build;
mod checksums;
mod copy;
mod error;
mod garbage;
mod index;
mod key;
mod layout;
mod lock;
mod named;
pub mod presets;
mod registry;
pub(crate) mod retry;
mod temporary;
pub mod transport;
mod verify;

pub use blob::BlobWriter;
pub use error::BundleStoreError;
pub use garbage::{Garbage, GarbageRules, Needed};
pub use index::{Descriptor, Index, MANIFEST_LIMIT, NAME_ANNOTATION};
pub use key::{KeyError, SecretKey};
pub use layout::BundleStore;
pub use lock::{Alone, Writing};
pub use named::{CREATED_ANNOTATION, Named, RETIRED_ANNOTATION};
pub use registry::{
    Challenge, Content, ParseRegistryAddressError, Registry, RegistryAddress, RegistryBlob,
    RegistryOptions,
};
pub use verify::Verifier;

use copy::{CopyError, copy_hashed, hash};
