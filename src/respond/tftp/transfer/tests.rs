use proptest::prelude::*;

use super::*;
use crate::respond::tftp::{TransferLimits, negotiate};
use crate::wire::tftp::ErrorCode;

mod blind;

/// Linux's own range.
const USUAL_PORTS: u32 = 28_232;

/// A transfer and its clock.
struct Timeline {
    transfer: OutgoingTransfer,
    now: Duration,
}

impl Timeline {
    /// Requests a file of `size` bytes with options in the form `name=value`.
    fn request(options: &str, size: u64) -> (Self, TransferAction) {
        Self::request_among(USUAL_PORTS, options, size)
    }

    /// The same for a transfer whose port is drawn from `ports` ports.
    fn request_among(ports: u32, options: &str, size: u64) -> (Self, TransferAction) {
        let options = options.replace(['=', ' '], "\0");
        let bytes = format!("\0\x01file\0octet\0{options}\0");
        let Ok(Packet::Request(request)) = Packet::parse(bytes.as_bytes()) else {
            panic!("`{options}` makes no request");
        };
        let limits = TransferLimits::for_mtu(1500, None).with_ports(ports);
        let agreement = negotiate(&request, size, limits);
        let now = Duration::from_secs(100);
        let allowance = Allowance::new(ports, bytes.len());
        let (transfer, action) = OutgoingTransfer::start(now, agreement, size, allowance);
        (Self { transfer, now }, action)
    }

    /// Lets the peer acknowledge `block`, a millisecond later.
    fn ack(&mut self, block: u16) -> TransferAction {
        self.now += Duration::from_millis(1);
        let block = BlockNumber::new(block);
        self.transfer
            .receive(self.now, &Packet::Acknowledgement { block })
    }

    fn error(&mut self, code: ErrorCode) -> TransferAction {
        let message = "User aborted the transfer".to_owned();
        self.transfer
            .receive(self.now, &Packet::Error { code, message })
    }

    /// Waits until the deadline; returns the time until then and the action.
    fn silence(&mut self) -> (Duration, TransferAction) {
        let wait = self.transfer.deadline() - self.now;
        self.now = self.transfer.deadline();
        let early = self.now - Duration::from_nanos(1);
        assert_eq!(
            self.transfer.expire(early),
            TransferAction::Ignore(NoActionReason::TooEarly)
        );
        (wait, self.transfer.expire(self.now))
    }
}

fn sent(action: TransferAction) -> (u64, u64) {
    match action {
        TransferAction::Finish(TftpOutcome::Sent {
            bytes,
            retransmissions,
            ..
        }) => (bytes, retransmissions),
        other => panic!("not sent but {other:?}"),
    }
}

const REPEATED: TransferAction = TransferAction::Ignore(NoActionReason::RepeatedAcknowledgement);
const STRAY: TransferAction = TransferAction::Ignore(NoActionReason::StrayAcknowledgement);
const WITHHELD: TransferAction = TransferAction::Ignore(NoActionReason::Withheld);

#[test]
fn without_options_the_first_block_answers_the_request() {
    let (mut peer, first) = Timeline::request("", 700);
    assert_eq!(first, TransferAction::SendBlocks(1..2));
    assert_eq!(peer.ack(1), TransferAction::SendBlocks(2..3));
    assert_eq!(peer.transfer.byte_range(2), 512..700);
    assert_eq!(sent(peer.ack(2)), (700, 0));
}

#[test]
fn the_window_opens_only_after_the_first_ack() {
    let (mut peer, first) = Timeline::request("windowsize=4 blksize=1000", 9_500);
    assert_eq!(first, TransferAction::SendOptions);
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..5));
    assert_eq!(peer.ack(4), TransferAction::SendBlocks(5..9));
    assert_eq!(peer.ack(8), TransferAction::SendBlocks(9..11));
    assert_eq!(sent(peer.ack(10)), (9_500, 0));
}

#[test]
fn options_that_are_all_refused_leave_a_plain_transfer() {
    let (mut peer, first) = Timeline::request("blksize=7 multicast=1 windowsize=0", 512);
    assert_eq!(first, TransferAction::SendBlocks(1..2));
    assert_eq!(peer.ack(1), TransferAction::SendBlocks(2..3));
}

#[test]
fn a_zero_length_file_is_one_empty_block() {
    let (mut peer, first) = Timeline::request("", 0);
    assert_eq!(first, TransferAction::SendBlocks(1..2));
    assert_eq!(peer.transfer.byte_range(1), 0..0);
    assert_eq!(sent(peer.ack(1)), (0, 0));
}

