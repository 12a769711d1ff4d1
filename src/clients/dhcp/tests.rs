//! What each client sends, and what it makes of the same answers.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::wire::dhcp::{
    DhcpMessage, IPXE_ENCAPSULATED, MessageType, Operation, OptionCode, TransactionId,
};

const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 11);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 58);
/// Discovery control 8: boot straight from the file name.
const STRAIGHT: &[u8] = &[6, 1, 8];

fn client(kind: ClientKind) -> Client {
    Client {
        kind,
        mac: MAC,
        uuid: "4c4c4544-0051-3610-8043-c2c04f4b3135".parse().ok(),
    }
}

fn edk() -> Client {
    client(ClientKind::EdkPxe(Architecture::UefiX64))
}

fn bios() -> Client {
    client(ClientKind::BiosPxe)
}

fn http() -> Client {
    client(ClientKind::EdkHttp(Architecture::HttpX64))
}

fn ipxe() -> Client {
    client(ClientKind::ipxe(Architecture::UefiX64))
}

/// An offer of the main server, with these options.
fn offer(values: &[(u8, &[u8])]) -> DhcpMessage {
    let mut message = DhcpMessage::new(Operation::Reply, MAC, TransactionId(7));
    message.your_address = ADDRESS;
    message.options.set_message_type(MessageType::Offer);
    message
        .options
        .set_address(OptionCode::ServerIdentifier, SERVER);
    for (code, value) in values {
        message.options.set_raw((*code).into(), *value);
    }
    message
}

/// An offer without an address, of the other server.
fn proxy(values: &[(u8, &[u8])]) -> DhcpMessage {
    let mut message = offer(values);
    message.your_address = Ipv4Addr::UNSPECIFIED;
    message.server_address = OTHER;
    message
        .options
        .set_address(OptionCode::ServerIdentifier, OTHER);
    message
}

fn golden(hex: &str) -> DhcpMessage {
    let bytes: Vec<_> = hex
        .lines()
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    DhcpMessage::parse(&bytes).unwrap()
}

#[test]
fn clients_send_the_golden_packets() {
    let discover = golden(include_str!(
        "../../../fixtures/packets/edk2-x64-discover/request.hex"
    ));
    assert_eq!(edk().discover(discover.transaction_id), discover);

    let mut discover = golden(include_str!(
        "../../../fixtures/packets/bios-pxe-discover/request.hex"
    ));
    discover.seconds = 0;
    assert_eq!(bios().discover(discover.transaction_id), discover);

    let mut request = golden(include_str!(
        "../../../fixtures/packets/ipxe-request/request.hex"
    ));
    request.seconds = 0;
    assert_eq!(ipxe().request(request.transaction_id, &offer(&[])), request);
}

#[test]
fn every_client_is_recognised_by_what_it_sends() {
    let ipxe_bios = client(ClientKind::ipxe(Architecture::Bios));
    for client in [edk(), bios(), http(), ipxe(), ipxe_bios] {
        let request = client.request(TransactionId(1), &offer(&[]));
        let options = &request.options;
        assert_eq!(options.architecture(), Ok(Some(client.kind.architecture())));
        assert_eq!(options.system_uuid(), client.uuid);
        let is_http = matches!(client.kind, ClientKind::EdkHttp(_));
        assert_eq!(options.is_http_client(), is_http);
        assert_eq!(options.is_pxe_client(), !is_http);
        let is_ipxe = matches!(client.kind, ClientKind::Ipxe { .. });
        assert_eq!(options.is_ipxe(), is_ipxe);
        assert_eq!(options.requested_address(), Some(ADDRESS));
        assert_eq!(options.server_identifier(), Some(SERVER));
        assert_eq!(
            DhcpMessage::parse(&request.write(576).unwrap()),
            Ok(request)
        );
    }
}

#[test]
fn a_boot_server_is_asked_without_asking_for_an_address() {
    for client in [edk(), bios(), ipxe()] {
        let request = client.ask_boot_server(TransactionId(1), ADDRESS, OTHER);
        assert_eq!(request.options.message_type(), Some(MessageType::Request));
        assert_eq!(request.options.requested_address(), None);
        assert_eq!(
            (request.client_address, request.broadcast),
            (ADDRESS, false)
        );
    }
}

