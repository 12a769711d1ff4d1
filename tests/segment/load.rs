//! Many machines at once, as Kea's load generator plays them.

use std::net::Ipv4Addr;

use crate::machines::Server;
use crate::segment::{INTERFACE, Segment};

const PERFDHCP: &str = "/usr/sbin/perfdhcp";
const CLIENTS: usize = 60;
/// How many exchanges may be lost on a machine that does much else.
const LOST: usize = 3;
const SITE: &str = "\
kind: Site
name: rack-a
server: {address: 10.86.0.1}
networks:
  - {name: prov0, subnet: 10.86.0.0/24, interface: prov0,
     relays: [10.86.0.7], pool: 10.86.0.100-10.86.0.199}
loaders: {uefi-x64: snponly.efi}
";

/// Reads a number of perfdhcp's report, in the part about one exchange.
fn counted(report: &str, exchange: &str, what: &str) -> usize {
    let part = report.split("***Statistics for: ");
    let part = part.into_iter().find(|part| part.starts_with(exchange));
    let mut lines = part.into_iter().flat_map(str::lines);
    let number = lines.find_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
    let number = number.and_then(|number| number.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no `{what}` of {exchange} in {report}"))
}

#[test]
fn every_machine_of_a_rack_that_powers_on_gets_a_lease_that_is_on_the_disk() {
    let Some(mut segment) = Segment::with_programs("10.86.0.1/24", &[PERFDHCP]) else {
        return;
    };
    segment.plug("machines", "52:54:00:86:00:07", Some("10.86.0.7/24"));
    let server = Server::start(&segment, SITE);
    let clients = CLIENTS.to_string();
    // To everybody as machines do, and then again as a relay does.
    for way in [&["-B", "all"][..], &["10.86.0.1"]] {
        let mut command = segment.command("machines", PERFDHCP);
        command.args([
            "-4", "-l", INTERFACE, "-r", "40", "-n", &clients, "-R", &clients,
        ]);
        // A UEFI machine's architecture and class; a drop is what stays out for five seconds.
        command.args(["-o", "93,0007", "-o", "60,505845436c69656e74"]);
        command.args(["-d", "5", "-W", "5000000", "-u"]).args(way);
        let output = command.output().unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        for exchange in ["DISCOVER-OFFER", "REQUEST-ACK"] {
            let sent = counted(&report, exchange, "sent packets");
            let received = counted(&report, exchange, "received packets");
            assert!(sent >= CLIENTS - LOST, "{report}");
            assert!(received + LOST >= sent, "{report}");
            for fault in ["rejected leases", "non unique addresses"] {
                assert_eq!(counted(&report, exchange, fault), 0, "{report}");
            }
        }
        let promised = counted(&report, "REQUEST-ACK", "received packets");
        let leases = server.leases();
        assert!(leases.len() >= promised, "{} of {promised}", leases.len());
    }
    let leases = server.leases();
    let pool = Ipv4Addr::new(10, 86, 0, 100)..Ipv4Addr::new(10, 86, 0, 200);
    assert!(leases.iter().all(|lease| pool.contains(&lease.address)));
    assert_eq!(server.stop(), leases.len());
}
