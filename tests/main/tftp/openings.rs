//! Names whose content takes a while to make.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pxectl::respond::tftp::TftpOutcome;
use pxectl::serve::tftp::{OpenError, Opening, TftpConfig, TftpContent, TftpFiles};
use pxectl::wire::tftp::{BlockNumber, ErrorCode, Packet};

use crate::tftp::fixture::{Fixture, PATIENCE, Peer};

/// Files of which those called `slow…` are opened when the test says so. All of them hold their
/// name.
struct Gate {
    asked: AtomicUsize,
    /// Says which one is being opened.
    begun: Sender<String>,
    /// Lets one go on.
    turns: Arc<Mutex<Receiver<()>>>,
}

impl TftpFiles for Gate {
    fn open(&self, name: &str, _peer: SocketAddrV4) -> Opening {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let content = match name.contains("missing") {
            true => Err(OpenError {
                code: ErrorCode::FileNotFound,
                message: "not here".to_owned(),
            }),
            false => Ok(TftpContent::Bytes(Bytes::from(name.to_owned()))),
        };
        if !name.starts_with("slow") {
            return Opening::Now(content);
        }
        let (begun, name) = (self.begun.clone(), name.to_owned());
        let turns = Arc::clone(&self.turns);
        Opening::Later(Box::new(move || {
            let _ = begun.send(name);
            let turn = turns.lock().map(|turns| turns.recv_timeout(PATIENCE));
            assert!(matches!(turn, Ok(Ok(()))), "nobody let it go on");
            content
        }))
    }
}

/// A server whose slow files wait for [`Slow::let_one_go`].
struct Slow {
    fixture: Fixture,
    gate: Arc<Gate>,
    begun: Receiver<String>,
    turn: Sender<()>,
}

impl Slow {
    fn new(change: impl Fn(&mut TftpConfig)) -> Self {
        let (begun_sender, begun) = channel();
        let (turn, turns) = channel();
        let gate = Arc::new(Gate {
            asked: AtomicUsize::new(0),
            begun: begun_sender,
            turns: Arc::new(Mutex::new(turns)),
        });
        let files = Arc::clone(&gate);
        Self {
            fixture: Fixture::serving(change, |_| files),
            gate,
            begun,
            turn,
        }
    }

    fn peer(&self) -> Peer {
        Peer::new(self.fixture.address())
    }

    /// Waits until a slow file is being opened, and returns its name.
    fn begun(&self) -> String {
        self.begun.recv_timeout(PATIENCE).expect("an opening")
    }

    fn let_one_go(&self) {
        self.turn.send(()).expect("a gate");
    }

