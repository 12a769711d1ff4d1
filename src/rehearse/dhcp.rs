use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::endpoints::DhcpEndpoint;
use super::foreign_dhcp::ForeignDhcpServer;
use super::report::StepError;
use crate::clients::dhcp::{BootSource, Client, ClientKind};
use crate::clients::shim::PxeAnswers;
use crate::wire::dhcp::{DhcpMessage, MessageType, TransactionId};

/// How long the client waits for a reply before it sends its message again.
const REPLY_TIMEOUT: Duration = Duration::from_millis(1500);
/// How many times it sends a message.
const TRIES: u32 = 3;

/// The DHCP replies that a client received, as firmware keeps them for the loaders that it starts.
pub struct ClientReplies {
    /// The ACK that gave the address.
    pub acknowledgement: DhcpMessage,
    /// The same ACK as bytes.
    pub acknowledgement_bytes: Vec<u8>,
    /// The proxyDHCP offer that names the boot file, if the client used one.
    pub proxy_offer: Option<DhcpMessage>,
    /// The ACK from port 4011, if the client sent a request there.
    pub boot_server: Option<DhcpMessage>,
    /// Why the client chose this offer.
    pub reason: &'static str,
}

impl ClientReplies {
    /// Returns the reply that names the boot file.
    pub fn boot_reply(&self) -> &DhcpMessage {
        let more = self.boot_server.as_ref().or(self.proxy_offer.as_ref());
        more.unwrap_or(&self.acknowledgement)
    }

    /// Returns the replies as shim finds them.
    pub fn for_shim(&self) -> PxeAnswers<'_> {
        PxeAnswers {
            acknowledgement: &self.acknowledgement,
            proxy_offer: self.proxy_offer.as_ref(),
            boot_server: self.boot_server.as_ref(),
        }
    }

    /// Returns the replies as PXELINUX merges them: the reply that names the boot file takes precedence
    /// over the ACK.
    ///
    /// Source: syslinux, `core/fs/pxe/dhcp_option.c`, `net_parse_dhcp`.
    pub fn for_pxelinux(&self) -> DhcpMessage {
        let mut merged = self.acknowledgement.clone();
        let boot_reply = self.boot_reply();
        if !boot_reply.server_address.is_unspecified() {
            merged.server_address = boot_reply.server_address;
        }
        if !boot_reply.boot_file.is_empty() {
            merged.boot_file.clone_from(&boot_reply.boot_file);
        }
        for (code, value) in boot_reply.options.iter() {
            merged.options.set_raw(code, value);
        }
        merged
    }
}

/// Gets an address and a boot file as the client does: DISCOVER, OFFER, REQUEST, ACK, and a request to
/// the boot server if the offer requires it. `foreign` owns the addresses on a proxyDHCP network.
///
/// # Errors
/// Why the client got no address or no boot file.
pub fn exchange(
    client: &Client,
    server: DhcpEndpoint,
    foreign: Option<&ForeignDhcpServer>,
    transaction: u32,
) -> Result<ClientReplies, StepError> {
    let failed = |error: io::Error| {
        StepError::new(format!("cannot open a UDP socket: {error}"))
            .help("check the network of this machine")
    };
    let socket = UdpSocket::bind(("0.0.0.0", 0)).map_err(failed)?;
    socket
        .set_read_timeout(Some(REPLY_TIMEOUT))
        .map_err(failed)?;
    let transaction = TransactionId(transaction);
    let discover = client.discover(transaction);
    let mut offers: Vec<DhcpMessage> = foreign.iter().map(|it| it.offer(&discover)).collect();
    // A proxyDHCP server does not answer a client that is not a PXE client.
    let is_plain = matches!(client.kind, ClientKind::Grub(_));
    if offers.is_empty() || !is_plain {
        offers.push(request(&socket, server.at, &discover)?.0);
    }
    let selection = client.select(&offers).map_err(|error| {
        StepError::new(format!("the firmware accepts no offer: {error}"))
            .help("check the options of the offer: `pxectl -v serve dhcp`")
    })?;
    let request_message = client.request(transaction, selection.offer);
    let chosen = selection.offer.options.server_identifier();
    let (acknowledgement, acknowledgement_bytes) =
        match foreign.filter(|it| chosen == Some(it.address())) {
            Some(foreign) => foreign.acknowledge(&request_message),
            None => request(&socket, server.at, &request_message)?,
        };
    check_ack(&acknowledgement)?;
    let mut proxy_offer = None;
    let mut boot_server = None;
    match selection.boot {
        BootSource::Acknowledgement => {}
        BootSource::Proxy(offer) => proxy_offer = Some(offer.clone()),
        BootSource::BootServer(address) => {
            let own = acknowledgement.your_address;
            let message = client.ask_boot_server(transaction, own, address);
            let at = server
                .boot_server
                .ok_or_else(|| no_boot_server_port(address))?;
            let (reply, _) = request(&socket, at, &message)?;
            check_ack(&reply)?;
            let mut offers = offers.iter().filter(|it| it.your_address.is_unspecified());
            proxy_offer = offers.next().cloned();
            boot_server = Some(reply);
        }
    }
    Ok(ClientReplies {
        acknowledgement,
        acknowledgement_bytes,
        proxy_offer,
        boot_server,
        reason: selection.reason,
    })
}

fn no_boot_server_port(boot_server: Ipv4Addr) -> StepError {
    StepError::new(format!(
        "the firmware requests its boot file from {boot_server} port 4011, and that port is not open"
    ))
    .help(
        "leave out `--server`: a live server opens port 4011 only together with port 67, where it \
         answers machines and not this rehearsal",
    )
}

fn check_ack(reply: &DhcpMessage) -> Result<(), StepError> {
    match reply.options.message_type() {
        Some(MessageType::Ack) => Ok(()),
        other => {
            let reason = format!("expected an ACK to the DHCP request, received {other:?}");
            Err(StepError::new(reason).help("the log of `serve dhcp` has the reason"))
        }
    }
}

/// Sends a message, and returns the reply, parsed and as bytes.
fn request(
    socket: &UdpSocket,
    server: SocketAddr,
    message: &DhcpMessage,
) -> Result<(DhcpMessage, Vec<u8>), StepError> {
    let kind = message
        .options
        .message_type()
        .map_or("message".into(), |kind| format!("{kind:?}").to_uppercase());
    let bytes = message
        .write(1500)
        .map_err(|error| StepError::new(error.to_string()))?;
    let mut buffer = [0; 4096];
    for _ in 0..TRIES {
        socket.send_to(&bytes, server).map_err(|error| {
            StepError::new(format!("cannot send to {server}: {error}"))
                .help("check the network of this machine")
        })?;
        while let Ok((length, _)) = socket.recv_from(&mut buffer) {
            let received = &buffer[..length];
            match DhcpMessage::parse(received) {
                Ok(reply) if reply.transaction_id == message.transaction_id => {
                    return Ok((reply, received.to_vec()));
                }
                _ => {}
            }
        }
    }
    let help = match server.port() {
        67 => {
            "on port 67 a server answers the machine, not this rehearsal: start `pxectl serve all \
               --dhcp-port 6767`, and add `--dhcp-port 6767` here"
                .to_owned()
        }
        port => format!(
            "check that `pxectl serve all --dhcp-port {port}` runs, and that its log has no reason to \
             ignore this MAC address"
        ),
    };
    Err(StepError::new(format!("no reply to the DHCP {kind} from {server}")).help(help))
}
