use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::machine::{Architecture, CpuArchitecture, Firmware};

/// The most boot files that are compared between machines.
const FILES: usize = 4096;

/// The boot files that servers named, and for which kinds of machines.
#[derive(Debug, Default)]
pub(in crate::conversation) struct Mapping {
    files: HashMap<(Ipv4Addr, String), BootFileUse>,
}

/// The architecture of the first machine, and whether the finding is recorded already.
type BootFileUse = (Architecture, bool);

impl Mapping {
    /// Records that a server named a boot file for a machine.
    ///
    /// Returns the architecture of the first machine if that needs another loader, once for each file.
    pub fn conflict(
        &mut self,
        server: Ipv4Addr,
        file: String,
        architecture: Architecture,
    ) -> Option<Architecture> {
        if self.files.len() >= FILES {
            self.files.clear();
        }
        let (first, is_recorded) = self
            .files
            .entry((server, file))
            .or_insert((architecture, false));
        if loader_needs(*first) == loader_needs(architecture) || *is_recorded {
            return None;
        }
        *is_recorded = true;
        Some(*first)
    }
}

/// Returns the firmware and processor that a loader must match.
fn loader_needs(architecture: Architecture) -> (Firmware, CpuArchitecture) {
    (architecture.firmware(), architecture.cpu())
}