#[test]
fn each_client_takes_an_offer_for_something_of_its_own() {
    use OfferClass::{Binl, Dropped, Http, Plain, Pxe};
    let nothing = Dropped(DropReason::NothingForTheClient);
    let plain = Plain { boot_file: false };
    let file = Plain { boot_file: true };
    let mtftp: &[u8] = &[1, 1, 0, 2, 1, 0, 3, 1, 0, 4, 1, 0, 5, 1, 0];
    let pxe = |proxy| Pxe { proxy };
    let binl = |proxy| Binl { proxy };
    // The columns are edk2, a BIOS ROM, edk2's HTTP boot and iPXE.
    for (message, expected) in [
        (offer(&[]), [plain; 4]),
        (offer(&[(67, b"x.efi")]), [file; 4]),
        (
            offer(&[(60, b"PXEClient"), (67, b"x.efi")]),
            [binl(false), binl(false), file, binl(false)],
        ),
        (
            offer(&[(60, b"PXEClient"), (43, STRAIGHT), (67, b"x.efi")]),
            [pxe(false), pxe(false), file, binl(false)],
        ),
        (
            offer(&[(60, b"PXEClient"), (43, mtftp)]),
            [
                Dropped(DropReason::Mtftp),
                Dropped(DropReason::Mtftp),
                plain,
                binl(false),
            ],
        ),
        (
            proxy(&[(60, b"PXEClient"), (43, STRAIGHT), (67, b"x.efi")]),
            [pxe(true), pxe(true), nothing, pxe(true)],
        ),
        (
            proxy(&[(60, b"PXEClient")]),
            [binl(true), binl(true), nothing, binl(true)],
        ),
        (proxy(&[(67, b"x.efi")]), [nothing; 4]),
        (
            offer(&[(60, b"HTTPClient"), (67, b"http://h/x.efi")]),
            [file, file, Http { proxy: false }, file],
        ),
        (
            offer(&[(60, b"HTTPClient"), (67, b"x.efi")]),
            [file, file, Dropped(DropReason::NoUrl), file],
        ),
        (
            proxy(&[(60, b"HTTPClient"), (67, b"http://h/x.efi")]),
            [nothing, nothing, Http { proxy: true }, nothing],
        ),
        (offer(&[(53, &[5])]), [Dropped(DropReason::NoOffer); 4]),
    ] {
        let seen = [edk(), bios(), http(), ipxe()].map(|client| client.classify(&message));
        assert_eq!(seen, expected, "{:?}", message.options);
    }
}

#[test]
fn firmware_selects_by_kind_and_not_by_order() {
    let plain = offer(&[]);
    let file = offer(&[(67, b"x")]);
    let pxe = offer(&[(60, b"PXEClient"), (43, STRAIGHT), (67, b"x")]);
    let binl = offer(&[(60, b"PXEClient"), (67, b"x")]);
    let proxy_pxe = proxy(&[(60, b"PXEClient"), (43, STRAIGHT), (67, b"x")]);
    let proxy_binl = proxy(&[(60, b"PXEClient")]);

    let acknowledgement = BootSource::Acknowledgement;
    for client in [edk(), bios()] {
        for (offers, taken, boot) in [
            ([&plain, &file], 1, acknowledgement.clone()),
            ([&file, &pxe], 1, acknowledgement.clone()),
            ([&binl, &pxe], 1, acknowledgement.clone()),
            ([&file, &binl], 1, BootSource::BootServer(SERVER)),
            ([&proxy_pxe, &plain], 1, BootSource::Proxy(&proxy_pxe)),
            ([&file, &proxy_binl], 0, BootSource::BootServer(OTHER)),
            ([&binl, &proxy_binl], 0, BootSource::BootServer(SERVER)),
        ] {
            let offers = offers.map(DhcpMessage::clone);
            let selection = client.select(&offers).unwrap();
            assert_eq!(*selection.offer, offers[taken]);
            assert_eq!(selection.boot, boot, "{}", selection.reason);
        }
    }
}

#[test]
fn http_boot_takes_the_url_of_either_server() {
    let plain = offer(&[]);
    let url = offer(&[(60, b"HTTPClient"), (67, b"http://h/x")]);
    let proxy_url = proxy(&[(60, b"HTTPClient"), (67, b"http://h/x")]);
    let offers = [plain.clone(), url.clone()];
    assert_eq!(*http().select(&offers).unwrap().offer, url);
    let offers = [proxy_url.clone(), plain.clone()];
    let selection = http().select(&offers).unwrap();
    assert_eq!(*selection.offer, plain);
    assert_eq!(selection.boot, BootSource::Proxy(&proxy_url));
    let without_class = [offer(&[(67, b"http://h/x")])];
    assert!(http().select(&without_class).is_err());
}

