use super::option_table::{Retention, firmware_reading, retention};
use super::{
    DATAGRAM_HEADERS, DhcpMessage, HEADER_LENGTH, MAGIC_COOKIE, Operation, OptionCode, describe,
};

/// The minimum length of a BOOTP message, which some relays and ROMs still require.
const MINIMUM_LENGTH: usize = 300;
/// The longest value of one option, in bytes.
const LONGEST_OPTION: usize = 255;

/// The message cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DhcpWriteError {
    /// The datagram exceeds the client's limit.
    #[error("the datagram needs {need} bytes, but the client accepts {limit}")]
    TooLong {
        /// The length of the datagram in bytes, with its IP and UDP headers.
        need: usize,
        /// The client's limit.
        limit: usize,
    },
    /// The option would have to be split, and clients do not join its parts.
    #[error("option {} has {have} bytes, but clients read at most 255", describe(*.code))]
    OptionTooLong {
        /// The option.
        code: OptionCode,
        /// Its length in bytes.
        have: usize,
    },
    /// The layout itself uses the code: PAD, END or overload.
    #[error("option {} belongs to the layout and cannot hold a value", describe(*.code))]
    OptionReserved {
        /// The option.
        code: OptionCode,
    },
    /// A text of the header leaves no room for its NUL.
    #[error("the field `{field}` holds {limit} bytes, but the text has {have}")]
    FieldTooLong {
        /// The RFC's name of the field.
        field: &'static str,
        /// The length of the text in bytes.
        have: usize,
        /// The longest text that leaves room for the NUL.
        limit: usize,
    },
    /// A text of the header contains a NUL.
    #[error("the text of the field `{field}` contains a NUL")]
    FieldHoldsNul {
        /// The RFC's name of the field.
        field: &'static str,
    },
}

impl DhcpMessage {
    /// Writes the payload of a UDP datagram that, with its IP and UDP headers, has at most `limit`
    /// bytes; [`DhcpOptions::datagram_limit`](super::DhcpOptions::datagram_limit) of the request
    /// is the limit of its reply.
    ///
    /// The message type is first and the relay agent's option last. `file` and `sname` never hold
    /// options. A long option is split, except those that clients do not join (43, 60, 67). After END
    /// the message is padded to 300 bytes.
    ///
    /// # Errors
    /// When the message does not fit: it leaves out no option, see [`DhcpMessage::fit`].
    ///
    /// Source: RFC 2131 §2, §4.1; RFC 3396 §4; RFC 3046 §2.2.
    pub fn write(&self, limit: usize) -> Result<Vec<u8>, DhcpWriteError> {
        let need = self.datagram_length();
        if need > limit {
            return Err(DhcpWriteError::TooLong { need, limit });
        }

        let mut bytes = Vec::with_capacity(need - DATAGRAM_HEADERS);
        bytes.push(match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        });
        bytes.push(self.hardware_type);
        // At most 16: a `HardwareAddress` holds no more.
        bytes.push(self.hardware_address.octets().len() as u8);
        bytes.push(self.hops);
        bytes.extend(self.transaction_id.0.to_be_bytes());
        bytes.extend(self.seconds.to_be_bytes());
        bytes.extend(if self.broadcast { [0x80, 0] } else { [0, 0] });
        for address in [
            self.client_address,
            self.your_address,
            self.server_address,
            self.relay_address,
        ] {
            bytes.extend(address.octets());
        }
        bytes.extend(self.hardware_address.field());
        bytes.extend(text_field::<64>("sname", &self.server_name)?);
        bytes.extend(text_field::<128>("file", &self.boot_file)?);
        bytes.extend(MAGIC_COOKIE);
        for (code, value) in self.options.iter() {
            self.write_option(code, value, &mut bytes)?;
        }
        bytes.push(OptionCode::End.into());
        bytes.resize(bytes.len().max(MINIMUM_LENGTH), 0);
        Ok(bytes)
    }

    /// Drops options until the message fits into a datagram of `limit` bytes. Returns the dropped
    /// options, so that the caller can log them.
    ///
    /// Extras go first, the last one before the others; then the options that the table ranks, in the
    /// order of their ranks; see [`Retention`]. Essential options stay: if the message still does not
    /// fit, [`DhcpMessage::write`] refuses it.
    pub fn fit(&mut self, limit: usize) -> Vec<OptionCode> {
        let mut dropped = Vec::new();
        while self.datagram_length() > limit {
            let Some(code) = self.least_important_option() else {
                break;
            };
            self.options.remove(code);
            dropped.push(code);
        }
        dropped
    }

    /// Returns the option to drop next.
    fn least_important_option(&self) -> Option<OptionCode> {
        let codes = || self.options.iter().map(|(code, _)| code);
        let last_extra = codes()
            .filter(|code| retention(*code) == Retention::Extra)
            .last();
        let lowest_rank = || {
            let ranked = codes().filter_map(|code| match retention(code) {
                Retention::DroppedAtRank(rank) => Some((rank, code)),
                Retention::Essential | Retention::Extra => None,
            });
            ranked.min_by_key(|(rank, _)| *rank).map(|(_, code)| code)
        };
        last_extra.or_else(lowest_rank)
    }

    /// Returns the length of the whole datagram in bytes, with its IP and UDP headers.
    pub fn datagram_length(&self) -> usize {
        let options: usize = self
            .options
            .iter()
            .map(|(code, value)| {
                let headers = 2 * value.len().div_ceil(LONGEST_OPTION).max(1);
                headers + value.len() + usize::from(self.pads_after(code))
            })
            .sum();
        DATAGRAM_HEADERS + (HEADER_LENGTH + options + 1).max(MINIMUM_LENGTH)
    }

    fn write_option(
        &self,
        code: OptionCode,
        value: &[u8],
        bytes: &mut Vec<u8>,
    ) -> Result<(), DhcpWriteError> {
        if matches!(
            code,
            OptionCode::Pad | OptionCode::End | OptionCode::OptionOverload
        ) {
            return Err(DhcpWriteError::OptionReserved { code });
        }
        // See `FirmwareReading`: clients do not join these.
        if value.len() > LONGEST_OPTION && firmware_reading(code).only_first_part {
            let have = value.len();
            return Err(DhcpWriteError::OptionTooLong { code, have });
        }
        let (first, more) = value.split_at(value.len().min(LONGEST_OPTION));
        for part in std::iter::once(first).chain(more.chunks(LONGEST_OPTION)) {
            // A part has at most 255 bytes.
            bytes.extend([code.into(), part.len() as u8]);
            bytes.extend(part);
        }
        if self.pads_after(code) {
            bytes.push(OptionCode::Pad.into());
        }
        Ok(())
    }

    /// Reports whether one PAD follows the option: in replies only, since firmware needs it.
    fn pads_after(&self, code: OptionCode) -> bool {
        let is_padded = self.pads_options && self.operation == Operation::Reply;
        is_padded && firmware_reading(code).past_the_end
    }
}

/// Writes a text as a field of `N` bytes that ends in at least one NUL.
fn text_field<const N: usize>(field: &'static str, text: &[u8]) -> Result<[u8; N], DhcpWriteError> {
    if text.contains(&0) {
        return Err(DhcpWriteError::FieldHoldsNul { field });
    }
    let mut bytes = [0; N];
    match bytes[..N - 1].get_mut(..text.len()) {
        Some(start) => start.copy_from_slice(text),
        None => {
            return Err(DhcpWriteError::FieldTooLong {
                field,
                have: text.len(),
                limit: N - 1,
            });
        }
    }
    Ok(bytes)
}
