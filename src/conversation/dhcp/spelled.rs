//! The options that matter for a boot, spelled out.

use std::net::Ipv4Addr;

use crate::conversation::shown::{
    lease_time, shown_bytes, shown_file, shown_hex, shown_text, size,
};
use crate::machine::Architecture;
use crate::wire::dhcp::{
    DhcpLayout, DhcpMessage, DhcpOptions, IPXE_ENCAPSULATED, IpxeFeature, OptionCode, SubOptions,
};

/// The size of a boot file, in blocks of 512 bytes.
const BLOCK: u64 = 512;
/// PXELINUX's options: the configuration's name, and what stands before each name.
const CONFIGURATION: OptionCode = OptionCode::Unknown(209);
const PREFIX: OptionCode = OptionCode::Unknown(210);

/// Spells out what a client says of itself.
pub(super) fn question(message: &DhcpMessage) -> Vec<String> {
    let options = &message.options;
    let mut said = Vec::new();
    if let Some(class) = options.vendor_class() {
        said.push(format!("60 `{}`", shown_bytes(class)));
    }
    let architectures = options.client_architectures();
    if !architectures.is_empty() {
        let names = architectures.iter().take(4).map(|code| {
            Architecture::from_code(*code)
                .map_or_else(|| format!("{code:#06x}"), |it| it.name().to_owned())
        });
        said.push(format!("93 {}", names.collect::<Vec<_>>().join(" ")));
    }
    if let Some(machine) = options.raw(OptionCode::ClientMachineIdentifier) {
        let uuid = options.system_uuid().map(|uuid| uuid.to_string());
        said.push(format!(
            "97 {}",
            uuid.unwrap_or_else(|| format!("{} (no UUID)", shown_hex(machine)))
        ));
    }
    if let Some(class) = options.raw(OptionCode::UserClass) {
        said.push(format!("77 `{}`", shown_bytes(class)));
    }
    if options.contains(IPXE_ENCAPSULATED) {
        said.push(format!("175 {}", features(options)));
    }
    said.extend(relay(message));
    said
}

/// Spells out what a server answers.
pub(super) fn answer(message: &DhcpMessage, layout: &DhcpLayout) -> Vec<String> {
    let options = &message.options;
    let mut said = Vec::new();
    if let Some(server) = options.server_identifier() {
        said.push(format!("54 {server}"));
    }
    if let Some(lease) = options.duration(OptionCode::AddressLeaseTime) {
        said.push(format!("51 {}", lease_time(lease.as_secs())));
    }
    said.extend(boot_data(message));
    if let Some(class) = options.vendor_class() {
        said.push(format!("60 `{}`", shown_bytes(class)));
    }
    said.extend(vendor(options));
    if let Some(blocks) = file_size(options) {
        said.push(format!("13 {}", size(blocks * BLOCK)));
    }
    for (number, code) in [(209, CONFIGURATION), (210, PREFIX)] {
        if let Some(text) = options.text(code) {
            said.push(format!("{number} `{}`", shown_file(&text)));
        }
    }
    if options.contains(IPXE_ENCAPSULATED) {
        said.push(format!("175 {}", features(options)));
    }
    if let Some(text) = options.text(OptionCode::Message) {
        said.push(format!("56 `{}`", shown_text(&text)));
    }
    if let Some(overload) = layout.overload {
        said.push(format!("52 {overload}"));
    }
    if !layout.has_end {
        said.push("no END (255)".to_owned());
    }
    said.extend(relay(message));
    said
}

/// Spells out the boot file and its server, from all places where they may stand.
fn boot_data(message: &DhcpMessage) -> Vec<String> {
    let options = &message.options;
    let mut said = Vec::new();
    let siaddr = message.server_address;
    let named = options.text(OptionCode::TFTPServerName);
    match named {
        Some(name) if name == siaddr.to_string() => said.push(format!("siaddr = 66 {siaddr}")),
        named => {
            if siaddr != Ipv4Addr::UNSPECIFIED {
                said.push(format!("siaddr {siaddr}"));
            }
            said.extend(named.map(|name| format!("66 `{}`", shown_text(&name))));
        }
    }
    let field = String::from_utf8_lossy(&message.boot_file).into_owned();
    let option = options.text(OptionCode::BootfileName);
    match option {
        Some(name) if name == field => said.push(format!("file = 67 `{}`", shown_file(&name))),
        option => {
            if !field.is_empty() {
                said.push(format!("file `{}`", shown_file(&field)));
            }
            said.extend(option.map(|name| format!("67 `{}`", shown_file(&name))));
        }
    }
    said
}

