//! Errors in archives, and the limits whose violation is one.

use std::io;

/// The longest name that is read, in bytes; Linux accepts no longer names.
pub const NAME_LIMIT: usize = 4096;
/// The largest size that is accepted, in bytes: the offset after it cannot overflow.
pub(super) const SIZE_LIMIT: u64 = 1 << 60;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// A header contradicts the format.
    #[error("the archive is damaged: {0}")]
    Damaged(&'static str),
    /// The archive ends too early.
    #[error("the archive is truncated")]
    Truncated,
    /// The archive cannot be read.
    #[error("cannot read the archive: {0}")]
    Io(io::Error),
}
