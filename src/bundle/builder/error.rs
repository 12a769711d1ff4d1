use std::io;
use std::path::PathBuf;

use super::checksums::ChecksumError;
use crate::bundle::store::BundleStoreError;
use crate::machine::Sha256Digest;

/// Why a bundle was not built, or a blob not fetched.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A server gives no answer, or breaks off, again and again.
    #[error("cannot get `{url}`: {reason}")]
    Unreachable {
        /// The URL, without credentials.
        url: String,
        /// What came of the last attempt.
        reason: String,
    },
    /// A server says no.
    #[error("cannot get `{url}`: the server answers {status}")]
    Refused {
        /// The URL, without credentials.
        url: String,
        /// The status of HTTP.
        status: u16,
    },
    /// A checksum file or a signature is larger than any, or a file than the one that is pinned.
    #[error("`{what}` is larger than {limit} octets")]
    TooLarge {
        /// Where it lies.
        what: String,
        /// The most that is taken.
        limit: u64,
    },
    /// A file cannot be read.
    #[error("`{}`: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What came is not what it should be.
    #[error("`{what}` hashes to {found}; {said_by} says {expected}")]
    WrongDigest {
        /// Where it came from.
        what: String,
        /// Its digest.
        found: Sha256Digest,
        /// The digest that it should have.
        expected: Sha256Digest,
        /// Who says so.
        said_by: String,
    },
    /// A list of checksums does not say what a digest is.
    #[error("`{list}`: {source}")]
    Checksums {
        /// Where the list lies.
        list: String,
        /// Why.
        source: ChecksumError,
    },
    /// A signature is not good.
    #[error("`{what}` is not signed as it should be: {reason}")]
    Signature {
        /// What should be signed.
        what: String,
        /// Why it does not count.
        reason: String,
    },
    /// A key cannot be used.
    #[error("the key `{key}` cannot be used: {reason}")]
    Key {
        /// The key, or its file.
        key: String,
        /// Why.
        reason: String,
    },
    /// A program is needed that is not here.
    #[error("the program `{0}` is needed to check OpenPGP signatures, and is not here")]
    NoProgram(&'static str),
    /// An image or an archive does not give a file.
    #[error("`{what}`: {reason}")]
    Archive {
        /// The image.
        what: String,
        /// Why.
        reason: String,
    },
    /// Two files would have one title.
    #[error("the files `{first}` and `{second}` would both have the title `{title}`")]
    SameTitle {
        /// The key of one file.
        first: String,
        /// The key of the other.
        second: String,
        /// The title.
        title: String,
    },
    /// There is no such preset.
    #[error("no preset `{name}`")]
    UnknownPreset {
        /// What was asked for.
        name: String,
        /// A name that is nearly the same.
        near: Option<String>,
    },
    /// A preset does not know what it needs.
    #[error("preset `{preset}` {reason}")]
    Preset {
        /// The preset.
        preset: String,
        /// What it lacks.
        reason: String,
    },
    /// Nothing says where a blob can be had.
    #[error("nothing says where `{file}` of bundle `{bundle}` can be had")]
    NoSource {
        /// The bundle.
        bundle: String,
        /// The file's key.
        file: String,
    },
    /// Another part failed first.
    #[error("stopped")]
    Stopped,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] BundleStoreError),
}

impl BuildError {
    /// Reports whether what came, or what was asked for, is at fault: trying again helps nobody.
    pub fn is_the_inputs(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::Unreadable { .. }
            | Self::NoProgram(_)
            | Self::Stopped => false,
            Self::Store(error) => matches!(
                error,
                BundleStoreError::NameTaken { .. }
                    | BundleStoreError::NoBundle { .. }
                    | BundleStoreError::TooManyFiles { .. }
                    | BundleStoreError::Unexpected { .. }
            ),
            _ => true,
        }
    }

    /// Says what to do about it, where that is more than the message says.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Unreachable { .. } => "start again when it is there: what has come is kept",
            Self::Refused {
                status: 401 | 403, ..
            } => "it wants other credentials: `https://USER:PASSWORD@…` gives some",
            Self::Refused { .. } => "look whether the file has another name by now",
            Self::WrongDigest { .. } => {
                "nothing was stored; find out who changed it before you pin another digest"
            }
            Self::Signature { .. } => {
                "nothing was stored; look whether the key is the publisher's, and the file whole"
            }
            Self::NoProgram(_) => "install the package `gpgv`",
            Self::Key { .. } => {
                "name the publisher's keys with `keyring`; `pxectl-bundles(7)` says where they are"
            }
            Self::UnknownPreset {
                near: Some(near), ..
            } => return Some(format!("did you mean `{near}`?")),
            Self::SameTitle { .. } => "give one of them another `path`",
            Self::Preset { .. } | Self::UnknownPreset { .. } => {
                "`pxectl bundle build --help` lists the presets"
            }
            Self::NoSource { .. } => "name a place that has it with `--from URL-OR-DIRECTORY`",
            Self::Store(error) => return error.help(),
            _ => return None,
        };
        Some(help.to_owned())
    }
}
