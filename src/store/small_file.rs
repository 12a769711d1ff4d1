//! Small files in directories that others may write to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The most bytes that are read of such a file; ours have a few hundred.
const LIMIT: u64 = 64 << 10;

/// Opens a regular file. Somebody else may have put a link or a pipe in its place, which must
/// neither mislead nor block.
///
/// # Errors
/// As [`File::open`], and `InvalidInput` where the path does not lead to a regular file.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        let what = "not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(file)
}

/// Reads a file that [`open_regular`] has opened, up to a bound.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read_bounded(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_or_a_link_does_not_block_and_a_large_file_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("large"), vec![b' '; 1 << 20]).unwrap();
        let read = read_bounded(&open_regular(&path("large")).unwrap()).unwrap();
        assert_eq!(read.len() as u64, LIMIT);
        std::os::unix::fs::symlink("large", path("link")).unwrap();
        let pipe = rustix::fs::CWD;
        rustix::fs::mknodat(
            pipe,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for name in ["link", "pipe", "none"] {
            assert!(open_regular(&path(name)).is_err(), "{name}");
        }
    }
}
