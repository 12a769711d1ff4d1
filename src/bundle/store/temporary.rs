use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::{BundleStoreError, io_error};

/// The suffix of files that a process is writing, or was writing when it was killed.
const SUFFIX: &str = ".partial";
/// How long a partial download is kept.
const DOWNLOAD_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// A file that is being written. Dropping it removes it, unless it was renamed.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Temporary {
    pub fn create(directory: &Path) -> Result<Self, BundleStoreError> {
        for attempt in 0u32.. {
            let path = directory.join(format!("{}-{attempt}{SUFFIX}", std::process::id()));
            match File::create_new(&path) {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        renamed: false,
                    });
                }
                Err(source)
                    if source.kind() == io::ErrorKind::AlreadyExists && attempt < 10_000 => {}
                Err(source) => return Err(io_error(&path, source)),
            }
        }
        Err(io_error(directory, io::ErrorKind::AlreadyExists.into()))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BundleStoreError> {
        self.file
            .write_all(bytes)
            .map_err(|source| io_error(&self.path, source))
    }

    pub fn rename(mut self, to: &Path) -> Result<(), BundleStoreError> {
        move_durably(&self.file, &self.path, to)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Renames a written file so that after a power failure the name has all of the content or does not exist.
pub fn move_durably(file: &File, from: &Path, to: &Path) -> Result<(), BundleStoreError> {
    file.sync_all().map_err(|source| io_error(from, source))?;
    fs::rename(from, to).map_err(|source| io_error(to, source))?;
    // The name is durable only when its directory is.
    let directory = to.parent().unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| io_error(directory, source))
}

/// Removes the leftovers of killed writers and old partial downloads from a directory in which no process
/// is writing.
pub fn clean(directory: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_old = || {
            let modified = entry.metadata().and_then(|data| data.modified()).ok();
            let age = modified.and_then(|at| now.duration_since(at).ok());
            age.is_some_and(|age| age > DOWNLOAD_LIFE)
        };
        if entry.file_name().to_string_lossy().ends_with(SUFFIX) || is_old() {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
