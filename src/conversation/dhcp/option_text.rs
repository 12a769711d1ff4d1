//! The options that matter for a boot, as text for a timeline.

use std::net::Ipv4Addr;

use crate::conversation::display::{
    display_bytes, display_file, display_hex, display_lease_time, display_size, display_text,
};
use crate::machine::Architecture;
use crate::wire::dhcp::{
    DhcpLayout, DhcpMessage, DhcpOptions, IPXE_ENCAPSULATED, IpxeFeature, OptionCode, OptionShape,
    PXELINUX_CONFIG_FILE, PXELINUX_PATH_PREFIX, SubOptions, option_row,
};

/// The size of a block of a boot file (option 13), in bytes.
const BLOCK: u64 = 512;
/// How many architectures, boot servers or menu lines are printed.
const LISTED: usize = 4;

/// Returns the options by which a client describes itself, as text.
pub(super) fn request_options(message: &DhcpMessage) -> Vec<String> {
    let codes = [
        OptionCode::ClassIdentifier,
        OptionCode::ClientSystemArchitecture,
        OptionCode::ClientMachineIdentifier,
        OptionCode::UserClass,
        IPXE_ENCAPSULATED,
    ];
    let mut texts = option_texts(&message.options, &codes);
    texts.extend(relay_texts(message));
    texts
}

/// Returns the options of a server's reply, as text.
pub(super) fn reply_options(message: &DhcpMessage, layout: &DhcpLayout) -> Vec<String> {
    let before_boot_data = [OptionCode::ServerIdentifier, OptionCode::AddressLeaseTime];
    let after_boot_data = [
        OptionCode::ClassIdentifier,
        OptionCode::VendorExtensions,
        OptionCode::BootFileSize,
        PXELINUX_CONFIG_FILE,
        PXELINUX_PATH_PREFIX,
        IPXE_ENCAPSULATED,
        OptionCode::Message,
    ];
    let mut texts = option_texts(&message.options, &before_boot_data);
    texts.extend(boot_data(message));
    texts.extend(option_texts(&message.options, &after_boot_data));
    if let Some(overload) = layout.overload {
        texts.push(format!("52 {overload}"));
    }
    if !layout.has_end {
        texts.push("no END (255)".to_owned());
    }
    texts.extend(relay_texts(message));
    texts
}

fn option_texts(options: &DhcpOptions, codes: &[OptionCode]) -> Vec<String> {
    let texts = codes.iter().flat_map(|code| option_text(options, *code));
    texts.collect()
}

/// Returns an option as text, by the shape that the table gives it; option 43 of PXE has several texts.
/// An option that is absent, or does not have its shape, has none.
fn option_text(options: &DhcpOptions, code: OptionCode) -> Vec<String> {
    if code == OptionCode::VendorExtensions && options.is_pxe_client() {
        return pxe_vendor_texts(options);
    }
    let value = value_text(options, code);
    let text = value.map(|value| format!("{} {value}", u8::from(code)));
    text.into_iter().collect()
}

fn value_text(options: &DhcpOptions, code: OptionCode) -> Option<String> {
    let value = options.raw(code)?;
    let row = option_row(code)?;
    Some(match row.shape {
        // A NUL that the length counts does harm here: show it.
        OptionShape::Text if row.firmware.past_the_end => format!("`{}`", display_bytes(value)),
        OptionShape::Text => format!("`{}`", display_text(&options.text(code)?)),
        OptionShape::FileName => format!("`{}`", display_file(&options.text(code)?)),
        OptionShape::Address => options.address(code)?.to_string(),
        OptionShape::Addresses => {
            let addresses = options.addresses(code).into_iter();
            join(addresses.map(|address| address.to_string()), " ")
        }
        OptionShape::Seconds => display_lease_time(options.duration(code)?.as_secs()),
        OptionShape::Blocks => {
            let blocks = u16::from_be_bytes(value.try_into().ok()?);
            display_size(u64::from(blocks) * BLOCK)
        }
        OptionShape::Architectures if value.len() < 2 => return None,
        OptionShape::Architectures => {
            let codes = options.client_architectures().into_iter().take(LISTED);
            join(codes.map(architecture_text), " ")
        }
        OptionShape::MachineIdentifier => match options.system_uuid() {
            Some(uuid) => uuid.to_string(),
            None => format!("{} (no UUID)", display_hex(value)),
        },
        OptionShape::SubOptions => match code {
            IPXE_ENCAPSULATED => ipxe_features(options),
            OptionCode::RelayAgentInformation => relay_sub_options(options.sub_options(code)),
            _ => display_hex(value),
        },
        OptionShape::U8 | OptionShape::U16 | OptionShape::U32 | OptionShape::Bytes => {
            display_hex(value)
        }
    })
}

fn architecture_text(code: u16) -> String {
    Architecture::from_code(code).map_or_else(
        |_| format!("{code:#06x}"),
        |architecture| architecture.name().to_owned(),
    )
}

