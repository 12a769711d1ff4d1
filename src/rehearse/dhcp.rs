use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::DhcpEndpoint;
use super::other::OtherServer;
use crate::clients::dhcp::{BootSource, Client, ClientKind};
use crate::clients::shim::PxeAnswers;
use crate::wire::dhcp::{DhcpMessage, MessageType, TransactionId};

/// How long an answer is waited for, and how often it is asked for.
const PATIENCE: Duration = Duration::from_millis(1500);
const TRIES: u32 = 3;

/// What went wrong, and what to look at next.
type Stopped = (String, String);

/// The answers that a client got, as firmware keeps them for the loaders that it starts.
pub struct Answers {
    /// The ACK that gave the address.
    pub acknowledgement: DhcpMessage,
    /// Its octets.
    pub octets: Vec<u8>,
    /// The offer without an address that names the boot file, where there was one.
    pub proxy_offer: Option<DhcpMessage>,
    /// The ACK from port 4011, where one was asked for.
    pub boot_server: Option<DhcpMessage>,
    /// Why the client took this offer.
    pub reason: &'static str,
}

impl Answers {
    /// Returns the answer that names the boot file.
    pub fn naming(&self) -> &DhcpMessage {
        let more = self.boot_server.as_ref().or(self.proxy_offer.as_ref());
        more.unwrap_or(&self.acknowledgement)
    }

    /// Returns the answers as shim finds them.
    pub fn for_shim(&self) -> PxeAnswers<'_> {
        PxeAnswers {
            acknowledgement: &self.acknowledgement,
            proxy_offer: self.proxy_offer.as_ref(),
            boot_server: self.boot_server.as_ref(),
        }
    }

    /// Returns the answers as PXELINUX reads them: what names the boot file goes before the ACK.
    ///
    /// Source: syslinux, `core/fs/pxe/dhcp_option.c`, `net_parse_dhcp`.
    pub fn for_pxelinux(&self) -> DhcpMessage {
        let mut merged = self.acknowledgement.clone();
        let naming = self.naming();
        if !naming.server_address.is_unspecified() {
            merged.server_address = naming.server_address;
        }
        if !naming.boot_file.is_empty() {
            merged.boot_file.clone_from(&naming.boot_file);
        }
        for (code, value) in naming.options.iter() {
            merged.options.set_raw(code, value);
        }
        merged
    }
}

/// Gets an address and a boot file as the client does: DISCOVER, OFFER, REQUEST, ACK, and what a
/// second server makes necessary. `other` owns the addresses, where we do not.
///
/// # Errors
/// What went wrong, and what to look at next.
pub fn exchange(
    client: &Client,
    server: DhcpEndpoint,
    other: Option<&OtherServer>,
    transaction: u32,
) -> Result<Answers, Stopped> {
    let failed = |error: io::Error| {
        (
            format!("cannot speak to {}: {error}", server.at),
            "look at the network of this machine".to_owned(),
        )
    };
    let socket = UdpSocket::bind(("0.0.0.0", 0)).map_err(failed)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let transaction = TransactionId(transaction);
    let discover = client.discover(transaction);
    let mut offers: Vec<DhcpMessage> = other.iter().map(|it| it.offer(&discover)).collect();
    // Where another server owns the addresses, ours has nothing to say to a plain client.
    let is_plain = matches!(client.kind, ClientKind::Grub(_));
    if offers.is_empty() || !is_plain {
        offers.push(ask(&socket, server.at, &discover)?.0);
    }
    let selection = client.select(&offers).map_err(|error| {
        (
            format!("the firmware takes no offer: {error}"),
            "look at the options of the offer: `pxectl -v serve dhcp`".to_owned(),
        )
    })?;
    let request = client.request(transaction, selection.offer);
    let chosen = selection.offer.options.server_identifier();
    let (acknowledgement, octets) = match other.filter(|it| chosen == Some(it.address())) {
        Some(other) => other.acknowledge(&request),
        None => ask(&socket, server.at, &request)?,
    };
    acknowledged(&acknowledgement)?;
    let (mut proxy_offer, mut boot_server) = (None, None);
    match selection.boot {
        BootSource::Acknowledgement => {}
        BootSource::Proxy(offer) => proxy_offer = Some(offer.clone()),
        BootSource::BootServer(asked) => {
            let own = acknowledgement.your_address;
            let message = client.ask_boot_server(transaction, own, asked);
            let at = server.boot_server.ok_or_else(|| no_boot_server(asked))?;
            let (answer, _) = ask(&socket, at, &message)?;
            acknowledged(&answer)?;
            let mut offers = offers.iter().filter(|it| it.your_address.is_unspecified());
            proxy_offer = offers.next().cloned();
            boot_server = Some(answer);
        }
    }
    Ok(Answers {
        acknowledgement,
        octets,
        proxy_offer,
        boot_server,
        reason: selection.reason,
    })
}

fn no_boot_server(asked: Ipv4Addr) -> Stopped {
    (
        format!("the firmware asks {asked} on port 4011 for its boot file, and no such port is open"),
        "a live server opens it where it serves DHCP on port 67 alone, which answers machines and not \
         us: leave out `--server`"
            .to_owned(),
    )
}

fn acknowledged(answer: &DhcpMessage) -> Result<(), Stopped> {
    match answer.options.message_type() {
        Some(MessageType::Ack) => Ok(()),
        other => Err((
            format!("the server answered the request with {other:?}"),
            "the log of `serve dhcp` says why".to_owned(),
        )),
    }
}

/// Sends a message, and returns its answer with the octets of that.
fn ask(
    socket: &UdpSocket,
    server: SocketAddr,
    message: &DhcpMessage,
) -> Result<(DhcpMessage, Vec<u8>), Stopped> {
    let what = message
        .options
        .message_type()
        .map_or("message".into(), |kind| format!("{kind:?}").to_uppercase());
    let bytes = message
        .write(1500)
        .map_err(|error| (error.to_string(), String::new()))?;
    let mut buffer = [0; 4096];
    for _ in 0..TRIES {
        let sent = socket.send_to(&bytes, server);
        sent.map_err(|error| {
            (
                format!("cannot send to {server}: {error}"),
                "look at the network of this machine".to_owned(),
            )
        })?;
        while let Ok((length, _)) = socket.recv_from(&mut buffer) {
            let octets = &buffer[..length];
            match DhcpMessage::parse(octets) {
                Ok(answer) if answer.transaction_id == message.transaction_id => {
                    return Ok((answer, octets.to_vec()));
                }
                _ => {}
            }
        }
    }
    Err((
        format!("nobody answered the DHCP{what} to {server}"),
        match server.port() {
            67 => "on port 67 a server answers the machine, not us: give it and `rehearse` a port of their own, as in `pxectl serve all --dhcp-port 6767` and `--dhcp-port 6767` here".to_owned(),
            port => format!(
                "does the server listen there? `pxectl serve all --dhcp-port {port}` does, and without that it listens on 67; does its log name this MAC? A machine that the site ignores gets no answer"
            ),
        },
    ))
}
