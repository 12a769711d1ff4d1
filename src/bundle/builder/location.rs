use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::BuildError;
use super::progress::BuildProgress;
use super::url_path::is_url;
use super::web::{WebClient, without_credentials};

/// A URL or a local path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceLocation {
    /// An HTTP or HTTPS URL.
    Url(String),
    /// A path on this machine.
    Path(PathBuf),
}

impl SourceLocation {
    /// Parses a location; relative paths start from `base`.
    pub fn new(text: &str, base: &Path) -> Self {
        if is_url(text) {
            Self::Url(text.to_owned())
        } else {
            Self::Path(base.join(text))
        }
    }

    /// Returns the location without credentials, for messages.
    pub fn shown(&self) -> String {
        match self {
            Self::Url(url) => without_credentials(url),
            Self::Path(path) => path.display().to_string(),
        }
    }

    /// Reads a small file.
    ///
    /// # Errors
    /// When it cannot be read, or exceeds `limit` bytes.
    pub fn read(
        &self,
        web: &WebClient,
        limit: u64,
        progress: &dyn BuildProgress,
    ) -> Result<Vec<u8>, BuildError> {
        let path = match self {
            Self::Url(url) => return web.read(url, limit, progress),
            Self::Path(path) => path,
        };
        let unreadable = |source| BuildError::Unreadable {
            path: path.clone(),
            source,
        };
        let mut content = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(limit + 1)
            .read_to_end(&mut content)
            .map_err(unreadable)?;
        if content.len() as u64 > limit {
            let what = self.shown();
            return Err(BuildError::TooLarge { what, limit });
        }
        Ok(content)
    }
}
