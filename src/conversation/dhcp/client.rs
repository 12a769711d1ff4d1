//! Identifies the client that sent a message.

use crate::clients::dhcp::{Client, ClientKind, is_grub};
use crate::conversation::display::display_bytes;
use crate::machine::{Architecture, Firmware, MacAddress};
use crate::wire::dhcp::{DhcpMessage, IpxeFeature, MessageType, Operation, OptionCode};

/// The code of iPXE's version in option 175.
const IPXE_VERSION: u8 = 0xeb;

/// Finds the model of the sender of a message. `before` is the architecture that the machine sent
/// earlier, since GRUB does not send its own. `None` for operating systems, and for firmware without a
/// model.
pub(super) fn model(message: &DhcpMessage, before: Option<Architecture>) -> Option<Client> {
    let options = &message.options;
    // No model exists for firmware of an unknown architecture.
    let architecture = message.architecture().ok()?;
    let kind = if options.is_ipxe() {
        ClientKind::Ipxe {
            architecture: architecture.or(before).unwrap_or(Architecture::Bios),
            features: features(message),
        }
    } else if options.is_http_client() {
        ClientKind::EdkHttp(architecture?)
    } else if options.is_pxe_client() || architecture == Some(Architecture::RaspberryPi) {
        match architecture.map(|it| (it, it.firmware())) {
            None | Some((_, Firmware::Bios)) => ClientKind::BiosPxe,
            Some((it, Firmware::Uefi)) => ClientKind::EdkPxe(it),
            Some((_, Firmware::RaspberryPi)) => ClientKind::RaspberryPi,
            // How U-Boot reads replies is not known.
            Some((_, Firmware::Uboot)) => return None,
        }
    } else if is_grub(message) {
        ClientKind::Grub(before.unwrap_or(Architecture::UefiX64))
    } else {
        return None;
    };
    Some(Client {
        kind,
        mac: message
            .hardware_address
            .mac()
            .unwrap_or(MacAddress::new([0; 6])),
        uuid: options.system_uuid(),
    })
}

/// Reports whether a message is the search of `serve dhcp` for other DHCP servers. No client sends this
/// form: a broadcast that requests a mask and a router, and does not describe its sender.
pub(super) fn is_search(message: &DhcpMessage) -> bool {
    let Some(mac) = message.hardware_address.mac() else {
        return false;
    };
    let mut search = DhcpMessage::new(Operation::Request, mac, message.transaction_id);
    search.broadcast = true;
    search.options.set_message_type(MessageType::Discover);
    let requested = [OptionCode::SubnetMask, OptionCode::Router].map(u8::from);
    search
        .options
        .set_raw(OptionCode::ParameterRequestList, requested);
    *message == search
}

/// Names the firmware, loader or system that sent a message.
pub(super) fn name(message: &DhcpMessage, client: Option<&Client>) -> String {
    let options = &message.options;
    if is_search(message) {
        return "pxectl, looking for other DHCP servers".to_owned();
    }
    match client.map(|client| &client.kind) {
        Some(ClientKind::EdkPxe(architecture)) => format!("UEFI PXE ({architecture})"),
        Some(ClientKind::EdkHttp(architecture)) => format!("UEFI HTTP boot ({architecture})"),
        Some(ClientKind::BiosPxe) => "BIOS PXE ROM".to_owned(),
        Some(ClientKind::RaspberryPi) => "Raspberry Pi".to_owned(),
        Some(ClientKind::Grub(_)) => "GRUB".to_owned(),
        Some(ClientKind::Ipxe { architecture, .. }) => {
            let version = options
                .ipxe_features()
                .find(|(code, _)| *code == IPXE_VERSION);
            let version = version.map(|(_, bytes)| {
                let parts: Vec<_> = bytes.iter().take(4).map(ToString::to_string).collect();
                format!(" {}", parts.join("."))
            });
            format!("iPXE{} ({architecture})", version.unwrap_or_default())
        }
        None => match (message.architecture(), options.vendor_class()) {
            (Err(unknown), _) => format!("firmware (architecture {})", unknown.code()),
            (Ok(Some(architecture)), _) => format!("firmware ({architecture})"),
            (Ok(None), Some(class)) => format!("system (`{}`)", display_bytes(class)),
            (Ok(None), None) => "system".to_owned(),
        },
    }
}

fn features(message: &DhcpMessage) -> Vec<IpxeFeature> {
    use IpxeFeature::{BzImage, Dns, Efi, Http, Https, Menu, Tftp, Vlan};
    let all = [Http, Https, Tftp, Dns, BzImage, Efi, Vlan, Menu];
    let built_in = all.into_iter();
    built_in
        .filter(|feature| message.options.has_ipxe_feature(*feature))
        .collect()
}
