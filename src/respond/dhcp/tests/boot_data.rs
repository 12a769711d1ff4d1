//! The boot file of each client, and its place in the reply.

use super::*;

const SCRIPT: &str = "http://10.20.0.10:8080/boot.ipxe";

fn discover(mac: MacAddress, values: &[(u8, &[u8])]) -> DhcpMessage {
    let mut discover = message(mac, MessageType::Discover);
    for (code, value) in values {
        discover.options.set_raw((*code).into(), *value);
    }
    discover
}

/// The boot file as the log shows it.
fn booted(mac: MacAddress, values: &[(u8, &[u8])]) -> Option<String> {
    let response = Bench::new().send(&discover(mac, values));
    let shown = response.exchange.boot_file.map(|file| file.to_string());
    let reply = response.reply.unwrap().message;
    let text = reply.options.text(OptionCode::BootfileName);
    let text = text.as_deref().map(crate::wire::path::shown_path);
    assert_eq!(shown, text);
    shown
}

#[test]
fn each_architecture_gets_its_loader() {
    let http = "http://10.20.0.10:8080/m/52-54-00-12-34-56/…/snponly.efi";
    for (values, expected) in [
        (
            &[(60, &b"PXEClient:Arch:00000"[..])][..],
            Some("undionly.kpxe"),
        ),
        (&[(60, b"PXEClient"), (93, &[0, 0])], Some("undionly.kpxe")),
        (&[(60, b"PXEClient"), (93, &[0, 7])], Some("snponly.efi")),
        (&[(60, b"PXEClient"), (93, &[0, 9])], Some("snponly.efi")),
        (
            &[(60, b"PXEClient:Arch:00007:UNDI:003016")],
            Some("snponly.efi"),
        ),
        (&[(60, b"HTTPClient"), (93, &[0, 0x10])], Some(http)),
        (&[(60, b"HTTPClient:Arch:00016:UNDI:003001")], Some(http)),
        // The site has no loader for it: the client gets an address only.
        (&[(60, b"PXEClient"), (93, &[0, 0x0b])], None),
        // An operating system.
        (&[(60, b"MSFT 5.0")], None),
        (&[], None),
    ] {
        let seen = booted(KNOWN, values);
        assert_eq!(seen.as_deref(), expected, "{values:?}");
    }
}

#[test]
fn ipxe_gets_the_script_in_every_form_in_which_it_identifies_itself() {
    const BIOS: (u8, &[u8]) = (93, &[0, 0]);
    const X64: (u8, &[u8]) = (93, &[0, 7]);
    let script = Some(SCRIPT);
    for (values, expected) in [
        (&[(77, &b"iPXE"[..])][..], script),
        (&[(77, b"\x04iPXE")], script),
        (
            &[BIOS, (77, b"iPXE"), (175, &[0x13, 1, 1, 0x18, 1, 1])],
            script,
        ),
        (&[X64, (175, &[0x13, 1, 1, 0x24, 1, 1])], script),
        // An iPXE without HTTP or without kernel support loads our iPXE first.
        (&[X64, (175, &[0x24, 1, 1])], Some("snponly.efi")),
        (
            &[BIOS, (77, b"iPXE"), (175, &[0x18, 1, 1])],
            Some("undionly.kpxe"),
        ),
        (
            &[BIOS, (77, b"iPXE"), (175, &[0x13, 1, 1])],
            Some("undionly.kpxe"),
        ),
        (
            &[BIOS, (175, &[0x13, 1, 0, 0x18, 1, 1])],
            Some("undionly.kpxe"),
        ),
        (
            &[BIOS, (77, b"gPXE"), (60, b"PXEClient")],
            Some("undionly.kpxe"),
        ),
    ] {
        let seen = booted(KNOWN, values);
        assert_eq!(seen.as_deref(), expected, "{values:?}");
    }
}

