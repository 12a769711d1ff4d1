//! Reading one file of an inventory.

use std::fs;
use std::io;
use std::path::Path;

use crate::inventory::{Diagnostic, Span};

/// The largest file that is read, in octets.
const SIZE_LIMIT: u64 = 64 << 20;
/// What editors for other systems put before UTF-8; it is no part of the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a file of an inventory is not read, where it is the inventory that is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// A link to something outside the inventory.
    LeadsOut,
    /// A link to nothing.
    LeadsNowhere,
    /// A directory, a pipe or a device.
    NotRegular,
    /// More than we read.
    TooLarge,
}

impl Unusable {
    /// Says so at the place of the file.
    pub fn diagnostic(self, place: Span) -> Diagnostic {
        let (message, help) = match self {
            Self::LeadsOut => (
                "this file is a link that leads out of the inventory",
                "put what it leads to into the inventory",
            ),
            Self::LeadsNowhere => (
                "this file is a link that leads nowhere",
                "correct the link, or remove it",
            ),
            Self::NotRegular => (
                "this is not a regular file",
                "give it a name that ends neither in `.yaml` nor in `.hbs`, or remove it",
            ),
            Self::TooLarge => ("this file is over 64 MiB", "split it into several files"),
        };
        Diagnostic::error("unusable-file", place, message).help(help)
    }
}

/// Reads a file of the directory `root`, without a byte order mark. A link may not lead out of the
/// directory: an inventory comes from a pull request, and what it holds is rendered and quoted.
///
/// # Errors
/// When the machine cannot read it.
pub fn read(root: &Path, path: &Path) -> io::Result<Result<Vec<u8>, Unusable>> {
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied && path.is_symlink() => {
            return Ok(Err(Unusable::LeadsNowhere));
        }
        Err(error) => return Err(error),
    };
    if !real.starts_with(root) {
        return Ok(Err(Unusable::LeadsOut));
    }
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(Err(Unusable::NotRegular));
    }
    if metadata.len() > SIZE_LIMIT {
        return Ok(Err(Unusable::TooLarge));
    }
    let mut octets = fs::read(path)?;
    if octets.starts_with(BYTE_ORDER_MARK) {
        octets.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(Ok(octets))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_not_read_is_told_from_what_cannot_be() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(directory.path()).unwrap();
        let path = |name: &str| root.join(name);
        fs::write(path("good"), "a: 1").unwrap();
        fs::write(path("marked"), "\u{feff}a: 1").unwrap();
        fs::create_dir(path("folder")).unwrap();
        symlink("good", path("link")).unwrap();
        symlink(outside.path(), path("out")).unwrap();
        symlink("nothing", path("broken")).unwrap();
        symlink("circle", path("circle")).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), pipe, 0o600.into(), 0).unwrap();
        let large = fs::File::create(path("large")).unwrap();
        large.set_len(SIZE_LIMIT + 1).unwrap();
        for (name, expected) in [
            ("good", Ok(b"a: 1".to_vec())),
            ("marked", Ok(b"a: 1".to_vec())),
            ("link", Ok(b"a: 1".to_vec())),
            ("folder", Err(Unusable::NotRegular)),
            ("pipe", Err(Unusable::NotRegular)),
            ("large", Err(Unusable::TooLarge)),
            ("out", Err(Unusable::LeadsOut)),
            ("broken", Err(Unusable::LeadsNowhere)),
            ("circle", Err(Unusable::LeadsNowhere)),
        ] {
            assert_eq!(read(&root, &path(name)).unwrap(), expected, "{name}");
        }
        let error = read(&root, &path("absent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
