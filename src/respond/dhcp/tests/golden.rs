//! Golden replies beside the golden requests, byte for byte, in a readable form.

#[path = "../../../../tests/support/fixture_updates.rs"]
mod fixture_updates;

use std::fmt::Write;
use std::path::Path;

use super::*;

/// The layout of the fixed fields: name and length.
const FIELDS: [(&str, usize); 9] = [
    ("op, htype, hlen, hops", 4),
    ("xid", 4),
    ("secs, flags", 4),
    ("ciaddr, yiaddr, siaddr, giaddr", 16),
    ("chaddr", 16),
    ("sname", 64),
    ("file", 128),
    ("magic cookie", 4),
    ("", 0),
];

fn section(text: &mut String, name: &str, bytes: &[u8]) {
    writeln!(text, "\n# {name}").unwrap();
    for line in bytes.chunks(16) {
        let line: Vec<_> = line.iter().map(|octet| format!("{octet:02x}")).collect();
        writeln!(text, "{}", line.join(" ")).unwrap();
    }
}

/// Writes a packet as hexadecimal bytes, each field and option under its name.
fn readable(title: &str, mut bytes: &[u8]) -> String {
    let mut text = format!("# {title}\n");
    for (name, length) in FIELDS.into_iter().filter(|(_, length)| *length > 0) {
        let (field, rest) = bytes.split_at(length);
        section(&mut text, name, field);
        bytes = rest;
    }
    while let Some(&code) = bytes.first() {
        let (name, length) = match code {
            0 => ("PAD".to_owned(), 1),
            255 => ("END, and padding to 300 bytes".to_owned(), bytes.len()),
            _ => (
                format!("{code} {:?}", OptionCode::from(code)),
                2 + usize::from(bytes[1]),
            ),
        };
        let (option, rest) = bytes.split_at(length);
        section(&mut text, &name, option);
        bytes = rest;
    }
    text
}

fn parse_hex(hex: &str) -> Vec<u8> {
    hex.lines()
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

#[test]
fn golden_requests_get_golden_replies() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/packets");
    for (name, title) in [
        ("bios-pxe-discover", "DHCPOFFER to a BIOS PXE ROM"),
        (
            "edk2-x64-discover",
            "DHCPOFFER to edk2 on x64, UEFI PXE, of a known host",
        ),
        (
            "ipxe-request",
            "DHCPACK to iPXE on x64, UEFI, of a known host",
        ),
    ] {
        let directory = fixtures.join(name);
        let request = std::fs::read_to_string(directory.join("request.hex")).unwrap();
        let request = DhcpMessage::parse(&parse_hex(&request)).unwrap();
        let reply = Bench::new().send(&request).reply.unwrap();
        let bytes = reply.message.write(reply.limit).unwrap();
        let text = readable(title, &bytes);
        assert_eq!(parse_hex(&text), bytes);
        let path = directory.join("reply.hex");
        if fixture_updates::updates_fixtures() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            golden == text,
            "`{}` differs; look at the change, then rewrite it with UPDATE_FIXTURES=1:\n{text}",
            path.display()
        );
    }
}
