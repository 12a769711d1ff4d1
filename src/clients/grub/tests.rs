use super::*;
use crate::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode, TransactionId};

const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 58);
const UUID: [u8; 17] = [
    0, 0x04, 0x03, 0x02, 0x01, 0x06, 0x05, 0x08, 0x07, 9, 10, 11, 12, 13, 14, 15, 16,
];

fn grub(prefix: GrubPrefix) -> Grub {
    let platform = "x86_64-efi";
    Grub {
        platform: platform.to_owned(),
        prefix,
    }
}

fn ack(file: &str, values: &[(u8, &[u8])]) -> DhcpMessage {
    let mut message = DhcpMessage::new(Operation::Reply, MAC, TransactionId(7));
    message.your_address = OWN;
    message.server_address = SERVER;
    message.boot_file = file.into();
    message.options.set_message_type(MessageType::Ack);
    for (code, value) in values {
        message.options.set_raw((*code).into(), *value);
    }
    message
}

fn taken(ack: &DhcpMessage) -> GrubNetwork {
    GrubNetwork::after_pxe(&ack.write(1500).unwrap()).unwrap()
}

fn urls(wanted: &[LoaderRequest]) -> Vec<String> {
    wanted.iter().map(|wanted| wanted.file.url()).collect()
}

#[test]
fn it_searches_by_tftp_for_the_configuration_of_the_client() {
    let network = taken(&ack("boot/grub/core.efi", &[(97, &UUID)]));
    let wanted = grub(GrubPrefix::Own).requests(&network);
    let expected = [
        "x86_64-efi/command.lst",
        "x86_64-efi/fs.lst",
        "x86_64-efi/crypto.lst",
        "x86_64-efi/terminal.lst",
        // In the order of the bytes, not of the UUID.
        "grub.cfg-04030201-0605-0807-090a-0b0c0d0e0f10",
        "grub.cfg-01-52-54-00-12-34-56",
        "grub.cfg-0A14003A",
        "grub.cfg-0A14003",
        "grub.cfg-0A1400",
        "grub.cfg-0A140",
        "grub.cfg-0A14",
        "grub.cfg-0A1",
        "grub.cfg-0A",
        "grub.cfg-0",
        "grub.cfg",
    ];
    let expected = expected.map(|name| format!("tftp://10.20.0.10/boot/grub/{name}"));
    assert_eq!(urls(&wanted), expected);
    let stops = wanted.iter().filter(|it| it.missing == IfMissing::Stops);
    assert_eq!(stops.count(), 1);
    let uuid = taken(&ack("grubx64.efi", &[])).uuid;
    assert_eq!(uuid, None, "an ACK without option 97");
}

#[test]
fn debians_signed_one_looks_below_its_own_prefix_and_never_by_client() {
    let grub = grub(GrubPrefix::DebianSigned);
    let network = taken(&ack("boot/grubx64.efi", &[(97, &UUID)]));
    let wanted = urls(&grub.requests(&network));
    assert_eq!(wanted[4..], ["tftp://10.20.0.10/grub/grub.cfg"]);
    let url = "http://10.20.0.10:8080/m/52:54:00:12:34:56/grubx64.efi";
    let network = GrubNetwork::after_http(url, OWN, MAC).unwrap();
    let wanted = urls(&grub.requests(&network));
    let expected = ["x86_64-efi/grub.cfg", "grub.cfg"];
    let expected = expected.map(|name| format!("http://10.20.0.10:8080/grub/{name}"));
    assert_eq!(wanted[4..], expected);
}

#[test]
fn by_http_it_asks_for_one_configuration_beside_itself() {
    let url = "http://10.20.0.10:8080/m/52:54:00:12:34:56/grubx64.efi";
    let network = GrubNetwork::after_http(url, OWN, MAC).unwrap();
    assert_eq!(network.boot_file, "/m/52:54:00:12:34:56/grubx64.efi");
    let wanted = urls(&grub(GrubPrefix::Own).requests(&network));
    let configuration = "http://10.20.0.10:8080/m/52:54:00:12:34:56/grub.cfg";
    assert_eq!(wanted.len(), 5);
    assert_eq!(wanted[4], configuration);
}

#[test]
fn the_file_is_option_67_and_the_server_the_header_else_option_66() {
    for (siaddr, file, values, expected) in [
        (SERVER, "a/g.efi", &[][..], "tftp://10.20.0.10/a/"),
        (
            SERVER,
            "a/g.efi",
            &[(67, &b"b/g.efi"[..])],
            "tftp://10.20.0.10/b/",
        ),
        (
            Ipv4Addr::UNSPECIFIED,
            "a/g.efi",
            &[(66, b"10.20.0.11")],
            "tftp://10.20.0.11/a/",
        ),
        (Ipv4Addr::UNSPECIFIED, "g.efi", &[], "tftp://0.0.0.0/"),
    ] {
        let mut ack = ack(file, values);
        ack.server_address = siaddr;
        assert_eq!(taken(&ack).origin.file("").url(), expected);
    }
}

#[test]
fn the_class_counts_as_http_only_where_a_nul_follows_it() {
    let url = "http://10.20.0.10:8080/a/g.efi";
    let values: &[(u8, &[u8])] = &[(60, b"HTTPClient"), (67, url.as_bytes())];
    let message = ack(url, values);
    assert_eq!(taken(&message).boot_file, "/a/g.efi");
    // The same options without the byte that our layout puts there.
    let mut bytes = message.write(1500).unwrap();
    let class = bytes
        .windows(10)
        .position(|at| at == b"HTTPClient")
        .unwrap();
    assert_eq!(bytes.remove(class + 10), 0);
    let without = GrubNetwork::after_pxe(&bytes).unwrap();
    assert_eq!(without.boot_file, url);
}

#[test]
fn a_split_option_is_read_up_to_its_first_part() {
    let mut message = ack("", &[(67, b"first/")]);
    let code = OptionCode::Unknown(224);
    message.options.set_text(code, "XYZ");
    let mut bytes = message.write(1500).unwrap();
    let second = bytes.windows(3).position(|at| at == b"XYZ").unwrap();
    bytes[second - 2] = 67;
    let read = DhcpMessage::parse(&bytes).unwrap();
    let joined = read.options.text(OptionCode::BootfileName);
    assert_eq!(joined.as_deref(), Some("first/XYZ"));
    assert_eq!(GrubNetwork::after_pxe(&bytes).unwrap().boot_file, "first/");
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(0_u8.., 0..600)) {
        let _ = GrubNetwork::after_pxe(&bytes);
    }
}
