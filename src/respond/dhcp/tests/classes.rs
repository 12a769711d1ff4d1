//! Classes of clients that are not PXE clients: switches, and hosts that omit an option.

use super::*;

const CLASSES: &str = r#"
    classes:
      - name: onie
        match: {vendor_class: onie_vendor}
        pool: 10.20.0.150-10.20.0.151
        boot_file: http://10.20.0.11/onie-installer
        server: 10.20.0.11
        options: {60: onie, 66: images.example, 43: "hex:0104", domain-name: switches.example}
      - name: ztp
        match: {user_class: ztp}
        server: 10.20.0.12
        options: {67: ztp.py, 224: text:site-a}
      - {name: quiet, match: {vendor_class: PXEClient:Arch:00000}, boot_file: none}
      - {name: arm, match: {vendor_class: PXEClient:Arch:00011}, boot_file: arm64.efi}
      - {name: never, match: {vendor_class: onie_vendor:x86}, boot_file: never}
"#;

fn with_classes(text: String) -> String {
    text.replace(
        "    pool: 10.20.0.200-10.20.0.202\n",
        &format!("    pool: 10.20.0.200-10.20.0.202{CLASSES}"),
    )
}

fn discover(mac: MacAddress, class: &str, user_class: &str) -> DhcpMessage {
    let mut discover = message(mac, MessageType::Discover);
    for (code, text) in [
        (OptionCode::ClassIdentifier, class),
        (OptionCode::UserClass, user_class),
    ] {
        if !text.is_empty() {
            discover.options.set_text(code, text);
        }
    }
    discover
}

fn text(reply: &DhcpMessage, code: u8) -> Option<String> {
    reply.options.text(code.into())
}

#[test]
fn a_class_sets_the_pool_the_boot_file_the_server_and_the_options_of_its_clients() {
    let mut bench = Bench::with(with_classes);
    let switch = discover(stranger(1), "onie_vendor:x86_64-dell-r0", "");
    let response = bench.send(&switch);
    // The first class that matches applies.
    assert_eq!(response.exchange.class.as_deref(), Some("onie"));
    assert_eq!(response.exchange.remark, None);
    let offer = response.reply.unwrap().message;
    let mut request = reboot(stranger(1), offer.your_address);
    request.transaction_id = switch.transaction_id;
    // The REQUEST does not repeat the class, and gets the same.
    let ack = bench.reply(&request);
    for reply in [offer, ack] {
        assert_eq!(reply.your_address, pool(150));
        assert_eq!(reply.boot_file, b"http://10.20.0.11/onie-installer");
        assert_eq!(reply.server_address, pool(11));
        assert_eq!(
            text(&reply, 67).as_deref(),
            Some("http://10.20.0.11/onie-installer")
        );
        assert_eq!(text(&reply, 66).as_deref(), Some("images.example"));
        assert_eq!(text(&reply, 60).as_deref(), Some("onie"));
        assert_eq!(reply.options.raw(43.into()), Some(&[1, 4][..]));
        // Its options take precedence over the network's.
        assert_eq!(text(&reply, 15).as_deref(), Some("switches.example"));
    }
}

#[test]
fn a_user_class_selects_a_class_and_a_server_needs_no_boot_file() {
    let switch = discover(stranger(1), "Arista;DCS-7050", "ztp-v2");
    let response = Bench::with(with_classes).send(&switch);
    assert_eq!(response.exchange.class.as_deref(), Some("ztp"));
    let offer = response.reply.unwrap().message;
    assert_eq!(offer.server_address, pool(12));
    assert_eq!(text(&offer, 66).as_deref(), Some("10.20.0.12"));
    assert_eq!(text(&offer, 67).as_deref(), Some("ztp.py"));
    assert_eq!(text(&offer, 224).as_deref(), Some("site-a"));
    assert!(offer.boot_file.is_empty());
    for code in [43, 60] {
        assert_eq!(offer.options.raw(code.into()), None, "{code}");
    }
    assert_eq!(offer.your_address, pool(200));
}

#[test]
fn a_class_can_withhold_or_replace_the_loader_of_pxe_clients() {
    let mut bench = Bench::with(with_classes);
    let response = bench.send(&discover(
        stranger(1),
        "PXEClient:Arch:00000:UNDI:002001",
        "",
    ));
    assert_eq!(response.exchange.remark, None);
    let offer = response.reply.unwrap().message;
    assert!(offer.boot_file.is_empty());
    let boot_options = [43, 60, 66, 67];
    assert!(
        boot_options
            .iter()
            .all(|code| !codes(&offer).contains(code))
    );

    let offer = bench.reply(&discover(
        stranger(2),
        "PXEClient:Arch:00011:UNDI:003000",
        "",
    ));
    assert_eq!(offer.boot_file, b"arm64.efi");
    assert_eq!(offer.server_address, SERVER);
    // A PXE client needs them.
    assert_eq!(text(&offer, 60).as_deref(), Some("PXEClient"));
    assert_eq!(offer.options.raw(43.into()), Some(&[6, 1, 8][..]));
}

