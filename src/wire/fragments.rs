//! Reassembly of fragmented IPv4 datagrams.
//!
//! Source: RFC 791 §3.2; RFC 815.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::packet::{Ipv4Datagram, VlanTags};
use crate::machine::MacAddress;

/// The longest time between the fragments of one datagram. Source: RFC 791 §3.2 suggests 15 seconds.
const REASSEMBLY_TIMEOUT: SignedDuration = SignedDuration::from_secs(15);
/// The most datagrams that wait for fragments.
const MOST_OPEN: usize = 256;
/// The most bytes that wait for further fragments.
const MOST_BYTES: usize = 4 << 20;
/// The most fragments of one datagram; one of 65,515 bytes over the smallest useful link has fewer.
const MOST_PARTS: usize = 512;
/// The longest payload of a datagram.
const MOST_LENGTH: usize = 65_515;

/// Reassembles fragments.
#[derive(Debug, Default)]
pub struct Fragments {
    open: HashMap<DatagramId, Partial>,
    /// The open datagrams by age; closed ones are skipped.
    order: VecDeque<(u64, DatagramId)>,
    bytes: usize,
    /// The number of the next datagram.
    next: u64,
    lost: LostFragments,
}

/// How many datagrams were not reassembled, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostFragments {
    /// A fragment did not arrive in time, or before the end of the capture.
    pub incomplete: u64,
    /// Two fragments overlap.
    pub overlapping: u64,
    /// A fragment exceeds the longest datagram, contradicts the end, or has an invalid length.
    pub malformed: u64,
    /// It was dropped for others: too many waited at once, or it has too many fragments.
    pub crowded: u64,
}

impl LostFragments {
    /// Returns the total.
    pub fn total(self) -> u64 {
        self.incomplete + self.overlapping + self.malformed + self.crowded
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DatagramId {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    identification: u16,
    protocol: u8,
    vlans: VlanTags,
}

#[derive(Debug)]
struct Partial {
    number: u64,
    since: Timestamp,
    parts: Vec<Part>,
    /// The length of the payload, known from the last fragment.
    length: Option<usize>,
    bytes: usize,
    cut: bool,
}

#[derive(Debug)]
struct Part {
    offset: usize,
    /// The length on the network, in bytes.
    length: usize,
    bytes: Vec<u8>,
}

/// A reassembled datagram.
#[derive(Debug)]
pub struct WholeDatagram {
    macs: (MacAddress, MacAddress),
    key: DatagramId,
    payload: Vec<u8>,
    cut: bool,
}

impl WholeDatagram {
    /// Returns the datagram, in the frame of its last fragment.
    pub fn datagram(&self) -> Ipv4Datagram<'_> {
        Ipv4Datagram {
            source_mac: self.macs.0,
            destination_mac: self.macs.1,
            vlans: self.key.vlans,
            source: self.key.source,
            destination: self.key.destination,
            protocol: self.key.protocol,
            identification: self.key.identification,
            offset: 0,
            more: false,
            payload: &self.payload,
            length: self.payload.len(),
            cut: self.cut,
        }
    }
}

/// Why a fragment is refused.
enum FragmentRefusal {
    Overlapping,
    Malformed,
    Crowded,
    /// The same fragment was received before.
    Repeated,
}

impl Fragments {
    /// Processes a fragment. Returns the datagram if it is now complete.
    pub fn take(&mut self, at: Timestamp, fragment: &Ipv4Datagram<'_>) -> Option<WholeDatagram> {
        self.forget(at);
        let key = DatagramId {
            source: fragment.source,
            destination: fragment.destination,
            identification: fragment.identification,
            protocol: fragment.protocol,
            vlans: fragment.vlans,
        };
        let partial = self.open.entry(key).or_insert_with(|| {
            self.next += 1;
            self.order.push_back((self.next, key));
            Partial {
                number: self.next,
                since: at,
                parts: Vec::new(),
                length: None,
                bytes: 0,
                cut: false,
            }
        });
        let before = partial.bytes;
        let lost = match partial.take(fragment) {
            Ok(()) => {
                self.bytes += partial.bytes - before;
                return self.completed(key, fragment);
            }
            Err(FragmentRefusal::Repeated) => return None,
            Err(FragmentRefusal::Overlapping) => &mut self.lost.overlapping,
            Err(FragmentRefusal::Malformed) => &mut self.lost.malformed,
            Err(FragmentRefusal::Crowded) => &mut self.lost.crowded,
        };
        *lost += 1;
        self.drop_open(key);
        None
    }

