use std::mem;

/// How many segments wait for one before them, and how many bytes of theirs.
const SEGMENTS: usize = 64;
const OCTETS: usize = 256 * 1024;

/// The bytes of one direction of a connection, put in order.
///
/// Segments may come again, late, overlapping, or not at all; what a capture leaves out of one is
/// counted as missing.
#[derive(Debug, Default)]
pub(super) struct Stream {
    next: Option<u32>,
    waiting: Vec<Segment>,
    held: usize,
    /// Segments that brought nothing new.
    pub repeats: u64,
}

#[derive(Debug)]
struct Segment {
    sequence: u32,
    bytes: Vec<u8>,
    /// How many there were as they were sent.
    length: usize,
}

/// A part of the stream, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub bytes: &'a [u8],
    /// How many follow that the capture does not hold.
    pub missing: usize,
}

impl Stream {
    /// Sets where the stream begins, or goes on.
    pub fn begin_at(&mut self, sequence: u32) {
        self.next = Some(sequence);
        self.waiting.clear();
        self.held = 0;
    }

    /// Reports whether everything up to a number has come.
    pub fn has_reached(&self, sequence: u32) -> bool {
        self.next
            .is_some_and(|next| next.wrapping_sub(sequence) as i32 >= 0)
    }

    /// Takes a segment of `length` bytes, of which the capture holds some, and hands on what is in order.
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
            if self.waiting.len() < SEGMENTS && self.held + bytes.len() <= OCTETS {
                self.held += bytes.len();
                self.waiting.push(Segment {
                    sequence,
                    bytes: bytes.to_vec(),
                    length,
                });
                return;
            }
            // What was to come before it never came: go on behind it.
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

    /// Hands on what waits, with what is missing before it: nothing more will come.
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

    /// Hands on what is new of a segment that begins at or before what is expected.
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
    fn segments_come_late_again_overlapping_or_never() {
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
    fn what_a_capture_cuts_off_is_missing() {
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
        fn arbitrary_segments_never_panic_and_hold_little(
            segments in prop::collection::vec((any::<u32>(), 0..2000usize, 0..3000usize), 0..200),
        ) {
            let mut stream = Stream::default();
            for (sequence, held, length) in segments {
                stream.push(sequence, &vec![0; held], length, &mut |_| {});
                prop_assert!(stream.waiting.len() <= SEGMENTS && stream.held <= OCTETS);
            }
        }
    }
}