#[test]
fn a_host_and_its_profile_may_name_a_loader_for_the_firmware_on_record() {
    let own = MacAddress::new([0x52, 0x54, 0, 0x12, 0, 1]);
    let of_profile = MacAddress::new([0x52, 0x54, 0, 0x12, 0, 2]);
    for (mac, architecture, expected) in [
        (own, 7, "ipxe.efi"),
        (own, 0, "undionly.kpxe"),
        (
            own,
            16,
            "http://10.20.0.10:8080/m/52-54-00-12-00-01/…/ipxe.efi",
        ),
        (of_profile, 7, "custom.efi"),
        (of_profile, 9, "custom.efi"),
        (of_profile, 0, "undionly.kpxe"),
        (KNOWN, 7, "snponly.efi"),
        (stranger(1), 7, "snponly.efi"),
    ] {
        let class: &[u8] = if architecture == 16 {
            b"HTTPClient"
        } else {
            b"PXEClient"
        };
        let seen = booted(mac, &[(60, class), (93, &[0, architecture])]);
        assert_eq!(seen.as_deref(), Some(expected), "{mac} {architecture}");
    }
}

#[test]
fn a_loader_is_in_every_field_that_firmware_reads() {
    let values: &[(u8, &[u8])] = &[(60, b"PXEClient"), (93, &[0, 7])];
    let reply = Bench::new().reply(&discover(KNOWN, values));
    assert_eq!(reply.server_address, SERVER);
    assert_eq!(reply.boot_file, b"snponly.efi");
    assert!(reply.server_name.is_empty());
    let raw = |code: u8| reply.options.raw(code.into());
    assert_eq!(raw(66), Some(&b"10.20.0.10"[..]));
    assert_eq!(raw(67), Some(&b"snponly.efi"[..]));
    assert_eq!(raw(60), Some(&b"PXEClient"[..]));
    assert_eq!(raw(43), Some(&[6, 1, 8][..]));
    assert_eq!((raw(52), raw(175)), (None, None));
}

#[test]
fn http_boot_gets_its_class_and_the_url_twice() {
    let values: &[(u8, &[u8])] = &[(60, b"HTTPClient"), (93, &[0, 16])];
    let reply = Bench::new().reply(&discover(KNOWN, values));
    let url = String::from_utf8(reply.boot_file.clone()).unwrap();
    let shown = crate::wire::path::shown_path(&url);
    assert_eq!(
        shown,
        "http://10.20.0.10:8080/m/52-54-00-12-34-56/…/snponly.efi"
    );
    let raw = |code: u8| reply.options.raw(code.into());
    assert_eq!(raw(67), Some(url.as_bytes()));
    assert_eq!(raw(60), Some(&b"HTTPClient"[..]));
    assert_eq!((raw(43), raw(66)), (None, None));
}

#[test]
fn a_url_that_exceeds_the_file_field_is_only_in_option_67() {
    let long = "a".repeat(70);
    let mut bench = Bench::with(|text| text.replace("snponly.efi", &format!("{long}.efi")));
    let values: &[(u8, &[u8])] = &[(60, b"HTTPClient"), (93, &[0, 16])];
    let reply = bench.reply(&discover(KNOWN, values));
    assert!(reply.boot_file.is_empty());
    let text = reply.options.text(OptionCode::BootfileName).unwrap();
    assert!(text.ends_with(&format!("/{long}.efi")), "{text}");
    reply.write(1500).unwrap();
}

#[test]
fn every_ipxe_gets_the_option_that_avoids_the_wait_for_a_proxy() {
    for values in [
        &[(77, &b"iPXE"[..])][..],
        &[(93, &[0, 0]), (77, b"iPXE"), (175, &[0x18, 1, 1])],
    ] {
        let reply = Bench::new().reply(&discover(KNOWN, values));
        let own = reply.options.raw(IPXE);
        assert_eq!(own, Some(&[0xb0, 1, 1][..]), "{values:?}");
    }
}

const IPXE: OptionCode = crate::wire::dhcp::IPXE_ENCAPSULATED;

