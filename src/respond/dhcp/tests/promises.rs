//! An exchange is decided once: the ACK has the boot data of its OFFER.

use super::*;

const PI: MacAddress = MacAddress::new([0xdc, 0xa6, 0x32, 1, 2, 3]);

fn with_loaders(text: String) -> String {
    text.replace(
        "loaders: {",
        "loaders: {raspberry-pi: bootcode.bin, uboot-arm64: arm64.scr, ",
    )
}

/// The boot data of a reply: `siaddr`, `file`, and the options that name a file or a class.
fn boot_data(reply: &DhcpMessage) -> (Ipv4Addr, Vec<u8>, Vec<Option<Vec<u8>>>) {
    let value = |code: u8| reply.options.raw(code.into()).map(<[u8]>::to_vec);
    let options = [43, 60, 66, 67, 175].map(value).to_vec();
    (reply.server_address, reply.boot_file.clone(), options)
}

#[test]
fn every_client_gets_the_boot_data_of_its_offer_even_if_its_request_says_nothing_about_itself() {
    let mut discovers: Vec<DhcpMessage> = [
        ClientKind::BiosPxe,
        ClientKind::EdkPxe(Architecture::UefiX64),
        ClientKind::EdkHttp(Architecture::HttpX64),
        ClientKind::ipxe(Architecture::UefiX64),
        ClientKind::RaspberryPi,
    ]
    .into_iter()
    .flat_map(|kind| [KNOWN, PI].map(|mac| (kind.clone(), mac)))
    .map(|(kind, mac)| Client { kind, ..edk(mac) }.discover(TransactionId(1)))
    .collect();
    let mut uboot = discovers[0].clone();
    let class = OptionCode::ClassIdentifier;
    uboot.options.set_text(class, "U-Boot.armv8");
    let code = OptionCode::ClientSystemArchitecture;
    uboot.options.set_number(code, 0x16);
    discovers.push(uboot);
    for discover in discovers {
        let mut bench = Bench::with(with_loaders);
        let offer = bench.reply(&discover);
        assert!(!offer.boot_file.is_empty() || offer.options.contains(OptionCode::BootfileName));
        let mut request = reboot(discover.hardware_address.mac().unwrap(), offer.your_address);
        request.transaction_id = discover.transaction_id;
        // A repeated REQUEST gets the same ACK, even some seconds later.
        for _ in 0..2 {
            let ack = bench.reply(&request);
            assert_eq!(kind_of(&ack), MessageType::Ack);
            assert_eq!(boot_data(&ack), boot_data(&offer), "{discover:?}");
            bench.wait(4);
        }
    }
}

#[test]
fn a_client_whose_offer_had_no_boot_file_gets_none_in_its_ack() {
    let mut bench = Bench::new();
    let offer = bench.reply(&message(KNOWN, MessageType::Discover));
    let mut request = edk(KNOWN).request(TransactionId(7), &offer);
    request.transaction_id = TransactionId(7);
    let ack = bench.reply(&request);
    assert_eq!(boot_data(&ack), boot_data(&offer));
    assert!(ack.boot_file.is_empty());
}

#[test]
fn a_reload_between_offer_and_request_changes_the_next_exchange_only() {
    let mut bench = Bench::new();
    let client = edk(KNOWN);
    let offer = bench.reply(&client.discover(TransactionId(1)));
    let reloaded = INVENTORY.replace("uefi-x64: snponly.efi", "uefi-x64: other.efi");
    bench.inventory = inventory_of(reloaded);
    let ack = bench.reply(&client.request(TransactionId(1), &offer));
    assert_eq!(ack.boot_file, b"snponly.efi");
    let (offer, ack) = bench.lease(&client);
    assert_eq!(offer.boot_file, b"other.efi");
    assert_eq!(ack.boot_file, b"other.efi");
}

#[test]
fn another_program_that_reuses_the_transaction_id_gets_its_own_decision() {
    let mut bench = Bench::new();
    let kinds = [
        (ClientKind::BiosPxe, "undionly.kpxe"),
        (ClientKind::EdkPxe(Architecture::UefiX64), "snponly.efi"),
        (ClientKind::BiosPxe, "undionly.kpxe"),
    ];
    for (kind, expected) in kinds {
        let client = Client { kind, ..edk(KNOWN) };
        let offer = bench.reply(&client.discover(TransactionId(1)));
        assert_eq!(offer.boot_file, expected.as_bytes());
    }
}

#[test]
fn the_decision_ends_with_the_exchange() {
    let mut bench = Bench::with(with_loaders);
    bench.reply(&edk(KNOWN).discover(TransactionId(7)));
    bench.wait(61);
    let ack = bench.reply(&reboot(KNOWN, RESERVED));
    assert!(ack.boot_file.is_empty());
}

#[test]
fn a_filter_that_accepted_the_discover_accepts_the_request_of_the_same_exchange() {
    let only_pxe = |text: String| {
        with_loaders(text).replace(
            "loaders: {",
            "filter: {only: {vendor_classes: [PXEClient]}}\nloaders: {",
        )
    };
    let client = Client {
        kind: ClientKind::RaspberryPi,
        ..edk(PI)
    };
    let mut bench = Bench::with(only_pxe);
    let (_, ack) = bench.lease(&client);
    assert_eq!(ack.boot_file, b"bootcode.bin");
    // Another exchange needs its own DISCOVER.
    let mut other = client.request(TransactionId(2), &ack);
    other.options.remove(OptionCode::ServerIdentifier);
    let why = bench.ignored(&other);
    assert!(matches!(why, IgnoreReason::Filtered(_)), "{why}");
    let mut discover = client.discover(TransactionId(1));
    discover.options.remove(OptionCode::ClassIdentifier);
    let why = bench.ignored(&discover);
    assert!(matches!(why, IgnoreReason::Filtered(_)), "{why}");
}
