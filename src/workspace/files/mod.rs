//! The files that are served read-only, over TFTP and over HTTP.

mod roots;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

pub use roots::{RootRefused, Surroundings, check_root, refused_roots};

/// The entries of `server.files`: directories whose regular files may be read by a name relative to
/// any of them, and single files that may be read by their own name.
///
/// The first entry that has the name wins. Links may lead from one entry into another, as Debian's
/// `/usr/lib/ipxe/ipxe.efi` leads to `/boot/ipxe.efi`, and never anywhere else.
#[derive(Clone, Debug)]
pub struct FileRoots {
    roots: Arc<[Root]>,
    surroundings: Arc<Surroundings>,
}

/// One entry of `server.files`.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    /// Its target when it was checked and allowed. Another target is checked again.
    allowed: Option<PathBuf>,
}

/// A regular file, open for reading. It stays the same file if its name is reused.
#[derive(Debug)]
pub struct OpenedFile {
    /// The file, at its beginning.
    pub file: File,
    /// Its size in bytes when it was opened.
    pub size: u64,
    /// Its path with links resolved.
    pub path: PathBuf,
}

/// Why a file is not served.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No entry has it.
    #[error("no served directory has `{name}`")]
    NotFound {
        /// The requested name.
        name: String,
    },
    /// The name contains `..`, or a link leads out of every entry.
    #[error("`{name}` leads to `{}`, outside the served directories", target.display())]
    OutsideRoots {
        /// The requested name.
        name: String,
        /// The target.
        target: PathBuf,
    },
    /// The entry that has it must not be served.
    #[error(transparent)]
    Refused(#[from] RootRefused),
    /// Links form a loop.
    #[error("`{}` is a loop of symbolic links", path.display())]
    Loop {
        /// The path.
        path: PathBuf,
    },
    /// A directory, a device, a pipe or a socket.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others may not read the file, or enter a directory on its path. Keys and stores have such modes;
    /// files for a network do not need them.
    #[error("others may not {} `{}` (mode {mode:03o}): to serve it, run `chmod {} {}`",
        .permission.verb(), path.display(), .permission.fix(), path.display())]
    NotPublic {
        /// The file or the directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// The missing permission.
        permission: Permission,
    },
    /// The system returned an error.
    #[error("cannot open `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// A permission that others need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To read a file.
    Read,
    /// To enter a directory.
    Enter,
}

impl Permission {
    fn bit(self) -> u32 {
        match self {
            Self::Read => 0o004,
            Self::Enter => 0o001,
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Enter => "enter",
        }
    }

    fn fix(self) -> &'static str {
        match self {
            Self::Read => "o+r",
            Self::Enter => "o+x",
        }
    }

    /// Checks that a mode gives others the permission.
    fn check(self, path: impl FnOnce() -> PathBuf, mode: u32) -> Result<(), FileError> {
        if mode & self.bit() != 0 {
            return Ok(());
        }
        Err(FileError::NotPublic {
            path: path(),
            mode: mode & 0o777,
            permission: self,
        })
    }
}

impl FileRoots {
    /// Makes roots that are searched in this order. An entry may be created later. Nothing is served from
    /// an entry that [`check_root`] refuses.
    pub fn new(roots: Vec<PathBuf>, surroundings: Surroundings) -> Self {
        let roots = roots.into_iter().map(|path| {
            let real = std::fs::canonicalize(&path).ok();
            let allowed = real.filter(|real| surroundings.check_real(&path, real).is_ok());
            Root { path, allowed }
        });
        Self {
            roots: roots.collect(),
            surroundings: Arc::new(surroundings),
        }
    }

    /// Opens the file `name` for reading.
    ///
    /// The file is pinned before it is checked, and opened after. So a link or a directory that changes
    /// in between has no effect, and no pipe or device is opened.
    ///
    /// # Errors
    /// See [`FileError`]; an absolute name or a name with `..` is [`FileError::OutsideRoots`].
    pub fn open(&self, name: &str) -> Result<OpenedFile, FileError> {
        let plain = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(name).components().all(|part| plain(&part)) {
            return Err(FileError::OutsideRoots {
                name: name.to_owned(),
                target: PathBuf::from(name),
            });
        }
        let parts = Path::new(name).components();
        let relative: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
        let mut looped = None;
        for (index, root) in self.roots.iter().enumerate() {
            match root.pin(&relative) {
                Ok(Some(pinned)) => return self.judge(name, index, &pinned),
                Ok(None) => {}
                Err((path, Errno::LOOP)) => looped = looped.or(Some(path)),
                Err((path, errno)) => return Err(io_error(path, errno)),
            }
        }
        Err(match looped {
            Some(path) => FileError::Loop { path },
            None => FileError::NotFound {
                name: name.to_owned(),
            },
        })
    }

