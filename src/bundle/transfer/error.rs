use std::io;
use std::path::PathBuf;

use crate::bundle::registry::ParseRegistryAddressError;
use crate::bundle::store::BundleStoreError;
use crate::inventory::{ManifestError, SignatureError};

/// Why a bundle did not travel. Nothing of it is where it should have come to.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store, or a layout that was to be a source or a destination.
    #[error(transparent)]
    Store(#[from] BundleStoreError),
    /// The address is none.
    #[error(transparent)]
    Address(#[from] ParseRegistryAddressError),
    /// The registry wants to know who we are.
    #[error("the registry `{host}` refuses us{}", match .as_user { true => ": the credentials are not good", false => ": it wants credentials, and there are none for it" })]
    Unauthorized {
        /// The registry.
        host: String,
        /// Whether we had credentials.
        as_user: bool,
    },
    /// We may not do this.
    #[error("the registry `{host}` does not let us {what}")]
    Forbidden {
        /// The registry.
        host: String,
        /// What we were about to do.
        what: String,
    },
    /// It is not there.
    #[error("`{place}` has no {what}")]
    NotFound {
        /// Where we looked.
        place: String,
        /// What we looked for.
        what: String,
    },
    /// The registry answers something else.
    #[error("the registry `{host}` answers {status} to {what}{}", shown(.said))]
    Refused {
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What we asked for.
        what: String,
        /// What it said about it.
        said: String,
    },
    /// The registry cannot be reached, or the connection broke.
    #[error("the registry `{host}`: {reason}")]
    Unreachable {
        /// The registry.
        host: String,
        /// Why.
        reason: String,
    },
    /// Credentials cannot be had.
    #[error("credentials for `{host}`: {reason}")]
    Credentials {
        /// The registry.
        host: String,
        /// Why.
        reason: String,
    },
    /// A file with certificates holds none.
    #[error("`{}`: {reason}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another part of the transfer has failed, and said why.
    #[error("it was stopped, since another part has failed")]
    Stopped,
    /// Something else than a tag is to stand for a bundle.
    #[error("a bundle is published under a tag, not under `{0}`")]
    NotATag(String),
    /// A manifest is none of a bundle, nor of an image with boot files.
    #[error("`{place}` is no bundle: {error}")]
    NotABundle {
        /// Where it lies.
        place: String,
        /// Why.
        error: ManifestError,
    },
    /// Its signatures are not what the site wants.
    #[error("bundle `{bundle}`: {error}")]
    Signature {
        /// The bundle.
        bundle: String,
        /// Why.
        error: SignatureError,
    },
    /// A name stands for other content already where the bundle was to come.
    #[error("`{place}` has `{name}` already, with other content")]
    NameTaken {
        /// The destination.
        place: String,
        /// The name.
        name: String,
    },
    /// The bundle has another name than was asked for.
    #[error("`{place}` holds the bundle `{found}`, not `{wanted}`")]
    OtherName {
        /// The source.
        place: String,
        /// The name of its bundle.
        found: String,
        /// The name that was asked for.
        wanted: String,
    },
    /// It does not say which of several is meant.
    #[error("`{place}` holds several: {}", .found.join(", "))]
    Ambiguous {
        /// The source.
        place: String,
        /// What it holds.
        found: Vec<String>,
    },
    /// A tar file is none, or is not whole.
    #[error("`{}`: {reason}", .path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else writes a tar file now.
    #[error("`{}` is being written by another publish", .0.display())]
    Busy(PathBuf),
    /// An image cannot be unpacked as a bundle.
    #[error("the image `{place}`: {reason}")]
    Image {
        /// Where it lies.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk refused.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl TransferError {
    /// Reports whether what was asked for is at fault, so that trying again helps nobody.
    pub fn is_no(&self) -> bool {
        match self {
            Self::Store(error) => error.is_no(),
            Self::NotFound { .. } | Self::Signature { .. } | Self::NameTaken { .. } => true,
            _ => false,
        }
    }

    /// Says what an operator can do about it, where that is more than the message says.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) => return error.help(),
            Self::Unauthorized { host, .. } => format!(
                "log in with `skopeo login {host}` or `docker login {host}`; we read what they write"
            ),
            Self::Signature { error: SignatureError::Unsigned, .. } => {
                "have it signed where it was built; `--allow-unsigned` brings it, to be signed here".into()
            }
            Self::Signature { bundle, error } => error.help(bundle),
            Self::Forbidden { .. } => "ask who runs the registry for the right to it".into(),
            Self::NameTaken { .. } => {
                "a name never changes its content: publish it under a name of its own".into()
            }
            Self::NotATag(_) => "write `docker://HOST/REPOSITORY:TAG`, or leave the tag out".into(),
            Self::Ambiguous { .. } => "name one: `pxectl bundle pull SOURCE NAME`".into(),
            Self::OtherName { found, .. } => format!("leave the name out, or write `{found}`"),
            Self::Unreachable { reason, .. } if reason.contains("InvalidContentType") => {
                "it does not talk TLS: `--plain-http`, where who listens may see credentials".into()
            }
            Self::Unreachable { host, reason } if reason.contains("fatal alert") => format!(
                "it may want a certificate of ours: put it into `/etc/docker/certs.d/{host}/` as `client.cert`, with `client.key`"
            ),
            Self::Unreachable { reason, .. } if reason.contains("not valid for name") => {
                "call it by a name that stands in its certificate, or have one made for this name".into()
            }
            Self::Unreachable { reason, .. } if reason.contains("certificate expired") => {
                "have it renewed; or is the clock of this machine wrong?".into()
            }
            Self::Unreachable { host, reason } if reason.contains("ertificate") => format!(
                "trust who has signed its certificate with `--ca FILE`, or put the file into `/etc/docker/certs.d/{host}/` as `ca.crt`"
            ),
            Self::Credentials { .. } => {
                "mend the file or the helper; `skopeo login --authfile FILE` writes a file of its own, which `REGISTRY_AUTH_FILE` names".into()
            }
            Self::Refused { said, .. } if said.contains("HTTPS server") => {
                "it talks TLS: leave `--plain-http` out".into()
            }
            Self::Refused { status: 429, .. } => "it limits us: try again later".into(),
            Self::Busy(_) => "publish again when the other has ended: its bundle stays in the file".into(),
            Self::Archive { .. } => "copy it again: `sha256sum` on both sides tells whether it is whole".into(),
            _ => return None,
        })
    }
}

fn shown(said: &str) -> String {
    match said.trim() {
        "" => String::new(),
        said => format!(": {said}"),
    }
}
