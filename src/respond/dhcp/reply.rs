use std::net::Ipv4Addr;

use super::assigned_boot_file::AssignedBootFile;
use super::boot::boot_file;
use super::boot_client::FirmwareBoot;
use super::request_context::RequestContext;
use crate::inventory::ExtraOptions;
use crate::machine::Firmware;
use crate::wire::dhcp::{
    DhcpMessage, IPXE_ENCAPSULATED, MessageType, Operation, OptionCode, RouteEntry, option_row,
    option_rows,
};

/// PXE discovery control (43.6): bit 3 means "boot directly from the file name".
///
/// Source: PXE 2.1 §2.2, table 2-1, tag 6.
const BOOT_FROM_FILE_NAME: &[u8] = &[6, 1, 8];
/// Vendor options that a Raspberry Pi requires before it requests a file: no discovery by multicast or
/// broadcast (43.6), a menu prompt without a wait (43.10), and a menu (43.9) of one line, boot server
/// type 0, with the text that the firmware expects. The END option is included, as it is known to work.
///
/// Source: Raspberry Pi documentation, "Network booting", and the reply of dnsmasq for
/// `pxe-service=0,"Raspberry Pi Boot"`.
const RASPBERRY_PI_BOOT: &[u8] =
    b"\x06\x01\x03\x0a\x04\x00PXE\x09\x14\x00\x00\x11Raspberry Pi Boot\xff";
/// iPXE's `no-pxedhcp` (175.176): it need not wait two seconds for a proxyDHCP server.
const NO_PROXY_DHCP: (u8, &[u8]) = (0xb0, &[1]);

/// Builds a DHCPOFFER. It has everything that the ACK will have, because firmware chooses by the offer.
pub fn offer(
    context: &RequestContext<'_>,
    address: Ipv4Addr,
) -> (DhcpMessage, Option<AssignedBootFile>) {
    grant(context, MessageType::Offer, address)
}

/// Builds a DHCPACK that grants an address.
pub fn acknowledge(
    context: &RequestContext<'_>,
    address: Ipv4Addr,
) -> (DhcpMessage, Option<AssignedBootFile>) {
    let (mut reply, boot_file) = grant(context, MessageType::Ack, address);
    reply.client_address = context.message.client_address;
    (reply, boot_file)
}

/// Builds a DHCPACK to an INFORM: no address, no lease time. Source: RFC 2131 §4.3.5.
///
/// It names no boot file: the client chooses where the reply goes, and a boot token must not go there.
pub fn inform(context: &RequestContext<'_>) -> (DhcpMessage, Option<AssignedBootFile>) {
    let mut reply = base(context, MessageType::Ack);
    reply.client_address = context.message.client_address;
    add_network(context, &mut reply);
    apply_final_settings(context, &mut reply);
    (reply, None)
}

/// Builds a DHCPNAK with the server and the reason only. Source: RFC 2131 §4.3.1, table 3.
pub fn nak(context: &RequestContext<'_>, why: &str) -> DhcpMessage {
    let mut reply = base(context, MessageType::Nak);
    reply.options.remove(OptionCode::ClientMachineIdentifier);
    reply.options.remove(OptionCode::SubnetSelection);
    // A relay must broadcast it, since the client may have a wrong address. RFC 2131 §4.3.2.
    reply.broadcast |= !reply.relay_address.is_unspecified();
    let limit = why.char_indices().nth(200).map_or(why.len(), |(at, _)| at);
    reply.options.set_text(OptionCode::Message, &why[..limit]);
    reply
}

/// Starts a reply with the server's address and the options that it copies from the request.
pub fn base(context: &RequestContext<'_>, message_type: MessageType) -> DhcpMessage {
    let request = context.message;
    let mut reply = DhcpMessage::new(
        Operation::Reply,
        request.hardware_address,
        request.transaction_id,
    );
    reply.hardware_type = request.hardware_type;
    // Nobody can send to an InfiniBand client by its hardware address. Source: RFC 4390 §2.2.
    reply.broadcast = request.broadcast || request.is_infiniband();
    reply.pads_options = context.firmware() != Some(Firmware::RaspberryPi);
    reply.relay_address = request.relay_address;
    reply.options.set_message_type(message_type);
    reply
        .options
        .set_address(OptionCode::ServerIdentifier, context.server);
    for row in option_rows().filter(|row| row.is_echoed) {
        let code = row.code.into();
        let is_ignored =
            code == OptionCode::SubnetSelection && request.relay_address.is_unspecified();
        if is_ignored {
            continue;
        }
        if let Some(value) = request.options.raw(code) {
            reply.options.set_raw(code, value);
        }
    }
    reply
}

