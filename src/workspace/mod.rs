//! The inventory directory on disk: one stable snapshot of it, and where its parts lie.

pub mod files;
mod loaders;
mod places;
mod reading;
mod secret;
mod snapshot;

pub use loaders::read_loaders;
pub use places::{NoPlaceForStore, bundle_directory, state_directory, witness_directory};
pub use secret::{SecretError, Secrets, Warn};
pub use snapshot::{Checked, Snapshot, SnapshotError};