#[test]
fn ipxe_takes_the_last_offer_of_the_highest_priority_and_a_proxy_beside_it() {
    let first = offer(&[(67, b"first")]);
    let last = offer(&[(67, b"last")]);
    let high = offer(&[(67, b"high"), (175, &[1, 1, 5])]);
    let alone = offer(&[(67, b"alone"), (175, &[0xb0, 1, 1])]);
    let pxe = proxy(&[(60, b"PXEClient"), (67, b"x")]);
    let bare = proxy(&[(60, b"PXEClient")]);
    for (offers, taken, boot) in [
        ([&first, &last], 1, BootSource::Acknowledgement),
        ([&high, &last], 0, BootSource::Acknowledgement),
        ([&first, &pxe], 0, BootSource::Proxy(&pxe)),
        ([&alone, &pxe], 0, BootSource::Acknowledgement),
        ([&bare, &first], 1, BootSource::BootServer(OTHER)),
    ] {
        let offers = offers.map(DhcpMessage::clone);
        let selection = ipxe().select(&offers).unwrap();
        assert_eq!(*selection.offer, offers[taken]);
        assert_eq!(selection.boot, boot, "{}", selection.reason);
    }
}

#[test]
fn a_client_that_cannot_boot_lists_the_offers() {
    let text =
        |client: Client, offers: &[DhcpMessage]| client.select(offers).unwrap_err().to_string();
    assert_eq!(
        text(edk(), &[]),
        "no offer arrived (a BIOS ROM prints PXE-E51)"
    );
    assert_eq!(
        text(edk(), &[proxy(&[(60, b"PXEClient"), (43, STRAIGHT)])]),
        "no offer has an address; offers: PXE boot data for another server's address (old edk2 drops \
         the first offer of this kind that has option 43)"
    );
    assert_eq!(
        text(bios(), &[offer(&[])]),
        "no offer names a boot file (a BIOS ROM prints PXE-E53); offers: an address without a boot file"
    );
    assert!(text(ipxe(), &[proxy(&[])]).starts_with("no offer has an address; offers: dropped"));
}

#[test]
fn each_client_reads_the_boot_file_from_its_own_fields() {
    let mut both = offer(&[(67, b"option.efi")]);
    both.boot_file = b"field.efi".to_vec();
    both.server_address = OTHER;
    let mut listed = both.clone();
    listed
        .options
        .set_text(OptionCode::ClassIdentifier, "PXEClient");
    let servers = [8, 7, 0, 0, 1, 10, 20, 0, 99];
    listed
        .options
        .set_raw(OptionCode::VendorExtensions, servers);
    let only_option = offer(&[(67, b"option.efi")]);

    for (client, answer, expected) in [
        (edk(), &both, "tftp://10.20.0.11/option.efi"),
        (bios(), &both, "tftp://10.20.0.11/field.efi"),
        (ipxe(), &both, "tftp://10.20.0.11/field.efi"),
        (edk(), &listed, "tftp://10.20.0.99/option.efi"),
        (bios(), &listed, "tftp://10.20.0.11/field.efi"),
        (edk(), &only_option, "tftp://10.20.0.10/option.efi"),
        (bios(), &only_option, "tftp://10.20.0.10/option.efi"),
    ] {
        assert_eq!(client.boot_file(answer).unwrap().url(), expected);
    }
    assert_eq!(
        ipxe().boot_file(&only_option).unwrap_err().to_string(),
        "boot file `option.efi` has no server: `siaddr` is 0.0.0.0"
    );
    assert_eq!(edk().boot_file(&offer(&[])), Err(NoBootFile::NoName));
}

#[test]
fn a_url_is_for_those_who_can_load_it() {
    let mut answer = offer(&[]);
    answer.boot_file = b"http://10.20.0.10/boot.ipxe?mac=${net0/mac}&uuid=${uuid}".to_vec();
    assert_eq!(
        ipxe().boot_file(&answer).unwrap().name,
        "http://10.20.0.10/boot.ipxe?mac=52:54:00:12:34:56\
         &uuid=4c4c4544-0051-3610-8043-c2c04f4b3135"
    );
    let expected = String::from_utf8(answer.boot_file.clone()).unwrap();
    assert_eq!(http().boot_file(&answer).unwrap().url(), expected);
    for client in [edk(), bios()] {
        let error = client.boot_file(&answer).unwrap_err();
        assert!(matches!(error, NoBootFile::UrlForPxe { .. }));
    }
    let file = offer(&[(67, b"x.efi")]);
    assert!(matches!(
        http().boot_file(&file),
        Err(NoBootFile::NoUrl { .. })
    ));
}

