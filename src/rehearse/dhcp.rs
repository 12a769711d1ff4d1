use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::clients::dhcp::{BootSource, Client};
use crate::wire::dhcp::{DhcpMessage, MessageType, TransactionId};

/// How long an answer is waited for, and how often it is asked for.
const PATIENCE: Duration = Duration::from_millis(1500);
const TRIES: u32 = 3;

/// Gets an address and a boot file as the client does: DISCOVER, OFFER, REQUEST, ACK.
///
/// Returns the ACK, and why the client took that offer.
///
/// # Errors
/// What went wrong, and what to look at next.
pub fn exchange(
    client: &Client,
    server: SocketAddr,
    transaction: u32,
) -> Result<(DhcpMessage, &'static str), (String, String)> {
    let failed = |error: io::Error| {
        (
            format!("cannot speak to {server}: {error}"),
            "look at the network of this machine".to_owned(),
        )
    };
    let socket = UdpSocket::bind(("0.0.0.0", 0)).map_err(failed)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let transaction = TransactionId(transaction);
    let offer = ask(&socket, server, &client.discover(transaction))?;
    let offers = [offer];
    let selection = client.select(&offers).map_err(|error| {
        (
            format!("the firmware takes no offer: {error}"),
            "look at the options of the offer: `pxectl -v serve dhcp`".to_owned(),
        )
    })?;
    if !matches!(selection.boot, BootSource::Acknowledgement) {
        return Err((
            "the offer sends the firmware to another boot server".into(),
            "a rehearsal follows one server".into(),
        ));
    }
    let answer = ask(
        &socket,
        server,
        &client.request(transaction, selection.offer),
    )?;
    match answer.options.message_type() {
        Some(MessageType::Ack) => Ok((answer, selection.reason)),
        other => Err((
            format!("the server answered the request with {other:?}"),
            "the log of `serve dhcp` says why".to_owned(),
        )),
    }
}

fn ask(
    socket: &UdpSocket,
    server: SocketAddr,
    message: &DhcpMessage,
) -> Result<DhcpMessage, (String, String)> {
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
            match DhcpMessage::parse(&buffer[..length]) {
                Ok(answer) if answer.transaction_id == message.transaction_id => return Ok(answer),
                _ => {}
            }
        }
    }
    Err((
        format!("nobody answered the DHCP{what} to {server}"),
        "is `serve dhcp` running, and does its log name this MAC? A machine that the site ignores gets no answer".to_owned(),
    ))
}
