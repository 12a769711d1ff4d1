//! proxyDHCP beside a real server of addresses.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use pxectl::clients::dhcp::{BootFile, BootSource, Client, ClientKind};
use pxectl::machine::Architecture;
use pxectl::wire::dhcp::{DhcpMessage, MessageType, TransactionId};

use crate::client::Port;
use crate::machines::{Dnsmasq, Server};
use crate::program::run_program;
use crate::segment::Segment;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 2);
const MAC: &str = "52:54:00:86:00:07";
const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
const SITE: &str = "\
kind: Site
name: rack-a
server: {address: 10.86.0.1}
networks:
  - {name: office, subnet: 10.86.0.0/24, interface: prov0, mode: proxy}
loaders: {bios: undionly.kpxe, uefi-x64: snponly.efi}
";

fn client(kind: ClientKind) -> Client {
    Client {
        kind,
        mac: MAC.parse().unwrap(),
        uuid: "4c4c4544-0051-3610-8043-c2c04f4b3135".parse().ok(),
    }
}

#[test]
fn every_client_gets_its_address_from_dnsmasq_and_its_boot_file_from_the_proxy() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    segment.plug("addresses", "52:54:00:86:00:02", Some("10.86.0.2/24"));
    segment.plug("client", MAC, None);
    let mut dnsmasq = Dnsmasq::start(&segment, "addresses", "10.86.0.100,10.86.0.150,1h");
    let mut server = Server::start(&segment, SITE);
    let loader = |name: &str| format!("tftp://{SERVER}/{name}");
    let x64 = Architecture::UefiX64;
    for (kind, expected, from_4011) in [
        (ClientKind::EdkPxe(x64), loader("snponly.efi"), true),
        (ClientKind::BiosPxe, loader("undionly.kpxe"), false),
        (
            ClientKind::EdkHttp(Architecture::HttpX64),
            format!("http://{SERVER}:8080/m/52-54-00-86-00-07/"),
            false,
        ),
        (
            ClientKind::ipxe(x64),
            format!("http://{SERVER}:8080/boot.ipxe?token="),
            false,
        ),
    ] {
        let client = client(kind);
        let boot = boot(&segment, &client, from_4011);
        assert!(boot.url().starts_with(&expected), "{client:?}: {boot:?}");
        // By HTTP, the path between says who fetches it.
        if matches!(client.kind, ClientKind::EdkHttp(_)) {
            assert!(boot.url().ends_with("/snponly.efi"), "{boot:?}");
        }
        server.wait_for_event("dhcp-proxy-offer");
        if from_4011 {
            server.wait_for_event("dhcp-proxy-ack");
        }
        dnsmasq.wait_for(&["DHCPACK", MAC]);
        if matches!(client.kind, ClientKind::Ipxe { .. }) {
            let mut curl = segment.command("client", "/usr/bin/curl");
            curl.args(["--silent", "--show-error", "--fail", "--max-time", "20"]);
            let script = run_program(curl.arg(format!("{}&mac={MAC}", boot.url())));
            assert!(script.starts_with("#!ipxe\n"), "{script}");
        }
    }
    let (leases, log) = server.stop_with_log();
    assert_eq!(leases, 0, "a proxy promises no address");
    // Here the other server is meant to be.
    assert!(!log.contains("dhcp-other-server"), "{log}");
}

#[test]
fn a_bios_rom_and_ipxe_are_answered_on_port_4011_where_they_listen() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    let own = Ipv4Addr::new(10, 86, 0, 7);
    segment.plug("client", MAC, Some("10.86.0.7/24"));
    let server = Server::start(&segment, SITE);
    for (kind, port) in [
        (ClientKind::EdkPxe(Architecture::UefiX64), 4011),
        (ClientKind::BiosPxe, 68),
        (ClientKind::ipxe(Architecture::Bios), 68),
    ] {
        let client = client(kind);
        let answer = segment.on("client", || ask_boot_server(&client, own, SERVER, port));
        client.boot_file(&answer).unwrap();
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_request_that_is_cut_off_anywhere_leaves_port_4011_answering() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    let own = Ipv4Addr::new(10, 86, 0, 7);
    segment.plug("client", MAC, Some("10.86.0.7/24"));
    let mut server = Server::start(&segment, SITE);
    let client = client(ClientKind::EdkPxe(Architecture::UefiX64));
    let whole = client.ask_boot_server(TransactionId(0x2b), own, SERVER);
    let whole = whole.write(1500).unwrap();
    segment.on("client", || {
        let port = Port::open(own, 4011);
        for length in 0..whole.len() {
            port.send(SocketAddrV4::new(SERVER, 4011), &whole[..length]);
        }
    });
    let answer = segment.on("client", || ask_boot_server(&client, own, SERVER, 68));
    client.boot_file(&answer).unwrap();
    server.wait_for_event("dhcp-malformed");
    assert_eq!(server.stop(), 0);
}

/// Boots as the client does, up to the name of its boot file.
fn boot(segment: &Segment, client: &Client, from_4011: bool) -> BootFile {
    segment.clear_address("client");
    let xid = TransactionId(0x2a);
    // A client without an address must hear dnsmasq: its kernel drops what is sent to an address.
    let loudly = |mut message: DhcpMessage| {
        message.broadcast = true;
        message
    };
    let offers = segment.on("client", || {
        let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
        port.ask(EVERYBODY, &loudly(client.discover(xid)), 2)
    });
    let mut senders: Vec<SocketAddr> = offers.iter().map(|(from, _)| *from).collect();
    senders.sort();
    assert_eq!(
        senders,
        [SERVER, OTHER].map(|ip| SocketAddr::from((ip, 67)))
    );
    let offers: Vec<DhcpMessage> = offers.into_iter().map(|(_, offer)| offer).collect();
    let selection = client.select(&offers).unwrap();
    let request = loudly(client.request(xid, selection.offer));
    let acknowledged = segment.on("client", || {
        let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
        port.ask(EVERYBODY, &request, 1).remove(0)
    });
    assert_eq!(acknowledged.0, SocketAddr::from((OTHER, 67)));
    let message_type = acknowledged.1.options.message_type();
    assert_eq!(message_type, Some(MessageType::Ack));
    let own = acknowledged.1.your_address;
    segment.set_address("client", &format!("{own}/24"));
    match selection.boot {
        BootSource::Proxy(offer) if !from_4011 => client.boot_file(offer).unwrap(),
        BootSource::BootServer(server) if from_4011 => {
            let answer = segment.on("client", || ask_boot_server(client, own, server, 4011));
            client.boot_file(&answer).unwrap()
        }
        other => panic!("{client:?} boots from {other:?}"),
    }
}

/// Asks for the boot file alone, from the port on which the client then listens.
fn ask_boot_server(client: &Client, own: Ipv4Addr, server: Ipv4Addr, port: u16) -> DhcpMessage {
    let request = client.ask_boot_server(TransactionId(0x2b), own, server);
    let boot_server = SocketAddrV4::new(server, 4011);
    let (from, answer) = Port::open(own, port)
        .ask(boot_server, &request, 1)
        .remove(0);
    assert_eq!(from, SocketAddr::V4(boot_server));
    assert_eq!(answer.options.message_type(), Some(MessageType::Ack));
    answer
}
