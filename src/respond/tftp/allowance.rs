/// How many bytes a transfer may still send, so that a forged request does not pay.
///
/// Anyone can put another machine's address into a UDP packet. A *blind* sender does so and never
/// sees our replies. It knows the request port, but it must guess the port of the transfer among the
/// `ports` from which that port was drawn, and no reply confirms a guess: one of `ports` forged packets
/// reaches the transfer. A packet on that port therefore shows that its sender read our reply, or sent
/// `ports` packets in total. So a transfer sends at most
///
/// > [`FACTOR`] × (bytes of its requests + `ports` × bytes of the packets on its port),
///
/// and the victim of a blind sender receives on average at most [`FACTOR`] times the bytes that the
/// sender sends. Bytes are counted in IP packets.
///
/// The effect on a client (an ACK is an IP packet of 32 bytes, so that it pays for
/// 928 × `ports` bytes; a block is a packet of its size + 32 bytes):
///
/// | transfer ports | an ACK pays for, at 1,468 bytes a block |
/// |---|---|
/// | 1 (`tftp_single_port`) | one block of at most 896 bytes, so the negotiated block size is at most 896 |
/// | 16 (the smallest `tftp_ports`) | 9 blocks |
/// | 104 or more | 64 blocks, the largest window |
/// | 28,232 (Linux's own range) | 17,466 blocks: such a window, and every repetition of it |
///
/// The effect on a blind sender, in bytes of IP packets, with the shortest name:
///
/// | it sends | we send | ratio |
/// |---|---|---|
/// | a request, 38 | block 1 once, 544 | 14 |
/// | a request for blocks of 1,468 bytes and windows of 64, 65, and an ACK of the options to each of 28,232 ports, 903,424 | a window of 64 blocks three times, 288,000 | 0.3 |
/// | the same, with an ACK to each of 16 ports, 512 | 9 blocks and 2 again, 16,500 | 29 |
/// | the same, with an ACK to the only port, 32 | the options, and block 1 twice, 1,911 | 20 |
/// | the same, then an ACK of every block | a block for each ACK, 928 for 32 | 29 |
#[derive(Clone, Debug)]
pub struct Allowance {
    ports: u32,
    /// Bytes for which a request pays.
    request: u64,
    left: u64,
}

/// The number of bytes for which one byte of a sender with an unproven address pays.
///
/// The documented limit is 30. The difference is for the ERROR that may end a transfer.
pub const FACTOR: u64 = 29;

/// The IP and UDP headers of a packet.
const HEADERS: u64 = 20 + 8;

/// The IP packet of an ACK.
const ACKNOWLEDGEMENT: u64 = HEADERS + 4;

/// The IP packet of a block, without the block.
const BLOCK_HEADERS: u64 = HEADERS + 4;

impl Allowance {
    /// Creates the allowance of a request of `request_bytes` bytes, whose transfer has a port that was
    /// drawn from `ports` ports; 1 if the port is known.
    pub fn new(ports: u32, request_bytes: usize) -> Self {
        let request = FACTOR * (request_bytes as u64 + HEADERS);
        Self {
            ports: ports.max(1),
            request,
            left: request,
        }
    }

    /// Reports whether a packet on the transfer's port shows that its sender received our reply.
    pub fn is_port_secret(&self) -> bool {
        self.ports > 1
    }

    /// Records a repeated request.
    pub(super) fn add_request(&mut self) {
        self.left = self.left.saturating_add(self.request);
    }

    /// Records an ACK on the transfer's port.
    pub(super) fn add_acknowledgement(&mut self) {
        self.left = self
            .left
            .saturating_add(Self::per_acknowledgement(self.ports));
    }

    /// Returns how many blocks of this size may be sent.
    pub(super) fn blocks(&self, block_size: u16) -> u64 {
        self.left / (u64::from(block_size) + BLOCK_HEADERS)
    }

    /// Records blocks that are sent.
    pub(super) fn spend_blocks(&mut self, blocks: u64, block_size: u16) {
        let bytes = blocks.saturating_mul(u64::from(block_size) + BLOCK_HEADERS);
        self.left = self.left.saturating_sub(bytes);
    }

    /// Records a packet that is sent, by the size of its payload.
    pub(super) fn spend_packet(&mut self, payload: usize) {
        self.left = self.left.saturating_sub(payload as u64 + HEADERS);
    }

    /// Returns the size of the largest block for which one ACK pays.
    pub(super) fn largest_block(ports: u32) -> u16 {
        let block = Self::per_acknowledgement(ports) - BLOCK_HEADERS;
        u16::try_from(block).unwrap_or(u16::MAX)
    }

    /// Returns how many blocks of this size every ACK pays for: with a larger window, the client
    /// would wait for blocks that do not come. At least one.
    pub(super) fn largest_window(ports: u32, block_size: u16) -> u16 {
        let blocks = Self::per_acknowledgement(ports) / (u64::from(block_size) + BLOCK_HEADERS);
        u16::try_from(blocks).unwrap_or(u16::MAX).max(1)
    }

    fn per_acknowledgement(ports: u32) -> u64 {
        FACTOR * ACKNOWLEDGEMENT * u64::from(ports.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_pays_for_the_largest_window_and_block() {
        for (ports, block_size, window) in [
            (1, 896, 1),
            (1, 512, 1),
            (1, 100, 7),
            (16, 1468, 9),
            (103, 1468, 63),
            (104, 1468, 64),
            (28_232, 65_464, 400),
        ] {
            assert_eq!(
                Allowance::largest_window(ports, block_size),
                window,
                "{ports} {block_size}"
            );
        }
        assert_eq!(Allowance::largest_block(1), 896);
        assert_eq!(Allowance::largest_block(2), 1824);
        assert_eq!(Allowance::largest_block(28_232), u16::MAX);
    }

    #[test]
    fn only_blocks_within_the_allowance_are_sent() {
        let mut allowance = Allowance::new(1, 10);
        assert_eq!(allowance.blocks(512), 2);
        allowance.spend_blocks(2, 512);
        assert_eq!(allowance.blocks(512), 0);
        allowance.add_acknowledgement();
        assert_eq!(allowance.blocks(896), 1);
        allowance.spend_packet(60_000);
        assert_eq!(allowance.blocks(8), 0);
        allowance.add_request();
        assert_eq!(allowance.blocks(512), 2);
    }
}