#[test]
fn clients_outside_the_classes_are_served_as_before_and_never_from_the_pool_of_a_class() {
    let mut bench = Bench::with(with_classes);
    let mut plain = Bench::new();
    for mac in [KNOWN, stranger(1)] {
        let discover = edk(mac).discover(TransactionId(1));
        let mut offer = bench.reply(&discover);
        let mut expected = plain.reply(&discover);
        for reply in [&mut offer, &mut expected] {
            // It contains a token of its exchange only if the loader needs one.
            assert_eq!(reply.boot_file, b"snponly.efi");
        }
        assert_eq!(offer, expected);
    }
    let granted = bench.send(&reboot(stranger(3), pool(150))).reply;
    assert!(granted.is_err() || kind_of(&granted.unwrap().message) == MessageType::Nak);
    assert!(bench.inventory.is_machine(pool(150)));
    assert!(!bench.inventory.is_machine(pool(152)));
}

#[test]
fn the_pool_of_a_class_ends_and_is_probed_too() {
    let mut bench = Bench::with(with_classes);
    let due = bench.responder.probes_due(&bench.inventory, bench.now);
    let probed = |address| due.iter().any(|it| it.addresses.contains(&address));
    assert!(probed(pool(150)) && probed(pool(200)));
    for (number, expected) in [(1, Some(150)), (2, Some(151)), (3, None)] {
        let reply = bench
            .send(&discover(stranger(number), "onie_vendor", ""))
            .reply;
        let address = reply.ok().map(|reply| reply.message.your_address);
        assert_eq!(address, expected.map(pool));
    }
}

#[test]
fn a_host_can_omit_any_option_that_dhcp_does_not_need() {
    let with_none = |options: &str| {
        let options = format!("arch: uefi-x64\noptions: {{{options}}}");
        move |text: String| text.replacen("arch: uefi-x64", &options, 1)
    };
    let client = edk(KNOWN);
    let all = codes(&Bench::new().lease(&client).1);
    for code in [3, 6, 12, 15, 42, 43, 60, 66, 67] {
        assert!(all.contains(&code), "{code}");
        let mut bench = Bench::with(with_none(&format!("{code}: none")));
        let (offer, ack) = bench.lease(&client);
        let expected: Vec<u8> = all.iter().copied().filter(|it| *it != code).collect();
        assert_eq!(codes(&offer), expected);
        assert_eq!(codes(&ack), expected);
        // Other hosts keep it.
        let (_, other) = bench.lease(&edk(stranger(1)));
        assert_eq!(other.options.contains(code.into()), code != 12);
    }
}

#[test]
fn classes_have_no_effect_beside_another_server_which_is_a_warning() {
    let as_proxy = |text: String| {
        let text =
            with_classes(text).replace("    pool: 10.20.0.200-10.20.0.202\n", "    mode: proxy\n");
        text.replace("    lease_time: 30m\n", "")
    };
    let mut bench = Bench::with(as_proxy);
    let offer = bench.reply(&discover(
        stranger(1),
        "PXEClient:Arch:00000:UNDI:002001",
        "",
    ));
    assert_eq!(offer.boot_file, b"undionly.kpxe");
    let parsed = crate::inventory::site_builder::parse_text(as_proxy(INVENTORY.to_owned()));
    let found = parsed.diagnostics.into_iter().map(|it| it.message);
    let about_classes: Vec<_> = found.filter(|it| it.contains("classes")).collect();
    let expected =
        "`classes` has no effect with `mode: proxy`: another DHCP server owns the addresses";
    assert_eq!(about_classes, [expected]);
}

#[test]
fn the_pool_of_a_class_excludes_reserved_addresses() {
    let text = with_classes(INVENTORY.to_owned()).replace("ip: 10.20.0.58", "ip: 10.20.0.151");
    let parsed = crate::inventory::site_builder::parse_text(text);
    let found = parsed.diagnostics.into_iter();
    let errors = found.filter(|it| it.severity == crate::inventory::Severity::Error);
    let errors: Vec<_> = errors.map(|it| it.message).collect();
    assert_eq!(
        errors,
        ["`10.20.0.151` is inside the pool `10.20.0.150-10.20.0.151`"]
    );
}
