use std::path::PathBuf;

use clap::Args;

use crate::workspace::witness_directory;

/// Where the witness file of a store lies.
#[derive(Debug, Args)]
pub struct WitnessOption {
    /// Directory of the witness file, outside the state directory and its backups [default:
    /// /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]
    ///
    /// The witness file tells the current store from a restored, copied or moved one. A store without
    /// its witness file suspends its open sessions: keep the directory across restarts, in a container
    /// on a volume of its own, and name the same directory each time. Only `serve` and `store
    /// create|restore|copy` use this option; every other command finds the file through the store.
    #[arg(long, global = true, value_name = "DIR", env = "PXECTL_WITNESS")]
    witness: Option<PathBuf>,
}

impl WitnessOption {
    /// Returns the directory.
    ///
    /// # Errors
    /// When it is left out and the environment names no place for it.
    pub fn directory(&self) -> anyhow::Result<PathBuf> {
        match &self.witness {
            Some(path) => Ok(path.clone()),
            None => Ok(witness_directory()?),
        }
    }
}