    /// Decides whether a pinned file may be served, and opens it. It was found in the entry
    /// `found_in`; links may have led into another.
    fn judge(
        &self,
        name: &str,
        found_in: usize,
        pinned: &OwnedFd,
    ) -> Result<OpenedFile, FileError> {
        let unnamed = || PathBuf::from(name);
        let target = real_path(pinned.as_fd()).map_err(|error| io_error(unnamed(), error))?;
        let others = (0..self.roots.len()).filter(|index| *index != found_in);
        let mut refusal = None;
        for index in std::iter::once(found_in).chain(others) {
            match self.grants(index, &target, pinned) {
                Ok(Some(())) => return read(target, pinned),
                Ok(None) => {}
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or_else(|| FileError::OutsideRoots {
            name: name.to_owned(),
            target,
        }))
    }

    /// Reports whether an entry allows a file to be served. Returns `None` if the entry does not contain
    /// the file.
    fn grants(
        &self,
        index: usize,
        target: &Path,
        pinned: &OwnedFd,
    ) -> Result<Option<()>, FileError> {
        let Some(root) = self.roots.get(index) else {
            return Ok(None);
        };
        let Ok(held) = rustix::fs::openat(CWD, &root.path, PIN, Mode::empty()) else {
            return Ok(None);
        };
        let real = real_path(held.as_fd()).map_err(|error| io_error(root.path.clone(), error))?;
        let Ok(rest) = target.strip_prefix(&real) else {
            return Ok(None);
        };
        if root.allowed.as_ref() != Some(&real) {
            self.surroundings.check_real(&root.path, &real)?;
        }
        walk(held, &real, rest, pinned).map(Some)
    }
}

impl Root {
    /// Finds a name in this entry, and pins its file without opening it. Returns `None` if the entry does
    /// not have the name.
    ///
    /// # Errors
    /// The path that cannot be followed, and why.
    fn pin(&self, name: &Path) -> Result<Option<OwnedFd>, (PathBuf, Errno)> {
        let absent = |path: &Path, errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => Ok(None),
            errno => Err((path.to_owned(), errno)),
        };
        // A name that ends in the entry's own is tried as the entry itself, where that is a file.
        let held = match rustix::fs::openat(CWD, &self.path, PIN, Mode::empty()) {
            Ok(held) => held,
            Err(errno) => return absent(&self.path, errno),
        };
        let stat = rustix::fs::fstat(&held).map_err(|errno| (self.path.clone(), errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let is_named = self.path.file_name() == Some(name.as_os_str());
            return Ok(is_named.then_some(held));
        }
        if name.as_os_str().is_empty() {
            return Ok(Some(held));
        }
        match rustix::fs::openat(&held, name, PIN, Mode::empty()) {
            Ok(pinned) => Ok(Some(pinned)),
            Err(errno) => absent(&self.path.join(name), errno),
        }
    }
}

/// Walks from an entry down to a file without following a link, and checks that others may enter
/// every directory on the way and that the file at the end is the pinned one.
fn walk(root: OwnedFd, real: &Path, rest: &Path, pinned: &OwnedFd) -> Result<(), FileError> {
    let failed = |errno| io_error(real.join(rest), errno);
    let mut at = root;
    let mut walked = real.to_owned();
    let mut parts = rest.components().peekable();
    while let Some(part) = parts.next() {
        walked.push(part);
        let link = PIN | OFlags::NOFOLLOW;
        at = rustix::fs::openat(&at, part.as_os_str(), link, Mode::empty()).map_err(failed)?;
        if parts.peek().is_some() {
            let stat = rustix::fs::fstat(&at).map_err(failed)?;
            Permission::Enter.check(|| walked.clone(), stat.st_mode)?;
        }
    }
    let identity = |file: &OwnedFd| {
        let stat = rustix::fs::fstat(file).map_err(failed)?;
        Ok::<_, FileError>((stat.st_dev, stat.st_ino))
    };
    if identity(&at)? == identity(pinned)? {
        return Ok(());
    }
    // The tree changed while it was walked.
    Err(FileError::NotFound {
        name: rest.display().to_string(),
    })
}

/// Opens a pinned file, which must be a regular file that others may read.
fn read(target: PathBuf, pinned: &OwnedFd) -> Result<OpenedFile, FileError> {
    let stat = rustix::fs::fstat(pinned).map_err(|errno| io_error(target.clone(), errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(FileError::NotAFile { path: target });
    }
    Permission::Read.check(|| target.clone(), stat.st_mode)?;
    let open = || {
        let file = File::open(descriptor_path(pinned.as_fd()))?;
        let data = file.metadata()?;
        Ok((file, data))
    };
    let (file, data) = open().map_err(|source: io::Error| io_error(target.clone(), source))?;
    Permission::Read.check(|| target.clone(), data.mode())?;
    Ok(OpenedFile {
        file,
        size: data.len(),
        path: target,
    })
}

/// Pins a file without opening it.
const PIN: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

fn descriptor_path(descriptor: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

fn real_path(descriptor: BorrowedFd<'_>) -> io::Result<PathBuf> {
    std::fs::read_link(descriptor_path(descriptor))
}

fn io_error(path: PathBuf, source: impl Into<io::Error>) -> FileError {
    FileError::Io {
        path,
        source: source.into(),
    }
}

#[cfg(test)]
mod tests;
