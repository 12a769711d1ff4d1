//! The inventory directory on disk: one stable snapshot of it, and where its parts lie.

pub mod files;
mod snapshot;
mod state;

pub use snapshot::{Checked, Snapshot, SnapshotError};
pub use state::state_directory;
