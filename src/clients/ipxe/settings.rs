use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use data_encoding::BASE64;

use crate::machine::{MacAddress, SystemUuid};

const MOST_EXPANSIONS: usize = 100;
const LONGEST_EXPANSION: usize = 16 * 1024;

/// The value of a setting; its kind determines the result of types such as `:hexhyp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A hardware address.
    Mac(MacAddress),
    /// A UUID.
    Uuid(SystemUuid),
    /// An IPv4 address.
    Address(Ipv4Addr),
}

/// The settings of iPXE: the values of `${name}`.
///
/// A name can have a block (`net0/mac`, `platform`). `netX` and the DHCP block of the model's only network
/// card are the same as `net0`; a name without a block is searched in all blocks.
/// Source: iPXE, `src/core/settings.c`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, Value>);

/// A setting refers to itself, or grows without end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings in `{text}` expand without end")]
pub struct EndlessExpansion {
    text: String,
}

impl Settings {
    /// Sets a value; a type after the name (`name:string`) is ignored.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let (name, _) = split_type(name);
        self.0.insert(canonical(name), value.into());
    }

    /// Removes a value.
    pub fn clear(&mut self, name: &str) {
        self.0.remove(&canonical(split_type(name).0));
    }

    /// Returns the value of a name without a type.
    pub fn value(&self, name: &str) -> Option<&Value> {
        let name = canonical(name);
        self.0.get(&name).or_else(|| {
            let in_a_block = |key: &str| key.split_once('/').is_some_and(|(_, rest)| rest == name);
            let mut entries = self.0.iter();
            entries
                .find(|(key, _)| in_a_block(key))
                .map(|(_, value)| value)
        })
    }

    /// Replaces every `${…}` in a text, the innermost first; an unset value is empty.
    ///
    /// # Errors
    /// When the expansion does not end.
    pub fn expand(&self, text: &str) -> Result<String, EndlessExpansion> {
        let mut expanded = text.to_owned();
        for _ in 0..MOST_EXPANSIONS {
            let Some((start, end)) = innermost(&expanded) else {
                return Ok(expanded);
            };
            let value = self.format(&expanded[start + 2..end]);
            expanded.replace_range(start..=end, &value);
            if expanded.len() > LONGEST_EXPANSION {
                break;
            }
        }
        Err(EndlessExpansion {
            text: text.to_owned(),
        })
    }

    /// Formats `name` or `name:type`.
    fn format(&self, name_and_type: &str) -> String {
        let (name, kind) = split_type(name_and_type);
        let Some(value) = self.value(name) else {
            return String::new();
        };
        let hex = |separator: &str| {
            let bytes: Vec<_> = value
                .bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            bytes.join(separator)
        };
        match kind {
            None => value.to_string(),
            Some("string") => String::from_utf8_lossy(&value.bytes()).into_owned(),
            Some("uristring") => value.bytes().iter().map(|&byte| uri_encode(byte)).collect(),
            Some("hex") => hex(":"),
            Some("hexhyp") => hex("-"),
            Some("hexraw") => hex(""),
            Some("base64") => BASE64.encode(&value.bytes()),
            Some("uuid" | "ipv4" | "int8" | "int16" | "int32" | "uint8" | "uint16" | "uint32") => {
                value.to_string()
            }
            // iPXE treats a name with an unknown type as unset.
            Some(_) => String::new(),
        }
    }
}

impl Value {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Mac(mac) => mac.octets().to_vec(),
            Self::Uuid(uuid) => uuid.octets().to_vec(),
            Self::Address(address) => address.octets().to_vec(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Mac(mac) => mac.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<MacAddress> for Value {
    fn from(mac: MacAddress) -> Self {
        Self::Mac(mac)
    }
}

impl From<SystemUuid> for Value {
    fn from(uuid: SystemUuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<Ipv4Addr> for Value {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(address)
    }
}

fn split_type(name: &str) -> (&str, Option<&str>) {
    match name.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (name, None),
    }
}

fn canonical(name: &str) -> String {
    match name.split_once('/') {
        Some(("netX" | "netX.dhcp" | "net0.dhcp", rest)) => format!("net0/{rest}"),
        _ => name.to_owned(),
    }
}

/// Finds the first `}` that closes a `${`, and the last `${` before it.
fn innermost(text: &str) -> Option<(usize, usize)> {
    text.match_indices('}')
        .find_map(|(end, _)| text[..end].rfind("${").map(|start| (start, end)))
}

/// Source: iPXE, `src/core/uri.c`, `uri_character_escaped` for the field 0.
fn uri_encode(byte: u8) -> String {
    if byte.is_ascii_graphic() && !b"%/#:@?=&+".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.set(
            "net0/mac",
            MacAddress::new([0x52, 0x54, 0, 0x12, 0xab, 0xcd]),
        );
        settings.set("net0/ip", Ipv4Addr::new(10, 20, 0, 58));
        settings.set("asset", "A 7/8&9");
        settings.set("which", "asset");
        settings.set("loop", "${loop}");
        settings.set("grow", "${grow}${grow}x");
        settings
    }

    #[test]
    fn settings_expand_by_name_by_type_and_from_the_inside() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${net0/mac}", "52:54:00:12:ab:cd"),
            ("${netX/mac}", "52:54:00:12:ab:cd"),
            ("${mac}", "52:54:00:12:ab:cd"),
            ("${net0/mac:hexhyp}", "52-54-00-12-ab-cd"),
            ("${mac:hexraw}", "52540012abcd"),
            ("${ip}/${netX.dhcp/ip:hexraw}", "10.20.0.58/0a14003a"),
            ("${asset:uristring}", "A%207%2F8%269"),
            ("${asset:base64}", "QSA3LzgmOQ=="),
            ("${${which}}", "A 7/8&9"),
            ("${asset:nonsense}", ""),
            ("a${missing}b", "ab"),
            ("}${asset}${", "}A 7/8&9${"),
        ] {
            assert_eq!(settings().expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_endless_expansion_is_refused() {
        for text in ["${loop}", "${grow}"] {
            assert!(settings().expand(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cleared_setting_is_empty() {
        let mut settings = settings();
        settings.set("name:string", "value");
        assert_eq!(settings.expand("${name}").as_deref(), Ok("value"));
        settings.clear("name");
        settings.clear("netX/mac");
        assert_eq!(settings.expand("${name}${mac}").as_deref(), Ok(""));
    }
}
