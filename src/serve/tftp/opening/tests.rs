use std::net::Ipv4Addr;

use super::*;
use crate::respond::tftp::{TransferSlots, admit};
use crate::serve::tftp::TftpContent;
use crate::wire::tftp::{Direction, Mode};

const SECOND: Duration = Duration::from_secs(1);

fn peer(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// A request; ports from 100 on are those of known machines.
fn admitted_request(name: &str, port: u16) -> PendingTransfer {
    let claim = SlotClaim {
        peer: peer(port),
        known: port >= 100,
        owner: 0,
    };
    let (slot, _) = TransferSlots::new(1, 1).take(claim).expect("a slot");
    let request = Request {
        direction: Direction::Read,
        name: name.into(),
        mode: Mode::Octet,
        options: Vec::new(),
    };
    PendingTransfer {
        admitted: admit(&request).expect("a name"),
        request,
        route: ReplyRoute::new(peer(port), None),
        bytes: 20,
        slot,
        claim,
    }
}

/// Openings of a worker, and a queue with room for `most_waiting` that no thread empties.
struct Waiting {
    openings: Openings,
    openers: Openers,
}

impl Waiting {
    fn new(most_waiting: usize) -> Self {
        Self {
            openings: Openings::new(10 * SECOND).expect("a descriptor"),
            openers: Openers::new(most_waiting),
        }
    }

    fn begin(&mut self, name: &'static str, port: u16) -> Option<Duration> {
        let open = Box::new(|| Ok(TftpContent::Bytes(name.as_bytes().into())));
        let admitted_request = admitted_request(name, port);
        self.openings
            .begin(&self.openers, peer(port), admitted_request, open, SECOND)
    }

    /// Opens all waiting files; returns the ports of the notified peers.
    fn open(&mut self) -> Vec<u16> {
        while self.openers.lock().len() > 0 {
            let job = self.openers.next().expect("a job");
            let source = Some(ContentReader::of(job.open, job.netascii));
            job.done.send(OpenResult {
                peer: job.peer,
                wanted: job.wanted,
                source,
            });
        }
        std::iter::from_fn(|| self.openings.next())
            .map(|(peer, ..)| peer.port())
            .collect()
    }
}

#[test]
fn each_repeated_request_extends_the_deadline() {
    let mut waiting = Waiting::new(8);
    assert_eq!(waiting.begin("a", 1), Some(11 * SECOND));
    let openings = &mut waiting.openings;
    assert!(openings.repeat(peer(1), &admitted_request("a", 1).request, 5 * SECOND));
    assert!(!openings.repeat(peer(1), &admitted_request("b", 1).request, 9 * SECOND));
    assert!(!openings.repeat(peer(2), &admitted_request("a", 2).request, 9 * SECOND));
    let deadline = openings.get(peer(1)).map(|pending| pending.deadline);
    assert_eq!(deadline, Some(15 * SECOND));
}

#[test]
fn removed_request_makes_room_and_is_not_returned() {
    let mut waiting = Waiting::new(2);
    for port in [1, 2] {
        assert!(waiting.begin("a", port).is_some());
    }
    assert_eq!(waiting.begin("a", 3), None);
    assert!(waiting.openings.remove(peer(1)).is_some());
    assert!(waiting.begin("a", 3).is_some());
    assert_eq!(waiting.open(), [2, 3]);
}

#[test]
fn peer_that_requests_another_file_gets_only_that_file() {
    let mut waiting = Waiting::new(8);
    waiting.begin("a", 1);
    let job = waiting.openers.next().expect("a job");
    waiting.openings.remove(peer(1));
    waiting.begin("b", 1);
    let source = Some(ContentReader::of(job.open, false));
    job.done.send(OpenResult {
        peer: job.peer,
        wanted: job.wanted,
        source,
    });
    assert!(waiting.openings.next().is_none());
    assert_eq!(waiting.open(), [1]);
}

#[test]
fn known_machines_come_first_and_displace_strangers() {
    let mut waiting = Waiting::new(3);
    for port in [1, 2, 100] {
        assert!(waiting.begin("a", port).is_some());
    }
    assert_eq!(waiting.begin("a", 3), None);
    assert!(waiting.begin("a", 101).is_some());
    let crowded_out = waiting.openings.next();
    assert!(matches!(crowded_out, Some((it, _, None)) if it == peer(2)));
    assert!(waiting.begin("a", 102).is_some());
    assert_eq!(waiting.begin("a", 103), None);
    assert_eq!(waiting.open(), [1, 100, 101, 102]);
}

#[test]
fn closed_queue_accepts_nothing_and_ends_its_threads() {
    let mut waiting = Waiting::new(8);
    waiting.begin("a", 1);
    waiting.openers.close();
    waiting.openers.run();
    assert_eq!(waiting.begin("a", 2), None);
    assert_eq!(waiting.open(), [0; 0]);
}
