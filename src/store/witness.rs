//! The witness file: a small file outside the state directory that records the generation of a store.
//!
//! A backup of a state directory that was taken while a host was armed would install the host again
//! when it is restored. So each change of an open session gives the store a higher *generation*, and
//! the witness file of the store holds it too: it is written as *pending* before the store commits
//! the change, and as *confirmed* after, each with a digest of the open sessions. The file also records
//! the path, inode number and birth time of the database file. A store that does not match its witness
//! file arms no host.
//!
//! | crash | the store is at | the witness holds | the store is |
//! |---|---|---|---|
//! | before the pending write | n | confirmed n | sound |
//! | before the commit | n | confirmed n, pending n + 1 | sound |
//! | before the confirmation | n + 1 | confirmed n, pending n + 1 | sound |
//! | none, and an older copy is restored | below n | confirmed n | suspended |

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::database::{LOCK_POLL, LOCK_POLLS};
use super::identity::{FileIdentity, StoreId};
use super::small_file::{open_regular, read_bounded};
use crate::decide::StoreDoubt;

/// The directory of witness files, one for each store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WitnessDirectory(PathBuf);

/// The location of a store's witness file.
#[derive(Clone, Debug)]
pub enum WitnessLocation {
    /// In this directory from now on.
    Exactly(PathBuf),
    /// In the directory that the store records, and in this one if it records none.
    UnlessRecorded(PathBuf),
}

impl<P: AsRef<Path> + ?Sized> From<&P> for WitnessLocation {
    fn from(directory: &P) -> Self {
        Self::Exactly(directory.as_ref().to_owned())
    }
}

impl WitnessLocation {
    /// Returns the directory of the witness file, given the directory that the store records.
    pub(super) fn choose(
        &self,
        recorded: Option<&WitnessDirectory>,
    ) -> io::Result<WitnessDirectory> {
        let directory = match (self, recorded) {
            (Self::UnlessRecorded(_), Some(recorded)) => return Ok(recorded.clone()),
            (Self::Exactly(directory) | Self::UnlessRecorded(directory), _) => directory,
        };
        // The recorded path must not depend on directories that `..` passes through.
        let absolute = WitnessDirectory(std::path::absolute(directory)?);
        Ok(WitnessDirectory(absolute.resolved()))
    }
}

/// The content of a witness file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Witness {
    store: StoreId,
    path: PathBuf,
    file: FileIdentity,
    confirmed: StoreState,
    pending: Option<StoreState>,
}

/// The generation of a store and its open sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoreState {
    /// How many changes of open sessions were made.
    pub(super) generation: u64,
    /// The SHA-256 digest of the open sessions: a database of which only some pages are old has the
    /// newest generation, and other sessions.
    pub(super) sessions: String,
}

