//! Boot tokens and capabilities in the frames of a capture, and what is written in their place.
//!
//! A secret is known by its form, or by where it stands: behind `/s/`, `m/<mac>/` and `token=`. One that
//! goes on in the next segment, block or fragment of its stream is followed there. What is written in its
//! place is as long and has the same check sum, so no header changes, and a datagram stays whole whose
//! check sum stands in another fragment.

mod stand_in;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::ops::Range;

use crate::machine::{is_base64url, is_place_of_secret, secret_runs};
use crate::wire::packet::{Ipv4Datagram, LinkType, Transport};

pub use stand_in::stand_in;

/// No secret of ours is longer: a capability.
const LONGEST: usize = 39;
/// How many secrets that go on elsewhere are remembered; the oldest are forgotten first.
const MOST_CONTINUED: usize = 4096;

/// Finds secrets in frames, one after the other.
#[derive(Debug, Default)]
pub struct Masker {
    /// Where a secret goes on, and how much of it came before.
    continued: HashMap<StreamPosition, usize>,
    order: VecDeque<StreamPosition>,
}

/// A place in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct StreamPosition {
    source: SocketAddrV4,
    destination: SocketAddrV4,
    protocol: u8,
    /// Which datagram, where it is one of fragments.
    identification: Option<u16>,
    /// The number of a byte, or of a block.
    number: u32,
}

/// The part of a stream that a frame carries.
struct StreamPart<'f> {
    bytes: &'f [u8],
    place: StreamPosition,
    /// The place of what follows; none where the capture lacks some of it.
    next: Option<StreamPosition>,
}

impl Masker {
    /// Adds the ranges of a frame that hold secrets.
    pub fn find(&mut self, link: LinkType, frame: &[u8], found: &mut Vec<Range<usize>>) {
        found.extend(secret_runs(frame));
        if let Some(part) = part(link, frame) {
            let start = part.bytes.as_ptr() as usize - frame.as_ptr() as usize;
            let in_frame = |range: Range<usize>| start + range.start..start + range.end;
            found.extend(self.begun(&part).map(in_frame));
            found.extend(self.unfinished(&part).map(in_frame));
        }
        // One may be found in two ways.
        found.sort_unstable_by_key(|range| (range.start, range.end));
        found.dedup_by(|next, before| {
            let touches = next.start <= before.end;
            if touches {
                before.end = before.end.max(next.end);
            }
            touches
        });
    }

    /// Returns the rest of a secret that began before this part.
    fn begun(&mut self, part: &StreamPart<'_>) -> Option<Range<usize>> {
        if self.continued.is_empty() {
            return None;
        }
        let before = *self.continued.get(&part.place)?;
        let letters = part.bytes.iter().take_while(|it| is_base64url(**it));
        let length = letters.take(LONGEST - before).count();
        if let Some(next) = part.next.filter(|_| length == part.bytes.len()) {
            self.goes_on(next, before + length);
        }
        (length > 0).then_some(0..length)
    }

    /// Returns the beginning of a secret that may go on behind this part.
    fn unfinished(&mut self, part: &StreamPart<'_>) -> Option<Range<usize>> {
        let bytes = part.bytes;
        let letters = bytes.iter().rev().take_while(|it| is_base64url(**it));
        let length = letters.take(LONGEST).count();
        let start = bytes.len() - length;
        if length == LONGEST || !is_place_of_secret(&bytes[..start]) {
            return None;
        }
        if let Some(next) = part.next {
            self.goes_on(next, length);
        }
        (length > 0).then_some(start..bytes.len())
    }

    fn goes_on(&mut self, place: StreamPosition, before: usize) {
        if before >= LONGEST || self.continued.insert(place, before).is_some() {
            return;
        }
        self.order.push_back(place);
        if self.order.len() > MOST_CONTINUED
            && let Some(oldest) = self.order.pop_front()
        {
            self.continued.remove(&oldest);
        }
    }
}

/// Returns what a frame carries of a stream: a segment of TCP, a block of TFTP, a fragment.
fn part(link: LinkType, frame: &[u8]) -> Option<StreamPart<'_>> {
    let datagram = Ipv4Datagram::parse(link, frame).ok()?;
    let place = StreamPosition {
        source: SocketAddrV4::new(datagram.source, 0),
        destination: SocketAddrV4::new(datagram.destination, 0),
        protocol: datagram.protocol,
        identification: None,
        number: 0,
    };
    if datagram.is_fragment() {
        let place = StreamPosition {
            identification: Some(datagram.identification),
            number: datagram.offset as u32,
            ..place
        };
        let number = place.number + datagram.length as u32;
        return Some(StreamPart {
            bytes: datagram.payload,
            place,
            next: (!datagram.cut && datagram.more).then_some(StreamPosition { number, ..place }),
        });
    }
    let packet = datagram.packet().ok()?;
    let place = StreamPosition {
        source: packet.source,
        destination: packet.destination,
        ..place
    };
    let (bytes, number, next) = match packet.transport {
        Transport::Tcp(segment) => {
            let next = segment.sequence.wrapping_add(segment.payload.len() as u32);
            (segment.payload, segment.sequence, next)
        }
        // A block of data. FrameSource: RFC 1350 §5.
        Transport::Udp([0, 3, high, low, data @ ..]) => {
            let block = u16::from_be_bytes([*high, *low]);
            (data, block.into(), block.wrapping_add(1).into())
        }
        _ => return None,
    };
    Some(StreamPart {
        bytes,
        place: StreamPosition { number, ..place },
        next: (!packet.cut).then_some(StreamPosition {
            number: next,
            ..place
        }),
    })
}

#[cfg(test)]
mod tests;
