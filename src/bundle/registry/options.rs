use std::path::PathBuf;
use std::time::Duration;

/// How long a connection may take to come up, and how long it may say nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How a registry is talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Whether it is talked to without TLS.
    pub plain_http: bool,
    /// A file with certificates that are trusted beside those of the system.
    pub ca: Option<PathBuf>,
    /// How often a request that failed is made again.
    pub retries: u32,
    /// How many blobs travel at once.
    pub jobs: usize,
}
