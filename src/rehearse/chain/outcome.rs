use crate::clients::dhcp::BootFile;

/// The end of one boot.
pub(super) enum BootOutcome {
    /// The loader started a kernel.
    Kernel {
        kernel: BootFile,
        arguments: String,
        initrds: Vec<BootFile>,
    },
    /// The machine went to its local disk.
    LocalDisk,
    /// The firmware started an image that contains everything that it boots.
    Image,
    /// The machine is held, for this reason.
    Hold(String),
}
