use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::wire::dhcp::OptionShape;

/// The inventory's word for an option that is not sent.
pub(super) const NONE: &str = "none";

/// The setting of a DHCP option in the inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum OptionSetting {
    /// The option is sent with this value.
    Send(OptionValue),
    /// The option is omitted, whatever sets it: `none`.
    Omit,
}

impl OptionSetting {
    /// Returns the bytes of an option that is sent.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Send(value) => Some(value.bytes()),
            Self::Omit => None,
        }
    }
}

impl From<OptionSetting> for String {
    fn from(setting: OptionSetting) -> Self {
        match setting {
            OptionSetting::Send(value) => value.to_string(),
            OptionSetting::Omit => NONE.to_owned(),
        }
    }
}

impl TryFrom<String> for OptionSetting {
    type Error = ParseOptionValueError;

    fn try_from(text: String) -> Result<Self, ParseOptionValueError> {
        match text.as_str() {
            NONE => Ok(Self::Omit),
            text => text.parse().map(Self::Send),
        }
    }
}

/// The value of a DHCP option, as it is written in the inventory: `ip:10.20.0.5`, `u16:9000`, `hex:0a0b`,
/// `text:…`, or text without a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum OptionValue {
    /// Text, without a NUL.
    Text(String),
    /// Addresses.
    Addresses(Vec<Ipv4Addr>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A number in one byte.
    U8(u8),
    /// A number in two bytes.
    U16(u16),
    /// A number in four bytes.
    U32(u32),
}

impl OptionValue {
    /// Returns the bytes of the option: numbers are in network order.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Addresses(list) => list.iter().flat_map(|it| it.octets()).collect(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::U8(number) => vec![*number],
            Self::U16(number) => number.to_be_bytes().to_vec(),
            Self::U32(number) => number.to_be_bytes().to_vec(),
        }
    }

    pub(super) fn has(&self, shape: OptionShape) -> bool {
        use OptionShape::{
            Address, Addresses, Architectures, Blocks, Bytes, FileName, MachineIdentifier, Seconds,
            SubOptions, Text, U8, U16, U32,
        };
        matches!(
            (self, shape),
            (Self::Bytes(_), _)
                | (_, Bytes | SubOptions | Architectures | MachineIdentifier)
                | (Self::Text(_), Text | FileName)
                | (Self::Addresses(_), Address | Addresses)
                | (Self::U8(_), U8)
                | (Self::U16(_), U16 | Blocks)
                | (Self::U32(_), U32 | Seconds)
        )
    }
}

/// The error of a text that is not the value of an option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseOptionValueError {
    /// The value does not match its prefix.
    #[error("`{seen}` is not {expected}")]
    Form {
        /// The text.
        seen: String,
        /// The form that the prefix requires.
        expected: &'static str,
    },
    /// The value is empty or too long.
    #[error("the value has {have} bytes; an option has 1 to 255")]
    Length {
        /// The number of bytes.
        have: usize,
    },
}

impl FromStr for OptionValue {
    type Err = ParseOptionValueError;

    fn from_str(text: &str) -> Result<Self, ParseOptionValueError> {
        let form = |expected| ParseOptionValueError::Form {
            seen: text.chars().take(60).collect(),
            expected,
        };
        let value = match text.split_once(':') {
            Some(("text", rest)) => Self::Text(rest.to_owned()),
            Some(("ip", rest)) => {
                let list: Result<_, _> = rest.split(',').map(|it| it.trim().parse()).collect();
                Self::Addresses(list.map_err(|_| form("a list of IPv4 addresses"))?)
            }
            Some(("hex", rest)) => {
                let digits: String = rest.chars().filter(|c| !":- ".contains(*c)).collect();
                let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
                Self::Bytes(bytes.map_err(|_| form("an even number of hexadecimal digits"))?)
            }
            Some(("u8", rest)) => {
                Self::U8(rest.parse().map_err(|_| form("a number from 0 to 255"))?)
            }
            Some(("u16", rest)) => {
                Self::U16(rest.parse().map_err(|_| form("a number from 0 to 65535"))?)
            }
            Some(("u32", rest)) => Self::U32(
                rest.parse()
                    .map_err(|_| form("a number from 0 to 4294967295"))?,
            ),
            _ => Self::Text(text.to_owned()),
        };
        match value.bytes().len() {
            1..=255 => Ok(value),
            have => Err(ParseOptionValueError::Length { have }),
        }
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "text:{text}"),
            Self::Addresses(list) => {
                let texts: Vec<_> = list.iter().map(Ipv4Addr::to_string).collect();
                write!(f, "ip:{}", texts.join(","))
            }
            Self::Bytes(bytes) => {
                write!(f, "hex:{}", data_encoding::HEXLOWER.encode(bytes))
            }
            Self::U8(number) => write!(f, "u8:{number}"),
            Self::U16(number) => write!(f, "u16:{number}"),
            Self::U32(number) => write!(f, "u32:{number}"),
        }
    }
}

impl From<OptionValue> for String {
    fn from(value: OptionValue) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for OptionValue {
    type Error = ParseOptionValueError;

    fn try_from(text: String) -> Result<Self, ParseOptionValueError> {
        text.parse()
    }
}
