use std::path::PathBuf;
use std::time::Duration;

/// Time limit for a connection attempt, and for silence on a connection.
pub(super) const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// How to talk to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Whether to use HTTP without TLS.
    pub plain_http: bool,
    /// A file with certificates to trust besides those of the system.
    pub ca: Option<PathBuf>,
    /// How often a failed request is repeated.
    pub retries: u32,
    /// How many blobs are transferred at the same time.
    pub jobs: usize,
}