/// What a witness file vouches for: a store in one database file at one path.
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

    /// Returns the path without links, as far as it exists.
    pub(super) fn resolved(&self) -> PathBuf {
        let mut rest = Vec::new();
        let mut existing = self.0.as_path();
        loop {
            if let Ok(path) = existing.canonicalize() {
                return rest.iter().rev().fold(path, |path, name| path.join(name));
            }
            match (existing.parent(), existing.file_name()) {
                (Some(parent), Some(name)) => {
                    rest.push(name.to_owned());
                    existing = parent;
                }
                _ => return self.0.clone(),
            }
        }
    }

    fn file(&self, store: &StoreId) -> PathBuf {
        self.0.join(format!("{store}.json"))
    }

    /// Checks that the witness vouches for a store in this state.
    pub(super) fn check(&self, claim: &Claim<'_>, state: &StoreState) -> Result<(), StoreDoubt> {
        let path = self.file(claim.store);
        let path_text = || path.display().to_string();
        let text = match open_regular(&path).and_then(|file| read_bounded(&file)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreDoubt::NoWitness { path: path_text() });
            }
            Err(error) => {
                return Err(StoreDoubt::UnreadableWitness {
                    path: path_text(),
                    error: error.to_string(),
                });
            }
        };
        // A file that pxectl did not write is not a witness file.
        let witness: Witness = match serde_json::from_slice(&text) {
            Ok(witness) => witness,
            Err(_) => return Err(StoreDoubt::NoWitness { path: path_text() }),
        };
        witness.vouches(claim, state)
    }

    /// Reports whether the witness file holds a generation that was announced and never confirmed.
    pub(super) fn is_pending(&self, claim: &Claim<'_>) -> bool {
        let text = open_regular(&self.file(claim.store)).and_then(|file| read_bounded(&file));
        let witness: Option<Witness> = text
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        witness.is_some_and(|witness| witness.pending.is_some())
    }

    /// Locks the witness file of a store against other writers until the lock is dropped: there is no
    /// other announcement between an announcement and its confirmation.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds the lock for about ten seconds.
    pub(super) fn lock(&self, store: &StoreId) -> io::Result<File> {
        if !self.0.is_dir() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&self.0)?;
        }
        let lock = self.create(&self.lock_file(store), false)?;
        for _ in 0..LOCK_POLLS {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_POLL),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        let what = "another process held the lock for too long";
        Err(io::Error::new(io::ErrorKind::WouldBlock, what))
    }

    fn lock_file(&self, store: &StoreId) -> PathBuf {
        self.0.join(format!("{store}.lock"))
    }

    /// Opens a file for writing, and creates it if it is missing. The file belongs to the owner of the
    /// directory, even if root writes it for a server of another user.
    fn create(&self, path: &Path, truncates: bool) -> io::Result<File> {
        // A link or a pipe in its place must neither mislead nor block.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(truncates)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(path)?;
        let owner = fs::metadata(&self.0)?;
        if file.metadata()?.uid() != owner.uid() && rustix::process::geteuid().is_root() {
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(file)
    }

    /// Records that a store is about to change from one state to the next.
    pub(super) fn announce(
        &self,
        claim: &Claim<'_>,
        confirmed: &StoreState,
        pending: &StoreState,
    ) -> io::Result<()> {
        let witness = Witness::of(claim, confirmed.clone(), Some(pending.clone()));
        self.write(&witness, claim)?;
        if claim.is_durable {
            File::open(&self.0)?.sync_all()?;
        }
        Ok(())
    }

    /// Records that a store is in a state.
    pub(super) fn confirm(&self, claim: &Claim<'_>, state: &StoreState) -> io::Result<()> {
        self.write(&Witness::of(claim, state.clone(), None), claim)
    }

    /// Removes the witness file of a store at this path, so that nothing vouches for the store any more.
    /// A witness file that names another database file, such as the original of a copy, stays.
    pub(super) fn revoke(&self, claim: &Claim<'_>) -> io::Result<()> {
        let path = self.file(claim.store);
        let text = match open_regular(&path).and_then(|file| read_bounded(&file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        let witness: Option<Witness> = serde_json::from_slice(&text).ok();
        if witness.is_none_or(|witness| witness.file == claim.file) {
            fs::remove_file(&path)?;
            let _ = fs::remove_file(self.lock_file(claim.store));
            if claim.is_durable {
                File::open(&self.0)?.sync_all()?;
            }
        }
        Ok(())
    }

    /// Replaces a witness file in one step; its content is durable when this returns.
    fn write(&self, witness: &Witness, claim: &Claim<'_>) -> io::Result<()> {
        let path = self.file(&witness.store);
        let partial = path.with_extension("new");
        let mut file = self.create(&partial, true)?;
        file.write_all(&serde_json::to_vec(witness)?)?;
        if claim.is_durable {
            file.sync_all()?;
        }
        fs::rename(&partial, &path)
    }
}

impl Witness {
    fn of(claim: &Claim<'_>, confirmed: StoreState, pending: Option<StoreState>) -> Self {
        Self {
            store: claim.store.clone(),
            path: claim.path.to_owned(),
            file: claim.file,
            confirmed,
            pending,
        }
    }

    fn vouches(&self, claim: &Claim<'_>, state: &StoreState) -> Result<(), StoreDoubt> {
        if self.store != *claim.store || self.file != claim.file {
            return Err(StoreDoubt::Copied);
        }
        if self.path != claim.path {
            return Err(StoreDoubt::Moved {
                from: self.path.display().to_string(),
            });
        }
        let recorded = || self.pending.iter().chain([&self.confirmed]);
        if recorded().any(|recorded| recorded == state) {
            return Ok(());
        }
        if recorded().any(|recorded| recorded.generation == state.generation) {
            return Err(StoreDoubt::Sessions);
        }
        Err(StoreDoubt::Generation {
            store: state.generation,
            witness: self.confirmed.generation,
        })
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
        let at = |generation| StoreState {
            generation,
            sessions: "none".to_owned(),
        };
        let doubt = |claim: &Claim<'_>, generation| witnesses.check(claim, &at(generation)).err();
        assert!(matches!(
            doubt(&claim, 0),
            Some(StoreDoubt::NoWitness { .. })
        ));
        let _lock = witnesses.lock(&store).unwrap();
        witnesses.confirm(&claim, &at(4)).unwrap();
        assert_eq!(doubt(&claim, 4), None);
        let restored = |store, witness| Some(StoreDoubt::Generation { store, witness });
        assert_eq!(doubt(&claim, 3), restored(3, 4));
        assert_eq!(doubt(&claim, 5), restored(5, 4));
        let mixed = StoreState {
            sessions: "one".to_owned(),
            ..at(4)
        };
        assert_eq!(
            witnesses.check(&claim, &mixed),
            Err(StoreDoubt::Sessions),
            "old pages under the newest generation"
        );
        witnesses.announce(&claim, &at(4), &at(5)).unwrap();
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
            witnesses.revoke(&copied).unwrap();
            assert_eq!(doubt(&claim, 4), None, "the original keeps its witness");
        }
        witnesses.revoke(&claim).unwrap();
        assert!(doubt(&claim, 4).is_some());
        fs::write(directory.path().join(format!("witness/{store}.json")), "{").unwrap();
        assert!(matches!(
            doubt(&claim, 4),
            Some(StoreDoubt::NoWitness { .. })
        ));
    }
}
