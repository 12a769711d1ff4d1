use std::collections::BTreeMap;

use super::diagnostic::nearest;
use super::option_value::{NONE, OptionSetting, OptionValue};
use super::reader::Reader;
use super::tree::{MapKey, Node, Value};
use crate::wire::dhcp::{OptionShape, Reservation, option_named, option_row, option_rows};

/// Additional and omitted DHCP options, by code.
pub type ExtraOptions = BTreeMap<u8, OptionSetting>;

/// Returns how the inventory writes a value of a shape.
fn example(shape: OptionShape) -> &'static str {
    match shape {
        OptionShape::Text | OptionShape::FileName => "text",
        OptionShape::Address | OptionShape::Addresses => "`ip:…`",
        OptionShape::U8 => "`u8:…`",
        OptionShape::U16 | OptionShape::Blocks => "`u16:…`",
        OptionShape::U32 | OptionShape::Seconds => "`u32:…`",
        OptionShape::Architectures
        | OptionShape::MachineIdentifier
        | OptionShape::SubOptions
        | OptionShape::Bytes => "`hex:…`",
    }
}

/// The code of the interface MTU. Source: RFC 2132 §5.1.
pub(super) const INTERFACE_MTU: u8 = 26;

/// Reads `options`: a mapping from codes or names to values.
pub(super) fn read_options(reader: &mut Reader, node: &Node) -> Option<ExtraOptions> {
    read_settings(reader, node, |_| false)
}

/// Reads `options` of a class of clients, which may also set the options of the boot file.
pub(super) fn read_class_options(reader: &mut Reader, node: &Node) -> Option<ExtraOptions> {
    read_settings(reader, node, |reservation| reservation.may_be_set_by_class)
}

fn read_settings(
    reader: &mut Reader,
    node: &Node,
    may_be_set: impl Fn(Reservation) -> bool,
) -> Option<ExtraOptions> {
    let mut found = ExtraOptions::new();
    reader.entries(node, |reader, key, value| {
        let is_omitted =
            matches!(&value.value, Value::Scalar { text, plain: true } if text == NONE);
        let (code, shape) = read_code(reader, key, |reservation| {
            may_be_set(reservation) || is_omitted && reservation.may_be_omitted
        })?;
        let setting = if is_omitted {
            OptionSetting::Omit
        } else {
            OptionSetting::Send(read_value(reader, key, value, shape)?)
        };
        if found.insert(code, setting).is_some() {
            let message = format!("option {code} is set twice, by its name and by its code");
            return reader.refuse("duplicate-key", key.span, message, "keep one of the two");
        }
        Some(())
    })?;
    Some(found)
}

fn read_value(
    reader: &mut Reader,
    key: &MapKey,
    node: &Node,
    shape: OptionShape,
) -> Option<OptionValue> {
    let expected = "text, `ip:…`, `hex:…`, `u8:…`, `u16:…` or `u32:…`, with 1 to 255 bytes";
    let value: OptionValue = reader.parsed(node, expected)?;
    if value.has(shape) {
        return Some(value);
    }
    let (text, expected) = (&key.text, example(shape));
    let message = format!("option `{text}` expects {expected}, found `{value}`");
    let help = format!("write {expected}, or the bytes as `hex:…`");
    reader.refuse("wrong-value", node.span, message, &help)
}

