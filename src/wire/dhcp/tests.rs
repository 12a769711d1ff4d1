//! Whole messages: golden packets, round trips, cuts and noise.

use proptest::prelude::*;

use super::*;
use crate::machine::{Architecture, MacAddress};

const EDK2_DISCOVER: &str = include_str!("../../../fixtures/packets/edk2-x64-discover/request.hex");
const BIOS_DISCOVER: &str = include_str!("../../../fixtures/packets/bios-pxe-discover/request.hex");
const IPXE_REQUEST: &str = include_str!("../../../fixtures/packets/ipxe-request/request.hex");
const GOLDENS: [&str; 3] = [EDK2_DISCOVER, BIOS_DISCOVER, IPXE_REQUEST];

const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// Reads a packet in text form: hexadecimal bytes, and comments after `#`.
fn bytes(hex: &str) -> Vec<u8> {
    hex.lines()
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn reply(values: &[(u8, &[u8])]) -> DhcpMessage {
    let mut message = DhcpMessage::new(Operation::Reply, MAC, TransactionId(7));
    for (code, value) in values {
        message.options.set_raw((*code).into(), *value);
    }
    message
}

/// The fixed fields of a request, with these bytes as options.
fn request_with(options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LENGTH];
    bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
    bytes[236..].copy_from_slice(&MAGIC_COOKIE);
    bytes.extend(options);
    bytes
}

/// Calls every reader, so that none of them panics on what a message holds.
fn read_everything(message: &DhcpMessage) {
    let options = &message.options;
    options.message_type();
    options.parameter_request_list();
    options.datagram_limit();
    let _ = options.architecture();
    options.system_uuid();
    options.is_ipxe();
    options.has_ipxe_feature(IpxeFeature::Http);
    options.host_name();
    options.link_selection();
    options.server_identifier_override();
    options.pxe_sub_option(PxeSubOption::DiscoveryControl);
    for (code, _) in options.iter() {
        options.address(code);
        options.addresses(code);
        options.text(code);
        options.duration(code);
        options.sub_options(code).count();
    }
}

#[test]
fn golden_packets_identify_their_clients() {
    for (hex, kind, architecture, is_ipxe, limit) in [
        (
            EDK2_DISCOVER,
            MessageType::Discover,
            Architecture::UefiX64,
            false,
            1500,
        ),
        (
            BIOS_DISCOVER,
            MessageType::Discover,
            Architecture::Bios,
            false,
            1260,
        ),
        (
            IPXE_REQUEST,
            MessageType::Request,
            Architecture::UefiX64,
            true,
            1472,
        ),
    ] {
        let message = DhcpMessage::parse(&bytes(hex)).unwrap();
        let options = &message.options;
        assert_eq!(message.operation, Operation::Request);
        assert_eq!(message.hardware_address.mac(), Some(MAC));
        assert_eq!(options.message_type(), Some(kind));
        assert_eq!(options.architecture(), Ok(Some(architecture)));
        assert_eq!(options.is_ipxe(), is_ipxe);
        assert_eq!(options.datagram_limit(), limit);
        assert!(options.is_pxe_client() && !options.is_http_client());
        assert_eq!(
            options.system_uuid(),
            "4c4c4544-0051-3610-8043-c2c04f4b3135".parse().ok()
        );
    }
}

#[test]
fn ipxe_announces_its_parameter_list_and_features() {
    let message = DhcpMessage::parse(&bytes(IPXE_REQUEST)).unwrap();
    let options = &message.options;
    assert_eq!(message.transaction_id.to_string(), "c8b33a91");
    assert_eq!((message.seconds, message.broadcast), (8, false));
    assert_eq!(options.requested_address(), Some([10, 20, 0, 58].into()));
    assert_eq!(options.server_identifier(), Some([10, 20, 0, 10].into()));
    assert_eq!(
        options.client_identifier(),
        Some(&[1, 0x52, 0x54, 0, 0x12, 0x34, 0x56][..])
    );
    assert!(options.has_ipxe_feature(IpxeFeature::Http));
    assert!(!options.has_ipxe_feature(IpxeFeature::BzImage));
    let asked = options.parameter_request_list();
    assert_eq!(asked.len(), 25);
    assert!(asked.contains(&OptionCode::BootfileName) && asked.contains(&IPXE_ENCAPSULATED));
}

#[test]
fn golden_packets_are_written_as_they_were_read() {
    for hex in GOLDENS {
        let bytes = bytes(hex);
        assert_eq!(DhcpMessage::parse(&bytes).unwrap().write(1500), Ok(bytes));
    }
}

#[test]
fn a_truncated_packet_is_refused_or_loses_only_whole_options() {
    for hex in GOLDENS {
        let bytes = bytes(hex);
        let whole = DhcpMessage::parse(&bytes).unwrap();
        for length in 0..bytes.len() {
            match DhcpMessage::parse(&bytes[..length]) {
                Ok(cut) => {
                    assert!(length >= HEADER_LENGTH);
                    let options: Vec<_> = cut.options.iter().collect();
                    let all: Vec<_> = whole.options.iter().collect();
                    assert!(all.starts_with(&options), "{length}");
                }
                Err(DhcpParseError::TooShort { have }) => {
                    assert!(have == length && length < HEADER_LENGTH);
                }
                Err(DhcpParseError::OptionTruncated { need, have, .. }) => assert!(have < need),
                Err(other) => panic!("{length}: {other}"),
            }
        }
    }
}

