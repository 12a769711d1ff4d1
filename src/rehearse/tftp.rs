use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::fetched::{Fetched, Fetching, NotFetched};
use crate::wire::tftp::{
    BlockNumber, Direction, ErrorCode, Mode, OptionName, Packet, Request, TransferOption,
};

/// How long a packet is waited for, and how often it is asked for.
const PATIENCE: Duration = Duration::from_millis(500);
const TRIES: u32 = 5;
/// The block size of a server that takes no option.
const PLAIN_BLOCK: usize = 512;

/// How a client asks for files.
#[derive(Clone, Copy, Debug)]
pub struct TftpClient {
    block_size: usize,
    /// How many blocks it takes before it acknowledges them; none where it does not ask for that.
    window: Option<u16>,
    asks_size: bool,
    /// Whether it asks for the size first, in a transfer that it aborts at once.
    probes: bool,
}

impl TftpClient {
    /// UEFI firmware of edk2's family.
    pub const EDK2: Self = Self {
        block_size: 1468,
        window: Some(4),
        asks_size: false,
        probes: true,
    };
    /// A PXE ROM under a BIOS, and U-Boot.
    pub const ROM: Self = Self {
        block_size: 1456,
        window: None,
        asks_size: true,
        probes: false,
    };
    /// shim, by way of the firmware.
    pub const SHIM: Self = Self {
        block_size: 512,
        window: Some(4),
        asks_size: false,
        probes: false,
    };
    /// GRUB.
    pub const GRUB: Self = Self {
        block_size: 1024,
        window: None,
        asks_size: true,
        probes: false,
    };
    /// PXELINUX.
    pub const PXELINUX: Self = Self {
        block_size: 1408,
        window: None,
        asks_size: true,
        probes: false,
    };
}

/// One transfer that is under way.
struct Transfer {
    expected: u64,
    block_size: usize,
    window: u64,
    fetching: Fetching,
}

/// Fetches a file as a client does, and keeps its first `keep` octets.
///
/// # Errors
/// What went wrong.
pub fn fetch(
    server: SocketAddr,
    name: &str,
    client: TftpClient,
    keep: usize,
) -> Result<Fetched, NotFetched> {
    if client.probes {
        client.transfer(server, name, true, Fetching::new(0))?;
    }
    client.transfer(server, name, false, Fetching::new(keep))
}

impl TftpClient {
    fn request(self, name: &str, is_probe: bool) -> Vec<u8> {
        let option = |name, value: String| TransferOption { name, value };
        let size = self.asks_size || is_probe;
        let size = size.then(|| option(OptionName::TransferSize, "0".to_owned()));
        let block = option(OptionName::BlockSize, self.block_size.to_string());
        let window = self.window;
        let window = window.map(|it| option(OptionName::WindowSize, it.to_string()));
        let request = Packet::Request(Request {
            direction: Direction::Read,
            name: name.as_bytes().to_vec(),
            mode: Mode::Octet,
            options: size.into_iter().chain([block]).chain(window).collect(),
        });
        request.to_bytes()
    }

    fn transfer(
        self,
        server: SocketAddr,
        name: &str,
        is_probe: bool,
        fetching: Fetching,
    ) -> Result<Fetched, NotFetched> {
        let broken = |error: std::io::Error| NotFetched::Broken(error.to_string());
        let socket = UdpSocket::bind(("0.0.0.0", 0)).map_err(broken)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
        let mut send = Some(self.request(name, is_probe));
        let mut to = server;
        let mut transfer = Transfer {
            expected: 1,
            block_size: PLAIN_BLOCK,
            window: 1,
            fetching,
        };
        let mut last_sent = Vec::new();
        let mut buffer = [0; 2048];
        let mut silent = 0;
        loop {
            if let Some(packet) = send.take() {
                socket
                    .send_to(&packet, to)
                    .map_err(|error| NotFetched::Broken(format!("cannot send to {to}: {error}")))?;
                last_sent = packet;
            }
            let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                silent += 1;
                if silent == TRIES {
                    return Err(NotFetched::Broken(format!("{to} did not answer")));
                }
                send = Some(std::mem::take(&mut last_sent));
                continue;
            };
            let packet = Packet::parse(&buffer[..length]);
            match packet.map_err(|error| NotFetched::Broken(error.to_string()))? {
                Packet::OptionAcknowledgement(_) if is_probe => {
                    let code = ErrorCode::OptionsRefused;
                    let message = "User aborted the transfer".to_owned();
                    let packet = Packet::Error { code, message }.to_bytes();
                    let _ = socket.send_to(&packet, from);
                    return Ok(transfer.fetching.end());
                }
                Packet::OptionAcknowledgement(options) if transfer.is_at_its_beginning() => {
                    transfer.agree(&options);
                    let block = BlockNumber::new(0);
                    send = Some(Packet::Acknowledgement { block }.to_bytes());
                }
                Packet::Data { block, payload }
                    if block == BlockNumber::of_index(transfer.expected) =>
                {
                    transfer.fetching.take(payload);
                    let is_last = payload.len() < transfer.block_size;
                    // The first block may come without an OACK: that is at once the first window.
                    if is_last || transfer.expected.is_multiple_of(transfer.window) {
                        send = Some(Packet::Acknowledgement { block }.to_bytes());
                    }
                    if is_last {
                        if let Some(packet) = send.take() {
                            let _ = socket.send_to(&packet, from);
                        }
                        return Ok(transfer.fetching.end());
                    }
                    transfer.expected += 1;
                }
                Packet::Error { code, message } => {
                    return Err(NotFetched::Refused {
                        is_missing: code == ErrorCode::FileNotFound,
                        said: message,
                    });
                }
                _ => continue,
            }
            (to, silent) = (from, 0);
        }
    }
}

impl Transfer {
    fn is_at_its_beginning(&self) -> bool {
        self.expected == 1
    }

    fn agree(&mut self, options: &[TransferOption]) {
        let agreed = |name: &OptionName| {
            let option = options.iter().find(|option| option.name == *name);
            option.and_then(|option| option.value.parse::<u16>().ok())
        };
        let block_size = agreed(&OptionName::BlockSize);
        self.block_size = block_size.map_or(PLAIN_BLOCK, usize::from);
        self.window = agreed(&OptionName::WindowSize).map_or(1, |it| u64::from(it.max(1)));
    }
}