fn read_code(
    reader: &mut Reader,
    key: &MapKey,
    may_be_used: impl Fn(Reservation) -> bool,
) -> Option<(u8, OptionShape)> {
    let text = key.text.as_str();
    let (code, row) = match text.parse::<u8>() {
        Ok(code) => (Some(code), option_row(code.into())),
        Err(_) => {
            let row = option_named(text);
            (row.map(|row| row.code), row)
        }
    };
    let Some(code) = code else {
        let free = option_rows().filter(|row| row.reservation.is_none());
        let help = match nearest(text, free.map(|row| row.name)) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "write a code from 1 to 254, or a name such as `ntp-servers`".to_owned(),
        };
        let message = format!("unknown DHCP option `{text}`");
        return reader.refuse("wrong-value", key.span, message, &help);
    };
    let reservation = row.and_then(|row| row.reservation);
    if let Some(Reservation { reason, help, .. }) = reservation.filter(|it| !may_be_used(*it)) {
        let message = format!("option {code} {reason}");
        return reader.refuse("reserved-option", key.span, message, help);
    }
    Some((code, row.map_or(OptionShape::Bytes, |row| row.shape)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tree;

    #[test]
    fn the_prefix_sets_the_type_of_a_value() {
        for (text, bytes) in [
            ("pxelinux.cfg", &b"pxelinux.cfg"[..]),
            ("http://10.20.0.10/wpad", b"http://10.20.0.10/wpad"),
            ("text:ip:1", b"ip:1"),
            ("ip:10.20.0.5", &[10, 20, 0, 5]),
            ("ip:10.20.0.5, 10.20.0.6", &[10, 20, 0, 5, 10, 20, 0, 6]),
            ("hex:0a0B", &[10, 11]),
            ("hex:0a:0b-0c", &[10, 11, 12]),
            ("u8:7", &[7]),
            ("u16:9000", &[0x23, 0x28]),
            ("u32:9000", &[0, 0, 0x23, 0x28]),
        ] {
            let value: OptionValue = text.parse().unwrap();
            assert_eq!(value.bytes(), bytes, "{text}");
            assert_eq!(value.to_string().parse(), Ok(value), "{text}");
        }
        let long = "x".repeat(256);
        for text in [
            "ip:10.20.0",
            "ip:",
            "hex:0",
            "hex:",
            "u8:256",
            "u16:-1",
            "u32:x",
            "text:",
            &long,
        ] {
            assert!(text.parse::<OptionValue>().is_err(), "{text}");
        }
    }

    #[test]
    fn none_omits_an_option_unless_dhcp_needs_it() {
        let read = |text: &str| {
            let mut diagnostics = Vec::new();
            let node = tree::parse(0, text, &mut diagnostics).remove(0);
            let mut reader = Reader { diagnostics };
            let options = read_options(&mut reader, &node).unwrap();
            let errors = reader.diagnostics.into_iter().map(|found| found.message);
            (options, errors.collect::<Vec<_>>())
        };
        for code in [3, 6, 12, 43, 60, 61, 66, 67, 119, 121, 175, 224] {
            let (options, errors) = read(&format!("{{{code}: none}}"));
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(options.get(&code), Some(&OptionSetting::Omit));
        }
        for code in [1, 51, 52, 53, 54, 82, 97, 255] {
            let (options, errors) = read(&format!("{{{code}: none}}"));
            assert_eq!((options.len(), errors.len()), (0, 1), "{code}");
        }
        let (options, _) = read("{domain-name: 'none'}");
        let text = OptionSetting::Send(OptionValue::Text(NONE.to_owned()));
        assert_eq!(options.get(&15), Some(&text));
        for setting in [text, OptionSetting::Omit] {
            let written = String::from(setting.clone());
            assert_eq!(OptionSetting::try_from(written), Ok(setting));
        }
    }

    #[test]
    fn every_error_of_the_options_is_reported() {
        let text = "\
{ntp-servers: 'ip:10.20.0.5', 224: 'hex:00', 26: 9000, ntp-server: x, 67: x, 1: x, 82: x, 53: x,
 61: x, 255: x, 256: x, 42: 'ip:10.20.0.6', 121: x, 119: x, 3: x, 97: x, 46: 'u8:300', 50: x}
";
        let mut diagnostics = Vec::new();
        let node = tree::parse(0, text, &mut diagnostics).remove(0);
        let mut reader = Reader { diagnostics };
        let options = read_options(&mut reader, &node).unwrap();
        assert_eq!(options.keys().copied().collect::<Vec<_>>(), [42, 224]);
        let seen: Vec<String> = reader
            .diagnostics
            .into_iter()
            .map(|found| format!("{}; {}", found.message, found.help.unwrap_or_default()))
            .collect();
        assert_eq!(
            seen,
            [
                "option `26` expects `u16:…`, found `text:9000`; write `u16:…`, or the bytes as `hex:…`",
                "unknown DHCP option `ntp-server`; did you mean `ntp-servers`?",
                "option 67 selects the boot file; write `loader: …` in the host or its profile, or `loaders:` in the site",
                "option 1 is set by the network's `subnet`; change `subnet` of the network",
                "option 82 is only sent by clients and relays; remove this line",
                "option 53 is part of the DHCP protocol; remove this line",
                "option 61 is part of the DHCP protocol; remove this line",
                "option 255 is part of the message format; remove this line",
                "unknown DHCP option `256`; write a code from 1 to 254, or a name such as `ntp-servers`",
                "option 42 is set twice, by its name and by its code; keep one of the two",
                "option 121 is set by the network's `routes`; write `routes: […]` in the network",
                "option 119 is set by the network's `search`; write `search: […]` in the network",
                "option 3 is set by the network's `gateway`; write `gateway: …` in the network",
                "option 97 is only sent by clients and relays; remove this line",
                "`u8:300` is not a number from 0 to 255; write text, `ip:…`, `hex:…`, `u8:…`, `u16:…` or `u32:…`, with 1 to 255 bytes",
                "option 50 is set by the lease; write `lease_time: …` in the network",
            ]
        );
    }
}
