//! Reads a file of an inventory.

use std::fs;
use std::io;
use std::path::Path;

use crate::inventory::{Diagnostic, Span};

/// The largest file that is read, in bytes.
const SIZE_LIMIT: u64 = 64 << 20;
/// The mark that some editors put before UTF-8; it is not part of the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a file of an inventory is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusableFile {
    /// It is a link out of the inventory.
    LeadsOut,
    /// It is a broken link.
    LeadsNowhere,
    /// It is a directory, a pipe or a device.
    NotRegular,
    /// It is too large.
    TooLarge,
}

impl UnusableFile {
    /// Returns the diagnostic of the file.
    pub fn diagnostic(self, span: Span) -> Diagnostic {
        let (message, help) = match self {
            Self::LeadsOut => (
                "the file is a link out of the inventory",
                "copy the target into the inventory",
            ),
            Self::LeadsNowhere => ("the file is a broken link", "fix the link, or remove it"),
            Self::NotRegular => (
                "not a regular file",
                "rename it so that its name does not end with `.yaml` or `.hbs`, or remove it",
            ),
            Self::TooLarge => ("the file exceeds 64 MiB", "split the file"),
        };
        Diagnostic::error("unusable-file", span, message).help(help)
    }
}

/// Reads a file in the directory `root`, without a byte order mark. A link out of the directory is
/// refused: an inventory may come from a pull request, and its files are rendered and quoted.
///
/// # Errors
/// If the file cannot be read.
pub fn read(root: &Path, path: &Path) -> io::Result<Result<Vec<u8>, UnusableFile>> {
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied && path.is_symlink() => {
            return Ok(Err(UnusableFile::LeadsNowhere));
        }
        Err(error) => return Err(error),
    };
    if !real.starts_with(root) {
        return Ok(Err(UnusableFile::LeadsOut));
    }
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(Err(UnusableFile::NotRegular));
    }
    if metadata.len() > SIZE_LIMIT {
        return Ok(Err(UnusableFile::TooLarge));
    }
    let mut content = fs::read(path)?;
    if content.starts_with(BYTE_ORDER_MARK) {
        content.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(Ok(content))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn invalid_files_are_distinguished_from_unreadable_ones() {
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
            ("folder", Err(UnusableFile::NotRegular)),
            ("pipe", Err(UnusableFile::NotRegular)),
            ("large", Err(UnusableFile::TooLarge)),
            ("out", Err(UnusableFile::LeadsOut)),
            ("broken", Err(UnusableFile::LeadsNowhere)),
            ("circle", Err(UnusableFile::LeadsNowhere)),
        ] {
            assert_eq!(read(&root, &path(name)).unwrap(), expected, "{name}");
        }
        let error = read(&root, &path("absent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
