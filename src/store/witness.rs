//! The witness: a small file outside the state directory that knows how far a store has come.
//!
//! A backup of a state directory that was taken while a host was armed would install the host again
//! when it is restored. So each change of an open session gives the store a higher *generation*, and
//! the witness file of the store holds it too: it is written as *pending* before the store commits
//! the change, and as *confirmed* after. The file also names the database file, by its path, inode
//! number and birth time. A store that its witness file does not vouch for arms nobody.
//!
//! | crash | the store is at | the witness holds | the store is |
//! |---|---|---|---|
//! | before the pending write | n | confirmed n | sound |
//! | before the commit | n | confirmed n, pending n + 1 | sound |
//! | before the confirmation | n + 1 | confirmed n, pending n + 1 | sound |
//! | none, and an older copy is restored | below n | confirmed n | suspended |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::identity::{FileIdentity, StoreId};
use super::small_file::{open_regular, read_bounded};
use crate::decide::StoreDoubt;

/// The directory of witness files, one for each store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WitnessDirectory(PathBuf);

/// Where the witness file of a store is.
#[derive(Clone, Debug)]
pub enum WitnessPlace {
    /// In this directory from now on.
    Exactly(PathBuf),
    /// In the directory that the store records, and in this one if it records none.
    UnlessRecorded(PathBuf),
}

impl<P: AsRef<Path> + ?Sized> From<&P> for WitnessPlace {
    fn from(directory: &P) -> Self {
        Self::Exactly(directory.as_ref().to_owned())
    }
}

impl WitnessPlace {
    /// Chooses the directory for a store that has recorded one, or has not.
    pub(super) fn choose(
        &self,
        recorded: Option<&WitnessDirectory>,
    ) -> io::Result<WitnessDirectory> {
        let directory = match (self, recorded) {
            (Self::UnlessRecorded(_), Some(recorded)) => return Ok(recorded.clone()),
            (Self::Exactly(directory) | Self::UnlessRecorded(directory), _) => directory,
        };
        Ok(WitnessDirectory(std::path::absolute(directory)?))
    }
}

/// What a witness file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Witness {
    store: StoreId,
    path: PathBuf,
    file: FileIdentity,
    confirmed: u64,
    pending: Option<u64>,
}

/// What a witness vouches for: a store at one place.
#[derive(Clone, Debug)]
pub(super) struct Claim<'a> {
    pub(super) store: &'a StoreId,
    /// The absolute path of the database file.
    pub(super) path: &'a Path,
    pub(super) file: FileIdentity,
    /// Whether the witness file is on the disk before a change goes on.
    pub(super) is_durable: bool,
}

impl WitnessDirectory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self, store: &StoreId) -> PathBuf {
        self.0.join(format!("{store}.json"))
    }

    /// Checks that the witness vouches for a store at `generation`.
    pub(super) fn check(&self, claim: &Claim<'_>, generation: u64) -> Result<(), StoreDoubt> {
        let path = self.file(claim.store);
        let shown = || path.display().to_string();
        let text = match open_regular(&path).and_then(|file| read_bounded(&file)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreDoubt::NoWitness { path: shown() });
            }
            Err(error) => {
                return Err(StoreDoubt::UnreadableWitness {
                    path: shown(),
                    error: error.to_string(),
                });
            }
        };
        // What we did not write ourselves vouches for nothing.
        let witness: Witness = match serde_json::from_slice(&text) {
            Ok(witness) => witness,
            Err(_) => return Err(StoreDoubt::NoWitness { path: shown() }),
        };
        witness.vouches(claim, generation)
    }

    /// Reports whether the witness of a store has announced a generation that was never confirmed.
    pub(super) fn is_pending(&self, claim: &Claim<'_>) -> bool {
        let text = open_regular(&self.file(claim.store)).and_then(|file| read_bounded(&file));
        let witness: Option<Witness> = text
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        witness.is_some_and(|witness| witness.pending.is_some())
    }

    /// Keeps every other writer of witness files out until the lock is dropped: between an
    /// announcement and its confirmation, nobody else may announce.
    pub(super) fn lock(&self) -> io::Result<File> {
        if !self.0.is_dir() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&self.0)?;
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.0.join(".lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    /// Notes that a store is about to move from `generation` to the next.
    pub(super) fn announce(&self, claim: &Claim<'_>, generation: u64) -> io::Result<()> {
        self.write(&Witness::of(claim, generation, Some(generation + 1)), claim)?;
        if claim.is_durable {
            File::open(&self.0)?.sync_all()?;
        }
        Ok(())
    }

    /// Notes that a store is at `generation`.
    pub(super) fn confirm(&self, claim: &Claim<'_>, generation: u64) -> io::Result<()> {
        self.write(&Witness::of(claim, generation, None), claim)
    }

    /// Replaces a witness file in one step; its content is durable when this returns.
    fn write(&self, witness: &Witness, claim: &Claim<'_>) -> io::Result<()> {
        let path = self.file(&witness.store);
        let partial = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(&serde_json::to_vec(witness)?)?;
        if claim.is_durable {
            file.sync_all()?;
        }
        fs::rename(&partial, &path)
    }
}

