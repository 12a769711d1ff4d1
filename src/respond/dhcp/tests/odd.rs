//! Clients that need special treatment: Raspberry Pi firmware, and GUIDs in `chaddr`.

use super::*;

const PI: MacAddress = MacAddress::new([0xdc, 0xa6, 0x32, 1, 2, 3]);

fn pxe(mac: MacAddress, architecture: u16) -> DhcpMessage {
    let mut discover = message(mac, MessageType::Discover);
    let class = format!("PXEClient:Arch:{architecture:05}:UNDI:002001");
    let options = &mut discover.options;
    options.set_text(OptionCode::ClassIdentifier, &class);
    options.set_number(OptionCode::ClientSystemArchitecture, architecture);
    discover
}

fn with_pi(text: String) -> String {
    text.replace(
        "loaders: {",
        "loaders: {raspberry-pi: bootcode.bin, uefi-arm64: arm64.efi, ",
    )
}

#[test]
fn a_raspberry_pi_is_recognized_by_its_address_and_gets_the_menu_that_it_requires() {
    for architecture in [0, 0x29] {
        let mut bench = Bench::with(with_pi);
        let response = bench.send(&pxe(PI, architecture));
        let seen = response.exchange.architecture;
        assert_eq!(seen, Some(Architecture::RaspberryPi));
        let offer = response.reply.unwrap().message;
        // It ignores option 67.
        assert_eq!(offer.server_address, SERVER);
        assert_eq!(offer.boot_file, b"bootcode.bin");
        let text = |code| offer.options.text(code);
        assert_eq!(text(OptionCode::TFTPServerName).unwrap(), "10.20.0.10");
        assert_eq!(text(OptionCode::ClassIdentifier).unwrap(), "PXEClient");
        let mut vendor = offer.options.sub_options(OptionCode::VendorExtensions);
        assert_eq!(vendor.next(), Some((6, &[3][..])));
        assert_eq!(vendor.next(), Some((10, &b"\0PXE"[..])));
        assert_eq!(vendor.next(), Some((9, &b"\0\0\x11Raspberry Pi Boot"[..])));
        assert_eq!(vendor.next(), None);
    }
}

#[test]
fn a_raspberry_pi_is_recognized_by_its_machine_identifier_behind_any_address() {
    for has_class in [true, false] {
        let mut bench = Bench::with(with_pi);
        let mut discover = message(stranger(1), MessageType::Discover);
        let options = &mut discover.options;
        let identifier = *b"\0RPi4\x14\x31\x11\0\x01\x02\x03\x04\x05\x06\x07\x08";
        assert_eq!(identifier[..5], [0, 0x52, 0x50, 0x69, 0x34]);
        options.set_raw(OptionCode::ClientMachineIdentifier, identifier);
        if has_class {
            let class = "PXEClient:Arch:00000:UNDI:002001";
            options.set_text(OptionCode::ClassIdentifier, class);
            options.set_number(OptionCode::ClientSystemArchitecture, 0);
        }
        let response = bench.send(&discover);
        let seen = response.exchange.architecture;
        assert_eq!(seen, Some(Architecture::RaspberryPi));
        let offer = response.reply.unwrap().message;
        assert_eq!(offer.boot_file, b"bootcode.bin");
        let vendor = offer.options.raw(OptionCode::VendorExtensions).unwrap();
        assert!(vendor.windows(17).any(|at| at == b"Raspberry Pi Boot"));
    }
}

#[test]
fn a_request_of_a_raspberry_pi_has_no_vendor_class_and_gets_what_its_offer_promised() {
    let client = Client {
        kind: ClientKind::RaspberryPi,
        ..edk(stranger(1))
    };
    let mut bench = Bench::with(with_pi);
    let offer = bench.reply(&client.discover(TransactionId(1)));
    let request = client.request(TransactionId(1), &offer);
    assert!(!request.options.contains(OptionCode::ClassIdentifier));
    // A server that was restarted in between has not seen the DISCOVER.
    for mut bench in [bench, Bench::with(with_pi)] {
        let response = bench.send(&request);
        let seen = response.exchange.architecture;
        assert_eq!(seen, Some(Architecture::RaspberryPi));
        let ack = response.reply.unwrap().message;
        assert_eq!(ack.boot_file, b"bootcode.bin");
        let vendor = |reply: &DhcpMessage| {
            let value = reply.options.raw(OptionCode::VendorExtensions);
            value.map(<[u8]>::to_vec)
        };
        assert_eq!(vendor(&ack), vendor(&offer));
        assert!(vendor(&ack).is_some());
    }
}

