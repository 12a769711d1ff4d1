use std::io;
use std::path::{Path, PathBuf};

use crate::inventory::ManifestError;
use crate::machine::Sha256Digest;

/// Why a bundle store, or a blob in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleStoreError {
    /// Nothing exists at the path.
    #[error("no bundle store at `{}`", .0.display())]
    Absent(PathBuf),
    /// The path has something else.
    #[error("`{}` is not an OCI image layout: {reason}", .path.display())]
    NotALayout {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A blob is missing.
    #[error("the blob of `{file}` is missing: `{}`", .path.display())]
    MissingBlob {
        /// The file's path in its bundle.
        file: String,
        /// The expected path of the blob.
        path: PathBuf,
    },
    /// A blob has another size than its bundle states.
    #[error("the blob of `{file}` has {found} bytes, expected {expected}: `{}`", .path.display())]
    WrongSize {
        /// The file's path in its bundle.
        file: String,
        /// The blob.
        path: PathBuf,
        /// The size of the blob in bytes.
        found: u64,
        /// The size in the bundle.
        expected: u64,
    },
    /// The content of a blob does not match its name.
    #[error("the blob of `{file}` hashes to {found}, which does not match its name: `{}`", .path.display())]
    WrongDigest {
        /// The file's path in its bundle.
        file: String,
        /// The blob.
        path: PathBuf,
        /// The digest of its content.
        found: Sha256Digest,
    },
    /// New content differs from the pinned digest or size.
    #[error("{what} has {found_size} bytes and hashes to {found}, expected {expected}{}",
        .expected_size.map_or(String::new(), |size| format!(" with {size} bytes")))]
    Unexpected {
        /// What was read.
        what: String,
        /// The digest of the content.
        found: Sha256Digest,
        /// The size of the content in bytes.
        found_size: u64,
        /// The pinned digest.
        expected: Sha256Digest,
        /// The pinned size in bytes, if any.
        expected_size: Option<u64>,
    },
    /// The name has other content already.
    #[error(
        "the store already has `{name}` with other content: its manifest is {present}, the new one {new}"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// The digest of the stored manifest.
        present: String,
        /// The digest of the new manifest.
        new: String,
    },
    /// The store has no such name.
    #[error("the store `{}` has no `{name}`", .root.display())]
    UnknownName {
        /// The store.
        root: PathBuf,
        /// The name.
        name: String,
    },
    /// A name of the store is not a bundle's.
    #[error("`{name}` is not a bundle: {error}")]
    NotABundle {
        /// The name.
        name: String,
        /// Why.
        error: ManifestError,
    },
    /// A new bundle could not be read again.
    #[error("`{name}` is not a valid bundle: {error}")]
    InvalidBundle {
        /// The name.
        name: String,
        /// Why.
        error: ManifestError,
    },
    /// A bundle has more files than a manifest can list.
    #[error("the manifest of `{name}` would have {size} bytes, which exceeds 4 MiB")]
    TooManyFiles {
        /// The name.
        name: String,
        /// The size of its manifest in bytes.
        size: u64,
    },
    /// The file system has too little space.
    #[error("not enough space in `{}`: {need} bytes needed, {have} available", .path.display())]
    Full {
        /// The directory.
        path: PathBuf,
        /// How many bytes are needed.
        need: u64,
        /// How many bytes are available.
        have: u64,
    },
    /// A file cannot be read or written.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// New content cannot be read to its end.
    #[error("cannot read the content to store: {0}")]
    Content(io::Error),
}

impl BundleStoreError {
    /// Reports whether the answer is no (exit code 1), as opposed to a failure to get an answer
    /// (exit code 3).
    pub fn answer_is_no(&self) -> bool {
        match self {
            Self::MissingBlob { .. }
            | Self::WrongSize { .. }
            | Self::WrongDigest { .. }
            | Self::NameTaken { .. }
            | Self::InvalidBundle { .. }
            | Self::TooManyFiles { .. }
            | Self::UnknownName { .. } => true,
            Self::Absent(_)
            | Self::NotALayout { .. }
            | Self::NotABundle { .. }
            // A second transfer may bring the right content.
            | Self::Unexpected { .. }
            | Self::Full { .. }
            | Self::Io { .. }
            | Self::Content(_) => false,
        }
    }

    /// Returns the next command or edit that helps, if there is one.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Absent(_) | Self::NotALayout { .. } => {
                "name the store with `--bundles DIR` or `bundles` in the site; `pxectl bundle build` creates one"
            }
            Self::MissingBlob { .. } | Self::WrongSize { .. } | Self::WrongDigest { .. } => {
                "restore it with `pxectl bundle fetch` if the Bundle document names its source, else with `pxectl bundle pull`; or correct the document"
            }
            Self::Unexpected { .. } => {
                "nothing was stored; find out who changed the content before you pin another digest"
            }
            Self::NameTaken { .. } => {
                "the content of a name never changes: give the new bundle a new name"
            }
            Self::UnknownName { .. } => "run `pxectl bundle list` to see the bundles in the store",
            Self::InvalidBundle {
                error: ManifestError::Wrong { .. },
                ..
            } => "use letters, digits, `.`, `_` and `-` in names, at most 128 characters",
            Self::TooManyFiles { .. } => "omit the files that no machine boots",
            Self::Full { .. } => FREE_SPACE,
            Self::Io { source, .. } if is_full(source) => FREE_SPACE,
            Self::NotABundle { .. }
            | Self::InvalidBundle { .. }
            | Self::Io { .. }
            | Self::Content(_) => return None,
        };
        Some(help.to_owned())
    }
}

const FREE_SPACE: &str =
    "free some space on that file system and run the command again: the store is intact";

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

pub(in crate::bundle) fn io_error(path: &Path, source: io::Error) -> BundleStoreError {
    BundleStoreError::Io {
        path: path.to_owned(),
        source,
    }
}