#[test]
fn a_file_of_whole_blocks_ends_with_an_empty_one() {
    let (mut peer, _) = Timeline::request("windowsize=4", 1024);
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..4));
    assert_eq!(peer.transfer.byte_range(2), 512..1024);
    assert_eq!(peer.transfer.byte_range(3), 1024..1024);
    assert_eq!(sent(peer.ack(3)), (1024, 0));
}

#[test]
fn a_lost_ack_costs_one_timeout() {
    let (mut peer, _) = Timeline::request("", 1000);
    assert_eq!(peer.ack(1), TransferAction::SendBlocks(2..3));
    let (wait, again) = peer.silence();
    assert!(wait < Duration::from_millis(10), "{wait:?}");
    assert_eq!(again, TransferAction::SendBlocks(2..3));
    assert_eq!(sent(peer.ack(2)), (1000, 1));
}

#[test]
fn a_longer_round_trip_is_measured() {
    let (mut peer, _) = Timeline::request("", 512 * 60);
    for block in 1..=20 {
        peer.ack(block);
    }
    // From here on, answers take 300 ms, and every block is sent again before they come.
    let mut repetitions = Vec::new();
    for block in 21..=40 {
        let answer_at = peer.now + Duration::from_millis(300);
        let mut again = 0;
        while peer.transfer.deadline() < answer_at {
            peer.silence();
            again += 1;
        }
        peer.now = answer_at - Duration::from_millis(1);
        assert_eq!(
            peer.ack(block),
            TransferAction::SendBlocks(u64::from(block) + 1..u64::from(block) + 2)
        );
        repetitions.push(again);
    }
    assert!(repetitions[0] > 2, "{repetitions:?}");
    assert_eq!(repetitions[10..], [0; 10], "{repetitions:?}");
}

#[test]
fn a_repeated_ack_never_sends_anything() {
    let (mut peer, _) = Timeline::request("", 5_000);
    assert_eq!(peer.ack(1), TransferAction::SendBlocks(2..3));
    for _ in 0..5 {
        assert_eq!(peer.ack(1), REPEATED);
    }
    assert_eq!(peer.ack(2), TransferAction::SendBlocks(3..4));
    assert_eq!(peer.ack(1), STRAY);
}

#[test]
fn a_repeated_ack_of_the_options_sends_no_second_window() {
    let (mut peer, _) = Timeline::request("windowsize=4", 50_000);
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..5));
    assert_eq!(peer.ack(0), REPEATED);
    assert_eq!(peer.ack(9), STRAY);
}

#[test]
fn after_a_gap_the_window_continues_from_the_acknowledged_block() {
    let (mut peer, _) = Timeline::request("windowsize=8", 50_000);
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..9));
    assert_eq!(peer.ack(3), TransferAction::SendBlocks(4..12));
    assert_eq!(peer.ack(3), REPEATED);
    assert_eq!(peer.ack(11), TransferAction::SendBlocks(12..20));
    assert_eq!(peer.transfer.retransmissions, 5);
}

#[test]
fn a_lost_window_is_sent_again_after_a_timeout() {
    let (mut peer, _) = Timeline::request("windowsize=8", 50_000);
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..9));
    assert_eq!(peer.silence().1, TransferAction::SendBlocks(1..9));
    assert_eq!(peer.ack(8), TransferAction::SendBlocks(9..17));
}

#[test]
fn the_first_window_is_sent_three_times_and_then_once_for_each_repeated_ack() {
    let (mut peer, _) = Timeline::request("windowsize=4 timeout=1", 50_000);
    assert!(!peer.transfer.has_responded());
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..5));
    assert!(peer.transfer.has_responded());
    assert_eq!(peer.ack(0), REPEATED);
    assert_eq!(peer.silence().1, TransferAction::SendBlocks(1..5));
    assert_eq!(peer.silence().1, TransferAction::SendBlocks(1..5));
    // Before the timeout, a repeated ACK sends nothing, and after it one window.
    assert_eq!(peer.ack(0), REPEATED);
    assert_eq!(peer.silence().1, WITHHELD);
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..5));
    assert_eq!(peer.ack(0), REPEATED);
    assert_eq!(peer.silence().1, WITHHELD);
    assert_eq!(peer.ack(4), TransferAction::SendBlocks(5..9));
    for _ in 0..6 {
        assert_eq!(peer.silence().1, TransferAction::SendBlocks(5..9));
    }
}

