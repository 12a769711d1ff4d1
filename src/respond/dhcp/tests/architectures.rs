//! Client architectures without a loader, and U-Boot under its own vendor class.

use super::*;

/// The architectures that IANA's registry lists and no loader exists for, and a number without a name.
const UNKNOWN: [u16; 16] = [1, 2, 3, 4, 5, 8, 12, 13, 14, 31, 32, 33, 34, 35, 36, 99];

fn remark(code: u16) -> String {
    let error = Architecture::from_code(code).unwrap_err();
    format!("{error}: the client gets no boot file")
}

fn discover(mac: MacAddress, class: &str, architecture: Option<u16>) -> DhcpMessage {
    let mut discover = message(mac, MessageType::Discover);
    let options = &mut discover.options;
    options.set_text(OptionCode::ClassIdentifier, class);
    if let Some(code) = architecture {
        options.set_number(OptionCode::ClientSystemArchitecture, code);
    }
    discover
}

fn with_uboot(text: String) -> String {
    text.replace(
        "loaders: {",
        "loaders: {uboot-arm64: arm64.scr, uboot-arm32: arm32.scr, ",
    )
}

fn as_proxy(text: String) -> String {
    text.replace("    pool: 10.20.0.200-10.20.0.202\n", "    mode: proxy\n")
        .replace("    lease_time: 30m\n", "")
}

fn has_boot_data(reply: &DhcpMessage) -> bool {
    !reply.boot_file.is_empty()
        || !reply.server_address.is_unspecified()
        || [43, 60, 66, 67]
            .iter()
            .any(|code| codes(reply).contains(code))
}

#[test]
fn an_unknown_architecture_gets_an_address_without_a_boot_file_and_the_log_names_its_number() {
    for code in UNKNOWN {
        for class in [
            "PXEClient",
            "PXEClient:Arch:00000:UNDI:002001",
            &format!("PXEClient:Arch:{code:05}:UNDI:002001"),
        ] {
            for mac in [KNOWN, stranger(1)] {
                let response = Bench::new().send(&discover(mac, class, Some(code)));
                assert_eq!(response.exchange.remark, Some(remark(code)), "{class}");
                assert_eq!(response.exchange.boot_file, None);
                let offer = response.reply.unwrap().message;
                assert!(!offer.your_address.is_unspecified());
                assert!(!has_boot_data(&offer), "{offer:?}");
            }
        }
    }
}

#[test]
fn a_proxy_ignores_an_unknown_architecture_and_names_its_number() {
    for code in UNKNOWN {
        let mut bench = Bench::with(as_proxy);
        let why = bench.ignored(&discover(KNOWN, "PXEClient", Some(code)));
        assert_eq!(why.to_string(), remark(code));
    }
}

#[test]
fn a_pxe_client_without_an_architecture_is_an_old_bios_rom() {
    let response = Bench::new().send(&discover(KNOWN, "PXEClient", None));
    assert_eq!(response.reply.unwrap().message.boot_file, b"undionly.kpxe");
}

#[test]
fn u_boot_under_its_own_class_gets_the_loader_of_its_processor() {
    for (class, architecture, expected) in [
        ("U-Boot.armv8", Some(0x16), "arm64.scr"),
        ("U-Boot.armv8", None, "arm64.scr"),
        ("U-Boot.armv7", Some(0x15), "arm32.scr"),
        ("U-Boot.arm", None, "arm32.scr"),
        ("PXEClient:Arch:00022:UNDI:003000", Some(0x16), "arm64.scr"),
    ] {
        let mut bench = Bench::with(with_uboot);
        let offer = bench.reply(&discover(KNOWN, class, architecture));
        assert_eq!(offer.boot_file, expected.as_bytes(), "{class}");
        assert_eq!(offer.server_address, SERVER, "{class}");
        let name = offer.options.text(OptionCode::BootfileName);
        assert_eq!(name.as_deref(), Some(expected), "{class}");
        // Only a PXE client gets the options of a PXE server.
        let is_pxe = class.starts_with("PXEClient");
        for code in [OptionCode::ClassIdentifier, OptionCode::VendorExtensions] {
            assert_eq!(offer.options.contains(code), is_pxe, "{class} {code:?}");
        }
    }
}

#[test]
fn u_boot_never_gets_the_loader_for_bios() {
    for architecture in [None, Some(0)] {
        let mut bench = Bench::with(with_uboot);
        let offer = bench.reply(&discover(KNOWN, "U-Boot", architecture));
        assert!(!has_boot_data(&offer), "{offer:?}");
    }
}

#[test]
fn a_proxy_does_not_answer_u_boot() {
    let mut bench = Bench::with(|text| as_proxy(with_uboot(text)));
    let why = bench.ignored(&discover(KNOWN, "U-Boot.armv8", Some(0x16)));
    let expected = "U-Boot takes no boot file from a second server: the server that owns the addresses \
                    must name it";
    assert_eq!(why.to_string(), expected);
}
