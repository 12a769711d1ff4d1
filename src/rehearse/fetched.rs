use sha2::{Digest, Sha256};

use crate::machine::Sha256Digest;

/// A file that was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its size in octets.
    pub size: u64,
    /// Its digest.
    pub digest: Sha256Digest,
    /// As many of its first octets as were to be kept.
    pub octets: Vec<u8>,
}

/// Why a file was not fetched; prints as people read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFetched {
    /// The server does not serve it.
    #[error("the server answered {said}")]
    Refused {
        /// Whether it says that there is no such file.
        is_missing: bool,
        /// The server's words, which loaders show.
        said: String,
    },
    /// Something went wrong on the way.
    #[error("{0}")]
    Broken(String),
}

impl NotFetched {
    /// Reports whether the server says that there is no such file.
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

/// A file of which a part has come.
pub struct Fetching {
    keep: usize,
    size: u64,
    hasher: Sha256,
    octets: Vec<u8>,
}

impl Fetching {
    /// Begins a file whose first `keep` octets are kept.
    pub fn new(keep: usize) -> Self {
        Self {
            keep,
            size: 0,
            hasher: Sha256::new(),
            octets: Vec::new(),
        }
    }

    /// Takes the next octets.
    pub fn take(&mut self, octets: &[u8]) {
        self.hasher.update(octets);
        self.size += octets.len() as u64;
        let room = self.keep - self.octets.len();
        self.octets
            .extend_from_slice(&octets[..octets.len().min(room)]);
    }

    /// Ends the file.
    pub fn end(self) -> Fetched {
        Fetched {
            size: self.size,
            digest: Sha256Digest::new(self.hasher.finalize().into()),
            octets: self.octets,
        }
    }
}
