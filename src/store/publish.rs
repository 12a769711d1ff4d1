//! Gives a complete file its final name, without replacing another file.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// A way to give a file its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PublishMethod {
    /// Renames the file unless the name is taken, in one step. Source: rename(2).
    RenameNoReplace,
    /// Links the final name to the file, and removes the first name.
    Link,
    /// Renames the file after a check that the name is free. A file that appears between the two steps
    /// is replaced.
    RenameIfFree,
}

/// The methods, the safest first. FAT and some FUSE file systems have no hard links, NFS and old
/// kernels no rename that refuses to replace.
const METHODS: [PublishMethod; 3] = [
    PublishMethod::RenameNoReplace,
    PublishMethod::Link,
    PublishMethod::RenameIfFree,
];

/// Moves a complete and synced file to its final name, durably. The final name is never that of a
/// partial file.
///
/// # Errors
/// `AlreadyExists` if the name is taken, and other errors of the file system; the file keeps its first
/// name then.
pub(super) fn publish(partial: &Path, file: &Path) -> io::Result<()> {
    publish_with(&METHODS, partial, file)?;
    sync_parent(file)
}

fn publish_with(methods: &[PublishMethod], partial: &Path, file: &Path) -> io::Result<()> {
    let mut result = Err(io::ErrorKind::Unsupported.into());
    for method in methods {
        result = method.publish(partial, file);
        if !result.as_ref().is_err_and(is_unsupported) {
            break;
        }
    }
    result
}

impl PublishMethod {
    fn publish(self, partial: &Path, file: &Path) -> io::Result<()> {
        match self {
            Self::RenameNoReplace => {
                renameat_with(CWD, partial, CWD, file, RenameFlags::NOREPLACE)?;
                Ok(())
            }
            Self::Link => {
                fs::hard_link(partial, file)?;
                fs::remove_file(partial)
            }
            Self::RenameIfFree => {
                if file.symlink_metadata().is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(partial, file)
            }
        }
    }
}

/// Reports whether a file system does not support an operation. `link` fails with EPERM on FAT.
/// Source: link(2), rename(2).
fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [
        Errno::INVAL,
        Errno::NOSYS,
        Errno::OPNOTSUPP,
        Errno::PERM,
        Errno::MLINK,
    ];
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| unsupported.contains(&errno))
}

/// Makes the name of a file durable, where the file system can sync a directory.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match File::open(parent)?.sync_all() {
        Err(error) if is_unsupported(&error) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_publishes_a_file_and_replaces_none() {
        for method in METHODS {
            let directory = tempfile::tempdir().unwrap();
            let (partial, file) = (
                directory.path().join("partial"),
                directory.path().join("file"),
            );
            fs::write(&partial, "new").unwrap();
            publish_with(&[method], &partial, &file).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), "new", "{method:?}");
            assert!(!partial.exists(), "{method:?}");

            fs::write(&partial, "newer").unwrap();
            let error = publish_with(&[method], &partial, &file).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{method:?}");
            assert_eq!(fs::read_to_string(&file).unwrap(), "new", "{method:?}");
        }
    }

    #[test]
    fn file_systems_without_hard_links_are_recognized_and_other_errors_are_not() {
        for (errno, expected) in [
            (Errno::PERM, true),
            (Errno::OPNOTSUPP, true),
            (Errno::NOSYS, true),
            (Errno::INVAL, true),
            (Errno::EXIST, false),
            (Errno::NOSPC, false),
            (Errno::ROFS, false),
        ] {
            assert_eq!(is_unsupported(&errno.into()), expected, "{errno:?}");
        }
    }
}
