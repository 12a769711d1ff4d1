//! TFTP packets: bytes to values and back.
//!
//! Source: RFC 1350 §5 (packets), RFC 2347 (options).

use std::fmt;

/// A block number: two bytes, from 1, with 0 after 65535.
///
/// RFC 1350 does not define the number after 65535; every boot loader continues with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockNumber(u16);

impl BlockNumber {
    /// Creates a block number from a packet's number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Returns the number of the `index`-th block of a file; the first block has index 1.
    pub const fn of_index(index: u64) -> Self {
        Self(index as u16)
    }

    /// Returns the number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Returns how many blocks `self` is after `earlier`, across the rollover.
    pub const fn distance_from(self, earlier: Self) -> u16 {
        self.0.wrapping_sub(earlier.0)
    }
}

impl fmt::Display for BlockNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The first two bytes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opcode {
    Read = 1,
    Write = 2,
    Data = 3,
    Acknowledgement = 4,
    Error = 5,
    OptionAcknowledgement = 6,
}

/// The reason in an ERROR packet.
///
/// Source: RFC 1350 appendix, RFC 2347 for 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 0: see the message.
    NotDefined,
    /// 1: file not found.
    FileNotFound,
    /// 2: access violation.
    AccessViolation,
    /// 3: disk full or allocation exceeded.
    DiskFull,
    /// 4: illegal TFTP operation.
    IllegalOperation,
    /// 5: unknown transfer identifier (port).
    UnknownTransfer,
    /// 6: file already exists.
    FileExists,
    /// 7: no such user.
    NoSuchUser,
    /// 8: the acknowledged options are refused.
    OptionsRefused,
    /// Any other number.
    Unknown(u16),
}

impl ErrorCode {
    /// Returns the number in packets.
    pub const fn number(self) -> u16 {
        match self {
            Self::NotDefined => 0,
            Self::FileNotFound => 1,
            Self::AccessViolation => 2,
            Self::DiskFull => 3,
            Self::IllegalOperation => 4,
            Self::UnknownTransfer => 5,
            Self::FileExists => 6,
            Self::NoSuchUser => 7,
            Self::OptionsRefused => 8,
            Self::Unknown(number) => number,
        }
    }
}

impl From<u16> for ErrorCode {
    fn from(number: u16) -> Self {
        match number {
            0 => Self::NotDefined,
            1 => Self::FileNotFound,
            2 => Self::AccessViolation,
            3 => Self::DiskFull,
            4 => Self::IllegalOperation,
            5 => Self::UnknownTransfer,
            6 => Self::FileExists,
            7 => Self::NoSuchUser,
            8 => Self::OptionsRefused,
            number => Self::Unknown(number),
        }
    }
}

/// The encoding of a file in a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Unchanged bytes.
    Octet,
    /// Lines that end in CR LF, with a bare CR as CR NUL.
    Netascii,
    /// Anything else, such as the obsolete `mail`.
    Unknown(String),
}

impl Mode {
    fn from_text(text: &[u8]) -> Self {
        if text.eq_ignore_ascii_case(b"octet") {
            Self::Octet
        } else if text.eq_ignore_ascii_case(b"netascii") {
            Self::Netascii
        } else {
            Self::Unknown(to_text(text))
        }
    }

    /// Returns the text in packets.
    pub fn text(&self) -> &str {
        match self {
            Self::Octet => "octet",
            Self::Netascii => "netascii",
            Self::Unknown(text) => text,
        }
    }
}

/// The name of an option, in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionName {
    /// `blksize`: bytes in a DATA block. Source: RFC 2348.
    BlockSize,
    /// `timeout`: seconds before a retransmission. Source: RFC 2349.
    Timeout,
    /// `tsize`: bytes in the file. Source: RFC 2349.
    TransferSize,
    /// `windowsize`: blocks before an acknowledgement. Source: RFC 7440.
    WindowSize,
    /// Any other option, as it was spelled.
    Unknown(String),
}

