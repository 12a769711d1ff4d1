//! Boot volumes for UEFI HTTP boot. Each volume is built once for all machines.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

use super::request::ServedFile;
use crate::machine::Architecture;
use crate::render::BootVolume;

/// Limit of the size of a loader in a volume, in bytes.
const LARGEST_STAGE: u64 = 32 << 20;
/// Limit of cached volumes. A site has one for each architecture.
const KEPT: usize = 8;

/// Identity of a volume: its architecture, and the identities of its files.
type VolumeKey = (Architecture, Vec<[i64; 5]>);

/// Cache of volumes that contain shim and GRUB.
#[derive(Default)]
pub struct Volumes(Mutex<HashMap<VolumeKey, Arc<BootVolume>>>);

impl Volumes {
    /// Returns the volume with these two loader stages. Builds it if it is new or a file changed.
    ///
    /// # Errors
    /// Returns a message when a file cannot be read or is too large.
    pub fn volume(
        &self,
        architecture: Architecture,
        stages: &[ServedFile; 2],
    ) -> Result<Arc<BootVolume>, String> {
        let identities = stages.iter().map(identity).collect::<Result<_, _>>()?;
        let key = (architecture, identities);
        // One request builds a volume, and the others wait for it.
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
        let files = read.map(|(name, stage)| Ok((name, content(stage)?)));
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

/// Returns values that differ after a file changes.
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

fn content(stage: &ServedFile) -> Result<Vec<u8>, String> {
    let name = &stage.name;
    if stage.size > LARGEST_STAGE {
        let limit = LARGEST_STAGE >> 20;
        return Err(format!("`{name}` exceeds {limit} MiB"));
    }
    let mut bytes = Vec::new();
    let mut limited = (&stage.file).take(LARGEST_STAGE);
    let read = limited.read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read `{name}`: {error}"))?;
    Ok(bytes)
}
