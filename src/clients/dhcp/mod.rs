//! DHCP clients: what edk2, a BIOS ROM, a Raspberry Pi, iPXE and GRUB send, which answer they take, and
//! what they then boot.

mod boot_file;
mod offers;
mod raspberry_pi;
mod requests;
#[cfg(test)]
mod tests;

pub use boot_file::{BootFile, NoBootFile};
pub use offers::{BootSource, DropReason, NoOffer, OfferClass, Selection};
pub use requests::is_grub;

use crate::machine::{Architecture, MacAddress, SystemUuid};
use crate::wire::dhcp::IpxeFeature;

/// One client: a kind of firmware in one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The firmware or loader.
    pub kind: ClientKind,
    /// The address of the card that boots.
    pub mac: MacAddress,
    /// The machine's UUID, where it has one; edk2 sends zeros without it.
    pub uuid: Option<SystemUuid>,
}

/// The firmware or loader that speaks DHCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// PXE boot of a UEFI firmware of edk2's family.
    EdkPxe(Architecture),
    /// HTTP boot of a UEFI firmware of edk2's family.
    EdkHttp(Architecture),
    /// A PXE ROM under a BIOS.
    BiosPxe,
    /// iPXE.
    Ipxe {
        /// The firmware that it runs under.
        architecture: Architecture,
        /// What it was built with.
        features: Vec<IpxeFeature>,
    },
    /// GRUB's `net_bootp`, which names neither itself nor its firmware: the one that it runs under.
    Grub(Architecture),
    /// The boot ROM of a Raspberry Pi.
    RaspberryPi,
}

impl ClientKind {
    /// Returns an iPXE with the features that Debian builds in.
    pub fn ipxe(architecture: Architecture) -> Self {
        use IpxeFeature::{BzImage, Dns, Efi, Http, Https, Menu, Tftp, Vlan};
        let image = match architecture {
            Architecture::Bios => BzImage,
            _ => Efi,
        };
        Self::Ipxe {
            architecture,
            features: vec![Http, Https, Tftp, Dns, image, Vlan, Menu],
        }
    }

    /// Returns the architecture that the client names in option 93, if it names one.
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::BiosPxe => Architecture::Bios,
            Self::RaspberryPi => Architecture::RaspberryPi,
            Self::EdkPxe(architecture) | Self::EdkHttp(architecture) | Self::Grub(architecture) => {
                *architecture
            }
            Self::Ipxe { architecture, .. } => *architecture,
        }
    }
}