fn grant(
    context: &RequestContext<'_>,
    message_type: MessageType,
    address: Ipv4Addr,
) -> (DhcpMessage, Option<AssignedBootFile>) {
    let mut reply = base(context, message_type);
    reply.your_address = address;
    let lease_time = context.network.lease_time;
    reply
        .options
        .set_duration(OptionCode::AddressLeaseTime, lease_time);
    // Source: RFC 2131 §4.4.5.
    reply
        .options
        .set_duration(OptionCode::Renewal, lease_time / 2);
    reply
        .options
        .set_duration(OptionCode::Rebinding, lease_time * 7 / 8);
    add_network(context, &mut reply);
    let boot_file = add_boot(context, &mut reply);
    apply_final_settings(context, &mut reply);
    (reply, boot_file)
}

fn add_network(context: &RequestContext<'_>, reply: &mut DhcpMessage) {
    let (network, options) = (context.network, &mut reply.options);
    options.set_address(OptionCode::SubnetMask, network.subnet.mask());
    options.set_address(OptionCode::BroadcastAddr, network.subnet.broadcast());
    if let Some(gateway) = network.gateway {
        options.set_addresses(OptionCode::Router, &[gateway]);
    }
    if !network.dns.is_empty() {
        options.set_addresses(OptionCode::DomainNameServer, &network.dns);
    }
    if !network.ntp.is_empty() {
        options.set_addresses(OptionCode::NtpServers, &network.ntp);
    }
    if let Some(domain) = &network.domain {
        options.set_text(OptionCode::DomainName, domain);
    }
    if let Some((host, _)) = context.known {
        options.set_text(OptionCode::Hostname, &host.name);
    }
    options.set_search_domains(&network.search);
    if !network.routes.is_empty() {
        // A client that reads the routes ignores option 3. Source: RFC 3442, "DHCP Client Behavior".
        let default = network
            .gateway
            .map(|gateway| (Ipv4Addr::UNSPECIFIED, 0, gateway));
        let others = network.routes.iter();
        let others = others.map(|route| (route.to.address(), route.to.prefix(), route.via));
        let routes: Vec<RouteEntry> = default.into_iter().chain(others).collect();
        options.set_routes(&routes);
    }
    if let Some(mtu) = network.mtu {
        options.set_number(OptionCode::InterfaceMtu, mtu);
    }
    add_extras(context, reply);
}

/// Merges the options of the inventory: the host's take precedence over its profile's, those over its class's,
/// and those over the network's.
fn option_settings(context: &RequestContext<'_>) -> ExtraOptions {
    let host = context.known.map(|(host, _)| host);
    let profile = host.and_then(|host| context.inventory.profile_of(host));
    let mut settings = context.network.options.clone();
    let class = context.class();
    settings.extend(class.into_iter().flat_map(|it| it.options.clone()));
    settings.extend(profile.into_iter().flat_map(|it| it.options.clone()));
    settings.extend(host.into_iter().flat_map(|it| it.options.clone()));
    settings
}

/// Adds the options of the inventory, except those of the boot file.
fn add_extras(context: &RequestContext<'_>, reply: &mut DhcpMessage) {
    for (code, setting) in option_settings(context) {
        if let Some(value) = setting.bytes().filter(|_| !is_reserved(code)) {
            reply.options.set_raw(code.into(), value);
        }
    }
}

/// Applies the settings of the inventory that take precedence over the whole reply: the options of a class
/// for the boot file, and the omitted options.
fn apply_final_settings(context: &RequestContext<'_>, reply: &mut DhcpMessage) {
    for (code, setting) in option_settings(context) {
        match setting.bytes() {
            None => {
                reply.options.remove(code.into());
            }
            Some(value) if is_reserved(code) => reply.options.set_raw(code.into(), value),
            Some(_) => {}
        }
    }
}