impl Witness {
    fn of(claim: &Claim<'_>, confirmed: u64, pending: Option<u64>) -> Self {
        Self {
            store: claim.store.clone(),
            path: claim.path.to_owned(),
            file: claim.file,
            confirmed,
            pending,
        }
    }

    fn vouches(&self, claim: &Claim<'_>, generation: u64) -> Result<(), StoreDoubt> {
        if self.store != *claim.store || self.file != claim.file {
            return Err(StoreDoubt::Copied);
        }
        if self.path != claim.path {
            return Err(StoreDoubt::Moved {
                from: self.path.display().to_string(),
            });
        }
        if generation != self.confirmed && Some(generation) != self.pending {
            return Err(StoreDoubt::Generation {
                store: generation,
                witness: self.confirmed,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_vouches_for_one_file_at_one_path_and_one_generation() {
        let directory = tempfile::tempdir().unwrap();
        let witnesses = WitnessDirectory::new(directory.path().join("witness"));
        let store = StoreId::random().unwrap();
        let file = FileIdentity {
            inode: 7,
            birth: Some(9),
        };
        let claim = Claim {
            store: &store,
            path: Path::new("/state/state.db"),
            file,
            is_durable: true,
        };
        let doubt = |claim: &Claim<'_>, generation| witnesses.check(claim, generation).err();
        assert!(matches!(
            doubt(&claim, 0),
            Some(StoreDoubt::NoWitness { .. })
        ));
        let _lock = witnesses.lock().unwrap();
        witnesses.confirm(&claim, 4).unwrap();
        assert_eq!(doubt(&claim, 4), None);
        let restored = |store, witness| Some(StoreDoubt::Generation { store, witness });
        assert_eq!(doubt(&claim, 3), restored(3, 4));
        assert_eq!(doubt(&claim, 5), restored(5, 4));
        witnesses.announce(&claim, 4).unwrap();
        assert_eq!(doubt(&claim, 4), None);
        assert_eq!(doubt(&claim, 5), None);
        assert_eq!(doubt(&claim, 3), restored(3, 4));
        let moved = Claim {
            path: Path::new("/other/state.db"),
            ..claim.clone()
        };
        assert!(matches!(doubt(&moved, 4), Some(StoreDoubt::Moved { .. })));
        for file in [
            FileIdentity { inode: 8, ..file },
            FileIdentity {
                birth: None,
                ..file
            },
        ] {
            let copied = Claim {
                file,
                ..claim.clone()
            };
            assert_eq!(doubt(&copied, 4), Some(StoreDoubt::Copied));
        }
        fs::write(directory.path().join(format!("witness/{store}.json")), "{").unwrap();
        assert!(matches!(
            doubt(&claim, 4),
            Some(StoreDoubt::NoWitness { .. })
        ));
    }
}
