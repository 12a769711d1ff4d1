//! Another machine on an address of the pool.

use std::net::{Ipv4Addr, SocketAddrV4};

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::machine::Architecture;
use pxectl::wire::dhcp::TransactionId;

use crate::client::Port;
use crate::machines::Server;
use crate::segment::{SITE, Segment};

const SQUATTER: &str = "52:54:00:86:00:c8";
const MAC: &str = "52:54:00:86:00:07";

#[test]
fn an_address_of_the_pool_on_which_another_machine_answers_is_not_offered() {
    let Some(mut segment) = Segment::new("10.86.0.1/24") else {
        return;
    };
    segment.plug("squatter", SQUATTER, Some("10.86.0.200/24"));
    segment.plug("client", MAC, None);
    let mut server = Server::start(&segment, SITE);
    let line = server.wait_for_event("dhcp-address-taken");
    for fact in [
        format!(r#""mac":"{SQUATTER}""#),
        r#""address":"10.86.0.200""#.to_owned(),
        r#""network":"prov0""#.to_owned(),
    ] {
        assert!(line.contains(&fact), "no {fact} in {line}");
    }
    let client = Client {
        kind: ClientKind::EdkPxe(Architecture::UefiX64),
        mac: MAC.parse().unwrap(),
        uuid: None,
    };
    let discover = client.discover(TransactionId(0x2a));
    let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let (_, offer) = segment.on("client", || {
        let port = Port::open(Ipv4Addr::UNSPECIFIED, 68);
        port.ask(everybody, &discover, 1).remove(0)
    });
    assert_eq!(offer.your_address, Ipv4Addr::new(10, 86, 0, 201));
    // The address that is set aside stays so after a restart.
    assert_eq!(server.stop(), 1);
}
