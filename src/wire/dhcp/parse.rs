use std::array;
use std::net::Ipv4Addr;

use super::{
    DhcpMessage, DhcpOptions, HEADER_LENGTH, MAGIC_COOKIE, Operation, OptionCode, TransactionId,
    describe,
};
use crate::machine::HardwareAddress;

/// The bytes are no DHCP message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DhcpParseError {
    /// The fixed fields are not all there.
    #[error("a DHCP message has at least `240` bytes, and this one has `{have}`")]
    TooShort {
        /// The bytes of the message.
        have: usize,
    },
    /// `op` names neither a request nor a reply.
    #[error("the operation is `{seen}`, neither a request (1) nor a reply (2)")]
    Operation {
        /// The value of `op`.
        seen: u8,
    },
    /// It is BOOTP without options, or something else altogether.
    #[error("no DHCP magic cookie: it would be `63825363`, and `{:08x}` was seen", u32::from_be_bytes(*.seen))]
    MagicCookie {
        /// The four bytes in the cookie's place.
        seen: [u8; 4],
    },
    /// An option ends after the field that holds it.
    #[error("option {} needs `{need}` more bytes, and `{have}` are left", describe(*.code))]
    OptionTruncated {
        /// The option.
        code: OptionCode,
        /// The bytes that follow the option's code or length.
        need: usize,
        /// The bytes that were left there.
        have: usize,
    },
    /// Option 52 does not say which fields hold options.
    #[error("option 52 (option-overload) holds `{seen:02x?}`, which is none of 1, 2 and 3")]
    Overload {
        /// The bytes of the option.
        seen: Vec<u8>,
    },
}

impl DhcpMessage {
    /// Reads one message: the payload of a UDP datagram.
    ///
    /// Options that were split over several are joined, and options in `file` and `sname` are
    /// followed where option 52 says so; those fields then count as empty. A missing END is taken
    /// as the end of the datagram, since nothing is lost by it. An `hlen` over 16 counts as 16.
    ///
    /// # Errors
    /// When the fixed fields or an option are cut short, or the message is not DHCP.
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
        // An overload inside an overloaded field has nothing left to name.
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
