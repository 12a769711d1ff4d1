//! Bundles on this machine: the store that keeps them, the builder that makes them, and the places
//! that they come from and go to.

pub mod builder;
mod key;
mod oci;
mod parallel;
mod registry;
mod store;
pub mod transfer;

pub use key::{KeyError, SecretKey};
pub use oci::{Descriptor, Index, MANIFEST_LIMIT, NAME_ANNOTATION};
pub use registry::{
    Challenge, ParseRegistryAddressError, Registry, RegistryAddress, RegistryBlob, RegistryError,
    RegistryOptions, TlsFailure, UploadContent,
};
pub use store::{
    BlobWriter, BundleStore, BundleStoreError, BundlesInUse, CREATED_ANNOTATION, ExclusiveLock,
    Garbage, GarbageRules, NamedBundle, RETIRED_ANNOTATION, SharedLock, Verifier,
};
