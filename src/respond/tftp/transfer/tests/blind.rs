//! A sender that forges the address of another machine, and never sees the packets that we send there.

use super::*;

/// The bytes of IP packets that a blind sender sent and its victim received.
struct Blind {
    peer: Timeline,
    ports: u32,
    request: u64,
    sent: u64,
    caused: u64,
}

const HEADERS: u64 = 28;
/// The ERROR of a server that shuts down.
const ERROR: u64 = HEADERS + 33;

impl Blind {
    /// Sends a request for a file of 1 GB with the shortest name.
    fn request(ports: u32, options: &str) -> Self {
        let bytes = format!("\0\x01f\0octet\0{}\0", options.replace(['=', ' '], "\0"));
        let Ok(Packet::Request(request)) = Packet::parse(bytes.as_bytes()) else {
            panic!("`{options}` makes no request");
        };
        let size = 1 << 30;
        let limits = TransferLimits::for_mtu(9000, None).with_ports(ports);
        let agreement = negotiate(&request, size, limits);
        let (now, allowance) = (Duration::ZERO, Allowance::new(ports, bytes.len()));
        let (transfer, action) = OutgoingTransfer::start(now, agreement, size, allowance);
        let request = bytes.len() as u64 + HEADERS;
        let peer = Timeline { transfer, now };
        let mut blind = Self {
            peer,
            ports,
            request,
            sent: request,
            caused: 0,
        };
        blind.count(&action);
        blind
    }

    fn count(&mut self, action: &TransferAction) {
        let agreement = self.peer.transfer.agreement();
        self.caused += match action {
            TransferAction::SendBlocks(blocks) => {
                let block = u64::from(agreement.block_size) + 4 + HEADERS;
                (blocks.end - blocks.start) * block
            }
            TransferAction::SendOptions => {
                let options = agreement.acknowledged.clone();
                Packet::OptionAcknowledgement(options).to_bytes().len() as u64 + HEADERS
            }
            TransferAction::Ignore(_) | TransferAction::StartOver | TransferAction::Finish(_) => 0,
        };
    }

    /// Sends an ACK to every port from which the port of the transfer was drawn.
    fn ack(&mut self, block: u64) {
        self.sent += u64::from(self.ports) * (HEADERS + 4);
        let action = self.peer.ack(BlockNumber::of_index(block).number());
        self.count(&action);
    }

    fn repeat_request(&mut self) {
        self.sent += self.request;
        let action = self.peer.transfer.repeat_request(self.peer.now);
        self.count(&action);
    }

    /// Lets the server run until it gives up, `times` timeouts at most.
    fn wait(&mut self, times: usize) {
        for _ in 0..times {
            let peer = &mut self.peer;
            peer.now = peer.now.max(peer.transfer.deadline());
            let action = peer.transfer.expire(peer.now);
            self.count(&action);
            if matches!(action, TransferAction::Finish(_)) {
                return;
            }
        }
    }

    /// Returns how many bytes the victim received for each byte sent.
    fn ratio(&self) -> f64 {
        (self.caused + ERROR) as f64 / self.sent as f64
    }
}

const PORTS: [u32; 5] = [1, 16, 104, USUAL_PORTS, 64_512];
const OPTIONS: [&str; 5] = [
    "",
    "tsize=0",
    "windowsize=64",
    "blksize=1468 windowsize=64",
    "timeout=1 blksize=65464 windowsize=65535",
];

#[test]
fn a_blind_sender_causes_less_than_thirty_times_what_it_sends() {
    for (ports, options) in PORTS
        .iter()
        .flat_map(|it| OPTIONS.map(|options| (*it, options)))
    {
        // It acknowledges any number of windows; the last one is repeated until the end.
        for acknowledged in [0, 1, 2, 5, 100] {
            let mut blind = Blind::request(ports, options);
            let window = u64::from(blind.peer.transfer.agreement().window_size);
            let plain = blind.peer.transfer.agreement().acknowledged.is_empty();
            for number in 0..acknowledged {
                blind.ack((number + u64::from(plain)) * window);
            }
            blind.wait(usize::MAX);
            let ratio = blind.ratio();
            assert!(ratio < 30.0, "{ratio} for {acknowledged} {ports} {options}");
        }
    }
}

#[test]
fn a_blind_sender_that_does_not_know_the_port_gets_one_datagram() {
    for (options, most) in [("", 17.0), ("blksize=1468 windowsize=64 tsize=0", 2.0)] {
        let mut blind = Blind::request(USUAL_PORTS, options);
        blind.wait(usize::MAX);
        assert!(blind.ratio() < most, "{}", blind.ratio());
        assert!(!blind.peer.transfer.has_responded());
    }
}

proptest! {
    #[test]
    fn whatever_a_blind_sender_sends_it_causes_less_than_thirty_times_as_much(
        ports in prop::sample::select(PORTS.to_vec()),
        options in prop::sample::select(OPTIONS.to_vec()),
        steps in prop::collection::vec((0..4u8, 0..200u64), 0..60),
    ) {
        let mut blind = Blind::request(ports, options);
        for (step, number) in steps {
            match step {
                0 => blind.repeat_request(),
                1 => blind.wait(1),
                2 => blind.ack(number),
                _ => blind.ack(blind.peer.transfer.acknowledged + number % 3),
            }
            prop_assert!(blind.ratio() < 30.0, "{}", blind.ratio());
        }
    }
}
