//! Two addresses that fetch within one attempt: a hint that another machine has the boot data.

use std::net::Ipv4Addr;

use pxectl::machine::EventKind;
use pxectl::store::{EventQuery, Store};
use pxectl::token::Purpose;

use crate::serve::client::request;
use crate::serve::server::Server;
use crate::serve::web::Web;
use crate::support::rack::Rack;

fn reported(rack: &Rack) -> Vec<String> {
    let query = EventQuery {
        after: 0,
        host: Some("worker-01".into()),
        limit: usize::MAX,
        latest: false,
    };
    let events = rack.store().events(&query).unwrap();
    let of_kind = events
        .into_iter()
        .filter(|it| it.event.kind == EventKind::SecondAddress);
    of_kind.map(|it| it.event.message).collect()
}

#[test]
fn each_second_address_of_an_attempt_is_reported_once_and_served() {
    let rack = Rack::beside_store();
    rack.done(&["host", "provision", "worker-01"]);
    let seed = rack.capability("worker-01", Purpose::Seed);
    let kernel = format!("/s/{seed}/files/kernel");
    let user_data = format!("/s/{seed}/user-data");
    let server = Server::start(&rack, "http");
    let from = |last, server: &Server| {
        Web::connect_from(Ipv4Addr::new(127, 0, 0, last), server.address("http"))
    };
    // A HEAD fetches nothing.
    let head = from(9, &server).ask("HEAD", &kernel, &[], "");
    assert_eq!(head.status(), 200);
    for _ in 0..2 {
        assert_eq!(from(2, &server).get(&kernel).status(), 200);
        assert_eq!(from(2, &server).get(&user_data).status(), 200);
    }
    let log = server.stop();
    assert!(!log.contains("second-address"), "{log}");

    // Another process compares with the same first address, and so does another protocol.
    let mut server = Server::start(&rack, "all");
    for _ in 0..2 {
        assert_eq!(from(2, &server).get(&user_data).status(), 200);
        assert_eq!(from(3, &server).get(&user_data).status(), 200);
    }
    let line = server.wait_for(0, |line| line["event"] == "second-address");
    assert_eq!(
        (&line["level"], &line["host"]),
        (&"warn".into(), &"worker-01".into())
    );
    assert_eq!(
        (&line["first"], &line["second"]),
        (&"127.0.0.2".into(), &"127.0.0.3".into())
    );
    for _ in 0..2 {
        let socket = request("127.0.0.4", server.address("tftp"), &kernel, "");
        let mut buffer = [0; 2048];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..4], &[0, 3, 0, 1], "{:?}", &buffer[..length]);
        socket.send_to(b"\0\x05\0\0enough\0", from).unwrap();
    }
    let messages = reported(&rack);
    for (message, what, address) in [
        (&messages[0], "user-data", "127.0.0.3"),
        (&messages[1], "kernel", "127.0.0.4"),
    ] {
        let expected =
            format!("attempt 1 fetched `{what}` from {address}, earlier files from 127.0.0.2");
        assert!(message.starts_with(&expected), "{message}");
    }
    assert_eq!(messages.len(), 2, "{messages:?}");
    let log = server.stop();
    assert_eq!(
        log.matches("\"event\":\"second-address\"").count(),
        2,
        "{log}"
    );
}
