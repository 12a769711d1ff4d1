use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::machine::Sha256Digest;
use crate::wire::tftp::{
    BlockNumber, Direction, Mode, OptionName, Packet, Request, TransferOption,
};

/// How long a packet is waited for, and how often it is asked for.
const PATIENCE: Duration = Duration::from_millis(500);
const TRIES: u32 = 5;
/// The block size that edk2 asks for, in octets.
const BLOCK_SIZE: usize = 1468;

/// Fetches a file as edk2 does, and returns its size in octets and its digest.
///
/// # Errors
/// What went wrong.
pub fn fetch(server: SocketAddr, name: &str) -> Result<(u64, Sha256Digest), String> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).map_err(|error| error.to_string())?;
    socket
        .set_read_timeout(Some(PATIENCE))
        .map_err(|error| error.to_string())?;
    let option = |name, value: String| TransferOption { name, value };
    let request = Packet::Request(Request {
        direction: Direction::Read,
        name: name.as_bytes().to_vec(),
        mode: Mode::Octet,
        options: vec![
            option(OptionName::TransferSize, "0".to_owned()),
            option(OptionName::BlockSize, BLOCK_SIZE.to_string()),
        ],
    });
    let mut send = request.to_bytes();
    let mut to = server;
    let mut expected = 1u64;
    let mut block_size = 512;
    let (mut size, mut hasher) = (0u64, Sha256::new());
    let mut buffer = [0; 2048];
    let mut silent = 0;
    loop {
        socket
            .send_to(&send, to)
            .map_err(|error| format!("cannot send to {to}: {error}"))?;
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            silent += 1;
            if silent == TRIES {
                return Err(format!("{to} did not answer"));
            }
            continue;
        };
        match Packet::parse(&buffer[..length]).map_err(|error| error.to_string())? {
            Packet::OptionAcknowledgement(options) if expected == 1 && size == 0 => {
                let agreed = options
                    .iter()
                    .find(|option| option.name == OptionName::BlockSize);
                let number = agreed.and_then(|option| option.value.parse().ok());
                block_size = number.unwrap_or(block_size);
                send = Packet::Acknowledgement {
                    block: BlockNumber::new(0),
                }
                .to_bytes();
            }
            Packet::Data { block, payload } if block == BlockNumber::of_index(expected) => {
                hasher.update(payload);
                size += payload.len() as u64;
                send = Packet::Acknowledgement { block }.to_bytes();
                if payload.len() < block_size {
                    let _ = socket.send_to(&send, from);
                    return Ok((size, Sha256Digest::new(hasher.finalize().into())));
                }
                expected += 1;
            }
            Packet::Error { code, message } => {
                return Err(format!("the server refused it: {code:?} {}", message));
            }
            _ => continue,
        }
        (to, silent) = (from, 0);
    }
}
