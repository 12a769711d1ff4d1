//! Several networks at once, on the VLANs of one wire.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use pxectl::machine::MacAddress;
use pxectl::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode, TransactionId};

use crate::client::Port;
use crate::machines::Server;
use crate::segment::{INTERFACE, SERVER_INTERFACE, Segment};
use crate::udhcpc::{Lease, Udhcpc};

const MAC: &str = "52:54:00:86:00:07";
const SITE: &str = "\
kind: Site
name: rack-a
server: {address: 10.86.0.1}
networks:
  - {name: prov0, subnet: 10.86.0.0/24, interface: prov0, pool: 10.86.0.200-10.86.0.202}
  - {name: blue, subnet: 10.88.20.0/24, interface: prov0.20, pool: 10.88.20.200-10.88.20.202}
  - {name: green, subnet: 10.88.30.0/24, interface: prov0.30, pool: 10.88.30.200-10.88.30.202}
loaders: {bios: undionly.kpxe, uefi-x64: snponly.efi}
";

#[test]
fn every_vlan_gets_addresses_of_its_own_network_and_an_address_of_ours_that_it_can_reach() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    segment.plug("client", MAC, None);
    for id in [20, 30] {
        let own = format!("10.88.{id}.1/24");
        segment.add_vlan("rack", SERVER_INTERFACE, id, Some(&own));
        segment.add_vlan("client", INTERFACE, id, None);
    }
    let server = Server::start(&segment, SITE);
    let wires = [
        ("eth0", Ipv4Addr::new(10, 86, 0, 1)),
        ("eth0.20", Ipv4Addr::new(10, 88, 20, 1)),
        ("eth0.30", Ipv4Addr::new(10, 88, 30, 1)),
    ];
    // All at once; each is answered by raw frames, since it has no address yet.
    let start = |(interface, _): (&str, Ipv4Addr)| Udhcpc::start(&segment, "client", interface);
    let mut clients = wires.map(start);
    for (client, (interface, ours)) in clients.iter_mut().zip(wires) {
        let lease = client.bound();
        let [a, b, c, _] = ours.octets();
        let expected = Lease {
            address: lease.address,
            router: None,
            server: ours,
        };
        assert_eq!(lease, expected, "{interface}");
        assert_eq!(lease.address.octets()[..3], [a, b, c], "{interface}");
        // There is no router: it can prolong its lease at an address on its own wire only.
        assert_eq!(client.renew(), expected, "{interface}");
        rebind(&segment, interface, lease.address, ours);
    }
    let (leases, log) = server.stop_with_log();
    assert_eq!(leases, 3, "one for each network");
    assert!(!log.contains("dhcp-other-server"), "{log}");
    assert!(!log.contains("dhcp-nak"), "{log}");
}

/// Prolongs a lease as a client does whose server is silent: it asks everybody, and has its address.
fn rebind(segment: &Segment, interface: &str, own: Ipv4Addr, server: Ipv4Addr) {
    let mac: MacAddress = MAC.parse().unwrap();
    let mut request = DhcpMessage::new(Operation::Request, mac, TransactionId(0x2a));
    request.client_address = own;
    request.options.set_message_type(MessageType::Request);
    let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let (from, ack) = segment.on("client", || {
        let port = Port::open_on(interface, own, 68);
        port.ask(everybody, &request, 1).remove(0)
    });
    assert_eq!(ack.options.message_type(), Some(MessageType::Ack));
    assert_eq!(
        (ack.your_address, from),
        (own, SocketAddr::from((server, 67)))
    );
    let code = OptionCode::ServerIdentifier;
    assert_eq!(ack.options.address(code), Some(server));
}
