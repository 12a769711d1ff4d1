//! What a machine should boot next, and the result of setting it.

use std::net::Ipv4Addr;

use crate::machine::Secret;

/// The device of the next boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootTarget {
    /// The network, with PXE.
    Pxe,
    /// The network, with UEFI HTTP boot.
    Http {
        /// The URI that the firmware fetches.
        uri: Secret,
    },
    /// The disk.
    Disk,
    /// A CD drive, real or virtual.
    Cd,
}

impl BootTarget {
    /// Returns the device as a phrase for messages: `from the network (PXE)`.
    pub fn phrase(&self) -> &'static str {
        match self {
            Self::Pxe => "from the network (PXE)",
            Self::Http { .. } => "from the network (HTTP)",
            Self::Disk => "from its disk",
            Self::Cd => "from its CD",
        }
    }
}

/// A one-time boot override to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootRequest {
    /// The device to boot.
    pub target: BootTarget,
    /// Whether the firmware is UEFI.
    pub uefi: bool,
    /// Whether DHCP may supply the URI if the BMC has no property for it.
    pub uri_optional: bool,
}

/// The result of setting a boot override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideResult {
    /// The override was already set.
    AlreadySet {
        /// Whether it applies to every boot, not only to the next one.
        every_boot: bool,
    },
    /// The override is set, and the BMC reports it.
    Set {
        /// Whether it applies to every boot, not only to the next one.
        every_boot: bool,
    },
    /// Under `--dry-run`: the request was recorded, not sent.
    Planned,
}

/// A static network configuration for HTTP boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    /// The IP address.
    pub address: Ipv4Addr,
    /// The subnet mask.
    pub mask: Ipv4Addr,
    /// The gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The first name server.
    pub dns: Option<Ipv4Addr>,
    /// The boot URL.
    pub url: Secret,
}
