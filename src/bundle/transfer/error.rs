use std::io;
use std::path::PathBuf;

use crate::bundle::registry::RegistryError;
use crate::bundle::store::BundleStoreError;
use crate::inventory::{ManifestError, SignatureError};

/// Why a bundle was not transferred. The destination has no new name then.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store failed, or a layout that is the source or the destination.
    #[error(transparent)]
    Store(#[from] BundleStoreError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The source has no such object.
    #[error("`{location}` has no {object}")]
    NotFound {
        /// The source.
        location: String,
        /// The missing object.
        object: String,
    },
    /// A bundle cannot be published under a digest.
    #[error("`{0}` is a digest, and a bundle is published under a tag")]
    NotATag(String),
    /// A layout cannot list a bundle by another name than its own.
    #[error("`{location}` cannot list bundle `{name}` as `{tag}`")]
    OtherTag {
        /// The destination.
        location: String,
        /// The requested name.
        tag: String,
        /// The name of the bundle.
        name: String,
    },
    /// A bundle cannot be published as a container image.
    #[error("`{0}` cannot hold a bundle: a bundle is not a container image")]
    NotAnImage(String),
    /// A manifest belongs neither to a bundle nor to an image with boot files.
    #[error("`{location}` is not a bundle: {error}")]
    NotABundle {
        /// The source.
        location: String,
        /// Why.
        error: ManifestError,
    },
    /// The signatures do not satisfy the site's rules.
    #[error("bundle `{bundle}`: {error}")]
    Signature {
        /// The bundle.
        bundle: String,
        /// Why.
        error: SignatureError,
    },
    /// The destination has the name with other content.
    #[error("`{location}` already has `{name}` with other content")]
    NameTaken {
        /// The destination.
        location: String,
        /// The name.
        name: String,
    },
    /// The source has a bundle with another name.
    #[error("`{location}` has the bundle `{found}`, not `{expected}`")]
    OtherName {
        /// The source.
        location: String,
        /// The name of the bundle in the source.
        found: String,
        /// The requested name.
        expected: String,
    },
    /// The source has several bundles, and the request names none of them.
    #[error("`{location}` has several bundles: {}", .found.join(", "))]
    Ambiguous {
        /// The source.
        location: String,
        /// The names of the bundles in the source.
        found: Vec<String>,
    },
    /// A tar file is damaged, or has no OCI image layout.
    #[error("`{}`: {reason}", .path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process is writing the tar file.
    #[error("another publish is writing `{}`", .0.display())]
    Busy(PathBuf),
    /// An image cannot be unpacked as a bundle.
    #[error("image `{location}`: {reason}")]
    Image {
        /// The source.
        location: String,
        /// What is wrong with the image.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl TransferError {
    /// Returns the error of a blob that was copied into a store. A registry that fails while the
    /// content is read is the error, not the store.
    pub(super) fn from_copy(error: BundleStoreError) -> Self {
        match error {
            BundleStoreError::Content(error) => match error.downcast::<RegistryError>() {
                Ok(error) => Self::Registry(error),
                Err(error) => Self::Store(BundleStoreError::Content(error)),
            },
            error => Self::Store(error),
        }
    }

    /// Reports whether the answer is no (exit code 1), as opposed to a failure to get an answer
    /// (exit code 3).
    pub fn answer_is_no(&self) -> bool {
        match self {
            Self::Store(error) => error.answer_is_no(),
            Self::Registry(error) => error.answer_is_no(),
            Self::NotFound { .. } | Self::Signature { .. } | Self::NameTaken { .. } => true,
            Self::NotATag(_)
            | Self::OtherTag { .. }
            | Self::NotAnImage(_)
            | Self::NotABundle { .. }
            | Self::OtherName { .. }
            | Self::Ambiguous { .. }
            | Self::Archive { .. }
            | Self::Busy(_)
            | Self::Image { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Returns the next command or edit that helps, if there is one.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) => return error.help(),
            Self::Registry(error) => return error.help(),
            Self::Signature {
                error: SignatureError::Unsigned,
                ..
            } => "sign the bundle where it was built; or pull it with `--allow-unsigned` and sign it here"
                .into(),
            Self::Signature { bundle, error } => error.help(bundle),
            Self::NameTaken { .. } => {
                "the content of a name never changes: publish the bundle under a new name".into()
            }
            Self::NotATag(_) => {
                "write `docker://HOST/REPOSITORY:TAG`, or omit the tag to use the bundle's name"
                    .into()
            }
            Self::OtherTag { name, .. } => format!("write `:{name}`, or omit it"),
            Self::NotAnImage(_) => "publish the bundle to `oci-archive:FILE`".into(),
            Self::Ambiguous { .. } => "name one: `pxectl bundle pull SOURCE NAME`".into(),
            Self::OtherName { found, .. } => format!("omit the name, or write `{found}`"),
            Self::Busy(_) => {
                "publish again when the other publish has ended: the file keeps its bundle".into()
            }
            Self::Archive { .. } => {
                "compare `sha256sum` of the file with the original, and copy it again".into()
            }
            Self::NotFound { .. }
            | Self::NotABundle { .. }
            | Self::Image { .. }
            | Self::Io { .. } => return None,
        })
    }
}
