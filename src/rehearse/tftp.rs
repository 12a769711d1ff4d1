use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::download::{Download, DownloadError, DownloadedFile};
use crate::wire::tftp::{
    BlockNumber, Direction, ErrorCode, Mode, OptionName, Packet, Request, TransferOption,
};

/// How long the client waits for a packet before it sends its own again.
const PACKET_TIMEOUT: Duration = Duration::from_millis(500);
/// How many times it waits.
const TRIES: u32 = 5;
/// The block size without options. Source: RFC 1350 §2.
const DEFAULT_BLOCK: usize = 512;

/// How a client requests files.
#[derive(Clone, Copy, Debug)]
pub struct TftpClient {
    block_size: usize,
    /// The window that it requests, in blocks.
    window: Option<u16>,
    requests_size: bool,
    /// Whether it first requests the size, in a transfer that it aborts at once.
    probes_size: bool,
}

impl TftpClient {
    /// UEFI firmware based on edk2.
    pub const EDK2: Self = Self {
        block_size: 1468,
        window: Some(4),
        requests_size: false,
        probes_size: true,
    };
    /// A PXE ROM under a BIOS, and U-Boot.
    pub const ROM: Self = Self {
        block_size: 1456,
        window: None,
        requests_size: true,
        probes_size: false,
    };
    /// shim, which uses the firmware's client.
    pub const SHIM: Self = Self {
        block_size: 512,
        window: Some(4),
        requests_size: false,
        probes_size: false,
    };
    /// GRUB.
    pub const GRUB: Self = Self {
        block_size: 1024,
        window: None,
        requests_size: true,
        probes_size: false,
    };
    /// PXELINUX.
    pub const PXELINUX: Self = Self {
        block_size: 1408,
        window: None,
        requests_size: true,
        probes_size: false,
    };
}

/// A running transfer.
struct Transfer {
    /// The number of the next block, from 1.
    next_block: u64,
    block_size: usize,
    window: u64,
    download: Download,
}

/// Fetches a file as a client does, and keeps its first `keep` bytes.
///
/// # Errors
/// See [`DownloadError`].
pub fn fetch(
    server: SocketAddr,
    name: &str,
    client: TftpClient,
    keep: usize,
) -> Result<DownloadedFile, DownloadError> {
    if client.probes_size {
        client.transfer(server, name, true, Download::new(0))?;
    }
    client.transfer(server, name, false, Download::new(keep))
}

impl TftpClient {
    fn request(self, name: &str, is_probe: bool) -> Vec<u8> {
        let option = |name, value: String| TransferOption { name, value };
        let size = self.requests_size || is_probe;
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
        download: Download,
    ) -> Result<DownloadedFile, DownloadError> {
        let failed = |error: std::io::Error| DownloadError::Failed(error.to_string());
        let socket = UdpSocket::bind(("0.0.0.0", 0)).map_err(failed)?;
        socket
            .set_read_timeout(Some(PACKET_TIMEOUT))
            .map_err(failed)?;
        let mut send = Some(self.request(name, is_probe));
        let mut to = server;
        let mut transfer = Transfer {
            next_block: 1,
            block_size: DEFAULT_BLOCK,
            window: 1,
            download,
        };
        let mut last_sent = Vec::new();
        let mut buffer = [0; 2048];
        let mut timeouts = 0;
        loop {
            if let Some(packet) = send.take() {
                socket.send_to(&packet, to).map_err(|error| {
                    DownloadError::Failed(format!("cannot send to {to}: {error}"))
                })?;
                last_sent = packet;
            }
            let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                timeouts += 1;
                if timeouts == TRIES {
                    return Err(DownloadError::Failed(format!("no response from {to}")));
                }
                send = Some(std::mem::take(&mut last_sent));
                continue;
            };
            let packet = Packet::parse(&buffer[..length]);
            match packet.map_err(|error| DownloadError::Failed(error.to_string()))? {
                Packet::OptionAcknowledgement(_) if is_probe => {
                    let code = ErrorCode::OptionsRefused;
                    let message = "User aborted the transfer".to_owned();
                    let packet = Packet::Error { code, message }.to_bytes();
                    let _ = socket.send_to(&packet, from);
                    return Ok(transfer.download.finish());
                }
                Packet::OptionAcknowledgement(options) if transfer.has_no_data() => {
                    transfer.apply(&options);
                    let block = BlockNumber::new(0);
                    send = Some(Packet::Acknowledgement { block }.to_bytes());
                }
                Packet::Data { block, payload }
                    if block == BlockNumber::of_index(transfer.next_block) =>
                {
                    transfer.download.push(payload);
                    let is_last = payload.len() < transfer.block_size;
                    // Without an OACK the window is one block.
                    if is_last || transfer.next_block.is_multiple_of(transfer.window) {
                        send = Some(Packet::Acknowledgement { block }.to_bytes());
                    }
                    if is_last {
                        if let Some(packet) = send.take() {
                            let _ = socket.send_to(&packet, from);
                        }
                        return Ok(transfer.download.finish());
                    }
                    transfer.next_block += 1;
                }
                Packet::Error { code, message } => {
                    return Err(DownloadError::Refused {
                        is_missing: code == ErrorCode::FileNotFound,
                        message,
                    });
                }
                _ => continue,
            }
            (to, timeouts) = (from, 0);
        }
    }
}

impl Transfer {
    fn has_no_data(&self) -> bool {
        self.next_block == 1
    }

    fn apply(&mut self, options: &[TransferOption]) {
        let agreed = |name: &OptionName| {
            let option = options.iter().find(|option| option.name == *name);
            option.and_then(|option| option.value.parse::<u16>().ok())
        };
        let block_size = agreed(&OptionName::BlockSize);
        self.block_size = block_size.map_or(DEFAULT_BLOCK, usize::from);
        self.window = agreed(&OptionName::WindowSize).map_or(1, |it| u64::from(it.max(1)));
    }
}
