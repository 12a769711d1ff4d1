//! Fragments of IPv4 datagrams, put together again.
//!
//! Source: RFC 791 §3.2; RFC 815.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::packet::{Ipv4Datagram, VlanTags};
use crate::machine::MacAddress;

/// How long the fragments of one datagram may be apart. Source: RFC 791 §3.2 suggests 15 seconds.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);
/// The most datagrams that wait for fragments.
const MOST_OPEN: usize = 256;
/// The most bytes that wait for others.
const MOST_OCTETS: usize = 4 << 20;
/// The most fragments of one datagram; one of 65,515 bytes over the smallest useful link has fewer.
const MOST_PARTS: usize = 512;
/// The longest payload of a datagram.
const MOST_LENGTH: usize = 65_515;

/// Puts fragments together.
#[derive(Debug, Default)]
pub struct Fragments {
    open: HashMap<DatagramId, Partial>,
    /// The open ones by age; what is no longer open is passed over.
    order: VecDeque<(u64, DatagramId)>,
    bytes: usize,
    /// Numbers the datagrams.
    next: u64,
    lost: LostFragments,
}

/// How many datagrams were not put together, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostFragments {
    /// A fragment did not come in time, or before the end.
    pub incomplete: u64,
    /// Two fragments of it claim the same place.
    pub overlapping: u64,
    /// A fragment lies beyond the longest datagram, or contradicts the end, or is of odd length.
    pub malformed: u64,
    /// It gave way to others: too many waited at once, or it came in too many parts.
    pub crowded: u64,
}

impl LostFragments {
    /// Returns how many there are of all kinds.
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
    /// How long the payload is, once the last fragment was seen.
    length: Option<usize>,
    bytes: usize,
    cut: bool,
}

#[derive(Debug)]
struct Part {
    offset: usize,
    /// How long it was when it was sent.
    length: usize,
    bytes: Vec<u8>,
}

/// A datagram that was put together.
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

/// Why a fragment cannot be taken.
enum FragmentRefusal {
    Overlapping,
    Malformed,
    Crowded,
    /// The same fragment once more.
    Repeated,
}

impl Fragments {
    /// Takes a fragment; returns the datagram that it completes.
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

    /// Returns how many datagrams were not put together.
    pub fn lost(&self) -> LostFragments {
        self.lost
    }

    /// Ends; what still waits is lost.
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
        // What the capture cut off at the end is not there; what it cut within reads as zeros.
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
        // The order must not grow with what is long gone.
        if self.order.len() > 2 * MOST_OPEN {
            let open = &self.open;
            self.order
                .retain(|(number, key)| open.get(key).is_some_and(|it| it.number == *number));
        }
    }

    /// Forgets what has waited too long, and the oldest where too much waits.
    fn forget(&mut self, now: Timestamp) {
        while let Some((number, key)) = self.order.front().copied() {
            let Some(partial) = self.open.get(&key).filter(|it| it.number == number) else {
                self.order.pop_front();
                continue;
            };
            // Clocks of captures go backwards, too.
            let is_late = now.duration_since(partial.since).abs() > PATIENCE;
            let is_crowded = self.open.len() >= MOST_OPEN || self.bytes > MOST_OCTETS;
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
