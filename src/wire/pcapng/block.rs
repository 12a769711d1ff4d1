use jiff::Timestamp;

use super::options::{Comments, Options};
use super::{
    BYTE_ORDER, ENHANCED_PACKET, FRAME, INTERFACE, INTERFACE_NAME, INTERFACE_OFFSET,
    INTERFACE_RESOLUTION, OBSOLETE_PACKET, SECTION, SIMPLE_PACKET, STATISTICS, STATISTICS_DROPPED,
};
use crate::wire::byte_order::ByteOrder;
use crate::wire::captured_frame::{CaptureFault, CaptureStep, CapturedFrame, MOST_FRAME, time};
use crate::wire::packet::LinkType;

/// The longest block that is read; blocks with keys and names are shorter.
const MOST_BLOCK: usize = 16 << 20;
/// The longest block that is accepted after damage.
const MOST_FOUND: usize = 1 << 20;
/// The most interfaces of a section.
const MOST_INTERFACES: usize = 4096;
/// The most bytes of an interface's name that are kept.
const MOST_NAME: usize = 64;

/// The parser of one file.
#[derive(Debug, Default)]
pub struct Pcapng {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    last: Timestamp,
    /// Whether no valid block was found yet after damage.
    is_lost: bool,
}

#[derive(Debug)]
struct Interface {
    link: LinkType,
    snap_length: u32,
    resolution: Resolution,
    /// The seconds to add to every time.
    offset: i64,
    name: Option<String>,
}

/// The units of time per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    Microseconds,
    Nanoseconds,
    Units(u128),
    /// So fine that every time is 0.
    Nothing,
}

impl Pcapng {
    /// Returns the name of an interface of the current section.
    pub fn interface_name(&self, number: u32) -> Option<&str> {
        self.interfaces.get(number as usize)?.name.as_deref()
    }

