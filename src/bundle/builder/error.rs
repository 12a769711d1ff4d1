use std::io;
use std::path::PathBuf;

use super::checksums::ChecksumError;
use crate::bundle::store::BundleStoreError;
use crate::machine::Sha256Digest;

/// Why a bundle was not built, or a blob not fetched.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A server does not respond, or every download breaks off.
    #[error("cannot download `{url}`: {reason}")]
    Unreachable {
        /// The URL, without credentials.
        url: String,
        /// Why the last attempt failed.
        reason: String,
    },
    /// A server refuses the download.
    #[error("cannot download `{url}`: the server returned HTTP {status}")]
    Refused {
        /// The URL, without credentials.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// A file is larger than its limit, or than its pinned size.
    #[error("`{what}` exceeds {limit} bytes")]
    TooLarge {
        /// The path or URL.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has another digest than expected.
    #[error("`{what}` hashes to {found}, but {stated_by} states {expected}")]
    WrongDigest {
        /// The path or URL.
        what: String,
        /// The digest of the file.
        found: Sha256Digest,
        /// The expected digest.
        expected: Sha256Digest,
        /// Where the expected digest comes from.
        stated_by: String,
    },
    /// A list of checksums has no single digest of a file.
    #[error("`{list}` {source}")]
    Checksums {
        /// The path or URL of the list.
        list: String,
        /// Why.
        source: ChecksumError,
    },
    /// A signature does not verify.
    #[error("`{what}` has no valid signature: {reason}")]
    Signature {
        /// The path or URL of the signed file.
        what: String,
        /// Why the signature does not count.
        reason: String,
        /// Whether the key is known, and made the signature for other content.
        is_of_other_content: bool,
    },
    /// A key cannot be used.
    #[error("cannot use the key `{key}`: {reason}")]
    Key {
        /// The key, or its file.
        key: String,
        /// Why.
        reason: String,
    },
    /// A program is missing.
    #[error("cannot check OpenPGP signatures: the program `{0}` is not installed")]
    NoProgram(&'static str),
    /// An image or archive cannot be read, or lacks a file.
    #[error("`{what}`: {reason}")]
    Archive {
        /// The image or archive.
        what: String,
        /// Why.
        reason: String,
    },
    /// Two files have the same title.
    #[error("the files `{first}` and `{second}` have the same title `{title}`")]
    SameTitle {
        /// The key of one file.
        first: String,
        /// The key of the other.
        second: String,
        /// The title.
        title: String,
    },
    /// There is no such preset.
    #[error("unknown preset `{name}`")]
    UnknownPreset {
        /// The requested name.
        name: String,
        /// The most similar name, if one is similar.
        near: Option<String>,
    },
    /// A preset needs a value that the spec lacks.
    #[error("preset `{preset}` {reason}")]
    Preset {
        /// The preset.
        preset: String,
        /// What it needs, as a verb with its object.
        reason: String,
    },
    /// A bundle does not name the source of a file.
    #[error("bundle `{bundle}` names no source for `{file}`")]
    NoSource {
        /// The bundle.
        bundle: String,
        /// The file's key.
        file: String,
    },
    /// Another file failed first, and its error is the one that counts.
    #[error("stopped because another file failed")]
    Stopped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] BundleStoreError),
}

impl BuildError {
    /// Reports whether the answer is no (exit code 1), as opposed to a failure to get an answer
    /// (exit code 3).
    pub fn answer_is_no(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::Unreadable { .. }
            | Self::NoProgram(_)
            | Self::Stopped => false,
            Self::Store(error) => matches!(
                error,
                BundleStoreError::NameTaken { .. }
                    | BundleStoreError::InvalidBundle { .. }
                    | BundleStoreError::TooManyFiles { .. }
                    | BundleStoreError::Unexpected { .. }
            ),
            _ => true,
        }
    }

    /// Returns the next command or edit that helps, if there is one.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Unreachable { .. } => {
                "run the command again when the server is available: the download resumes where it stopped"
            }
            Self::Refused {
                status: 401 | 403, ..
            } => "give the server's credentials in the URL: `https://USER:PASSWORD@…`",
            Self::Refused { .. } => "check whether the publisher has moved or renamed the file",
            Self::WrongDigest { .. } => {
                "nothing was stored; find out who changed the file before you pin another digest"
            }
            Self::Signature { .. } => {
                "nothing was stored; check that the key is the publisher's and that the file is complete"
            }
            Self::NoProgram(_) => "install the package `gpgv`",
            Self::Key { .. } => {
                "name the publisher's keys with `keyring`; `pxectl-bundles(7)` says where to get them"
            }
            Self::UnknownPreset {
                near: Some(near), ..
            } => return Some(format!("did you mean `{near}`?")),
            Self::SameTitle { .. } => "give one of the files another `path`",
            Self::Preset { .. } | Self::UnknownPreset { .. } => {
                "run `pxectl bundle build --help` to list the presets"
            }
            Self::NoSource { .. } => "name a location that has the file with `--from URL-OR-DIR`",
            Self::Store(error) => return error.help(),
            Self::TooLarge { .. }
            | Self::Unreadable { .. }
            | Self::Checksums { .. }
            | Self::Archive { .. }
            | Self::Stopped => return None,
        };
        Some(help.to_owned())
    }
}