#[test]
fn ipxe_starts_with_what_the_answer_gave_it() {
    let mut answer = offer(&[(3, &[10, 20, 0, 1, 10, 20, 0, 2]), (12, b"worker-0008")]);
    answer.options.set_raw(IPXE_ENCAPSULATED, [0xb0, 1, 1]);
    let text =
        "${platform} ${buildarch} ${ip} ${gateway} ${hostname} ${dhcp-server} ${next-server}";
    assert_eq!(
        ipxe().settings(&answer).expand(text).unwrap(),
        "efi x86_64 10.20.0.58 10.20.0.1 worker-0008 10.20.0.10 "
    );
    for architecture in Architecture::all().filter(|it| it.ipxe().is_some()) {
        let settings = client(ClientKind::ipxe(architecture)).settings(&answer);
        let expand = |text| settings.expand(text).unwrap();
        assert_eq!(
            Architecture::from_ipxe(&expand("${platform}"), &expand("${buildarch}")),
            Some(architecture.without_http())
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(
        options in prop::collection::vec(any::<u8>(), 0..200),
        vendor in prop::collection::vec(any::<u8>(), 0..40),
        name in "[a-z:/${}.]{0,40}",
    ) {
        let class: &[u8] = b"PXEClient";
        let mut first = offer(&[(175, &options), (43, &vendor), (60, class)]);
        first.boot_file = name.into_bytes();
        let second = proxy(&[(67, &options), (43, &options), (60, class)]);
        let offers = [first, second];
        for client in [edk(), bios(), http(), ipxe()] {
            let _ = client.select(&offers);
            for answer in &offers {
                let _ = client.boot_file(answer);
            }
        }
    }
}

#[test]
fn grub_says_nothing_of_itself_and_takes_the_first_address() {
    let grub = client(ClientKind::Grub(Architecture::UefiX64));
    let discover = grub.discover(TransactionId(7));
    let codes: Vec<OptionCode> = discover.options.iter().map(|(code, _)| code).collect();
    let expected = [OptionCode::MessageType, OptionCode::ParameterRequestList];
    assert_eq!(codes, expected);
    let mut first = offer(&[]);
    first.your_address = Ipv4Addr::new(10, 20, 0, 59);
    let offers = [
        proxy(&[(60, b"PXEClient"), (43, STRAIGHT)]),
        first,
        offer(&[]),
    ];
    let taken = grub.select(&offers).unwrap();
    assert_eq!(taken.offer, &offers[1]);
    assert_eq!(taken.boot, BootSource::Acknowledgement);
    let request = grub.request(TransactionId(7), taken.offer);
    assert_eq!(
        request.options.requested_address(),
        Some(offers[1].your_address)
    );
    assert!(matches!(
        grub.select(&offers[..1]),
        Err(NoOffer::NoAddress { .. })
    ));
}

#[test]
fn a_raspberry_pi_takes_the_address_of_one_server_and_the_menu_of_another() {
    let pi = client(ClientKind::RaspberryPi);
    let menu: (u8, &[u8]) = (43, b"\x0a\x04\x00PXE\x09\x14\x00\x00\x11Raspberry Pi Boot");
    let no_prompt: (u8, &[u8]) = (43, b"\x09\x14\x00\x00\x11Raspberry Pi Boot");
    let other_line: (u8, &[u8]) = (43, b"\x0a\x04\x00PXE\x09\x06\x00\x00\x03Yes");
    for (offers, expected) in [
        (vec![offer(&[menu])], Some(false)),
        (vec![offer(&[]), proxy(&[menu])], Some(true)),
        (
            vec![proxy(&[menu]), offer(&[(67, b"bootcode.bin")])],
            Some(true),
        ),
        (vec![proxy(&[menu])], None),
        (vec![offer(&[no_prompt])], None),
        (vec![offer(&[other_line])], None),
        (vec![offer(&[(67, b"bootcode.bin"), (43, STRAIGHT)])], None),
    ] {
        let taken = pi.select(&offers).ok();
        let is_proxy = taken.map(|it| {
            assert_eq!(it.offer.your_address, ADDRESS);
            matches!(it.boot, BootSource::Proxy(_))
        });
        assert_eq!(is_proxy, expected, "{offers:?}");
    }
    // It knows no option 67.
    let named = offer(&[menu, (67, b"bootcode.bin")]);
    assert_eq!(pi.boot_file(&named), Err(NoBootFile::NoName));
}
