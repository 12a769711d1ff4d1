use super::assigned_boot_file::AssignedBootFile;
use crate::inventory::Network;
use crate::machine::{Architecture, SystemUuid, UnknownArchitecture};
use crate::wire::dhcp::{DhcpMessage, IPXE_ENCAPSULATED, IpxeFeature, OptionCode};

/// Everything in a client's message that decides about its boot. It is read from the DISCOVER and holds for
/// the whole exchange: the REQUEST of some firmware says less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootClient {
    architecture: Result<Option<Architecture>, UnknownArchitecture>,
    /// The protocol by which its firmware boots from the network, if it does.
    pub firmware_boot: Option<FirmwareBoot>,
    /// Whether the client is iPXE.
    pub is_ipxe: bool,
    /// Whether the client is an iPXE that can run our scripts: fetch over HTTP and start a Linux kernel. An
    /// iPXE in a card's ROM may lack either. Option 175 shows that; the client then gets our iPXE, which
    /// runs DHCP again.
    pub runs_our_scripts: bool,
    /// The machine's UUID, unless it is a placeholder.
    pub uuid: Option<SystemUuid>,
    /// Whether the client requests the size of its boot file (13).
    pub requests_file_size: bool,
    /// The name of its class on the network.
    pub class: Option<String>,
}

/// How firmware boots from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirmwareBoot {
    /// PXE, over TFTP.
    Pxe,
    /// HTTP boot.
    Http,
    /// U-Boot under its own vendor class, over TFTP.
    Uboot,
}

/// The decision about a client's boot, made for its OFFER. The ACK of the exchange keeps the promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedBoot {
    /// The network that the offer was for.
    pub network: String,
    /// The client.
    pub client: BootClient,
    /// The boot file, if the client got one.
    pub boot_file: Option<AssignedBootFile>,
}

impl BootClient {
    /// Reads a message from a network.
    pub fn read(message: &DhcpMessage, network: &Network) -> Self {
        let options = &message.options;
        let vendor_class = options.text(OptionCode::ClassIdentifier);
        let vendor_class = vendor_class.unwrap_or_default();
        let user_classes = options.user_classes();
        let mut classes = network.classes.iter();
        let class = classes.find(|class| class.matches(&vendor_class, &user_classes));
        let architecture = message.architecture();
        let is_ipxe = options.is_ipxe();
        let has = |feature| options.has_ipxe_feature(feature);
        let boots_linux = has(IpxeFeature::BzImage) || has(IpxeFeature::Efi);
        let announces = options.contains(IPXE_ENCAPSULATED);
        let requested = options.raw(OptionCode::ParameterRequestList);
        let firmware_boot = if options.is_http_client() {
            Some(FirmwareBoot::Http)
        } else if options.is_pxe_client() || architecture == Ok(Some(Architecture::RaspberryPi)) {
            Some(FirmwareBoot::Pxe)
        } else if options.is_uboot_client() && announces_uboot(architecture) {
            Some(FirmwareBoot::Uboot)
        } else {
            None
        };
        Self {
            architecture,
            firmware_boot,
            is_ipxe,
            runs_our_scripts: is_ipxe && (!announces || has(IpxeFeature::Http) && boots_linux),
            uuid: options.system_uuid().filter(|uuid| !uuid.is_placeholder()),
            class: class.map(|class| class.name.clone()),
            requests_file_size: requested
                .is_some_and(|list| list.contains(&OptionCode::BootFileSize.into())),
        }
    }

    /// Returns the architecture whose loader the client needs. A client that announces no architecture is
    /// a BIOS ROM from before option 93.
    ///
    /// # Errors
    /// When the client announces only unknown architectures: no loader suits it.
    pub fn architecture(&self) -> Result<Architecture, UnknownArchitecture> {
        self.architecture
            .map(|announced| announced.unwrap_or(Architecture::Bios))
    }

    /// Returns the architecture that the client announces, if it is a known one.
    pub fn announced_architecture(&self) -> Option<Architecture> {
        self.architecture.ok().flatten()
    }
}

impl OfferedBoot {
    /// Reports whether the decision holds for a message of the same exchange: a REQUEST, or a repeated
    /// DISCOVER of an unchanged client.
    pub fn holds_for(&self, network: &Network, client: &BootClient, is_discover: bool) -> bool {
        self.network == network.name && (!is_discover || self.client == *client)
    }
}

/// Reports whether a client under U-Boot's own class can start a loader of the table. U-Boot on x86 announces
/// 0, as a BIOS does, but cannot start a loader for BIOS.
fn announces_uboot(architecture: Result<Option<Architecture>, UnknownArchitecture>) -> bool {
    !matches!(
        architecture,
        Ok(None | Some(Architecture::Bios | Architecture::HttpBios))
    )
}
