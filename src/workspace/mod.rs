//! The inventory directory on disk: a stable snapshot, and the directories of its stores.

pub mod files;
mod loaders;
mod parallel;
mod places;
mod reading;
mod secret;
mod snapshot;

pub use loaders::read_loaders;
pub use places::{
    NoPlaceForStore, NoPlaceForWitness, bundle_directory, state_directory, witness_directory,
};
pub use secret::{SecretError, Secrets, Warn};
pub use snapshot::{Checked, Snapshot, SnapshotError};
