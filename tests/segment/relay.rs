//! Machines behind a real relay, on a network on which we have no interface.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::Architecture;
use pxectl::wire::dhcp::{DhcpMessage, MessageType, OptionCode, TransactionId};

use crate::client::Port;
use crate::machines::{Dnsmasq, PATIENCE, Program, Server};
use crate::segment::Segment;
use crate::udhcpc::{Lease, Udhcpc};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 86, 0, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 1);
const MAC: &str = "52:54:00:87:00:07";
const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
const SITE: &str = "\
kind: Site
name: rack-a
server: {address: 10.86.0.1, files: [/usr/lib/ipxe]}
networks:
  - {name: prov0, subnet: 10.86.0.0/24, interface: prov0, pool: 10.86.0.200-10.86.0.202}
  - {name: far0, subnet: 10.87.0.0/24, gateway: 10.87.0.1, pool: 10.87.0.200-10.87.0.202}
loaders: {bios: undionly.kpxe, uefi-x64: snponly.efi}
";

/// A router with a wire of its own, `far0`, and a client on that.
fn segment() -> Option<Segment> {
    let mut segment = Segment::new("10.86.0.1/24")?;
    segment.plug("router", "52:54:00:86:00:03", Some("10.86.0.3/24"));
    segment.add_wire("router", "far0", "10.87.0.1/24");
    segment.route_through("router");
    segment.add_route("rack", "10.87.0.0/24", "10.86.0.3");
    segment.plug_into(("router", "far0"), "client", MAC, None);
    Some(segment)
}

/// ISC's relay, which adds option 82 and wants to see it again.
fn dhcrelay(segment: &Segment) -> Program {
    let mut command = segment.command("router", "/usr/sbin/dhcrelay");
    command.args(["-4", "-d", "--no-pid", "-a", "-id", "far0", "-iu", "eth0"]);
    let mut program = Program::start({
        command.arg(SERVER.to_string());
        command
    });
    program.wait_for(&["Sending on", "Socket/fallback"]);
    program
}

/// What firmware is offered and granted, up to its ACK.
fn boot(segment: &Segment, kind: ClientKind) -> DhcpMessage {
    let client = Client {
        kind,
        mac: MAC.parse().unwrap(),
        uuid: "4c4c4544-0051-3610-8043-c2c04f4b3135".parse().ok(),
    };
    // Its kernel drops what is sent to an address that it does not have.
    let loudly = |mut message: DhcpMessage| {
        message.broadcast = true;
        message
    };
    let xid = TransactionId(0x2a);
    segment.clear_address("client");
    segment.on("client", || {
        let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
        let ask = |message| port.ask(EVERYBODY, &loudly(message), 1).remove(0).1;
        let offer = ask(client.discover(xid));
        assert_eq!(offer.options.message_type(), Some(MessageType::Offer));
        client.select(std::slice::from_ref(&offer)).unwrap();
        let ack = ask(client.request(xid, &offer));
        assert_eq!(ack.options.message_type(), Some(MessageType::Ack));
        client.boot_file(&ack).unwrap();
        ack
    })
}

fn check_firmware(segment: &Segment) {
    let x64 = Architecture::UefiX64;
    for (kind, file) in [
        (ClientKind::EdkPxe(x64), "snponly.efi"),
        (ClientKind::BiosPxe, "undionly.kpxe"),
        (
            ClientKind::ipxe(x64),
            "http://10.86.0.1:8080/boot.ipxe?token=",
        ),
    ] {
        let began = Instant::now();
        let mut ack = boot(segment, kind.clone());
        // The server looks at the file when it is first asked, and does not keep us waiting for it.
        while file == "snponly.efi" && !ack.options.contains(OptionCode::BootFileSize) {
            assert!(began.elapsed() < PATIENCE, "no size is told");
            ack = boot(segment, kind.clone());
        }
        assert_eq!(ack.your_address.octets()[..3], [10, 87, 0]);
        assert_eq!((ack.server_address, ack.relay_address), (SERVER, ROUTER));
        let seen = String::from_utf8(ack.boot_file).unwrap();
        assert!(seen.starts_with(file), "{seen}");
        // The size of the file as it is served; iPXE and a BIOS do without.
        let size = (file == "snponly.efi").then(|| {
            let size = std::fs::metadata("/usr/lib/ipxe/snponly.efi")
                .unwrap()
                .len();
            u16::try_from(size.div_ceil(512)).unwrap().to_be_bytes()
        });
        let told = ack.options.raw(OptionCode::BootFileSize);
        assert_eq!(told, size.as_ref().map(|it| &it[..]));
        let code = OptionCode::SubnetMask;
        let mask = ack.options.address(code);
        assert_eq!(mask, Some(Ipv4Addr::new(255, 255, 255, 0)));
    }
}

