//! `kill -9` at any moment: nothing is lost that was promised, and nobody is armed by it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use pxectl::machine::{EventKind, MacAddress, Phase};
use pxectl::store::{EventQuery, LeaseStore, SqliteLeases, Store};

use crate::serve::client::{Dhcp, firmware};
use crate::serve::server::Server;
use crate::support::rack::Rack;

const ROUNDS: u32 = 16;
const CLIENTS: u8 = 3;
const LEASE_TIME: Duration = Duration::from_secs(1800);

/// What each client was promised, and when it asked.
type Promises = BTreeMap<Ipv4Addr, (MacAddress, Timestamp)>;

/// Asks for leases until the server is gone; returns what was acknowledged.
fn ask_for_leases(dhcp: &Dhcp, client: u8, stop: &AtomicBool) -> Promises {
    let mut promises = Promises::new();
    for number in 0..u32::MAX {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mac = MacAddress::new([2, 0, 0, 0, client, (number % 20) as u8]);
        let asked = pxectl::clock::wall_time();
        let Some(ack) = dhcp.lease(&firmware(mac), number) else {
            break;
        };
        promises.insert(ack.your_address, (mac, asked));
    }
    promises
}

#[test]
fn a_kill_at_any_moment_loses_no_lease_and_arms_nobody() {
    let rack = Rack::beside_store();
    rack.rewrite("site.yaml", |text| {
        text.replace("10.20.0.200-", "10.20.0.100-")
    });
    let mut promises = Promises::new();
    let (mut armed, mut installed) = (0, 0);
    for round in 0..ROUNDS {
        let server = Server::start(&rack, "all");
        let address = |service| server.address(service).port().to_string();
        let (dhcp, tftp, http) = (address("dhcp"), address("tftp"), address("http"));
        let at = server.address("dhcp");
        // A host whose attempt was cut off is failed first, and then armed again.
        let phase = rack.record("worker-01").map(|record| record.phase);
        if phase == Some(Phase::Provisioning) {
            rack.done(&["host", "cancel", "worker-01"]);
        }
        rack.done(&["host", "provision", "worker-01", "--yes"]);
        armed += 1;
        let words = ["rehearse", "--all", "--server", "127.0.0.1", "--commit"];
        let ports = [
            "--dhcp-port",
            &dhcp,
            "--tftp-port",
            &tftp,
            "--http-port",
            &http,
        ];
        let mut rehearsal = rack
            .command(&[&words[..], &ports].concat())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let stop = &stop;
                    let dhcp = Dhcp::connect(at).with_patience(Duration::from_millis(500));
                    scope.spawn(move || ask_for_leases(&dhcp, client, stop))
                })
                .collect();
            if round + 1 == ROUNDS {
                // Once to its end, so that there is something to lose.
                rehearsal.wait().unwrap();
            } else {
                // Not for luck: the moment is what is put to the test.
                let moment = getrandom::u32().unwrap() % 150_000;
                std::thread::sleep(Duration::from_micros(moment.into()));
            }
            server.kill();
            stop.store(true, Ordering::Relaxed);
            for thread in threads {
                promises.extend(thread.join().unwrap());
            }
        });
        let _ = rehearsal.kill();
        rehearsal.wait().unwrap();

        let leases = SqliteLeases::open(&rack.state()).unwrap().load().unwrap();
        for (address, (mac, asked)) in &promises {
            let lease = leases.iter().find(|lease| lease.address == *address);
            let lease = lease.unwrap_or_else(|| panic!("round {round}: {address} is forgotten"));
            assert_eq!(lease.holder, Some(*mac), "round {round}: {address}");
            let promised = *asked + LEASE_TIME;
            // The store keeps microseconds.
            let slack = Duration::from_micros(1);
            assert!(
                lease.expires + slack >= promised,
                "round {round}: {address}"
            );
        }
        let store = rack.store();
        let hosts = store.hosts().unwrap();
        let names: Vec<&str> = hosts.iter().map(|record| record.host.as_str()).collect();
        assert_eq!(names, ["worker-01"], "round {round}");
        let query = EventQuery {
            after: 0,
            host: None,
            limit: usize::from(u16::MAX),
            latest: false,
        };
        let events = store.events(&query).unwrap();
        let count = |kind| events.iter().filter(|it| it.event.kind == kind).count();
        assert_eq!(count(EventKind::Armed), armed, "round {round}");
        installed = count(EventKind::Installed);
        let is_installed = hosts[0].phase == Phase::Installed;
        assert!(
            is_installed || hosts[0].open_session().is_some(),
            "{hosts:?}"
        );
    }
    // Else nothing of this was put to the test.
    assert!(promises.len() > 10, "{} leases", promises.len());
    assert!(installed > 0, "no rehearsal came to its end");
    // Who comes back after all that gets what was promised.
    let server = Server::start(&rack, "dhcp");
    let dhcp = Dhcp::connect(server.address("dhcp"));
    for (address, (mac, _)) in &promises {
        let ack = dhcp.lease(&firmware(*mac), 7).unwrap();
        assert_eq!(ack.your_address, *address, "{mac}");
    }
    server.stop();
}
