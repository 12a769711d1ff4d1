use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::error::TransferError;
use crate::bundle::oci::MANIFEST_LIMIT;
use crate::wire::tar::{Tar, TarKind};

/// The longest name that is kept, in bytes: that of a blob with a SHA-512 digest.
const NAME_LIMIT: usize = 160;
/// The largest number of files and links in a tar file.
const FILES_LIMIT: usize = 1 << 16;
/// The longest chain of links that is followed, as in Linux.
const LINKS_LIMIT: usize = 40;

/// The relevant files in a tar file. They are read in place; nothing is unpacked.
#[derive(Debug)]
pub struct TarFiles {
    path: PathBuf,
    file: File,
    /// The offset and the size of each regular file.
    pub entries: BTreeMap<String, (u64, u64)>,
    /// The path in the tar file to which each link leads.
    links: BTreeMap<String, String>,
}

impl TarFiles {
    /// Opens a tar file, and lists the entries whose names are relevant.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a complete tar file.
    pub fn open(path: &Path, is_relevant: impl Fn(&str) -> bool) -> Result<Self, TransferError> {
        let failed = |source| TransferError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let refused = |reason: String| TransferError::Archive {
            path: path.to_owned(),
            reason,
        };
        let (mut entries, mut links) = (BTreeMap::new(), BTreeMap::new());
        let mut archive = Tar::new(&file);
        let broken = |error| refused(format!("not a complete tar file: {error}"));
        while let Some(entry) = archive.entry().map_err(broken)? {
            archive.skip_content().map_err(broken)?;
            let name = entry.path.trim_start_matches("./");
            if !is_relevant(name) || name.len() > NAME_LIMIT {
                continue;
            }
            if entries.len() + links.len() == FILES_LIMIT {
                return Err(refused(format!("more than {FILES_LIMIT} files")));
            }
            match &entry.kind {
                TarKind::File if entry.start + entry.size > length => {
                    return Err(refused(format!("the file ends in the middle of `{name}`")));
                }
                TarKind::File => {
                    entries.insert(name.to_owned(), (entry.start, entry.size));
                }
                TarKind::HardLink(target) => {
                    links.insert(name.to_owned(), normalized("", target));
                }
                TarKind::SymbolicLink(target) => {
                    links.insert(name.to_owned(), normalized(name, target));
                }
                _ => {}
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            entries,
            links,
        })
    }

    /// Returns the offset and the size of a file, also through links.
    pub fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = name;
        for _ in 0..LINKS_LIMIT {
            match self.links.get(name) {
                Some(target) => name = target,
                None => return self.entries.get(name).copied(),
            }
        }
        None
    }

    /// Reads a small file; `None` if there is no such file.
    ///
    /// # Errors
    /// When the file exceeds 4 MiB, or cannot be read.
    pub fn small(&self, name: &str) -> Result<Option<Vec<u8>>, TransferError> {
        let Some((start, size)) = self.find(name) else {
            return Ok(None);
        };
        if size > MANIFEST_LIMIT {
            return Err(self.refused(&format!("`{name}` exceeds 4 MiB")));
        }
        let mut content = Vec::new();
        let read = self.at(start, size)?.read_to_end(&mut content);
        read.map_err(|source| self.failed(source))?;
        Ok(Some(content))
    }

    /// Opens the file again, so that each reader has its own position.
    pub fn at(&self, start: u64, size: u64) -> Result<io::Take<File>, TransferError> {
        let opened = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let mut file = opened.map_err(|source| self.failed(source))?;
        file.seek(SeekFrom::Start(start))
            .map_err(|source| self.failed(source))?;
        Ok(file.take(size))
    }

    /// Returns the error for invalid content.
    pub fn refused(&self, reason: &str) -> TransferError {
        TransferError::Archive {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }

    fn failed(&self, source: io::Error) -> TransferError {
        TransferError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// Returns the path in the tar file to which a link leads.
fn normalized(link: &str, target: &str) -> String {
    let parent = link.rsplit_once('/').map_or("", |(parent, _)| parent);
    let start = if target.starts_with('/') { "" } else { parent };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_paths_in_the_tar_file() {
        for (link, target, expected) in [
            ("a/layer.tar", "../b/layer.tar", "b/layer.tar"),
            ("a/layer.tar", "./x", "a/x"),
            ("layer.tar", "b.tar", "b.tar"),
            ("a/layer.tar", "/b/c", "b/c"),
            ("a", "../../b", "b"),
            ("", "b/c", "b/c"),
        ] {
            assert_eq!(normalized(link, target), expected, "{link} {target}");
        }
    }
}