    /// Waits until so many files were asked for.
    fn wait_until_asked(&self, count: usize) {
        let begin = Instant::now();
        while self.asked() < count {
            assert!(begin.elapsed() < PATIENCE, "asked {} times", self.asked());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many files were asked for.
    fn asked(&self) -> usize {
        self.gate.asked.load(Ordering::SeqCst)
    }

    fn fetch(&self, peer: &mut Peer, name: &str) {
        peer.server = self.fixture.address();
        peer.request(name, "");
        self.take(peer, name);
    }

    /// Receives a file that was asked for.
    fn take(&self, peer: &mut Peer, name: &str) {
        assert_eq!(peer.data(), (1, name.as_bytes().to_vec()));
        peer.ack(1);
        let report = self.fixture.report();
        assert!(
            matches!(report.outcome, TftpOutcome::Sent { .. }),
            "{report:?}"
        );
        assert_eq!(report.name, name);
    }
}

fn error_code(bytes: &[u8]) -> ErrorCode {
    match Packet::parse(bytes) {
        Ok(Packet::Error { code, .. }) => code,
        other => panic!("no error but {other:?}"),
    }
}

#[test]
fn a_slow_opening_delays_nobody_else() {
    for single_port in [false, true] {
        let slow = Slow::new(|config| config.single_port = single_port);
        let mut waiting = slow.peer();
        waiting.request("slow", "");
        assert_eq!(slow.begun(), "slow");
        // More peers than there are workers, so that each worker has some.
        for _ in 0..32 {
            slow.fetch(&mut slow.peer(), "quick");
        }
        slow.let_one_go();
        slow.take(&mut waiting, "slow");
    }
}

#[test]
fn slow_files_are_opened_side_by_side() {
    let slow = Slow::new(|_| {});
    let mut peers: Vec<_> = (0..3).map(|_| slow.peer()).collect();
    for (n, peer) in peers.iter().enumerate() {
        peer.request(&format!("slow-{n}"), "");
    }
    let mut begun: Vec<_> = (0..3).map(|_| slow.begun()).collect();
    begun.sort();
    assert_eq!(begun, ["slow-0", "slow-1", "slow-2"]);
    for _ in 0..3 {
        slow.let_one_go();
    }
    for (n, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.data().1, format!("slow-{n}").as_bytes());
    }
}

#[test]
fn a_repeated_request_opens_once_and_is_answered_once() {
    let slow = Slow::new(|_| {});
    let mut peer = slow.peer();
    for _ in 0..5 {
        peer.request("slow", "");
    }
    assert_eq!(slow.begun(), "slow");
    for _ in 0..5 {
        peer.request("slow", "");
    }
    slow.let_one_go();
    slow.take(&mut peer, "slow");
    assert_eq!(slow.asked(), 1);
    assert!(slow.begun.try_recv().is_err());
    assert!(slow.fixture.is_silent());
}

#[test]
fn the_refusal_of_a_slow_opening_reaches_the_peer() {
    let slow = Slow::new(|config| config.most_transfers = 1);
    let mut peer = slow.peer();
    peer.request("slow-missing", "");
    slow.begun();
    slow.let_one_go();
    assert_eq!(error_code(&peer.receive()), ErrorCode::FileNotFound);
    let report = slow.fixture.report();
    assert_eq!(report.name, "slow-missing");
    assert!(matches!(report.outcome, TftpOutcome::Refused { .. }));
    // Its slot is free again.
    slow.fetch(&mut peer, "quick");
}

#[test]
fn options_are_answered_with_the_size_that_was_found() {
    let slow = Slow::new(|_| {});
    let mut peer = slow.peer();
    peer.request("slow", "tsize=0 blksize=1024");
    slow.begun();
    slow.let_one_go();
    assert_eq!(peer.receive(), b"\0\x06tsize\x004\0blksize\x001024\0");
}

#[test]
fn an_opening_takes_a_slot() {
    let slow = Slow::new(|config| config.most_transfers = 1);
    let mut waiting = slow.peer();
    waiting.request("slow", "");
    slow.begun();
    let mut other = slow.peer();
    other.request("quick", "");
    // It has not responded, so that its slot is lent.
    assert_eq!(slow.fixture.report().outcome, TftpOutcome::Displaced);
    slow.take(&mut other, "quick");
    slow.let_one_go();
    slow.fetch(&mut waiting, "quick");
}

#[test]
fn a_peer_that_leaves_or_asks_for_something_else_frees_its_slot() {
    let slow = Slow::new(|config| config.most_transfers = 1);
    let mut peer = slow.peer();
    peer.request("slow-1", "");
    slow.begun();
    peer.request("quick", "");
    let left = slow.fixture.report();
    assert!(
        matches!(left.outcome, TftpOutcome::Aborted { .. }),
        "{left:?}"
    );
    slow.take(&mut peer, "quick");
    peer.server = slow.fixture.address();
    peer.request("slow-2", "");
    assert_eq!(slow.begun(), "slow-2");
    peer.send(b"\0\x05\0\0I leave\0");
    let left = slow.fixture.report();
    assert!(
        matches!(&left.outcome, TftpOutcome::Aborted { message, .. } if message == "I leave"),
        "{left:?}"
    );
    slow.fetch(&mut peer, "quick");
    // What they were about to get reaches nobody, neither this peer nor its next transfer.
    peer.server = slow.fixture.address();
    peer.request("slow-3", "");
    assert_eq!(slow.begun(), "slow-3");
    for _ in 0..3 {
        slow.let_one_go();
    }
    slow.take(&mut peer, "slow-3");
    assert!(slow.fixture.is_silent());
}

#[test]
fn a_peer_that_falls_silent_frees_its_slot() {
    let slow = Slow::new(|config| {
        config.most_transfers = 1;
        config.abandoned_after = Duration::from_millis(200);
    });
    let mut silent = slow.peer();
    silent.request("slow", "");
    slow.begun();
    let report = slow.fixture.report();
    let block = BlockNumber::new(0);
    assert_eq!(report.outcome, TftpOutcome::TimedOut { block });
    slow.fetch(&mut slow.peer(), "quick");
    slow.let_one_go();
    slow.fetch(&mut slow.peer(), "quick");
    assert_eq!(silent.receive_within(Duration::from_millis(300)), None);
}

#[test]
fn past_the_queue_a_request_is_left_to_the_peers_retry() {
    let slow = Slow::new(|config| {
        config.openers = 1;
        config.most_waiting = 1;
    });
    let mut first = slow.peer();
    first.request("slow-1", "");
    assert_eq!(slow.begun(), "slow-1");
    // Of two more, whichever comes first, one waits and one is too many.
    let [mut waiting, mut late] = [slow.peer(), slow.peer()];
    waiting.request("slow-2", "");
    late.request("slow-3", "");
    let report = slow.fixture.report();
    assert_eq!(report.outcome, TftpOutcome::Busy);
    let mut late_name = "slow-3";
    if report.name == "slow-2" {
        late_name = "slow-2";
        std::mem::swap(&mut waiting, &mut late);
    }
    // The one that waits leaves, and makes room.
    waiting.request("quick", "");
    let left = slow.fixture.report();
    assert!(
        matches!(left.outcome, TftpOutcome::Aborted { .. }),
        "{left:?}"
    );
    slow.take(&mut waiting, "quick");
    late.request(late_name, "");
    slow.let_one_go();
    slow.take(&mut first, "slow-1");
    assert_eq!(slow.begun(), late_name);
    slow.let_one_go();
    slow.take(&mut late, late_name);
    assert!(slow.begun.try_recv().is_err());
}

#[test]
fn shutting_down_tells_the_peers_that_wait_and_opens_nothing_more() {
    let mut slow = Slow::new(|config| config.openers = 1);
    let mut peers: Vec<_> = (0..5).map(|_| slow.peer()).collect();
    for peer in &peers {
        peer.request("slow", "");
    }
    slow.begun();
    slow.wait_until_asked(peers.len());
    slow.fixture.request_stop();
    for peer in &mut peers {
        assert_eq!(error_code(&peer.receive()), ErrorCode::NotDefined);
    }
    // What has begun is let to its end, as it may be writing.
    slow.let_one_go();
    slow.fixture.stop();
    assert!(slow.begun.try_recv().is_err());
}

#[test]
fn a_fault_in_an_opening_ends_the_server_with_a_word() {
    struct Faulty;
    impl TftpFiles for Faulty {
        fn open(&self, _name: &str, _peer: SocketAddrV4) -> Opening {
            Opening::Later(Box::new(|| panic!("on purpose")))
        }
    }
    let fixture = Fixture::serving(|_| {}, |_| Arc::new(Faulty));
    let mut peer = Peer::new(fixture.address());
    peer.request("file", "");
    assert_eq!(error_code(&peer.receive()), ErrorCode::NotDefined);
    assert!(fixture.join().is_err());
}
