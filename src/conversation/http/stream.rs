use std::mem;

/// The most segments that wait for an earlier one, and the most bytes in them.
const SEGMENTS: usize = 64;
const WAITING_BYTES: usize = 256 * 1024;

/// Puts the bytes of one direction of a connection in order.
///
/// Segments may arrive again, late, overlapping, or never; bytes that the capture left out count as
/// missing.
#[derive(Debug, Default)]
pub(super) struct Stream {
    next: Option<u32>,
    waiting: Vec<Segment>,
    held: usize,
    /// The number of segments without new bytes.
    pub repeats: u64,
}

#[derive(Debug)]
struct Segment {
    sequence: u32,
    bytes: Vec<u8>,
    /// The length on the network, in bytes.
    length: usize,
}

/// A part of the stream, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub bytes: &'a [u8],
    /// How many bytes follow that the capture does not hold.
    pub missing: usize,
}

impl Stream {
    /// Sets the sequence number of the next byte.
    pub fn begin_at(&mut self, sequence: u32) {
        self.next = Some(sequence);
        self.waiting.clear();
        self.held = 0;
    }

    /// Reports whether every byte before a sequence number has arrived.
    pub fn has_reached(&self, sequence: u32) -> bool {
        self.next
            .is_some_and(|next| next.wrapping_sub(sequence) as i32 >= 0)
    }

    /// Processes a segment of `length` bytes, of which the capture holds some, and delivers what is in order.
    pub fn push(
        &mut self,
        sequence: u32,
        bytes: &[u8],
        length: usize,
        deliver: &mut dyn FnMut(Piece<'_>),
    ) {
        let length = length.max(bytes.len());
        if length == 0 {
            return;
        }
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next) as i32;
        if ahead > 0 {
            if self.waiting.len() < SEGMENTS && self.held + bytes.len() <= WAITING_BYTES {
                self.held += bytes.len();
                self.waiting.push(Segment {
                    sequence,
                    bytes: bytes.to_vec(),
                    length,
                });
                return;
            }
            // The segment before it never arrived: continue after the gap.
            let mut held = mem::take(&mut self.waiting);
            self.held = 0;
            held.push(Segment {
                sequence,
                bytes: bytes.to_vec(),
                length,
            });
            held.sort_by_key(|it| it.sequence.wrapping_sub(next) as i32);
            for segment in held {
                self.skip_to(segment.sequence, deliver);
                self.accept(&segment, deliver);
            }
            return;
        }
        self.accept_bytes(sequence, bytes, length, deliver);
        while let Some(at) = self.ready() {
            let segment = self.waiting.swap_remove(at);
            self.held -= segment.bytes.len();
            self.accept(&segment, deliver);
        }
    }

    /// Delivers the waiting segments and the gaps before them, at the end of the connection.
    pub fn flush(&mut self, deliver: &mut dyn FnMut(Piece<'_>)) {
        let next = self.next.unwrap_or_default();
        let mut held = mem::take(&mut self.waiting);
        self.held = 0;
        held.sort_by_key(|it| it.sequence.wrapping_sub(next) as i32);
        for segment in held {
            self.skip_to(segment.sequence, deliver);
            self.accept(&segment, deliver);
        }
    }

    fn ready(&self) -> Option<usize> {
        let next = self.next?;
        self.waiting
            .iter()
            .position(|it| it.sequence.wrapping_sub(next) as i32 <= 0)
    }

    fn skip_to(&mut self, sequence: u32, deliver: &mut dyn FnMut(Piece<'_>)) {
        let next = self.next.unwrap_or(sequence);
        let ahead = sequence.wrapping_sub(next) as i32;
        if ahead > 0 {
            deliver(Piece {
                bytes: &[],
                missing: ahead as usize,
            });
            self.next = Some(sequence);
        }
    }

    fn accept(&mut self, segment: &Segment, deliver: &mut dyn FnMut(Piece<'_>)) {
        self.accept_bytes(segment.sequence, &segment.bytes, segment.length, deliver);
    }

    /// Delivers the new bytes of a segment that starts at or before the expected byte.
    fn accept_bytes(
        &mut self,
        sequence: u32,
        bytes: &[u8],
        length: usize,
        deliver: &mut dyn FnMut(Piece<'_>),
    ) {
        let next = self.next.unwrap_or(sequence);
        let known = next.wrapping_sub(sequence) as usize;
        if known >= length {
            self.repeats += 1;
            return;
        }
        let fresh = bytes.get(known..).unwrap_or_default();
        let missing = length - known - fresh.len();
        self.next = Some(sequence.wrapping_add(length as u32));
        deliver(Piece {
            bytes: fresh,
            missing,
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pushes segments of `(sequence, bytes)` and returns the stream, with `?` for what is missing.
    fn read(segments: &[(u32, &str)]) -> String {
        let mut stream = Stream::default();
        let mut seen = Vec::new();
        let mut deliver = |piece: Piece<'_>| {
            seen.extend_from_slice(piece.bytes);
            seen.resize(seen.len() + piece.missing, b'?');
        };
        for (sequence, bytes) in segments {
            stream.push(*sequence, bytes.as_bytes(), bytes.len(), &mut deliver);
        }
        stream.flush(&mut deliver);
        String::from_utf8(seen).unwrap()
    }

    #[test]
    fn segments_arrive_late_again_overlapping_or_never() {
        for (segments, expected) in [
            (&[(10, "abc"), (13, "def")][..], "abcdef"),
            (&[(10, "abc"), (16, "ghi"), (13, "def")], "abcdefghi"),
            (&[(10, "abc"), (10, "abc"), (12, "cde")], "abcde"),
            (&[(10, "abc"), (15, "f")], "abc??f"),
            (&[(u32::MAX, "ab"), (1, "cd")], "abcd"),
        ] {
            assert_eq!(read(segments), expected, "{segments:?}");
        }
    }

    #[test]
    fn bytes_that_a_capture_cuts_off_are_missing() {
        let mut stream = Stream::default();
        let mut seen = Vec::new();
        stream.push(1, b"ab", 1000, &mut |piece| {
            seen.push((piece.bytes.len(), piece.missing))
        });
        stream.push(1001, b"c", 1, &mut |piece| {
            seen.push((piece.bytes.len(), piece.missing))
        });
        assert_eq!(seen, [(2, 998), (1, 0)]);
    }

    proptest! {
        #[test]
        fn every_order_of_segments_gives_the_stream(
            order in Just((0..20u32).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let text: String = ('a'..='t').collect();
            let mut segments: Vec<(u32, &str)> = vec![(0, "")];
            // The first one says where the stream begins.
            segments.push((0, &text[..1]));
            segments.extend(order.iter().map(|at| (*at, &text[*at as usize..*at as usize + 1])));
            prop_assert_eq!(read(&segments), text);
        }

        #[test]
        fn arbitrary_segments_never_panic_and_use_bounded_memory(
            segments in prop::collection::vec((any::<u32>(), 0..2000usize, 0..3000usize), 0..200),
        ) {
            let mut stream = Stream::default();
            for (sequence, held, length) in segments {
                stream.push(sequence, &vec![0; held], length, &mut |_| {});
                prop_assert!(stream.waiting.len() <= SEGMENTS && stream.held <= WAITING_BYTES);
            }
        }
    }
}