#[test]
fn invalid_messages_are_refused_with_the_reason() {
    let good = request_with(&[53, 1, 1, 255]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        DhcpMessage::parse(&bytes).unwrap_err().to_string()
    };
    assert!(DhcpMessage::parse(&good).is_ok());
    assert_eq!(
        changed(0, 3),
        "expected operation 1 (request) or 2 (reply), found 3"
    );
    assert_eq!(
        changed(236, 0),
        "expected the DHCP magic cookie `63825363`, found `00825363`"
    );
    assert_eq!(
        changed(241, 9),
        "option 53 (message-type) needs 9 more bytes, but 2 are left"
    );
    assert_eq!(
        DhcpMessage::parse(&request_with(&[52, 1, 4]))
            .unwrap_err()
            .to_string(),
        "option 52 (option-overload) must be 1, 2 or 3, found `[04]`"
    );
}

#[test]
fn a_hardware_address_longer_than_its_field_counts_as_sixteen_bytes() {
    for (length, expected) in [(0, 0), (6, 6), (16, 16), (17, 16), (255, 16)] {
        let mut bytes = request_with(&[255]);
        bytes[2] = length;
        let message = DhcpMessage::parse(&bytes).unwrap();
        assert_eq!(message.hardware_address.octets().len(), expected);
    }
}

#[test]
fn options_split_over_several_and_over_the_overloaded_fields_are_joined_in_order() {
    let mut bytes = request_with(&[
        67, 2, b'a', b'b', 52, 1, 3, 0, 12, 1, b'h', 67, 1, b'c', 255,
    ]);
    bytes[108..113].copy_from_slice(&[67, 1, b'd', 255, 9]); // file
    bytes[44..51].copy_from_slice(&[67, 1, b'e', 0, 66, 1, b's']); // sname
    let message = DhcpMessage::parse(&bytes).unwrap();
    let options: Vec<_> = message.options.iter().collect();
    assert_eq!(
        options,
        [
            (OptionCode::BootfileName, &b"abcde"[..]),
            (OptionCode::Hostname, b"h"),
            (OptionCode::TFTPServerName, b"s"),
        ]
    );
    assert!(message.boot_file.is_empty() && message.server_name.is_empty());
}

#[test]
fn a_field_that_is_not_overloaded_stays_a_text() {
    let mut bytes = request_with(&[52, 1, 1, 255]);
    bytes[108..112].copy_from_slice(&[12, 1, b'h', 255]);
    bytes[44..48].copy_from_slice(b"boot");
    let message = DhcpMessage::parse(&bytes).unwrap();
    assert_eq!(message.options.host_name().as_deref(), Some("h"));
    assert_eq!(message.server_name, b"boot");
}

#[test]
fn one_pad_follows_the_texts_that_firmware_reads_past_the_end() {
    let mut message = reply(&[
        (82, b"\x01\x01x"),
        (60, b"PXEClient"),
        (66, b"s"),
        (67, b"f"),
    ]);
    message.options.set_message_type(MessageType::Offer);
    let expected = b"\x35\x01\x02\x3c\x09PXEClient\0\x42\x01s\0\x43\x01f\0\x52\x03\x01\x01x\xff";
    let bytes = message.write(576).unwrap();
    assert_eq!(bytes[HEADER_LENGTH..][..expected.len()], expected[..]);
    assert_eq!(bytes.len(), 300);

    message.operation = Operation::Request;
    let bytes = message.write(576).unwrap();
    assert_eq!(bytes[HEADER_LENGTH..][..6], [53, 1, 2, 60, 9, b'P']);
    assert_eq!(bytes[HEADER_LENGTH + 14..][..2], [66, 1]);
}

#[test]
fn a_long_option_is_split_unless_clients_would_not_join_it() {
    let long = [b'x'; 600];
    let bytes = reply(&[(119, &long)]).write(1500).unwrap();
    let at = |offset: usize| &bytes[HEADER_LENGTH + offset..][..2];
    assert_eq!(
        [at(0), at(257), at(514)],
        [[119, 255], [119, 255], [119, 90]]
    );

    for code in [43, 60, 67] {
        assert_eq!(
            reply(&[(code, &long[..256])]).write(1500),
            Err(DhcpWriteError::OptionTooLong {
                code: code.into(),
                have: 256
            })
        );
        assert!(reply(&[(code, &long[..255])]).write(1500).is_ok());
    }
}

