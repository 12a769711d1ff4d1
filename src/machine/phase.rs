use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The phase of a host's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Known, and never armed.
    New,
    /// Armed: it may install, until its deadline.
    Provisioning,
    /// The installer reported success.
    Installed,
    /// The installer reported failure.
    Failed,
    /// An operator set it aside; it boots nothing.
    Quarantine,
    /// It has left the rack; it boots nothing.
    Retired,
}

/// The one table of phases, in the order of the enum.
const TABLE: [(Phase, &str); 6] = [
    (Phase::New, "new"),
    (Phase::Provisioning, "provisioning"),
    (Phase::Installed, "installed"),
    (Phase::Failed, "failed"),
    (Phase::Quarantine, "quarantine"),
    (Phase::Retired, "retired"),
];

impl Phase {
    /// Lists every phase.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// Returns the name that commands and the store use.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }
}

/// The text is not a phase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a phase")]
pub struct ParsePhaseError {
    seen: String,
}

impl FromStr for Phase {
    type Err = ParsePhaseError;

    fn from_str(text: &str) -> Result<Self, ParsePhaseError> {
        TABLE
            .iter()
            .find(|row| row.1 == text)
            .map(|row| row.0)
            .ok_or_else(|| ParsePhaseError {
                seen: text.to_owned(),
            })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_phase_in_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(row.1.parse(), Ok(row.0));
        }
    }
}
