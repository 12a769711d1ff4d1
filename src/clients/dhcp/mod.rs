//! DHCP clients: the messages of edk2, BIOS ROMs, Raspberry Pis, iPXE and GRUB, the offer that each
//! accepts, and its boot file.

mod boot_file;
mod offers;
mod raspberry_pi;
mod requests;
mod selection;
#[cfg(test)]
mod tests;

pub use boot_file::{BootFile, NoBootFile};
pub use requests::is_grub;
pub use selection::{BootSource, DropReason, NoOffer, OfferClass, Selection};

use crate::machine::{Architecture, MacAddress, SystemUuid};
use crate::wire::dhcp::IpxeFeature;

/// One client: the firmware or loader of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The firmware or loader.
    pub kind: ClientKind,
    /// The address of the network card that boots.
    pub mac: MacAddress,
    /// The machine's UUID, if it has one; edk2 sends zeros without it.
    pub uuid: Option<SystemUuid>,
}

/// The kinds of DHCP clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// PXE boot of UEFI firmware based on edk2.
    EdkPxe(Architecture),
    /// HTTP boot of UEFI firmware based on edk2.
    EdkHttp(Architecture),
    /// A PXE ROM under a BIOS.
    BiosPxe,
    /// iPXE.
    Ipxe {
        /// The architecture that it runs on.
        architecture: Architecture,
        /// Its built-in features.
        features: Vec<IpxeFeature>,
    },
    /// GRUB's `net_bootp`, which does not send its architecture.
    Grub(Architecture),
    /// The boot ROM of a Raspberry Pi.
    RaspberryPi,
}

impl ClientKind {
    /// Returns iPXE with the features of Debian's build.
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

    /// Returns the client's architecture.
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