/// Spells out option 43 as PXE means it.
fn vendor(options: &DhcpOptions) -> Vec<String> {
    let Some(raw) = options.raw(OptionCode::VendorExtensions) else {
        return Vec::new();
    };
    if !options.is_pxe_client() {
        return vec![format!("43 {}", shown_hex(raw))];
    }
    let mut said = Vec::new();
    for (code, value) in options.sub_options(OptionCode::VendorExtensions).take(12) {
        said.push(match (code, value) {
            (6, [control]) => format!("43.6 = {control}"),
            (8, list) => format!("43.8 {}", boot_servers(list)),
            (9, menu) => format!("43.9 {}", menu_lines(menu)),
            (10, [timeout, prompt @ ..]) => {
                format!("43.10 `{}` ({timeout} s)", shown_bytes(prompt))
            }
            (code, value) => format!("43.{code} {}", shown_hex(value)),
        });
    }
    if said.is_empty() {
        said.push(format!("43 {}", shown_hex(raw)));
    }
    said
}

/// Source: PXE 2.1 §2.2.2, PXE_BOOT_SERVERS.
fn boot_servers(mut list: &[u8]) -> String {
    let mut said = Vec::new();
    while let [high, low, count, rest @ ..] = list {
        let kind = u16::from_be_bytes([*high, *low]);
        let length = usize::from(*count) * 4;
        let (addresses, after) = rest.split_at(length.min(rest.len()));
        let (whole, _) = addresses.as_chunks();
        let whole = whole
            .iter()
            .map(|it: &[u8; 4]| Ipv4Addr::from(*it).to_string());
        said.push(format!("{kind}: {}", whole.collect::<Vec<_>>().join(" ")));
        list = after;
        if said.len() == 4 {
            break;
        }
    }
    said.join(", ")
}

/// Source: PXE 2.1 §2.2.2, PXE_BOOT_MENU.
fn menu_lines(mut menu: &[u8]) -> String {
    let mut said = Vec::new();
    while let [_, _, length, rest @ ..] = menu {
        let (text, after) = rest.split_at(usize::from(*length).min(rest.len()));
        said.push(format!("`{}`", shown_bytes(text)));
        menu = after;
        if said.len() == 4 {
            break;
        }
    }
    said.join(", ")
}

/// Names what iPXE has, or is told.
fn features(options: &DhcpOptions) -> String {
    const NAMES: [(IpxeFeature, &str); 8] = [
        (IpxeFeature::Http, "http"),
        (IpxeFeature::Https, "https"),
        (IpxeFeature::Tftp, "tftp"),
        (IpxeFeature::Dns, "dns"),
        (IpxeFeature::BzImage, "bzimage"),
        (IpxeFeature::Efi, "efi"),
        (IpxeFeature::Vlan, "vlan"),
        (IpxeFeature::Menu, "menu"),
    ];
    let has = |feature: &IpxeFeature| options.has_ipxe_feature(*feature);
    let mut said: Vec<String> = NAMES
        .iter()
        .filter(|(feature, _)| has(feature))
        .map(|(_, name)| (*name).to_owned())
        .collect();
    if has(&IpxeFeature::NoProxyDhcp) {
        said.push("no-proxy".to_owned());
    }
    if said.is_empty() {
        let raw = options.raw(IPXE_ENCAPSULATED).unwrap_or_default();
        said.push(shown_hex(raw));
    }
    said.join(" ")
}

fn relay(message: &DhcpMessage) -> Vec<String> {
    let mut said = Vec::new();
    if !message.relay_address.is_unspecified() {
        said.push(format!("giaddr {}", message.relay_address));
    }
    if message.options.contains(OptionCode::RelayAgentInformation) {
        let parts = message
            .options
            .sub_options(OptionCode::RelayAgentInformation);
        said.push(format!("82 {}", relay_parts(parts)));
    }
    said
}

/// Source: RFC 3046 §2.0 (1, 2), RFC 3527 (5), RFC 5107 (11).
fn relay_parts(parts: SubOptions<'_>) -> String {
    let parts = parts.take(6).map(|(code, value)| {
        let address = |value: &[u8]| {
            let bytes: Option<[u8; 4]> = value.try_into().ok();
            bytes.map_or_else(|| shown_hex(value), |it| Ipv4Addr::from(it).to_string())
        };
        match code {
            1 | 2 if value.iter().all(u8::is_ascii_graphic) => {
                format!("{code}=`{}`", shown_bytes(value))
            }
            5 | 11 => format!("{code}={}", address(value)),
            code => format!("{code}={}", shown_hex(value)),
        }
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn file_size(options: &DhcpOptions) -> Option<u64> {
    let bytes: [u8; 2] = options.raw(OptionCode::BootFileSize)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes).into())
}
