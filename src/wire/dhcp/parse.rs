use std::array;
use std::net::Ipv4Addr;

use super::{
    DhcpMessage, DhcpOptions, HEADER_LENGTH, MAGIC_COOKIE, Operation, OptionCode, TransactionId,
    describe,
};
use crate::machine::HardwareAddress;

/// The bytes are not a DHCP message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DhcpParseError {
    /// The fixed fields are truncated.
    #[error("expected a DHCP message of at least 240 bytes, found {have}")]
    TooShort {
        /// The length of the message in bytes.
        have: usize,
    },
    /// `op` is neither a request nor a reply.
    #[error("expected operation 1 (request) or 2 (reply), found {seen}")]
    Operation {
        /// The value of `op`.
        seen: u8,
    },
    /// The message is BOOTP without options, or another protocol.
    #[error("expected the DHCP magic cookie `63825363`, found `{:08x}`", u32::from_be_bytes(*.seen))]
    MagicCookie {
        /// The four bytes at the cookie's offset.
        seen: [u8; 4],
    },
    /// An option extends past its field.
    #[error("option {} needs {need} more bytes, but {have} are left", describe(*.code))]
    OptionTruncated {
        /// The option.
        code: OptionCode,
        /// The bytes that should follow the option's code or length.
        need: usize,
        /// The bytes that are left in the field.
        have: usize,
    },
    /// Option 52 does not name the fields that hold options.
    #[error("option 52 (option-overload) must be 1, 2 or 3, found `{seen:02x?}`")]
    Overload {
        /// The bytes of the option.
        seen: Vec<u8>,
    },
}

impl DhcpMessage {
    /// Parses one message: the payload of a UDP datagram.
    ///
    /// Joins split options, and reads options in `file` and `sname` if option 52 names them; those
    /// fields then count as empty. Without an END, the options end with the datagram. An `hlen` over
    /// 16 counts as 16.
    ///
    /// # Errors
    /// When the fixed fields or an option are truncated, or the message is not DHCP.
    ///
    /// Source: RFC 2131 §2, §4.1; RFC 2132 §9.3; RFC 3396 §5.
    pub fn parse(bytes: &[u8]) -> Result<Self, DhcpParseError> {
        let Some((header, option_field)) = bytes.split_first_chunk() else {
            return Err(DhcpParseError::TooShort { have: bytes.len() });
        };
        let operation = match header[0] {
            1 => Operation::Request,
            2 => Operation::Reply,
            seen => return Err(DhcpParseError::Operation { seen }),
        };
        let cookie: [u8; 4] = field(header, 236);
        if cookie != MAGIC_COOKIE {
            return Err(DhcpParseError::MagicCookie { seen: cookie });
        }
        let server_name: [u8; 64] = field(header, 44);
        let boot_file: [u8; 128] = field(header, 108);

        let mut options = DhcpOptions::default();
        read_options(option_field, &mut options)?;
        let (file_is_options, name_is_options) =
            match options.remove(OptionCode::OptionOverload).as_deref() {
                None => (false, false),
                Some([1]) => (true, false),
                Some([2]) => (false, true),
                Some([3]) => (true, true),
                Some(seen) => {
                    return Err(DhcpParseError::Overload {
                        seen: seen.to_vec(),
                    });
                }
            };
        if file_is_options {
            read_options(&boot_file, &mut options)?;
        }
        if name_is_options {
            read_options(&server_name, &mut options)?;
        }
        // An overload option inside an overloaded field has no meaning.
        options.remove(OptionCode::OptionOverload);

        Ok(Self {
            operation,
            hardware_type: header[1],
            hardware_address: HardwareAddress::new(header[2], field(header, 28)),
            hops: header[3],
            transaction_id: TransactionId(u32::from_be_bytes(field(header, 4))),
            seconds: u16::from_be_bytes(field(header, 8)),
            broadcast: header[10] & 0x80 != 0,
            client_address: Ipv4Addr::from_octets(field(header, 12)),
            your_address: Ipv4Addr::from_octets(field(header, 16)),
            server_address: Ipv4Addr::from_octets(field(header, 20)),
            relay_address: Ipv4Addr::from_octets(field(header, 24)),
            server_name: text(&server_name, name_is_options),
            boot_file: text(&boot_file, file_is_options),
            options,
            pads_options: true,
        })
    }
}

/// Copies `N` bytes of the fixed fields; both numbers are constants of the layout.
fn field<const N: usize>(header: &[u8; HEADER_LENGTH], at: usize) -> [u8; N] {
    array::from_fn(|index| header[at + index])
}

fn text(field: &[u8], is_options: bool) -> Vec<u8> {
    if is_options {
        return Vec::new();
    }
    field
        .iter()
        .copied()
        .take_while(|&byte| byte != 0)
        .collect()
}

/// Adds the options of one field, up to END or the end of the field.
fn read_options(mut rest: &[u8], options: &mut DhcpOptions) -> Result<(), DhcpParseError> {
    while let Some((&code, after_code)) = rest.split_first() {
        let code = match OptionCode::from(code) {
            OptionCode::End => break,
            OptionCode::Pad => {
                rest = after_code;
                continue;
            }
            code => code,
        };
        let truncated = |need, have| DhcpParseError::OptionTruncated { code, need, have };
        let (&length, after_length) = after_code.split_first().ok_or(truncated(1, 0))?;
        let length = usize::from(length);
        let (value, after_value) = after_length
            .split_at_checked(length)
            .ok_or(truncated(length, after_length.len()))?;
        options.append(code, value);
        rest = after_value;
    }
    Ok(())
}