#[test]
fn the_script_url_has_a_valid_token_that_is_never_logged() {
    let mut bench = Bench::new();
    let client = Client {
        kind: ClientKind::ipxe(Architecture::UefiX64),
        ..edk(KNOWN)
    };
    let response = bench.send(&client.discover(TransactionId(1)));
    let shown = response.exchange.boot_file.clone().unwrap().to_string();
    assert_eq!(shown, SCRIPT);
    let reply = response.reply.unwrap().message;
    let url = reply.options.text(OptionCode::BootfileName).unwrap();
    let token = url.strip_prefix(&format!("{SCRIPT}?token=")).unwrap();
    let checked = bench.key.check_boot_token(token, KNOWN, uuid(), bench.now);
    assert_eq!(checked, Ok(()));
    let other = bench
        .key
        .check_boot_token(token, stranger(1), uuid(), bench.now);
    assert!(other.is_err());
}

#[test]
fn the_offer_holds_all_boot_data_that_the_ack_holds() {
    for kind in [
        ClientKind::BiosPxe,
        ClientKind::EdkPxe(Architecture::UefiX64),
        ClientKind::EdkHttp(Architecture::HttpX64),
        ClientKind::ipxe(Architecture::Bios),
    ] {
        let client = Client {
            kind,
            ..edk(stranger(1))
        };
        let (offer, mut ack) = Bench::new().lease(&client);
        ack.options.set_message_type(MessageType::Offer);
        assert_eq!(offer, ack);
    }
}

#[test]
fn identifiers_are_echoed_byte_for_byte() {
    let swapped = [&[0][..], &[0xaa; 16]].concat();
    let odd = [9, 1, 2, 3];
    let identifier = [0xff, 0, 1, 0x80];
    for machine in [&swapped[..], &odd] {
        let values: &[(u8, &[u8])] = &[(61, &identifier), (97, machine)];
        let reply = Bench::new().reply(&discover(KNOWN, values));
        let raw = |code: u8| reply.options.raw(code.into());
        assert_eq!(raw(61), Some(&identifier[..]));
        assert_eq!(raw(97), Some(machine));
    }
    let reply = Bench::new().reply(&discover(KNOWN, &[]));
    for code in [61, 97, 82] {
        assert!(!codes(&reply).contains(&code), "{code}");
    }
}

#[test]
fn a_reply_fits_the_length_that_the_client_accepts() {
    for (announced, expected) in [(None, 576), (Some(1260_u16), 1260), (Some(0xff00), 1500)] {
        let mut discover = discover(KNOWN, &[]);
        if let Some(announced) = announced {
            let code = OptionCode::MaxMessageSize;
            discover.options.set_number(code, announced);
        }
        let reply = Bench::new().send(&discover).reply.unwrap();
        assert_eq!(reply.limit, expected);
        assert!(reply.message.write(reply.limit).unwrap().len() >= 300);
    }
}

/// The test site with another loader for UEFI on x86-64, and the keys `profile` in the host's profile.
fn bench_with_loader(loader: &str, profile: &str) -> Bench {
    Bench::with(|text| {
        text.replace("uefi-x64: snponly.efi", &format!("uefi-x64: {loader}"))
            .replace(
                "name: worker, installer: preseed",
                &format!("name: worker, {profile}installer: preseed"),
            )
            .replace("loader: ipxe.efi", "")
            .replace(", loader: custom.efi", "")
    })
}

const SHIM: &str = "{first: shimx64.efi.signed, second: grubnetx64.efi.signed, as: [bootx64.efi]}";