    /// Parses the next step; see `CaptureFile::step`.
    pub fn step<'a>(&mut self, bytes: &'a [u8], is_last: bool) -> CaptureStep<'a> {
        if self.is_lost {
            return self.search(bytes, is_last);
        }
        match self.whole(bytes, MOST_BLOCK) {
            Ok((kind, length)) => {
                let body = &bytes[8..length - 4];
                let step = match kind {
                    SECTION => Ok(self.section(body)),
                    INTERFACE => self.interface(body),
                    ENHANCED_PACKET | OBSOLETE_PACKET | SIMPLE_PACKET => self.frame(kind, body),
                    STATISTICS => Ok(self.statistics(body)),
                    _ => Ok(None),
                };
                match step {
                    Ok(None) => CaptureStep::Passed(length),
                    Ok(Some(Content::Frame(frame))) => CaptureStep::Frame(length, frame),
                    Ok(Some(Content::Missed(count))) => CaptureStep::Missed(length, count),
                    // The block has a valid frame, so the next block is safe to read.
                    Err(fault) => CaptureStep::Damaged(length, fault),
                }
            }
            Err(CaptureFault::Cut { need, .. }) if !is_last => CaptureStep::Need(need),
            Err(fault) => {
                self.is_lost = true;
                CaptureStep::Damaged(1.min(bytes.len()), fault)
            }
        }
    }

    /// Searches for a valid block after damage.
    fn search<'a>(&mut self, bytes: &[u8], is_last: bool) -> CaptureStep<'a> {
        for at in 0..bytes.len() {
            let rest = &bytes[at..];
            // With fewer than four bytes, any block may start here.
            let kind = match rest.len() {
                4.. => self.order.u32(rest, 0),
                _ => SECTION,
            };
            let is_known = matches!(
                kind,
                SECTION
                    | INTERFACE
                    | ENHANCED_PACKET
                    | OBSOLETE_PACKET
                    | SIMPLE_PACKET
                    | STATISTICS
            );
            if !is_known {
                continue;
            }
            match self.whole(rest, MOST_FOUND) {
                Ok(_) => {
                    self.is_lost = false;
                    return CaptureStep::Passed(at);
                }
                Err(CaptureFault::Cut { need, .. }) if !is_last => {
                    return match at {
                        0 => CaptureStep::Need(need),
                        _ => CaptureStep::Passed(at),
                    };
                }
                Err(_) => {}
            }
        }
        CaptureStep::Passed(bytes.len())
    }

    /// Checks the two lengths of a block. Returns its type and its length.
    fn whole(&self, bytes: &[u8], most: usize) -> Result<(u32, usize), CaptureFault> {
        let have = bytes.len();
        if have < FRAME {
            return Err(CaptureFault::Cut { need: FRAME, have });
        }
        // The section type reads the same in both byte orders.
        let is_section = self.order.u32(bytes, 0) == SECTION;
        let order = if is_section {
            order_of_section(bytes)?
        } else {
            self.order
        };
        let announced = order.u32(bytes, 4);
        let need = announced as usize;
        if !(FRAME..=most).contains(&need) || !need.is_multiple_of(4) || is_section && need < 28 {
            return Err(CaptureFault::BlockLength(announced));
        }
        if have < need {
            return Err(CaptureFault::Cut { need, have });
        }
        match order.u32(bytes, need - 4) {
            trailer if trailer == announced => Ok((order.u32(bytes, 0), need)),
            trailer => Err(CaptureFault::Trailer(announced, trailer)),
        }
    }

    fn section<'a>(&mut self, body: &[u8]) -> Option<Content<'a>> {
        // `whole` has used this byte order for its lengths.
        self.order = match ByteOrder::Little.u32(body, 0) {
            BYTE_ORDER => ByteOrder::Little,
            _ => ByteOrder::Big,
        };
        self.interfaces.clear();
        None
    }

    fn interface<'a>(&mut self, body: &[u8]) -> Result<Option<Content<'a>>, CaptureFault> {
        if self.interfaces.len() == MOST_INTERFACES {
            return Err(CaptureFault::Interfaces(MOST_INTERFACES));
        }
        let options = body.get(8..).ok_or(CaptureFault::Short {
            what: "the description of an interface",
            have: body.len(),
        })?;
        let order = self.order;
        let mut interface = Interface {
            link: LinkType::from_number(order.u16(body, 0)),
            snap_length: order.u32(body, 4),
            resolution: Resolution::Microseconds,
            offset: 0,
            name: None,
        };
        let bytes = options;
        for (code, value) in (Options { order, bytes }) {
            match (code, value) {
                (INTERFACE_RESOLUTION, [unit, ..]) => {
                    interface.resolution = Resolution::parse(*unit)
                }
                (INTERFACE_OFFSET, [_, _, _, _, _, _, _, _]) => {
                    let (low, high) = match order {
                        ByteOrder::Little => (0, 4),
                        ByteOrder::Big => (4, 0),
                    };
                    let high = u64::from(order.u32(value, high)) << 32;
                    interface.offset = (high | u64::from(order.u32(value, low))) as i64;
                }
                (INTERFACE_NAME, name) => {
                    let name = &name[..name.len().min(MOST_NAME)];
                    interface.name = Some(String::from_utf8_lossy(name).into_owned());
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(None)
    }

    fn frame<'a>(
        &mut self,
        kind: u32,
        body: &'a [u8],
    ) -> Result<Option<Content<'a>>, CaptureFault> {
        let order = self.order;
        // The offset of the frame's bytes, and the number of its interface.
        let (start, number) = match kind {
            ENHANCED_PACKET => (20, order.u32(body, 0)),
            OBSOLETE_PACKET => (20, order.u16(body, 0).into()),
            _ => (4, 0),
        };
        if body.len() < start {
            let (what, have) = ("the block of a frame", body.len());
            return Err(CaptureFault::Short { what, have });
        }
        let interface = self.interfaces.get(number as usize);
        let interface = interface.ok_or(CaptureFault::Interface(number))?;
        let (length, sent) = match kind {
            SIMPLE_PACKET => {
                let sent = order.u32(body, 0);
                let snap = match interface.snap_length {
                    0 => u32::MAX,
                    snap => snap,
                };
                // Only the length of the block limits the captured length.
                let kept = (body.len() - start).min(u32::MAX as usize) as u32;
                (sent.min(snap).min(kept), sent)
            }
            _ => (order.u32(body, 12), order.u32(body, 16)),
        };
        let end = start + length as usize;
        let bytes = body.get(start..end).filter(|it| it.len() <= MOST_FRAME);
        let bytes = bytes.ok_or(CaptureFault::FrameLength(length))?;
        if kind != SIMPLE_PACKET {
            let units = u64::from(order.u32(body, 4)) << 32 | u64::from(order.u32(body, 8));
            self.last = interface.time(units);
        }
        let options = match kind {
            SIMPLE_PACKET => None,
            _ => body.get(end.next_multiple_of(4)..),
        };
        Ok(Some(Content::Frame(CapturedFrame {
            at: self.last,
            interface: number,
            link: interface.link,
            bytes,
            sent: (sent as usize).max(bytes.len()),
            comments: Comments(Options {
                order,
                bytes: options.unwrap_or_default(),
            }),
        })))
    }

    fn statistics<'a>(&self, body: &[u8]) -> Option<Content<'a>> {
        let order = self.order;
        let bytes = body.get(12..)?;
        let mut options = Options { order, bytes };
        let (_, dropped) =
            options.find(|(code, value)| *code == STATISTICS_DROPPED && value.len() == 8)?;
        let (low, high) = match order {
            ByteOrder::Little => (0, 4),
            ByteOrder::Big => (4, 0),
        };
        let count = u64::from(order.u32(dropped, high)) << 32 | u64::from(order.u32(dropped, low));
        (count > 0).then_some(Content::Missed(count))
    }
}

enum Content<'a> {
    Frame(CapturedFrame<'a>),
    Missed(u64),
}

fn order_of_section(bytes: &[u8]) -> Result<ByteOrder, CaptureFault> {
    match (
        ByteOrder::Little.u32(bytes, 8),
        ByteOrder::Big.u32(bytes, 8),
    ) {
        (BYTE_ORDER, _) => Ok(ByteOrder::Little),
        (_, BYTE_ORDER) => Ok(ByteOrder::Big),
        (_, other) => Err(CaptureFault::ByteOrder(other)),
    }
}

impl Interface {
    fn time(&self, units: u64) -> Timestamp {
        let (seconds, nanoseconds) = match self.resolution {
            Resolution::Microseconds => (units / 1_000_000, units % 1_000_000 * 1000),
            Resolution::Nanoseconds => (units / 1_000_000_000, units % 1_000_000_000),
            Resolution::Units(a_second) => {
                let units = u128::from(units);
                let part = units % a_second;
                // At most 64 bits, so the product fits.
                let nanoseconds = part * 1_000_000_000 / a_second;
                ((units / a_second) as u64, nanoseconds as u64)
            }
            Resolution::Nothing => (0, 0),
        };
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        time(seconds.saturating_add(self.offset), nanoseconds as i64)
    }
}

impl Resolution {
    fn parse(unit: u8) -> Self {
        let power = u32::from(unit & 0x7f);
        let units = match unit {
            6 => return Self::Microseconds,
            9 => return Self::Nanoseconds,
            0x80.. => 1u128.checked_shl(power),
            _ => 10u128.checked_pow(power),
        };
        units.map_or(Self::Nothing, Self::Units)
    }
}