impl OptionName {
    fn from_text(text: &[u8]) -> Self {
        [
            Self::BlockSize,
            Self::Timeout,
            Self::TransferSize,
            Self::WindowSize,
        ]
        .into_iter()
        .find(|name| text.eq_ignore_ascii_case(name.text().as_bytes()))
        .unwrap_or_else(|| Self::Unknown(to_text(text)))
    }

    /// Returns the text in packets.
    pub fn text(&self) -> &str {
        match self {
            Self::BlockSize => "blksize",
            Self::Timeout => "timeout",
            Self::TransferSize => "tsize",
            Self::WindowSize => "windowsize",
            Self::Unknown(text) => text,
        }
    }
}

/// One option of a request, or of its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOption {
    /// The name.
    pub name: OptionName,
    /// The value, a decimal number for every known option.
    pub value: String,
}

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// RRQ: from the server.
    Read,
    /// WRQ: to the server.
    Write,
}

/// An RRQ or a WRQ: the packet that starts a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The direction of the transfer.
    pub direction: Direction,
    /// The file name as it was sent, without its NUL; any bytes.
    pub name: Vec<u8>,
    /// The encoding of the file.
    pub mode: Mode,
    /// The options, in their order.
    pub options: Vec<TransferOption>,
}

/// One TFTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// RRQ or WRQ.
    Request(Request),
    /// DATA: one block of the file; a block shorter than the block size is the last one.
    Data {
        /// The block number.
        block: BlockNumber,
        /// The bytes.
        payload: &'a [u8],
    },
    /// ACK: every block up to this number has arrived.
    Acknowledgement {
        /// The last block that arrived in order; 0 acknowledges an OACK.
        block: BlockNumber,
    },
    /// ERROR: the transfer has ended.
    Error {
        /// The reason.
        code: ErrorCode,
        /// The reason as text.
        message: String,
    },
    /// OACK: the options that the server accepted, with their values.
    OptionAcknowledgement(Vec<TransferOption>),
}

/// The bytes are not a TFTP packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The packet ends before its fixed part does.
    #[error("the packet needs {need} bytes, but has {length}")]
    Short {
        /// The length of the packet in bytes.
        length: usize,
        /// The required length in bytes.
        need: usize,
    },
    /// The first two bytes are not a known opcode.
    #[error("`{0}` is not a TFTP opcode")]
    UnknownOpcode(u16),
    /// A text has no NUL at its end.
    #[error("the {0} has no NUL at its end")]
    Unterminated(&'static str),
}

