//! Finds boot tokens and capabilities in captured frames, and replaces them.
//!
//! A secret is recognized by its form, or by its position: after `/s/`, `m/<mac>/` and `token=`. If it
//! continues in the next segment, block or fragment of its stream, it is followed there. The replacement
//! has the same length and checksum, so no header changes, and a datagram stays valid even if its
//! checksum is in another fragment.

mod stand_in;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::ops::Range;

use crate::machine::{is_base64url, is_place_of_secret, secret_runs};
use crate::wire::packet::{Ipv4Datagram, LinkType, Transport};

pub use stand_in::stand_in;

/// The length of the longest secret, a capability.
const LONGEST: usize = 39;
/// The most continued secrets that are remembered; the oldest are forgotten first.
const MOST_CONTINUED: usize = 4096;

/// Finds secrets in consecutive frames.
#[derive(Debug, Default)]
pub struct Masker {
    /// Where a secret continues, and how many of its bytes came before.
    continued: HashMap<StreamPosition, usize>,
    order: VecDeque<StreamPosition>,
}

/// A position in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct StreamPosition {
    source: SocketAddrV4,
    destination: SocketAddrV4,
    protocol: u8,
    /// The identification of a fragmented datagram.
    identification: Option<u16>,
    /// The number of a byte or a block.
    number: u32,
}

/// The part of a stream that a frame carries.
struct StreamPart<'f> {
    bytes: &'f [u8],
    place: StreamPosition,
    /// The position after it; `None` if the capture does not hold the whole part.
    next: Option<StreamPosition>,
}

impl Masker {
    /// Adds the ranges of a frame that hold secrets.
    pub fn find(&mut self, link: LinkType, frame: &[u8], found: &mut Vec<Range<usize>>) {
        found.extend(secret_runs(frame));
        if let Some(part) = part(link, frame) {
            let start = part.bytes.as_ptr() as usize - frame.as_ptr() as usize;
            let in_frame = |range: Range<usize>| start + range.start..start + range.end;
            found.extend(self.rest_of_secret(&part).map(in_frame));
            found.extend(self.start_of_secret(&part).map(in_frame));
        }
        // The same secret can be found in two ways.
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
    fn rest_of_secret(&mut self, part: &StreamPart<'_>) -> Option<Range<usize>> {
        if self.continued.is_empty() {
            return None;
        }
        let before = *self.continued.get(&part.place)?;
        let letters = part.bytes.iter().take_while(|it| is_base64url(**it));
        let length = letters.take(LONGEST - before).count();
        if let Some(next) = part.next.filter(|_| length == part.bytes.len()) {
            self.remember_continuation(next, before + length);
        }
        (length > 0).then_some(0..length)
    }

    /// Returns the start of a secret that may continue after this part.
    fn start_of_secret(&mut self, part: &StreamPart<'_>) -> Option<Range<usize>> {
        let bytes = part.bytes;
        let letters = bytes.iter().rev().take_while(|it| is_base64url(**it));
        let length = letters.take(LONGEST).count();
        let start = bytes.len() - length;
        if length == LONGEST || !is_place_of_secret(&bytes[..start]) {
            return None;
        }
        if let Some(next) = part.next {
            self.remember_continuation(next, length);
        }
        (length > 0).then_some(start..bytes.len())
    }

    fn remember_continuation(&mut self, place: StreamPosition, before: usize) {
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

/// Returns the part of a stream in a frame: a TCP segment, a TFTP block or a fragment.
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
        // A block of data. Source: RFC 1350 §5.
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
