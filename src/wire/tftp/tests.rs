use proptest::prelude::*;

use super::*;

fn option(name: OptionName, value: &str) -> TransferOption {
    TransferOption {
        name,
        value: value.to_owned(),
    }
}

#[test]
fn a_request_keeps_the_order_of_its_options_and_accepts_their_names_in_any_case() {
    let bytes = b"\0\x01boot/x\0OcTeT\0TSIZE\x000\0x-pad\0y\0BlkSize\x001468\0windowsize\x004\0";
    assert_eq!(
        Packet::parse(bytes),
        Ok(Packet::Request(Request {
            direction: Direction::Read,
            name: b"boot/x".to_vec(),
            mode: Mode::Octet,
            options: vec![
                option(OptionName::TransferSize, "0"),
                option(OptionName::Unknown("x-pad".into()), "y"),
                option(OptionName::BlockSize, "1468"),
                option(OptionName::WindowSize, "4"),
            ],
        }))
    );
}

#[test]
fn a_request_that_is_padded_with_nuls_is_read() {
    let Ok(Packet::Request(request)) = Packet::parse(b"\0\x01a\xff\0octet\0\0\0\0") else {
        panic!("no request");
    };
    assert_eq!(
        (request.name.as_slice(), request.options.len()),
        (&b"a\xff"[..], 0)
    );
}

#[test]
fn every_kind_of_packet_is_written_and_read() {
    let block = BlockNumber::new(0x0102);
    for (packet, bytes) in [
        (
            Packet::Data {
                block,
                payload: b"ab",
            },
            &b"\0\x03\x01\x02ab"[..],
        ),
        (Packet::Acknowledgement { block }, b"\0\x04\x01\x02"),
        (
            Packet::Error {
                code: ErrorCode::FileNotFound,
                message: "no".into(),
            },
            b"\0\x05\0\x01no\0",
        ),
        (
            Packet::OptionAcknowledgement(vec![option(OptionName::TransferSize, "7")]),
            b"\0\x06tsize\x007\0",
        ),
    ] {
        assert_eq!(packet.to_bytes(), bytes);
        assert_eq!(Packet::parse(bytes), Ok(packet));
    }
    assert_eq!(data_header(block), *b"\0\x03\x01\x02");
}

#[test]
fn invalid_packets_are_refused_with_the_reason() {
    for (bytes, error) in [
        (&b""[..], ParseError::Short { length: 0, need: 2 }),
        (b"\0", ParseError::Short { length: 1, need: 2 }),
        (b"\0\x04\0", ParseError::Short { length: 3, need: 4 }),
        (b"\0\x09\0\0", ParseError::UnknownOpcode(9)),
        (b"\0\x01a", ParseError::Unterminated("file name")),
        (b"\0\x01a\0octet", ParseError::Unterminated("mode")),
        (
            b"\0\x01a\0octet\0b\x007",
            ParseError::Unterminated("option value"),
        ),
    ] {
        assert_eq!(Packet::parse(bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn block_numbers_roll_over_to_zero() {
    assert_eq!(BlockNumber::of_index(65_536), BlockNumber::new(0));
    assert_eq!(
        BlockNumber::of_index(65_538).distance_from(BlockNumber::of_index(65_534)),
        4
    );
}

#[test]
fn a_word_after_the_options_is_ignored() {
    for (bytes, expected) in [
        (&b"\0\x01a\0octet\0secret\0"[..], &[][..]),
        (
            b"\0\x01a\0octet\0tsize\x000\0secret\0",
            &[option(OptionName::TransferSize, "0")],
        ),
        (
            b"\0\x01a\0octet\0x-pad\0\0",
            &[option(OptionName::Unknown("x-pad".into()), "")],
        ),
    ] {
        let Ok(Packet::Request(request)) = Packet::parse(bytes) else {
            panic!("{bytes:?} is not a request");
        };
        assert_eq!(request.options, expected, "{bytes:?}");
    }
}

fn options() -> impl Strategy<Value = Vec<TransferOption>> {
    let name = prop_oneof![
        Just(OptionName::BlockSize),
        Just(OptionName::TransferSize),
        "x-[a-zé]{1,9}".prop_map(OptionName::Unknown),
    ];
    prop::collection::vec(
        (name, "[0-9é]{0,9}").prop_map(|(name, value)| TransferOption { name, value }),
        0..5,
    )
}

proptest! {
    #[test]
    fn requests_round_trip(
        write: bool,
        name in prop::collection::vec(1..=255u8, 0..40),
        mode in prop_oneof![
            Just(Mode::Octet), Just(Mode::Netascii), Just(Mode::Unknown("mail".into()))
        ],
        options in options(),
    ) {
        let direction = if write { Direction::Write } else { Direction::Read };
        let packet = Packet::Request(Request { direction, name, mode, options });
        let bytes = packet.to_bytes();
        prop_assert_eq!(Packet::parse(&bytes), Ok(packet));
    }

    #[test]
    fn option_acknowledgements_round_trip(options in options()) {
        let packet = Packet::OptionAcknowledgement(options);
        let bytes = packet.to_bytes();
        prop_assert_eq!(Packet::parse(&bytes), Ok(packet));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Packet::parse(&bytes);
    }

    #[test]
    fn arbitrary_requests_never_panic(
        opcode in 0..8u8, rest in prop::collection::vec(any::<u8>(), 0..64)
    ) {
        let _ = Packet::parse(&[&[0, opcode], rest.as_slice()].concat());
    }
}