#[test]
fn a_peer_that_stays_silent_after_the_first_windows_is_abandoned() {
    let (mut peer, _) = Timeline::request("windowsize=4 timeout=1", 50_000);
    peer.ack(0);
    let ends: Vec<_> = (0..7).map(|_| peer.silence().1).collect();
    assert_eq!(
        ends[..2],
        [
            TransferAction::SendBlocks(1..5),
            TransferAction::SendBlocks(1..5)
        ]
    );
    assert_eq!(ends[2..6], [WITHHELD; 4]);
    let block = BlockNumber::new(1);
    assert_eq!(
        ends[6],
        TransferAction::Finish(TftpOutcome::TimedOut { block })
    );
}

#[test]
fn on_a_single_port_every_ack_pays_for_a_block_and_a_repeated_ack_repeats_a_lost_block() {
    let (mut peer, _) = Timeline::request_among(1, "blksize=1468 windowsize=4", 896 * 20);
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..2));
    // The port is not secret, so only an acknowledged block counts.
    assert!(!peer.transfer.has_responded());
    assert_eq!(peer.ack(1), TransferAction::SendBlocks(2..3));
    assert!(peer.transfer.has_responded());
    let mut repetitions = 0;
    while peer.silence().1 == TransferAction::SendBlocks(2..3) {
        repetitions += 1;
    }
    assert_eq!(repetitions, 2);
    for _ in 0..3 {
        assert_eq!(peer.ack(1), TransferAction::SendBlocks(2..3));
        assert_eq!(peer.silence().1, WITHHELD);
    }
    for block in 2..=20 {
        let next = u64::from(block) + 1;
        assert_eq!(peer.ack(block), TransferAction::SendBlocks(next..next + 1));
    }
    assert_eq!(sent(peer.ack(21)).0, 896 * 20);
}

#[test]
fn block_numbers_roll_over_in_the_middle_of_a_window() {
    let (mut peer, _) = Timeline::request("windowsize=64 blksize=512", 512 * 140_000);
    let mut expected = peer.ack(0);
    let mut acknowledged = 0;
    while let TransferAction::SendBlocks(blocks) = expected {
        assert_eq!(blocks.start, acknowledged + 1);
        acknowledged = blocks.end - 1;
        expected = peer.ack(acknowledged as u16);
    }
    assert_eq!(acknowledged, 140_001);
    assert_eq!(sent(expected), (512 * 140_000, 0));
}

#[test]
fn after_a_lost_last_ack_the_last_block_is_sent_again_and_late_acks_are_ignored() {
    let (mut peer, _) = Timeline::request("", 100);
    assert_eq!(peer.ack(0), REPEATED);
    assert_eq!(
        peer.transfer.repeat_request(peer.now),
        TransferAction::SendBlocks(1..2)
    );
    assert_eq!(sent(peer.ack(1)), (100, 0));
    assert_eq!(peer.ack(1), REPEATED);
}

#[test]
fn an_unanswered_request_causes_one_datagram() {
    let (mut peer, first) = Timeline::request("tsize=0", 100);
    assert_eq!(first, TransferAction::SendOptions);
    let (wait, end) = peer.silence();
    assert_eq!(wait, UNANSWERED);
    let block = BlockNumber::new(0);
    assert_eq!(end, TransferAction::Finish(TftpOutcome::TimedOut { block }));
}

#[test]
fn a_repeated_request_is_answered_again_until_the_peer_has_answered() {
    let (mut peer, _) = Timeline::request("tsize=0", 100);
    assert_eq!(
        peer.transfer.repeat_request(peer.now),
        TransferAction::SendOptions
    );
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..2));
    assert_eq!(
        peer.transfer.repeat_request(peer.now),
        TransferAction::Ignore(NoActionReason::RepeatedRequest)
    );
    peer.now += STARTED_OVER;
    assert_eq!(
        peer.transfer.repeat_request(peer.now),
        TransferAction::StartOver
    );
}

#[test]
fn a_peer_that_leaves_after_the_options_is_not_a_failure() {
    for (answer_options, expected) in [(false, true), (true, false)] {
        let (mut peer, _) = Timeline::request("tsize=0", 100);
        if answer_options {
            peer.ack(0);
        }
        let TransferAction::Finish(TftpOutcome::Aborted { code, probe, .. }) =
            peer.error(ErrorCode::OptionsRefused)
        else {
            panic!("not aborted");
        };
        assert_eq!((code, probe), (ErrorCode::OptionsRefused, expected));
    }
}

