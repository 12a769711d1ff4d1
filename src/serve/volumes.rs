//! The volumes that firmware boots over HTTP, each made once for all machines.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

use super::context::ServedFile;
use crate::machine::Architecture;
use crate::render::BootVolume;

/// The largest loader that goes into a volume, in octets.
const LARGEST_STAGE: u64 = 32 << 20;
/// How many volumes are kept; a site has one for each architecture.
const KEPT: usize = 8;

/// Which volume: for which processor, and of which files, as they were.
type Key = (Architecture, Vec<[i64; 5]>);

/// Volumes with shim and GRUB in them.
#[derive(Default)]
pub struct Volumes(Mutex<HashMap<Key, Arc<BootVolume>>>);

impl Volumes {
    /// Returns the volume with these two stages; makes it when it is new or a file has changed.
    ///
    /// # Errors
    /// When a file cannot be read or is too large, for people.
    pub fn volume(
        &self,
        architecture: Architecture,
        stages: &[ServedFile; 2],
    ) -> Result<Arc<BootVolume>, String> {
        let identities = stages.iter().map(identity).collect::<Result<_, _>>()?;
        let key = (architecture, identities);
        // One at a time: whoever waits finds it made.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(volume) = kept.get(&key) {
            return Ok(Arc::clone(volume));
        }
        let letters = architecture.cpu().efi_letters();
        let names = [
            format!("EFI/BOOT/BOOT{}.EFI", letters.to_uppercase()),
            format!("EFI/BOOT/grub{letters}.efi"),
        ];
        let read = names.into_iter().zip(stages);
        let files = read.map(|(name, stage)| Ok((name, octets(stage)?)));
        let files = files.collect::<Result<Vec<_>, String>>()?;
        let volume = BootVolume::new(&files, "grub/grub.cfg").map_err(|error| error.to_string())?;
        let volume = Arc::new(volume);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&volume));
        Ok(volume)
    }
}

/// What changes when a file changes.
fn identity(stage: &ServedFile) -> Result<[i64; 5], String> {
    let data = stage.file.metadata();
    let data = data.map_err(|error| format!("cannot read `{}`: {error}", stage.name))?;
    let (device, inode) = (data.dev() as i64, data.ino() as i64);
    Ok([
        device,
        inode,
        data.size() as i64,
        data.mtime(),
        data.mtime_nsec(),
    ])
}

fn octets(stage: &ServedFile) -> Result<Vec<u8>, String> {
    let name = &stage.name;
    if stage.size > LARGEST_STAGE {
        return Err(format!("`{name}` has more than {LARGEST_STAGE} octets"));
    }
    let mut octets = Vec::new();
    let mut limited = (&stage.file).take(LARGEST_STAGE);
    let read = limited.read_to_end(&mut octets);
    read.map_err(|error| format!("cannot read `{name}`: {error}"))?;
    Ok(octets)
}
