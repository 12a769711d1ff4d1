use std::io;
use std::path::{Path, PathBuf};

use crate::inventory::ManifestError;
use crate::machine::Sha256Digest;

/// Why a bundle store, or a blob in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleStoreError {
    /// There is nothing at the path.
    #[error("there is no bundle store at `{}`", .0.display())]
    Absent(PathBuf),
    /// There is something else at the path.
    #[error("`{}` is not an OCI image layout: {reason}", .path.display())]
    NotALayout {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A blob is not there.
    #[error("the blob of `{file}` is missing: `{}`", .path.display())]
    MissingBlob {
        /// The file's path in its bundle.
        file: String,
        /// Where the blob should be.
        path: PathBuf,
    },
    /// A blob has another size than the bundle says.
    #[error("the blob of `{file}` has {found} octets, the bundle says {expected}: `{}`", .path.display())]
    WrongSize {
        /// The file's path in its bundle.
        file: String,
        /// The blob.
        path: PathBuf,
        /// Its size in octets.
        found: u64,
        /// The size that the bundle says.
        expected: u64,
    },
    /// A blob does not hash to its name.
    #[error("the blob of `{file}` hashes to {found}, not to its name: `{}`", .path.display())]
    WrongDigest {
        /// The file's path in its bundle.
        file: String,
        /// The blob.
        path: PathBuf,
        /// What it hashes to.
        found: Sha256Digest,
    },
    /// What was to become a blob is not what was promised.
    #[error("{what} has {found_size} octets and hashes to {found}; it should be {expected}{}",
        .expected_size.map_or(String::new(), |size| format!(" of {size} octets")))]
    Unexpected {
        /// What was read.
        what: String,
        /// What it hashes to.
        found: Sha256Digest,
        /// How many octets were read.
        found_size: u64,
        /// The digest that was promised.
        expected: Sha256Digest,
        /// The size that was promised, if any.
        expected_size: Option<u64>,
    },
    /// A name stands for other content already.
    #[error(
        "the store has `{name}` already, with other content: its manifest is {present}, the new one {wanted}"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// The digest of the manifest that the name stands for.
        present: String,
        /// The digest of the manifest that was to take the name.
        wanted: String,
    },
    /// The store knows no such name.
    #[error("the store `{}` has no `{name}`", .root.display())]
    UnknownName {
        /// The store.
        root: PathBuf,
        /// The name.
        name: String,
    },
    /// A name stands for something that is no bundle.
    #[error("`{name}` is no bundle: {error}")]
    NotABundle {
        /// The name.
        name: String,
        /// Why.
        error: ManifestError,
    },
    /// A bundle would get a name under which nobody could read it.
    #[error("`{name}` cannot be a bundle: {error}")]
    NoBundle {
        /// The name.
        name: String,
        /// Why.
        error: ManifestError,
    },
    /// A bundle has more files than a manifest can list.
    #[error("the manifest of `{name}` would have {size} octets, and may have 4 MiB")]
    TooManyFiles {
        /// The name.
        name: String,
        /// How large it would be.
        size: u64,
    },
    /// There is no room.
    #[error("`{}` has {have} octets free, {need} are needed", .path.display())]
    Full {
        /// Where it was to be written.
        path: PathBuf,
        /// How many octets are needed.
        need: u64,
        /// How many there are.
        have: u64,
    },
    /// The disk refused.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was to become a blob cannot be read.
    #[error("cannot read what was to be stored: {0}")]
    Content(io::Error),
}

impl BundleStoreError {
    /// Reports whether what was asked about is at fault, so that trying again helps nobody.
    pub fn is_no(&self) -> bool {
        match self {
            Self::MissingBlob { .. }
            | Self::WrongSize { .. }
            | Self::WrongDigest { .. }
            | Self::NameTaken { .. }
            | Self::NoBundle { .. }
            | Self::TooManyFiles { .. }
            | Self::UnknownName { .. } => true,
            Self::Absent(_)
            | Self::NotALayout { .. }
            | Self::NotABundle { .. }
            // What came on a wire may come better.
            | Self::Unexpected { .. }
            | Self::Full { .. }
            | Self::Io { .. }
            | Self::Content(_) => false,
        }
    }

    /// Says what an operator can do about it, where that is more than the message says.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Absent(_) | Self::NotALayout { .. } => Some(
                "name the store with `--bundles DIR` or `bundles:` of the site; `pxectl bundle build` makes one".into(),
            ),
            Self::MissingBlob { .. } | Self::WrongSize { .. } | Self::WrongDigest { .. } => Some(
                "bring it with `pxectl bundle fetch`, where the document names its source, or with `bundle pull`; or correct the Bundle document".into(),
            ),
            Self::Unexpected { .. } => {
                Some("nothing was stored; find out who changed it before you pin another digest".into())
            }
            Self::NameTaken { .. } => Some(
                "a name never changes its content: give the new bundle a name of its own".into(),
            ),
            Self::UnknownName { .. } => Some("`pxectl bundle list` lists what the store has".into()),
            Self::NoBundle { error: ManifestError::Wrong { .. }, .. } => Some("names are made of letters, digits, `.`, `_` and `-`, at most 128".into()),
            Self::TooManyFiles { .. } => Some("leave out what is not booted from it".into()),
            Self::NotABundle { .. } | Self::NoBundle { .. } => None,
            Self::Full { .. } => Some(NO_ROOM.into()),
            Self::Io { source, .. } if is_full(source) => Some(NO_ROOM.into()),
            Self::Io { .. } | Self::Content(_) => None,
        }
    }
}

const NO_ROOM: &str = "make room on that file system, then start again: what is there is whole";

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