/// Reports whether a PAD stands before END.
fn has_pad(bytes: &[u8]) -> bool {
    let mut rest = &bytes[240..];
    loop {
        match rest[0] {
            0 => return true,
            255 => return false,
            _ => rest = &rest[2 + usize::from(rest[1])..],
        }
    }
}

#[test]
fn a_raspberry_pi_gets_no_pad_bytes_and_other_clients_keep_theirs() {
    let pi = Client {
        kind: ClientKind::RaspberryPi,
        ..edk(PI)
    };
    for (client, expected) in [(pi, false), (edk(KNOWN), true)] {
        let mut bench = Bench::with(with_pi);
        let mut replies = vec![bench.send(&client.discover(TransactionId(1)))];
        let offer = replies[0].reply.clone().unwrap().message;
        replies.push(bench.send(&client.request(TransactionId(1), &offer)));
        for response in replies {
            let reply = response.reply.unwrap();
            let bytes = reply.message.write(reply.limit).unwrap();
            assert_eq!(has_pad(&bytes), expected, "{client:?}");
            assert!(bytes.len() >= 300);
        }
    }
}

#[test]
fn other_firmware_on_a_raspberry_pi_keeps_its_announced_architecture() {
    let ipxe = {
        let mut discover = pxe(PI, 0);
        discover.options.set_raw(OptionCode::UserClass, *b"iPXE");
        discover
    };
    for (discover, expected) in [
        (pxe(PI, 0x0b), Architecture::UefiArm64),
        (pxe(KNOWN, 0), Architecture::Bios),
        (ipxe, Architecture::Bios),
    ] {
        let response = Bench::with(with_pi).send(&discover);
        assert_eq!(response.exchange.architecture, Some(expected));
        let offer = response.reply.unwrap().message;
        let vendor = offer.options.raw(OptionCode::VendorExtensions);
        assert!(vendor.is_none_or(|it| it == [6, 1, 8]), "{vendor:?}");
    }
}

#[test]
fn a_raspberry_pi_never_gets_the_loader_for_bios() {
    let response = Bench::new().send(&pxe(PI, 0));
    let remark = "the site has no loader for `raspberry-pi`";
    assert_eq!(response.exchange.remark.as_deref(), Some(remark));
    assert!(response.reply.unwrap().message.boot_file.is_empty());
}

#[test]
fn a_proxy_offer_contains_all_boot_data_for_a_raspberry_pi() {
    let mut bench = Bench::with(|text| {
        let text = with_pi(text);
        let text = text.replace("    pool: 10.20.0.200-10.20.0.202\n", "    mode: proxy\n");
        text.replace("    lease_time: 30m\n", "")
    });
    let offer = bench.reply(&pxe(PI, 0));
    assert!(offer.your_address.is_unspecified());
    assert_eq!(offer.boot_file, b"bootcode.bin");
    let vendor = offer.options.raw(OptionCode::VendorExtensions).unwrap();
    assert!(vendor.windows(17).any(|at| at == b"Raspberry Pi Boot"));
}

#[test]
fn a_machine_with_its_guid_in_chaddr_is_recognized_by_the_guid() {
    let uuid = uuid().unwrap();
    for guid in [uuid.to_wire(), uuid.swapped().to_wire()] {
        let mut bench = Bench::new();
        let mut discover = edk(KNOWN).discover(TransactionId(1));
        discover.hardware_address = crate::machine::HardwareAddress::new(16, guid);
        discover.broadcast = false;
        let response = bench.send(&discover);
        assert_eq!(response.exchange.mac, Some(KNOWN));
        let reply = response.reply.unwrap();
        // A GUID is not an address to send to.
        assert_eq!(reply.delivery, Delivery::Broadcast);
        assert_eq!(reply.message.your_address, RESERVED);
        assert_eq!(reply.message.hardware_address, discover.hardware_address);
        assert_eq!(reply.message.boot_file, b"snponly.efi");
        let bytes = reply.message.write(reply.limit).unwrap();
        assert_eq!((bytes[2], &bytes[28..44]), (16, &guid[..]));
    }
}

#[test]
fn an_unknown_guid_is_ignored_with_the_reason() {
    for (length, bytes) in [(16, [7; 16]), (16, [0; 16]), (255, [9; 16]), (0, [0; 16])] {
        let mut discover = edk(KNOWN).discover(TransactionId(1));
        discover.hardware_address = crate::machine::HardwareAddress::new(length, bytes);
        let why = Bench::new().ignored(&discover).to_string();
        assert!(why.ends_with("not a unicast Ethernet address"), "{why}");
    }
}
