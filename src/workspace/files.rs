//! The directories that are served read-only, over TFTP and over HTTP.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Directories whose regular files may be read, by a name relative to any of them.
///
/// The first directory that has the name wins. Links may lead from one directory into another, as
/// Debian's `/usr/lib/ipxe/ipxe.efi` leads into `/boot`, and never anywhere else.
#[derive(Clone, Debug)]
pub struct FileRoots {
    roots: Vec<PathBuf>,
}

/// A regular file, open for reading. It stays what it is when its name is given to another file.
#[derive(Debug)]
pub struct OpenedFile {
    /// The file, at its beginning.
    pub file: File,
    /// Its size in octets when it was opened.
    pub size: u64,
    /// Where it really lies, links resolved.
    pub path: PathBuf,
}

/// The file is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No directory has it.
    #[error("`{name}` is in none of the served directories")]
    NotFound {
        /// The name that was asked for.
        name: String,
    },
    /// The name climbs, or a link leads out of every directory.
    #[error("`{name}` leads to `{}`, outside the served directories", target.display())]
    OutsideRoots {
        /// The name that was asked for.
        name: String,
        /// Where it leads.
        target: PathBuf,
    },
    /// A directory, a device, a pipe or a socket.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// What it is.
        path: PathBuf,
    },
    /// Not everybody may read it, as is so with keys and with the store: who serves it to a network
    /// says so by its mode.
    #[error("`{}` may not be read by everybody (mode {mode:03o}): `chmod a+r` if it may be served", path.display())]
    NotPublic {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The system refused.
    #[error("cannot open `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FileRoots {
    /// Takes the directories, in the order in which they are searched; they may appear later.
    pub fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots }
    }

    /// Opens the file `name` for reading.
    ///
    /// The file is pinned before it is judged and read after, so that a link which changes
    /// meanwhile changes nothing, and no pipe or device is ever opened.
    ///
    /// # Errors
    ///
    /// See [`FileError`]; a name that is absolute or climbs with `..` is [`FileError::OutsideRoots`].
    pub fn open(&self, name: &str) -> Result<OpenedFile, FileError> {
        let relative = Path::new(name);
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !relative.components().all(plain) {
            return Err(FileError::OutsideRoots {
                name: name.to_owned(),
                target: relative.to_owned(),
            });
        }
        for root in &self.roots {
            let path = root.join(relative);
            let pinned = match rustix::fs::openat(CWD, &path, PIN, Mode::empty()) {
                Ok(pinned) => pinned,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL) => continue,
                Err(errno) => return Err(io_error(path, errno)),
            };
            return self.judge(name, path, pinned.as_fd());
        }
        Err(FileError::NotFound {
            name: name.to_owned(),
        })
    }

    fn judge(
        &self,
        name: &str,
        path: PathBuf,
        pinned: BorrowedFd<'_>,
    ) -> Result<OpenedFile, FileError> {
        let target = real_path(pinned).map_err(|error| io_error(path.clone(), error))?;
        let within = |root: &PathBuf| {
            rustix::fs::openat(CWD, root, PIN, Mode::empty())
                .ok()
                .and_then(|root| real_path(root.as_fd()).ok())
                .is_some_and(|root| target.starts_with(root))
        };
        if !self.roots.iter().any(within) {
            return Err(FileError::OutsideRoots {
                name: name.to_owned(),
                target,
            });
        }
        let kind = rustix::fs::fstat(pinned).map_err(|errno| io_error(path.clone(), errno))?;
        if FileType::from_raw_mode(kind.st_mode) != FileType::RegularFile {
            return Err(FileError::NotAFile { path: target });
        }
        if kind.st_mode & 0o004 == 0 {
            return Err(FileError::NotPublic {
                path: target,
                mode: kind.st_mode & 0o777,
            });
        }
        let open = || {
            let file = File::open(descriptor_path(pinned))?;
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        match open() {
            Ok((file, size)) => Ok(OpenedFile {
                file,
                size,
                path: target,
            }),
            Err(source) => Err(FileError::Io { path, source }),
        }
    }
}