#[test]
fn values_that_the_layout_cannot_hold_are_refused() {
    for code in [0, 52, 255] {
        let code = OptionCode::from(code);
        assert_eq!(
            reply(&[(code.into(), b"x")]).write(576),
            Err(DhcpWriteError::OptionReserved { code })
        );
    }
    let mut message = reply(&[]);
    message.boot_file = vec![b'f'; 127];
    message.server_name = vec![b's'; 63];
    assert!(message.write(576).is_ok());
    message.boot_file.push(b'f');
    assert_eq!(
        message.write(576).unwrap_err().to_string(),
        "the field `file` holds 127 bytes, but the text has 128"
    );
    message.boot_file = b"a\0b".to_vec();
    assert_eq!(
        message.write(576).unwrap_err().to_string(),
        "the text of the field `file` contains a NUL"
    );
}

#[test]
fn a_message_over_the_limit_loses_the_least_important_options_by_name_or_is_refused() {
    let filler = [b'x'; 200];
    let full = reply(&[
        (53, &[2]),
        (66, b"10.20.0.10"),
        (12, b"worker-0008"),
        (42, &[10, 20, 0, 10]),
        (67, &filler),
        (43, &[6, 1, 8]),
    ]);
    let exact = full.datagram_length();
    assert_eq!(full.write(exact).unwrap().len(), exact - DATAGRAM_HEADERS);
    assert_eq!(
        full.write(exact - 1),
        Err(DhcpWriteError::TooLong {
            need: exact,
            limit: exact - 1
        })
    );
    use OptionCode::{Hostname, NtpServers, TFTPServerName};
    for (limit, dropped) in [
        (exact, &[][..]),
        (exact - 1, &[NtpServers]),
        (exact - 6, &[NtpServers]),
        (exact - 7, &[NtpServers, Hostname]),
        (exact - 20, &[NtpServers, Hostname, TFTPServerName]),
    ] {
        let mut message = full.clone();
        assert_eq!(message.fit(limit), dropped, "{limit}");
        assert!(message.write(limit).is_ok(), "{limit}");
    }
    let mut message = full.clone();
    assert_eq!(message.fit(exact - 33).len(), 3);
    assert!(message.write(exact - 33).is_err());
}

#[test]
fn extras_are_dropped_first_starting_with_the_last() {
    let mut full = reply(&[
        (53, &[2]),
        (209, &[b'p'; 40]),
        (42, &[10, 20, 0, 10]),
        (17, &[b'r'; 40]),
        (67, &[b'x'; 200]),
        (82, &[1, 1, 7]),
    ]);
    let least = full.datagram_length() - 84;
    let code = |number: u8| OptionCode::from(number);
    assert_eq!(full.fit(least + 42), [code(17)]);
    assert_eq!(full.fit(least), [code(209)]);
    assert_eq!(full.fit(least - 1), [OptionCode::NtpServers]);
    assert_eq!(full.fit(0), []);
}

fn any_message() -> impl Strategy<Value = DhcpMessage> {
    let text = |most| prop::collection::vec(1..=255u8, 0..=most);
    let code = (1..=254u8).prop_filter("option 52 belongs to the layout", |code| *code != 52);
    let options = prop::collection::vec((code, prop::collection::vec(any::<u8>(), 0..=600)), 0..12);
    let fields = any::<(bool, u8, u8, [u8; 16], u8, u32, u16, bool, [[u8; 4]; 4])>();
    (fields, text(63), text(127), options).prop_map(|(fields, name, file, options)| {
        let (is_reply, kind, length, bytes, hops, id, seconds, broadcast, addresses) = fields;
        let [client, your, server, relay] = addresses.map(Ipv4Addr::from_octets);
        let mut message = DhcpMessage {
            operation: if is_reply {
                Operation::Reply
            } else {
                Operation::Request
            },
            hardware_type: kind,
            hardware_address: HardwareAddress::new(length, bytes),
            hops,
            transaction_id: TransactionId(id),
            seconds,
            broadcast,
            client_address: client,
            your_address: your,
            server_address: server,
            relay_address: relay,
            server_name: name,
            boot_file: file,
            options: DhcpOptions::default(),
            pads_options: true,
        };
        for (code, mut value) in options {
            if matches!(code, 43 | 60 | 67) {
                value.truncate(255);
            }
            message.options.set_raw(code.into(), value);
        }
        message
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_equal(message in any_message()) {
        let bytes = message.write(usize::MAX).unwrap();
        prop_assert!(bytes.len() >= 300);
        prop_assert_eq!(bytes.len() + DATAGRAM_HEADERS, message.datagram_length());
        prop_assert_eq!(DhcpMessage::parse(&bytes), Ok(message));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        let _ = DhcpMessage::parse(&bytes);
    }

    #[test]
    fn arbitrary_options_never_panic(options in prop::collection::vec(any::<u8>(), 0..700)) {
        if let Ok(message) = DhcpMessage::parse(&request_with(&options)) {
            read_everything(&message);
        }
    }

    #[test]
    fn mutated_packets_never_panic(
        which in 0..GOLDENS.len(),
        changes in prop::collection::vec((0..600usize, any::<u8>()), 1..8),
    ) {
        let mut bytes = bytes(GOLDENS[which]);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(message) = DhcpMessage::parse(&bytes) {
            read_everything(&message);
            let _ = message.write(1500);
        }
    }
}
