//! The interface between the TFTP server and the files that it serves.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;

use crate::wire::tftp::ErrorCode;
use crate::workspace::files::{FileError, FileRoots, OpenedFile};

/// The files that a server serves.
pub trait TftpFiles: Send + Sync {
    /// Opens the file `name`, a relative path without `..`, for `peer`.
    ///
    /// The calling thread also serves other peers: work that waits, for a store or a file system,
    /// belongs into [`Opening::Later`].
    fn open(&self, name: &str, peer: SocketAddrV4) -> Opening;

    /// Returns the configured limits of the path to `peer`; must not wait.
    fn path_limits(&self, _peer: SocketAddrV4) -> PathLimits {
        PathLimits::default()
    }

    /// Reports whether the site reserves or leases this address: its machines take precedence over
    /// strangers. Must not wait.
    fn is_known_machine(&self, _address: Ipv4Addr) -> bool {
        false
    }

    /// Runs periodic work; called about once a second, and must not wait.
    fn tick(&self) {}
}

/// Configured limits of the path to a peer, in addition to those of the server's own link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathLimits {
    /// The path MTU in bytes, which replaces that of [`TftpConfig`](super::TftpConfig).
    pub mtu: Option<u16>,
    /// The largest block in bytes, for a peer that fails with the size that it requests.
    pub block_size: Option<u16>,
}

/// The result of opening a name.
///
/// An error is sent to the peer. The error for a missing file must be [`ErrorCode::FileNotFound`]:
/// loaders look for optional files and continue without them.
pub enum Opening {
    /// The file is open, or cannot be opened.
    Now(Result<TftpContent, OpenError>),
    /// The file must be opened by calling this function once, on a thread that may wait. It is not
    /// called if the peer left meanwhile, or the server ends. A peer that repeats its request waits
    /// for the same call.
    Later(OpenLater),
}

/// Opens a file on a thread that may wait.
pub type OpenLater = Box<dyn FnOnce() -> Result<TftpContent, OpenError> + Send>;

/// Content of one transfer.
#[derive(Debug)]
pub enum TftpContent {
    /// A file, read as it is sent.
    File {
        /// The file.
        file: File,
        /// Its size in bytes. A file that becomes shorter ends the transfer with an error.
        size: u64,
    },
    /// Bytes in memory.
    Bytes(Bytes),
}

/// Reason why a file is not served, as sent to the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OpenError {
    /// The code of the ERROR packet.
    pub code: ErrorCode,
    /// Its message.
    pub message: String,
}

impl From<FileError> for OpenError {
    fn from(error: FileError) -> Self {
        let code = match &error {
            FileError::NotFound { .. } | FileError::NotAFile { .. } | FileError::Loop { .. } => {
                ErrorCode::FileNotFound
            }
            FileError::OutsideRoots { .. }
            | FileError::Refused(_)
            | FileError::NotPublic { .. } => ErrorCode::AccessViolation,
            FileError::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => ErrorCode::AccessViolation,
                _ => ErrorCode::NotDefined,
            },
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl TftpFiles for FileRoots {
    fn open(&self, name: &str, _peer: SocketAddrV4) -> Opening {
        let (roots, name) = (self.clone(), name.to_owned());
        Opening::Later(Box::new(move || {
            let OpenedFile { file, size, .. } = FileRoots::open(&roots, &name)?;
            Ok(TftpContent::File { file, size })
        }))
    }
}
