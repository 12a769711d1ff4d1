//! State that all workers of the TFTP server share.

use std::sync::Arc;

use super::config::TftpConfig;
use super::files::TftpFiles;
use super::opening::Openers;
use super::ports::TransferPorts;
use super::sharing::SharedSlots;

/// State that all workers share.
pub(super) struct TftpShared {
    pub(super) config: TftpConfig,
    pub(super) files: Arc<dyn TftpFiles>,
    /// The ports of transfers; `None` if they use the request port.
    // Deviation: RFC 1350 §4 gives each transfer a port of its own. With `single_port` the peer's
    // port tells transfers apart.
    pub(super) ports: Option<TransferPorts>,
    pub(super) slots: SharedSlots,
    pub(super) openers: Openers,
}
