//! Why a request to a registry failed, and what an operator can do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use rustls::{CertificateError, InvalidMessage};

/// Why a request to a registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry requires credentials, or rejects the ones that it got.
    #[error("registry `{host}` {}", if *.has_credentials {
        "rejected the credentials"
    } else {
        "requires credentials, and none are configured"
    })]
    Unauthorized {
        /// The registry.
        host: String,
        /// Whether the request carried credentials.
        has_credentials: bool,
    },
    /// The account has no permission.
    #[error("registry `{host}` denied permission to {action}")]
    Forbidden {
        /// The registry.
        host: String,
        /// What was attempted, as a verb with its object.
        action: String,
    },
    /// The repository has no such object.
    #[error("`{repository}` has no {object}")]
    NotFound {
        /// The repository, with its registry.
        repository: String,
        /// The missing object.
        object: String,
    },
    /// The registry answered with a status that nothing here expects.
    #[error("registry `{host}` returned HTTP {status} for {object}{}", detail_suffix(.detail))]
    UnexpectedStatus {
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What was requested.
        object: String,
        /// The registry's own explanation; may be empty.
        detail: String,
        /// Whether the request went out without TLS.
        plain_http: bool,
    },
    /// The registry answered with something that makes no sense.
    #[error("invalid response from registry `{host}`: {reason}")]
    InvalidResponse {
        /// The registry.
        host: String,
        /// What is wrong with the response.
        reason: String,
    },
    /// There was no connection, or it broke.
    #[error("cannot reach registry `{host}`: {reason}")]
    Unreachable {
        /// The registry.
        host: String,
        /// What failed last.
        reason: String,
        /// How TLS failed, if it did.
        tls: Option<TlsFailure>,
    },
    /// The credentials cannot be read.
    #[error("cannot read the credentials for `{host}`: {reason}")]
    Credentials {
        /// The registry.
        host: String,
        /// Why.
        reason: String,
    },
    /// A file has no usable certificate.
    #[error("`{}` {reason}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        reason: String,
    },
    /// A file with certificates cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another file failed first, and its error is the one that counts.
    #[error("stopped because another file failed")]
    Stopped,
}

impl RegistryError {
    /// Reports whether the answer is no (exit code 1), as opposed to a failure to get an answer
    /// (exit code 3).
    pub fn answer_is_no(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Returns the next command or edit that helps, if there is one.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unauthorized { host, .. } => format!(
                "run `skopeo login {host}` or `docker login {host}`: pxectl reads the credentials that they save"
            ),
            Self::Forbidden { .. } => {
                "ask the registry's administrator for this permission".to_owned()
            }
            Self::UnexpectedStatus { status: 429, .. } => {
                "the registry limits how many requests it accepts: try again later".to_owned()
            }
            // Servers with TLS answer so when they receive plain HTTP.
            Self::UnexpectedStatus {
                status: 400,
                plain_http: true,
                ..
            } => "the registry may require TLS: omit `--plain-http`".to_owned(),
            Self::Unreachable {
                host,
                tls: Some(failure),
                ..
            } => failure.help(host),
            Self::Credentials { .. } => {
                "fix the file or the credential helper; or write a new file with `skopeo login --authfile FILE` and name it in `REGISTRY_AUTH_FILE`".to_owned()
            }
            Self::UnexpectedStatus { .. }
            | Self::NotFound { .. }
            | Self::InvalidResponse { .. }
            | Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::Io { .. }
            | Self::Stopped => return None,
        })
    }
}

/// How TLS with a registry failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The registry does not use TLS.
    NotTls,
    /// The registry closed the connection with an alert.
    Alert,
    /// The certificate is for another name.
    WrongName,
    /// The certificate has expired.
    Expired,
    /// The certificate is not trusted, for any other reason.
    Untrusted,
    /// Something else.
    Other,
}

impl TlsFailure {
    /// Classifies the TLS error that caused a failed request, if one did.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        use CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext};
        Some(match rustls_cause(error)? {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            rustls::Error::AlertReceived(_) => Self::Alert,
            rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
                Self::WrongName
            }
            rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => Self::Expired,
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                Self::Untrusted
            }
            _ => Self::Other,
        })
    }

    fn help(self, host: &str) -> String {
        match self {
            Self::NotTls => {
                "if the registry does not use TLS, use `--plain-http`: anyone on the network path can then read the credentials".to_owned()
            }
            Self::Alert => format!(
                "the registry may require a client certificate: put it into `/etc/docker/certs.d/{host}/` as `client.cert`, with its key as `client.key`"
            ),
            Self::WrongName => {
                "use a host name that the certificate lists, or have a certificate issued for this name".to_owned()
            }
            Self::Expired => {
                "have the registry's certificate renewed, or correct the clock of this machine"
                    .to_owned()
            }
            Self::Untrusted => format!(
                "trust the authority that signed the certificate with `--ca FILE`, or put its certificate into `/etc/docker/certs.d/{host}/` as `ca.crt`"
            ),
            Self::Other => "check that both sides support a common version of TLS".to_owned(),
        }
    }
}

/// Finds the TLS error among the causes of an error.
fn rustls_cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The error inside an I/O error is not its source.
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// Describes a failed request and its deepest cause, without the URL: its query may hold a token.
pub(super) fn describe(error: &reqwest::Error) -> String {
    let failure = if error.is_timeout() {
        "no response"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "connection lost"
    };
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    match causes.last() {
        Some(cause) => format!("{failure}: {cause}"),
        None => failure.to_owned(),
    }
}

/// Reports whether a failed request would fail again: it cannot be built, or TLS rejects the peer.
pub(super) fn is_permanent(error: &reqwest::Error) -> bool {
    error.is_builder() || rustls_cause(error).is_some()
}

fn detail_suffix(detail: &str) -> String {
    match detail.trim() {
        "" => String::new(),
        detail => format!(": {detail}"),
    }
}