#[test]
fn a_negotiated_timeout_is_used_exactly_and_does_not_double() {
    let (mut peer, _) = Timeline::request("timeout=2", 1000);
    assert_eq!(peer.ack(0), TransferAction::SendBlocks(1..2));
    assert_eq!(peer.ack(1), TransferAction::SendBlocks(2..3));
    for _ in 0..6 {
        assert_eq!(
            peer.silence(),
            (Duration::from_secs(2), TransferAction::SendBlocks(2..3))
        );
    }
    let block = BlockNumber::new(2);
    assert_eq!(
        peer.silence().1,
        TransferAction::Finish(TftpOutcome::TimedOut { block })
    );
}

#[test]
fn a_silent_peer_is_abandoned_after_a_bounded_time() {
    let (mut peer, _) = Timeline::request("windowsize=4", 9_000);
    peer.ack(0);
    peer.ack(4);
    let begin = peer.now;
    let block = loop {
        match peer.silence().1 {
            TransferAction::SendBlocks(blocks) => assert_eq!(blocks, 5..9),
            TransferAction::Finish(TftpOutcome::TimedOut { block }) => break block,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(block, BlockNumber::new(5));
    let silence = peer.now - begin;
    assert!((15..40).contains(&silence.as_secs()), "{silence:?}");
}

#[test]
fn packets_that_a_reader_does_not_send_are_ignored() {
    let (mut peer, _) = Timeline::request("", 1000);
    let data = Packet::Data {
        block: BlockNumber::new(1),
        payload: b"x",
    };
    assert_eq!(
        peer.transfer.receive(peer.now, &data),
        TransferAction::Ignore(NoActionReason::Unexpected)
    );
}

proptest! {
    /// On a wire that loses packets in both directions, a peer that follows RFC 7440 gets the whole file.
    #[test]
    fn every_file_arrives_over_a_wire_that_loses_packets(
        size in 0..60_000u64,
        window in 1..12u16,
        ports in prop::sample::select(vec![1, 16, USUAL_PORTS]),
        losses in prop::collection::vec(prop::bool::weighted(0.2), 64),
    ) {
        let mut lost = losses.iter().copied().cycle();
        let mut lost = move || lost.next().unwrap_or(false);
        let options = format!("windowsize={window}");
        let (mut peer, _) = Timeline::request_among(ports, &options, size);
        let mut have = 0u64;
        let mut action = peer.ack(0);
        for step in 0.. {
            // A series of losses may end a transfer, but only a wire that always loses does.
            prop_assume!(step < 10_000);
            action = match action {
                TransferAction::SendBlocks(blocks) => {
                    let mut gap = false;
                    for index in blocks {
                        match index.cmp(&(have + 1)) {
                            std::cmp::Ordering::Equal if !lost() => have = index,
                            std::cmp::Ordering::Greater => gap = true,
                            _ => {}
                        }
                    }
                    prop_assert!(!gap || have < size / 512 + 1);
                    if lost() { peer.silence().1 } else { peer.ack(have as u16) }
                }
                // Its own timeout: it repeats its ACK.
                TransferAction::Ignore(NoActionReason::Withheld) if !lost() => peer.ack(have as u16),
                TransferAction::Ignore(_) => peer.silence().1,
                TransferAction::Finish(TftpOutcome::Sent { bytes, .. }) => {
                    prop_assert_eq!((bytes, have), (size, size / 512 + 1));
                    break;
                }
                TransferAction::Finish(TftpOutcome::TimedOut { .. }) => {
                    prop_assume!(false);
                    break;
                }
                other => panic!("{other:?}"),
            };
        }
    }

    #[test]
    fn arbitrary_packets_never_panic(
        size: u64,
        options in "(windowsize|blksize)=[0-9]{1,5}",
        events in prop::collection::vec((0..3000u64, prop::collection::vec(any::<u8>(), 0..8)), 0..40),
    ) {
        let (mut peer, _) = Timeline::request(&options, size);
        for (wait, bytes) in events {
            peer.now += Duration::from_millis(wait);
            peer.transfer.expire(peer.now);
            if let Ok(packet) = Packet::parse(&[&[0, 4], bytes.as_slice()].concat()) {
                peer.transfer.receive(peer.now, &packet);
            }
        }
    }
}