fn is_reserved(code: u8) -> bool {
    option_row(code.into()).is_some_and(|row| row.reservation.is_some())
}

fn add_boot(context: &RequestContext<'_>, reply: &mut DhcpMessage) -> Option<AssignedBootFile> {
    let Some(boot_file) = boot_file(context) else {
        if let Some(server) = context.class().and_then(|class| class.server) {
            set_server(reply, server);
        }
        return None;
    };
    let options = &mut reply.options;
    match class_of_server(context, &boot_file) {
        Some(ServerClass::Pxe) => {
            options.set_text(OptionCode::ClassIdentifier, "PXEClient");
            let vendor = vendor_options(context.firmware());
            options.set_raw(OptionCode::VendorExtensions, vendor);
        }
        // Without this option, UEFI never fetches the file. Source: UEFI 2.10 §24.7.3.1.
        Some(ServerClass::Http) => {
            options.set_text(OptionCode::ClassIdentifier, "HTTPClient");
        }
        None => {}
    }
    add_server(context, reply, &boot_file);
    if context.is_ipxe {
        let options = &mut reply.options;
        options.set_sub_options(IPXE_ENCAPSULATED, &[NO_PROXY_DHCP]);
    }
    add_name(reply, &boot_file);
    Some(boot_file)
}

/// The kind of boot server that firmware looks for in a reply's vendor class (60).
enum ServerClass {
    Pxe,
    Http,
}

/// Returns the vendor class that the client needs with a boot file.
fn class_of_server(
    context: &RequestContext<'_>,
    boot_file: &AssignedBootFile,
) -> Option<ServerClass> {
    match (boot_file, context.client.firmware_boot) {
        (AssignedBootFile::HttpLoader { .. }, _) => Some(ServerClass::Http),
        (AssignedBootFile::Script { .. }, _) => None,
        // U-Boot under its own class is not a PXE client.
        (_, Some(FirmwareBoot::Uboot)) => None,
        (AssignedBootFile::Loader(_) | AssignedBootFile::MachineLoader(_), _) => {
            Some(ServerClass::Pxe)
        }
        (AssignedBootFile::ClassFile(_), Some(FirmwareBoot::Pxe)) => Some(ServerClass::Pxe),
        (AssignedBootFile::ClassFile(_), Some(FirmwareBoot::Http)) => Some(ServerClass::Http),
        (AssignedBootFile::ClassFile(_), None) => None,
    }
}

/// Returns the vendor options (43) that make firmware load over TFTP.
pub fn vendor_options(firmware: Option<Firmware>) -> &'static [u8] {
    match firmware {
        Some(Firmware::RaspberryPi) => RASPBERRY_PI_BOOT,
        _ => BOOT_FROM_FILE_NAME,
    }
}

/// Sets the boot file and its server in every field where clients look for them.
pub fn add_file(
    context: &RequestContext<'_>,
    reply: &mut DhcpMessage,
    boot_file: &AssignedBootFile,
) {
    add_server(context, reply, boot_file);
    add_name(reply, boot_file);
}

fn add_server(context: &RequestContext<'_>, reply: &mut DhcpMessage, boot_file: &AssignedBootFile) {
    let of_class = context.class().and_then(|class| class.server);
    let server = of_class.unwrap_or(context.inventory.site.server.address);
    if boot_file.is_http_loader() {
        reply.server_address = server;
    } else {
        set_server(reply, server);
    }
}

fn set_server(reply: &mut DhcpMessage, server: Ipv4Addr) {
    reply.server_address = server;
    let text = server.to_string();
    reply.options.set_text(OptionCode::TFTPServerName, &text);
}

fn add_name(reply: &mut DhcpMessage, boot_file: &AssignedBootFile) {
    let text = boot_file.text();
    reply.options.set_text(OptionCode::BootfileName, &text);
    // Deviation: clients read either place, so both are filled; over 127 bytes, only option 67.
    if text.len() <= 127 {
        reply.boot_file = text.into_bytes();
    }
}

#[cfg(test)]
mod tests;