/// Holds a name's file without opening it.
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
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Two roots `a` and `b` beside a directory `secret` that is no root.
    fn roots() -> (tempfile::TempDir, FileRoots) {
        let base = tempfile::tempdir().expect("a directory");
        for name in ["a", "b", "secret", "a/sub"] {
            std::fs::create_dir(base.path().join(name)).expect("a directory");
        }
        for name in ["a/one", "b/one", "b/two", "secret/key", "a/sub/deep"] {
            std::fs::write(base.path().join(name), name).expect("a file");
        }
        let roots = ["missing", "a", "b"].map(|name| base.path().join(name));
        let roots = FileRoots::new(roots.to_vec());
        (base, roots)
    }

    fn read(roots: &FileRoots, name: &str) -> Result<String, FileError> {
        let mut opened = roots.open(name)?;
        let mut text = String::new();
        opened.file.read_to_string(&mut text).expect("text");
        assert_eq!(opened.size, text.len() as u64);
        Ok(text)
    }

    #[test]
    fn a_file_that_not_everybody_may_read_is_not_served() {
        use std::os::unix::fs::PermissionsExt;

        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("state.db");
        std::fs::write(&path, "secret").expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("a mode");
        let roots = FileRoots::new(vec![base.path().to_owned()]);
        let refused = roots.open("state.db");
        assert!(
            matches!(refused, Err(FileError::NotPublic { mode: 0o640, .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn the_first_root_that_has_the_name_wins() {
        let (_base, roots) = roots();
        for (name, expected) in [
            ("one", "a/one"),
            ("two", "b/two"),
            ("sub/deep", "a/sub/deep"),
            ("./sub//deep", "a/sub/deep"),
        ] {
            assert_eq!(read(&roots, name).ok().as_deref(), Some(expected));
        }
        for name in ["three", "one/deeper", "sub/three", &"x".repeat(300)] {
            assert!(matches!(roots.open(name), Err(FileError::NotFound { .. })));
        }
    }

    #[test]
    fn links_lead_between_roots_and_never_out_of_them() {
        let (base, roots) = roots();
        let link = |target: &str, name: &str| {
            symlink(base.path().join(target), base.path().join(name)).expect("a link");
        };
        link("b/two", "a/into-b");
        link("b", "a/all-of-b");
        link("secret/key", "a/out");
        link("secret", "a/out-directory");
        link("gone", "a/dangling");
        symlink("../secret/key", base.path().join("a/relative-out")).expect("a link");
        assert_eq!(read(&roots, "into-b").ok().as_deref(), Some("b/two"));
        assert_eq!(read(&roots, "all-of-b/two").ok().as_deref(), Some("b/two"));
        for name in ["out", "out-directory/key", "relative-out"] {
            match roots.open(name) {
                Err(FileError::OutsideRoots { target, .. }) => {
                    assert!(target.ends_with("secret/key"), "{target:?}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        assert!(matches!(
            roots.open("dangling"),
            Err(FileError::NotFound { .. })
        ));
    }

    #[test]
    fn names_that_climb_are_refused_even_where_they_would_come_back() {
        let (base, roots) = roots();
        let absolute = base.path().join("a/one").display().to_string();
        for name in ["../secret/key", "sub/../one", "/etc/passwd", &absolute] {
            assert!(
                matches!(roots.open(name), Err(FileError::OutsideRoots { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let (base, roots) = roots();
        // Opening a pipe that nobody writes to would block for good.
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, base.path().join("a/pipe"), FileType::Fifo, mode, 0)
            .expect("a pipe");
        for name in ["pipe", "sub", "."] {
            assert!(
                matches!(roots.open(name), Err(FileError::NotAFile { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn an_opened_file_stays_itself_when_its_name_is_taken_over() {
        let (base, roots) = roots();
        let mut opened = roots.open("one").expect("the file");
        let new = base.path().join("a/new");
        std::fs::write(&new, "something else").expect("a file");
        std::fs::rename(new, base.path().join("a/one")).expect("a rename");
        let mut text = String::new();
        opened.file.read_to_string(&mut text).expect("text");
        assert_eq!(text, "a/one");
    }
}
