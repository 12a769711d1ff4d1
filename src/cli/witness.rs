use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandResult;
use crate::store::WitnessLocation;
use crate::workspace::witness_directory;

/// Where the witness file of a store lies.
#[derive(Debug, Args)]
pub struct WitnessOption {
    /// Directory of the witness file, outside the state directory and its backups [default:
    /// /var/lib/pxectl-witness for root, else pxectl/witness in the XDG data directory]
    ///
    /// The witness file tells the current store from a restored, copied or moved one. A store without
    /// its witness file suspends its open sessions: keep the directory across restarts; in a container,
    /// put it on a volume of its own. The store records the directory, and every command finds the file there;
    /// this option moves it.
    #[arg(long, global = true, value_name = "DIR", env = "PXECTL_WITNESS")]
    witness: Option<PathBuf>,
}

impl WitnessOption {
    /// Returns where the witness file is.
    ///
    /// # Errors
    /// When the option is left out and the environment names no directory for it.
    pub fn place(&self) -> CommandResult<WitnessLocation> {
        match &self.witness {
            Some(path) => Ok(WitnessLocation::Exactly(path.clone())),
            None => Ok(WitnessLocation::UnlessRecorded(witness_directory()?)),
        }
    }
}
