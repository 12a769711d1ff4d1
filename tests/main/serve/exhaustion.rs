//! A pool in which nothing is free.

use pxectl::machine::MacAddress;
use pxectl::wire::dhcp::{DhcpMessage, MessageType, OptionCode, TransactionId};

use crate::serve::client::{Dhcp, firmware};
use crate::serve::server::Server;
use crate::support::rack::Rack;

fn guest(number: u8) -> MacAddress {
    MacAddress::new([2, 0, 0, 0, 0, number])
}

fn about_its_address(kind: MessageType, number: u8, ack: &DhcpMessage) -> DhcpMessage {
    let mut message = firmware(guest(number)).request(TransactionId(77), ack);
    message.options.set_message_type(kind);
    message.options.remove(OptionCode::RequestedIpAddress);
    message.client_address = ack.your_address;
    message
}

#[test]
fn an_exhausted_pool_is_named_and_everybody_else_is_served() {
    let rack = Rack::beside_store();
    rack.rewrite("site.yaml", |text| {
        text.replace("10.20.0.200-10.20.0.250", "10.20.0.200-10.20.0.201")
    });
    let mut server = Server::start(&rack, "dhcp");
    let dhcp = Dhcp::connect(server.address("dhcp"));
    let first = dhcp.lease(&firmware(guest(1)), 1).unwrap();
    dhcp.lease(&firmware(guest(2)), 2).unwrap();

    let late = firmware(guest(3));
    for attempt in 0..3 {
        let mark = server.mark();
        let discover = late.discover(TransactionId(100 + attempt));
        dhcp.send(&discover.write(1500).unwrap());
        let mac = guest(3).to_string();
        let line = server.wait_for(mark, |line| {
            line["event"] == "dhcp-ignored" && line["mac"] == *mac
        });
        assert_eq!(line["level"], "warn");
        assert_eq!(
            line["message"],
            "ignored a discover: the pool of network `prov0` has no free address"
        );
    }
    // Who has an address keeps it, and a reservation needs none of the pool.
    let renewal = about_its_address(MessageType::Request, 1, &first);
    dhcp.send(&renewal.write(1500).unwrap());
    let next = dhcp.next();
    assert_eq!(next.transaction_id, TransactionId(77), "{next:?}");
    assert_eq!(next.options.message_type(), Some(MessageType::Ack));
    let known = firmware("52:54:00:85:00:01".parse().unwrap());
    let ack = dhcp.lease(&known, 4).unwrap();
    assert_eq!(ack.your_address.to_string(), "10.20.0.51");

    // What is given back is given to whoever asks next.
    let mark = server.mark();
    let release = about_its_address(MessageType::Release, 1, &first);
    dhcp.send(&release.write(1500).unwrap());
    let line = server.wait_for(mark, |line| line["event"] == "dhcp-ignored");
    assert_eq!(line["level"], "info", "{line}");
    let ack = dhcp.lease(&late, 5).unwrap();
    assert_eq!(ack.your_address, first.your_address);
    server.stop();
}