impl<'a> Packet<'a> {
    /// Parses one datagram.
    ///
    /// Ignores bytes after the NUL of an error message, and NULs after a request, which some firmware
    /// sends.
    ///
    /// # Errors
    ///
    /// When a fixed part or a NUL is missing, and for an unknown opcode.
    ///
    /// Source: RFC 1350 §5, RFC 2347.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (opcode, rest) = take_u16(bytes, bytes.len())?;
        if opcode == Opcode::Read as u16 {
            return Request::parse(Direction::Read, rest).map(Self::Request);
        }
        if opcode == Opcode::Write as u16 {
            return Request::parse(Direction::Write, rest).map(Self::Request);
        }
        if opcode == Opcode::OptionAcknowledgement as u16 {
            return parse_options(rest).map(Self::OptionAcknowledgement);
        }
        if ![
            Opcode::Data as u16,
            Opcode::Acknowledgement as u16,
            Opcode::Error as u16,
        ]
        .contains(&opcode)
        {
            return Err(ParseError::UnknownOpcode(opcode));
        }
        let (number, rest) = take_u16(rest, bytes.len())?;
        let block = BlockNumber(number);
        if opcode == Opcode::Data as u16 {
            return Ok(Self::Data {
                block,
                payload: rest,
            });
        }
        if opcode == Opcode::Acknowledgement as u16 {
            return Ok(Self::Acknowledgement { block });
        }
        // Some firmware leaves out the NUL or the whole message: the code is enough.
        let message = rest.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(Self::Error {
            code: ErrorCode::from(number),
            message: to_text(message),
        })
    }

    /// Appends the packet to `out`.
    ///
    /// Leaves out NULs inside a text, since they would end it early.
    pub fn write(&self, out: &mut Vec<u8>) {
        let opcode = match self {
            Self::Request(request) => match request.direction {
                Direction::Read => Opcode::Read,
                Direction::Write => Opcode::Write,
            },
            Self::Data { .. } => Opcode::Data,
            Self::Acknowledgement { .. } => Opcode::Acknowledgement,
            Self::Error { .. } => Opcode::Error,
            Self::OptionAcknowledgement(_) => Opcode::OptionAcknowledgement,
        };
        out.extend((opcode as u16).to_be_bytes());
        match self {
            Self::Request(request) => {
                put_text(out, &request.name);
                put_text(out, request.mode.text().as_bytes());
                put_options(out, &request.options);
            }
            Self::Data { block, payload } => {
                out.extend(block.0.to_be_bytes());
                out.extend_from_slice(payload);
            }
            Self::Acknowledgement { block } => out.extend(block.0.to_be_bytes()),
            Self::Error { code, message } => {
                out.extend(code.number().to_be_bytes());
                put_text(out, message.as_bytes());
            }
            Self::OptionAcknowledgement(options) => put_options(out, options),
        }
    }

    /// Returns the packet as one datagram.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

/// Returns the four bytes before the payload of a DATA packet.
pub fn data_header(block: BlockNumber) -> [u8; 4] {
    let [high, low] = block.0.to_be_bytes();
    [0, Opcode::Data as u8, high, low]
}

impl Request {
    fn parse(direction: Direction, bytes: &[u8]) -> Result<Self, ParseError> {
        let (name, rest) = take_text(bytes, "file name")?;
        let (mode, rest) = take_text(rest, "mode")?;
        Ok(Self {
            direction,
            name: name.to_vec(),
            mode: Mode::from_text(mode),
            options: parse_options(rest)?,
        })
    }
}

fn parse_options(mut bytes: &[u8]) -> Result<Vec<TransferOption>, ParseError> {
    let mut options = Vec::new();
    while bytes.iter().any(|&byte| byte != 0) {
        let (name, rest) = take_text(bytes, "option name")?;
        if rest.is_empty() {
            // A word without a value is not an option: atftp can send a Linksys password this way.
            break;
        }
        let (value, rest) = take_text(rest, "option value")?;
        options.push(TransferOption {
            name: OptionName::from_text(name),
            value: to_text(value),
        });
        bytes = rest;
    }
    Ok(options)
}

fn take_u16(bytes: &[u8], length: usize) -> Result<(u16, &[u8]), ParseError> {
    match bytes.split_first_chunk::<2>() {
        Some((head, rest)) => Ok((u16::from_be_bytes(*head), rest)),
        None => Err(ParseError::Short {
            length,
            need: length - bytes.len() + 2,
        }),
    }
}

fn take_text<'a>(bytes: &'a [u8], what: &'static str) -> Result<(&'a [u8], &'a [u8]), ParseError> {
    let end = bytes.iter().position(|&byte| byte == 0);
    end.and_then(|end| Some((bytes.get(..end)?, bytes.get(end + 1..)?)))
        .ok_or(ParseError::Unterminated(what))
}

fn to_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().filter(|&&byte| byte != 0));
    out.push(0);
}

fn put_options(out: &mut Vec<u8>, options: &[TransferOption]) {
    for option in options {
        put_text(out, option.name.text().as_bytes());
        put_text(out, option.value.as_bytes());
    }
}

#[cfg(test)]
mod tests;