#[test]
fn machines_behind_iscs_relay_boot_and_prolong_their_leases_past_it() {
    let Some(segment) = segment() else {
        return;
    };
    let mut server = Server::start(&segment, SITE);
    let _relay = dhcrelay(&segment);
    check_firmware(&segment);
    check_lifecycle(&segment, &mut server);
}

#[test]
fn machines_behind_dnsmasqs_relay_boot_and_prolong_their_leases_past_it() {
    let Some(segment) = segment() else {
        return;
    };
    let mut server = Server::start(&segment, SITE);
    let _relay = Dnsmasq::relay(&segment, "router", "10.87.0.1", "10.86.0.1");
    check_firmware(&segment);
    check_lifecycle(&segment, &mut server);
}

/// A real client gets an address by way of the relay, renews and releases it past the relay.
fn check_lifecycle(segment: &Segment, server: &mut Server) {
    segment.clear_address("client");
    let mut client = Udhcpc::start(segment, "client", "eth0");
    let lease = client.bound();
    let expected = Lease {
        address: lease.address,
        router: Some(ROUTER),
        server: SERVER,
    };
    assert_eq!(lease, expected);
    assert_eq!(lease.address.octets()[..3], [10, 87, 0]);
    assert_eq!(client.renew(), expected);
    client.release();
    let line = server.wait_for(&["is free again"]);
    assert!(line.contains(&lease.address.to_string()), "{line}");
}

#[test]
fn a_proxy_answers_through_a_listed_relay_and_then_past_it_on_port_4011() {
    let Some(segment) = segment() else {
        return;
    };
    let site = SITE
        .replace(
            "interface: prov0, pool: 10.86.0.200-10.86.0.202",
            "interface: prov0, mode: proxy",
        )
        .replace(
            "gateway: 10.87.0.1, pool: 10.87.0.200-10.87.0.202",
            "mode: proxy, relays: [10.87.0.1]",
        );
    let mut server = Server::start(&segment, &site);
    let _relay = dhcrelay(&segment);
    let client = Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac: MAC.parse().unwrap(),
        uuid: None,
    };
    segment.clear_address("client");
    let offer = segment.on("client", || {
        let mut discover = client.discover(TransactionId(0x2b));
        discover.broadcast = true;
        let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
        port.ask(EVERYBODY, &discover, 1).remove(0).1
    });
    assert_eq!(offer.your_address, Ipv4Addr::UNSPECIFIED);
    assert_eq!(offer.options.server_identifier(), Some(SERVER));
    server.wait_for_event("dhcp-proxy-offer");
    // Another server gave it an address and a router.
    let own = Ipv4Addr::new(10, 87, 0, 50);
    segment.set_address("client", "10.87.0.50/24");
    segment.add_route("client", "10.86.0.0/24", "10.87.0.1");
    let ack = segment.on("client", || {
        let request = client.ask_boot_server(TransactionId(0x2b), own, SERVER);
        let port = Port::open(own, 4011);
        port.ask(SocketAddrV4::new(SERVER, 4011), &request, 1)
            .remove(0)
            .1
    });
    assert_eq!(
        client.boot_file(&ack).unwrap().url(),
        "tftp://10.86.0.1/snponly.efi"
    );
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_broadcast_on_a_wire_of_ours_is_heard_once_also_where_others_are_relayed() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    segment.plug("client", "52:54:00:86:00:07", None);
    let server = Server::start(&segment, SITE);
    let mut client = Udhcpc::start(&segment, "client", "eth0");
    let lease = client.bound();
    assert_eq!(lease.address.octets()[..3], [10, 86, 0]);
    assert_eq!(client.renew().address, lease.address);
    let (_, log) = server.stop_with_log();
    assert_eq!(log.matches(r#""event":"dhcp-ack""#).count(), 2, "{log}");
    assert!(!log.contains("has no network in the inventory"), "{log}");
}
