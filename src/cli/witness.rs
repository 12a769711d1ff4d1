use std::path::PathBuf;

use clap::Args;

use crate::workspace::witness_directory;

/// Where the witness file of a store lies.
#[derive(Debug, Args)]
pub struct WitnessOption {
    /// Directory of the witness file, which tells a restored store from a current one; keep it
    /// outside the store and its backups [default: /var/lib/pxectl-witness for root, else the XDG
    /// data directory]
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
