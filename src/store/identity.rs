//! Which file a store is: its own, or another one at the same path.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::str::FromStr;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Statx, StatxFlags, open, statx};
use serde::{Deserialize, Serialize};

/// The name of one store: 128 random bits, as 32 lower-case hexadecimal digits. A copy that is put
/// to use gets a name of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StoreId(String);

/// The text does not name a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a store ID of 32 hexadecimal digits")]
pub struct ParseStoreIdError {
    seen: String,
}

impl StoreId {
    /// Draws a name.
    ///
    /// # Errors
    /// When the system provides no random numbers.
    pub fn random() -> io::Result<Self> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        Ok(Self(data_encoding::HEXLOWER.encode(&bits)))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreId {
    type Err = ParseStoreIdError;

    fn from_str(text: &str) -> Result<Self, ParseStoreIdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(ParseStoreIdError {
                seen: text.chars().take(40).collect(),
            });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for StoreId {
    type Error = ParseStoreIdError;

    fn try_from(text: String) -> Result<Self, ParseStoreIdError> {
        text.parse()
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What tells a file from a copy of it. The device number is not part of it: a reboot may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// The inode number.
    pub inode: u64,
    /// The birth time in nanoseconds since 1970, where the file system keeps one.
    pub birth: Option<i64>,
}

/// A database file as it was opened, pinned so that its inode number is not used again.
///
/// The pin is an `O_PATH` descriptor: closing another one would drop every POSIX lock that SQLite
/// holds on the file in this process. Source: open(2), fcntl(2).
#[derive(Debug)]
pub(super) struct PinnedFile {
    pin: OwnedFd,
    device: (u32, u32),
    identity: FileIdentity,
}

impl PinnedFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let pin = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let status = statx(&pin, "", AtFlags::EMPTY_PATH, statx_fields())?;
        Ok(Self {
            device: device(&status),
            identity: identity(&status),
            pin,
        })
    }

    pub(super) fn identity(&self) -> FileIdentity {
        self.identity
    }

    /// Reports whether a path leads to this file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        // A file without a name still has its pin, and a path that leads to it has one.
        let _ = &self.pin;
        let found = statx(CWD, path, AtFlags::empty(), statx_fields());
        found.is_ok_and(|status| {
            device(&status) == self.device && identity(&status) == self.identity
        })
    }
}

fn statx_fields() -> StatxFlags {
    StatxFlags::INO | StatxFlags::BTIME
}

fn device(status: &Statx) -> (u32, u32) {
    (status.stx_dev_major, status.stx_dev_minor)
}

fn identity(status: &Statx) -> FileIdentity {
    let has_birth = status.stx_mask & StatxFlags::BTIME.bits() != 0;
    let birth = status.stx_btime;
    FileIdentity {
        inode: status.stx_ino,
        birth: has_birth
            .then(|| birth.tv_sec.saturating_mul(1_000_000_000) + i64::from(birth.tv_nsec)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_known_again_and_a_copy_at_its_path_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (path, copy) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&path, "text").unwrap();
        let pinned = PinnedFile::open(&path).unwrap();
        fs::write(&path, "longer text").unwrap();
        assert!(pinned.is_at(&path));
        fs::copy(&path, &copy).unwrap();
        assert!(!pinned.is_at(&copy));
        fs::rename(&copy, &path).unwrap();
        assert!(!pinned.is_at(&path));
        fs::remove_file(&path).unwrap();
        assert!(!pinned.is_at(&path));
    }

    #[test]
    fn only_a_text_of_32_digits_names_a_store() {
        let id = StoreId::random().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "../../etc/passwd", &"0".repeat(31), &"G".repeat(32)] {
            assert!(text.parse::<StoreId>().is_err(), "{text}");
        }
    }
}
