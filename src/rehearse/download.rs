use sha2::{Digest, Sha256};

use crate::machine::Sha256Digest;

/// A downloaded file.
#[derive(Clone, Debug)]
pub struct DownloadedFile {
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Sha256Digest,
    /// Its first bytes, as many as the caller wanted to keep.
    pub content: Vec<u8>,
}

/// Why a file could not be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The server refused the request.
    #[error("the server answered {message}")]
    Refused {
        /// Whether the server reported that the file does not exist.
        is_missing: bool,
        /// The server's message, which loaders show.
        message: String,
    },
    /// The transfer failed.
    #[error("{0}")]
    Failed(String),
}

impl DownloadError {
    /// Reports whether the server reported that the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                is_missing: true,
                ..
            }
        )
    }
}

/// A file that is being received.
pub struct Download {
    keep: usize,
    size: u64,
    hasher: Sha256,
    content: Vec<u8>,
}

impl Download {
    /// Starts a file whose first `keep` bytes are kept.
    pub fn new(keep: usize) -> Self {
        Self {
            keep,
            size: 0,
            hasher: Sha256::new(),
            content: Vec::new(),
        }
    }

    /// Adds the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        let room = self.keep - self.content.len();
        self.content
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Ends the file.
    pub fn finish(self) -> DownloadedFile {
        DownloadedFile {
            size: self.size,
            digest: Sha256Digest::new(self.hasher.finalize().into()),
            content: self.content,
        }
    }
}
