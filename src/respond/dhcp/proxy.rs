//! proxyDHCP: another server owns the addresses, and this server only names the boot file.
//!
//! Every function here depends on one message only and does not read or change leases.
//! Source: PXE 2.1 §2.2.3, §2.4; UEFI 2.10 §24.3.

use std::net::SocketAddrV4;

use jiff::Timestamp;

use super::assigned_boot_file::AssignedBootFile;
use super::boot::boot_file;
use super::boot_client::FirmwareBoot;
use super::delivery::Delivery;
use super::ignore_reason::IgnoreReason;
use super::link::Ingress;
use super::origin::{RequestOrigin, known_sender};
use super::request_context::RequestContext;
use super::response::{Exchange, Response};
use super::transactions::Transaction;
use super::verdict::DhcpVerdict;
use super::{remarks, reply};
use crate::inventory::{DhcpMode, Inventory};
use crate::machine::Firmware;
use crate::respond::access::{Resource, admit};
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, MessageType, OptionCode};

/// Answers one message that came in on port 4011 from `from`.
pub fn respond_as_boot_server(
    inventory: &Inventory,
    key: &StoreKey,
    ingress: Ingress<'_>,
    from: SocketAddrV4,
    message: &DhcpMessage,
    now: Timestamp,
) -> Response {
    let known = known_sender(inventory, message);
    let exchange = Exchange::new(message, known);
    // Deviation: PXE 2.1 does not limit senders. The reply goes back to the sender, even outside the
    // network, and its boot file may carry a token.
    if let Err(why) = admit((*from.ip()).into(), Resource::Dhcp, inventory) {
        return Response::ignored(IgnoreReason::Source(why), exchange);
    }
    // The client has an address by now, which shows its network if a relay was between.
    let network = inventory.site.network_of(*from.ip());
    let network = ingress.network.or(network.map(|it| it.name.as_str()));
    if network.is_none() {
        return Response::ignored(IgnoreReason::NoNetwork(None), exchange);
    }
    let ingress = Ingress { network, ..ingress };
    let origin = RequestOrigin::find(inventory, ingress, message, known).and_then(|origin| {
        origin.check_filters(inventory, message)?;
        Ok(origin)
    });
    let origin = match origin {
        Ok(origin) => origin,
        Err(why) => return Response::ignored(why, exchange),
    };
    let transaction = Transaction::new(message.transaction_id, now);
    let context = RequestContext::new(inventory, key, message, origin, &transaction, now);
    acknowledge(&context).into_response(&context, exchange, |_| Delivery::Sender)
}

/// Offers boot data without an address, on port 67 of a network whose addresses another server owns.
pub fn offer(context: &RequestContext<'_>) -> DhcpVerdict {
    match context.message.options.message_type() {
        Some(MessageType::Discover) => {}
        // The other server decides about the client's address and its lease time.
        Some(
            MessageType::Request
            | MessageType::Decline
            | MessageType::Release
            | MessageType::Inform,
        ) => {
            return DhcpVerdict::ignored(IgnoreReason::AddressesElsewhere(
                context.network.name.clone(),
            ));
        }
        other => return DhcpVerdict::ignored(IgnoreReason::MessageType(other)),
    }
    let boot_file = match bootable(context) {
        Ok(boot_file) => boot_file,
        Err(why) => return DhcpVerdict::ignored(why),
    };
    let mut offer = base(context, MessageType::Offer, &boot_file);
    // Deviation: PXE 2.1 requires discovery options (43) here. Old edk2 drops the first proxy offer
    // that has them; without them every UEFI sends a request to port 4011.
    if !asks_on_port_4011(context, &boot_file) {
        reply::add_file(context, &mut offer, &boot_file);
    }
    DhcpVerdict::answered(offer, boot_file)
}

/// Names the boot file to a client that got its address from another server.
fn acknowledge(context: &RequestContext<'_>) -> DhcpVerdict {
    let network = &context.network.name;
    if context.network.mode != DhcpMode::Proxy {
        return DhcpVerdict::ignored(IgnoreReason::NoProxy(network.clone()));
    }
    match context.message.options.message_type() {
        Some(MessageType::Request | MessageType::Inform) => {}
        other => return DhcpVerdict::ignored(IgnoreReason::MessageType(other)),
    }
    if let Some(other) = context.other_server() {
        return DhcpVerdict::ignored(IgnoreReason::OtherServer(other));
    }
    let boot_file = match bootable(context) {
        Ok(boot_file) => boot_file,
        Err(why) => return DhcpVerdict::ignored(why),
    };
    let mut answer = base(context, MessageType::Ack, &boot_file);
    answer.client_address = context.message.client_address;
    reply::add_file(context, &mut answer, &boot_file);
    DhcpVerdict::answered(answer, boot_file)
}

/// Finds the boot file of a client. A client without a boot file gets no reply, because it would wait for
/// more.
fn bootable(context: &RequestContext<'_>) -> Result<AssignedBootFile, IgnoreReason> {
    let network = &context.network.name;
    if !context.boots_from_network() {
        return Err(IgnoreReason::NoNetworkBoot(network.clone()));
    }
    if context.client.firmware_boot == Some(FirmwareBoot::Uboot) {
        let why = "U-Boot takes no boot file from a second server: the server that owns the addresses \
                   must name it";
        return Err(IgnoreReason::NothingToBoot(why.to_owned()));
    }
    if context.is_ignored_stranger() {
        return Err(IgnoreReason::UnknownMachine);
    }
    boot_file(context)
        .ok_or_else(|| IgnoreReason::NothingToBoot(remarks::no_loader(context).unwrap_or_default()))
}

/// Starts a reply with the server's address and the client class, and without an address for the client.
fn base(
    context: &RequestContext<'_>,
    message_type: MessageType,
    boot_file: &AssignedBootFile,
) -> DhcpMessage {
    let mut answer = reply::base(context, message_type);
    answer.server_address = context.inventory.site.server.address;
    let class = if boot_file.is_http_loader() {
        "HTTPClient"
    } else {
        "PXEClient"
    };
    let options = &mut answer.options;
    options.set_text(OptionCode::ClassIdentifier, class);
    if is_rom(context) {
        // Without this option, a BIOS ROM stops with PXE-E55.
        let vendor = reply::vendor_options(context.firmware());
        options.set_raw(OptionCode::VendorExtensions, vendor);
    }
    answer
}

/// Reports whether the client ignores the boot file of a proxy offer and sends a request to port 4011, as
/// UEFI PXE does. A BIOS ROM and iPXE use the offer, and UEFI HTTP boot does not use port 4011.
fn asks_on_port_4011(context: &RequestContext<'_>, boot_file: &AssignedBootFile) -> bool {
    context.firmware() == Some(Firmware::Uefi) && !context.is_ipxe && !boot_file.is_http_loader()
}

/// Reports whether the client is firmware that reads option 43 and uses the boot file of the offer.
fn is_rom(context: &RequestContext<'_>) -> bool {
    context.firmware() != Some(Firmware::Uefi) && !context.is_ipxe
}

#[cfg(test)]
mod tests;