#[test]
fn a_loader_that_requests_more_files_gets_a_path_with_the_machine_and_its_token() {
    for (loader, class, architecture, expected) in [
        (
            SHIM,
            &b"PXEClient"[..],
            7,
            "m/52-54-00-12-34-56/…/bootx64.efi",
        ),
        (
            "pxelinux.0",
            b"PXEClient",
            7,
            "m/52-54-00-12-34-56/…/pxelinux.0",
        ),
        (
            SHIM,
            b"HTTPClient",
            16,
            "http://10.20.0.10:8080/m/52-54-00-12-34-56/…/http-x64.img",
        ),
        ("tool.img", b"PXEClient", 7, "tool.img"),
    ] {
        let mut bench = bench_with_loader(loader, "");
        let discover = discover(KNOWN, &[(60, class), (93, &[0, architecture])]);
        let response = bench.send(&discover);
        let shown = response.exchange.boot_file.unwrap().to_string();
        assert_eq!(shown, expected);
        let reply = response.reply.unwrap().message;
        let text = String::from_utf8(reply.boot_file).unwrap();
        assert_eq!(crate::wire::path::shown_path(&text), expected);
        let Some(path) = text.split_once("m/").map(|(_, path)| path.to_owned()) else {
            continue;
        };
        let token = path.split('/').nth(1).unwrap();
        let checked = bench.key.check_boot_token(token, KNOWN, None, bench.now);
        assert_eq!(checked, Ok(()), "{text}");
    }
}

#[test]
fn a_host_with_secure_boot_gets_only_signed_loaders() {
    let ipxe: &[(u8, &[u8])] = &[(60, b"PXEClient"), (93, &[0, 7]), (77, b"iPXE")];
    let rom: &[(u8, &[u8])] = &[(60, b"PXEClient"), (93, &[0, 7])];
    let bios: &[(u8, &[u8])] = &[(60, b"PXEClient"), (93, &[0, 0])];
    let shim = Some("m/52-54-00-12-34-56/…/bootx64.efi");
    for (values, expected) in [(ipxe, shim), (rom, shim), (bios, None)] {
        let mut bench = bench_with_loader(SHIM, "secure_boot: true, ");
        let response = bench.send(&discover(KNOWN, values));
        let shown = response.exchange.boot_file.map(|file| file.to_string());
        assert_eq!(shown.as_deref(), expected, "{values:?}");
    }
}

#[test]
fn uefi_gets_the_size_of_its_boot_file_if_it_requests_it() {
    let of = |kind| {
        let client = Client { kind, ..edk(KNOWN) };
        let reply = Bench::new().send(&client.discover(TransactionId(1))).reply;
        reply.unwrap().needs_size_of
    };
    let x64 = Architecture::UefiX64;
    let file = Some("snponly.efi".to_owned());
    assert_eq!(of(ClientKind::EdkPxe(x64)), file);
    for kind in [
        ClientKind::BiosPxe,
        ClientKind::EdkHttp(Architecture::HttpX64),
        ClientKind::ipxe(x64),
    ] {
        assert_eq!(of(kind.clone()), None, "{kind:?}");
    }
    // The client does not request the size, or the inventory sets it.
    let silent = Bench::new().send(&discover(KNOWN, &[(60, b"PXEClient"), (93, &[0, 7])]));
    assert_eq!(silent.reply.unwrap().needs_size_of, None);
    let mut configured = Bench::with(|text| {
        text.replace(
            "lease_time: 30m",
            "lease_time: 30m\n    options: {13: 'u16:7'}",
        )
    });
    let configured = configured
        .send(&edk(KNOWN).discover(TransactionId(1)))
        .reply
        .unwrap();
    assert_eq!(configured.needs_size_of, None);
    let size = configured.message.options.raw(OptionCode::BootFileSize);
    assert_eq!(size, Some(&[0, 7][..]));
}

#[test]
fn a_size_is_sent_in_blocks_of_512_bytes_and_omitted_beyond_their_number() {
    let discover = edk(KNOWN).discover(TransactionId(1));
    let reply = Bench::new().send(&discover).reply.unwrap();
    for (bytes, expected) in [
        (0, None),
        (1, Some(1_u16)),
        (512, Some(1)),
        (513, Some(2)),
        (65_535 * 512, Some(65_535)),
        (65_535 * 512 + 1, None),
    ] {
        let mut reply = reply.clone();
        reply.set_boot_file_size(bytes);
        let seen = reply.message.options.raw(OptionCode::BootFileSize);
        let expected = expected.map(u16::to_be_bytes);
        assert_eq!(seen, expected.as_ref().map(|it| &it[..]), "{bytes}");
    }
}
