//! Golden replies beside the golden requests, octet for octet, in a form that people read.

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

fn section(text: &mut String, name: &str, octets: &[u8]) {
    writeln!(text, "\n# {name}").unwrap();
    for line in octets.chunks(16) {
        let line: Vec<_> = line.iter().map(|octet| format!("{octet:02x}")).collect();
        writeln!(text, "{}", line.join(" ")).unwrap();
    }
}

/// Writes a packet as hexadecimal octets, each field and option under its name.
fn readable(title: &str, mut octets: &[u8]) -> String {
    let mut text = format!("# {title}\n");
    for (name, length) in FIELDS.into_iter().filter(|(_, length)| *length > 0) {
        let (field, rest) = octets.split_at(length);
        section(&mut text, name, field);
        octets = rest;
    }
    while let Some(&code) = octets.first() {
        let (name, length) = match code {
            0 => ("PAD".to_owned(), 1),
            255 => ("END, and padding to 300 octets".to_owned(), octets.len()),
            _ => (
                format!("{code} {:?}", OptionCode::from(code)),
                2 + usize::from(octets[1]),
            ),
        };
        let (option, rest) = octets.split_at(length);
        section(&mut text, &name, option);
        octets = rest;
    }
    text
}

fn octets(hex: &str) -> Vec<u8> {
    hex.lines()
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|octet| u8::from_str_radix(octet, 16).unwrap())
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
        let request = DhcpMessage::parse(&octets(&request)).unwrap();
        let reply = Bench::new().send(&request).reply.unwrap();
        let bytes = reply.message.write(reply.limit).unwrap();
        let text = readable(title, &bytes);
        assert_eq!(octets(&text), bytes);
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