    /// Returns how many datagrams were not reassembled.
    pub fn lost(&self) -> LostFragments {
        self.lost
    }

    /// Ends reassembly; incomplete datagrams count as lost.
    pub fn finish(self) -> LostFragments {
        LostFragments {
            incomplete: self.lost.incomplete + self.open.len() as u64,
            ..self.lost
        }
    }

    fn completed(&mut self, key: DatagramId, last: &Ipv4Datagram<'_>) -> Option<WholeDatagram> {
        let partial = self.open.get(&key)?;
        let length = partial.length?;
        let have: usize = partial.parts.iter().map(|part| part.length).sum();
        if have < length {
            return None;
        }
        let mut payload = vec![0; length];
        let mut kept = 0;
        for part in &partial.parts {
            let place = part.offset..part.offset + part.bytes.len();
            payload[place].copy_from_slice(&part.bytes);
            kept = kept.max(part.offset + part.bytes.len());
        }
        // Bytes that the capture cut off at the end are left out; earlier ones read as zeros.
        payload.truncate(kept);
        let cut = partial.cut;
        self.drop_open(key);
        Some(WholeDatagram {
            macs: (last.source_mac, last.destination_mac),
            key,
            payload,
            cut,
        })
    }

    fn drop_open(&mut self, key: DatagramId) {
        if let Some(partial) = self.open.remove(&key) {
            self.bytes -= partial.bytes;
        }
        // Remove closed datagrams, so that the order stays small.
        if self.order.len() > 2 * MOST_OPEN {
            let open = &self.open;
            self.order
                .retain(|(number, key)| open.get(key).is_some_and(|it| it.number == *number));
        }
    }

    /// Forgets datagrams that waited too long, and the oldest if too many wait.
    fn forget(&mut self, now: Timestamp) {
        while let Some((number, key)) = self.order.front().copied() {
            let Some(partial) = self.open.get(&key).filter(|it| it.number == number) else {
                self.order.pop_front();
                continue;
            };
            // The times of a capture can go backwards.
            let is_late = now.duration_since(partial.since).abs() > REASSEMBLY_TIMEOUT;
            let is_crowded = self.open.len() >= MOST_OPEN || self.bytes > MOST_BYTES;
            match (is_late, is_crowded) {
                (true, _) => self.lost.incomplete += 1,
                (false, true) => self.lost.crowded += 1,
                (false, false) => break,
            }
            self.order.pop_front();
            self.drop_open(key);
        }
    }
}

impl Partial {
    fn take(&mut self, fragment: &Ipv4Datagram<'_>) -> Result<(), FragmentRefusal> {
        let (offset, length) = (fragment.offset, fragment.length);
        let end = offset + length;
        let is_odd = fragment.more && (length % 8 != 0 || length == 0);
        let is_beyond = end > MOST_LENGTH || self.length.is_some_and(|whole| end > whole);
        if is_odd || is_beyond {
            return Err(FragmentRefusal::Malformed);
        }
        let place = self.parts.partition_point(|part| part.offset < offset);
        if let Some(same) = self.parts.get(place)
            && (same.offset, same.length) == (offset, length)
            && same.bytes == fragment.payload
        {
            return Err(FragmentRefusal::Repeated);
        }
        let before = place.checked_sub(1).map(|index| &self.parts[index]);
        let is_overlapping = before.is_some_and(|part| part.offset + part.length > offset)
            || self.parts.get(place).is_some_and(|part| part.offset < end);
        if is_overlapping {
            return Err(FragmentRefusal::Overlapping);
        }
        if !fragment.more {
            let reaches_beyond = self.parts.last().is_some_and(|part| part.offset >= end);
            if self.length.is_some() || reaches_beyond {
                return Err(FragmentRefusal::Malformed);
            }
            self.length = Some(end);
        }
        if self.parts.len() == MOST_PARTS {
            return Err(FragmentRefusal::Crowded);
        }
        self.cut |= fragment.cut;
        self.bytes += fragment.payload.len();
        self.parts.insert(
            place,
            Part {
                offset,
                length,
                bytes: fragment.payload.to_vec(),
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