/// Returns the boot file and its server, from all the places that can hold them.
fn boot_data(message: &DhcpMessage) -> Vec<String> {
    let options = &message.options;
    let mut texts = Vec::new();
    let siaddr = message.server_address;
    match options.text(OptionCode::TFTPServerName) {
        Some(name) if name == siaddr.to_string() => texts.push(format!("siaddr = 66 {siaddr}")),
        name => {
            if siaddr != Ipv4Addr::UNSPECIFIED {
                texts.push(format!("siaddr {siaddr}"));
            }
            texts.extend(name.map(|name| format!("66 `{}`", display_text(&name))));
        }
    }
    let field = String::from_utf8_lossy(&message.boot_file).into_owned();
    match options.text(OptionCode::BootfileName) {
        Some(name) if name == field => texts.push(format!("file = 67 `{}`", display_file(&name))),
        option => {
            if !field.is_empty() {
                texts.push(format!("file `{}`", display_file(&field)));
            }
            texts.extend(option.map(|name| format!("67 `{}`", display_file(&name))));
        }
    }
    texts
}

/// Returns the sub-options of option 43, as PXE defines them.
fn pxe_vendor_texts(options: &DhcpOptions) -> Vec<String> {
    let Some(raw) = options.raw(OptionCode::VendorExtensions) else {
        return Vec::new();
    };
    let sub_options = options.sub_options(OptionCode::VendorExtensions).take(12);
    let mut texts: Vec<String> = sub_options
        .map(|(code, value)| match (code, value) {
            (6, [control]) => format!("43.6 = {control}"),
            (8, list) => format!("43.8 {}", boot_servers(list)),
            (9, menu) => format!("43.9 {}", menu_lines(menu)),
            (10, [timeout, prompt @ ..]) => {
                format!("43.10 `{}` ({timeout} s)", display_bytes(prompt))
            }
            (code, value) => format!("43.{code} {}", display_hex(value)),
        })
        .collect();
    if texts.is_empty() {
        texts.push(format!("43 {}", display_hex(raw)));
    }
    texts
}

/// Source: PXE 2.1 §2.2.2, PXE_BOOT_SERVERS.
fn boot_servers(mut list: &[u8]) -> String {
    let mut texts = Vec::new();
    while let [high, low, count, rest @ ..] = list {
        let kind = u16::from_be_bytes([*high, *low]);
        let length = usize::from(*count) * 4;
        let (bytes, after) = rest.split_at(length.min(rest.len()));
        let (addresses, _) = bytes.as_chunks();
        let addresses = addresses
            .iter()
            .map(|bytes: &[u8; 4]| Ipv4Addr::from(*bytes).to_string());
        texts.push(format!("{kind}: {}", join(addresses, " ")));
        list = after;
        if texts.len() == LISTED {
            break;
        }
    }
    texts.join(", ")
}

/// Source: PXE 2.1 §2.2.2, PXE_BOOT_MENU.
fn menu_lines(mut menu: &[u8]) -> String {
    let mut texts = Vec::new();
    while let [_, _, length, rest @ ..] = menu {
        let (text, after) = rest.split_at(usize::from(*length).min(rest.len()));
        texts.push(format!("`{}`", display_bytes(text)));
        menu = after;
        if texts.len() == LISTED {
            break;
        }
    }
    texts.join(", ")
}

/// Names the features of an iPXE, or what a server tells it.
fn ipxe_features(options: &DhcpOptions) -> String {
    const NAMES: [(IpxeFeature, &str); 9] = [
        (IpxeFeature::Http, "http"),
        (IpxeFeature::Https, "https"),
        (IpxeFeature::Tftp, "tftp"),
        (IpxeFeature::Dns, "dns"),
        (IpxeFeature::BzImage, "bzimage"),
        (IpxeFeature::Efi, "efi"),
        (IpxeFeature::Vlan, "vlan"),
        (IpxeFeature::Menu, "menu"),
        (IpxeFeature::NoProxyDhcp, "no-proxy"),
    ];
    let names: Vec<&str> = NAMES
        .iter()
        .filter(|(feature, _)| options.has_ipxe_feature(*feature))
        .map(|(_, name)| *name)
        .collect();
    if names.is_empty() {
        return display_hex(options.raw(IPXE_ENCAPSULATED).unwrap_or_default());
    }
    names.join(" ")
}

/// Returns the relay's address and its option 82.
fn relay_texts(message: &DhcpMessage) -> Vec<String> {
    let mut texts = Vec::new();
    if !message.relay_address.is_unspecified() {
        texts.push(format!("giaddr {}", message.relay_address));
    }
    texts.extend(option_text(
        &message.options,
        OptionCode::RelayAgentInformation,
    ));
    texts
}

/// Source: RFC 3046 §2.0 (1, 2), RFC 3527 (5), RFC 5107 (11).
fn relay_sub_options(sub_options: SubOptions<'_>) -> String {
    let address = |value: &[u8]| {
        let bytes: Option<[u8; 4]> = value.try_into().ok();
        bytes.map_or_else(
            || display_hex(value),
            |bytes| Ipv4Addr::from(bytes).to_string(),
        )
    };
    let texts = sub_options.take(6).map(|(code, value)| match code {
        1 | 2 if value.iter().all(u8::is_ascii_graphic) => {
            format!("{code}=`{}`", display_bytes(value))
        }
        5 | 11 => format!("{code}={}", address(value)),
        code => format!("{code}={}", display_hex(value)),
    });
    join(texts, " ")
}

fn join(texts: impl Iterator<Item = String>, separator: &str) -> String {
    texts.collect::<Vec<_>>().join(separator)
}
