//! The older capture file format.
//!
//! Source: draft-ietf-opsawg-pcap.

use super::byte_order::ByteOrder;
use super::captured_frame::{CaptureFault, CaptureStep, CapturedFrame, MOST_FRAME, time};
use super::packet::LinkType;
use super::pcapng::Comments;

/// The length of the header of a file, in bytes.
pub(super) const HEAD: usize = 24;

/// The length of a record's header.
const RECORD: usize = 16;
/// After damage, frames that are further apart than this, in seconds, are not accepted.
const APART: u32 = 24 * 60 * 60;

/// The parser of one file.
#[derive(Debug)]
pub struct Pcap {
    order: ByteOrder,
    /// The unit of its times, in nanoseconds.
    unit: u32,
    link: LinkType,
    /// The seconds of the last frame.
    last: Option<u32>,
    /// Whether no valid frame was found yet after damage.
    is_lost: bool,
}

impl Pcap {
    /// Reads the header of a file, 24 bytes.
    ///
    /// # Errors
    /// When the file is not pcap, or of an unsupported kind.
    pub fn start(head: &[u8]) -> Result<Self, CaptureFault> {
        let magic = ByteOrder::Big.u32(head, 0);
        let (order, unit) = match magic {
            0xa1b2_c3d4 => (ByteOrder::Big, 1000),
            0xd4c3_b2a1 => (ByteOrder::Little, 1000),
            0xa1b2_3c4d => (ByteOrder::Big, 1),
            0x4d3c_b2a1 => (ByteOrder::Little, 1),
            0xa1b2_cd34 | 0x34cd_b2a1 => return Err(CaptureFault::ModifiedPcap),
            other => return Err(CaptureFault::Magic(other)),
        };
        if head.len() < HEAD {
            return Err(CaptureFault::Cut {
                need: HEAD,
                have: head.len(),
            });
        }
        let version = (order.u16(head, 4), order.u16(head, 6));
        // Before 2.3, the two lengths of a frame were in the other order.
        if !matches!(version, (2, 3 | 4)) {
            return Err(CaptureFault::Version(version.0, version.1));
        }
        // The upper bits tell whether frames end with a checksum.
        let link = LinkType::from_number(order.u32(head, 20) as u16);
        Ok(Self {
            order,
            unit,
            link,
            last: None,
            is_lost: false,
        })
    }

    /// Parses the next step; see `CaptureFile::step`.
    pub fn step<'a>(&mut self, bytes: &'a [u8], is_last: bool) -> CaptureStep<'a> {
        if self.is_lost {
            return self.search(bytes, is_last);
        }
        let (need, fault) = match bytes.first_chunk::<RECORD>() {
            None => (RECORD, None),
            Some(record) => {
                let length = self.order.u32(record, 8);
                match length as usize {
                    length @ ..=MOST_FRAME => (RECORD + length, None),
                    _ => (RECORD, Some(CaptureFault::FrameLength(length))),
                }
            }
        };
        let have = bytes.len();
        let cut = (have < need).then_some(CaptureFault::Cut { need, have });
        match (fault.or(cut), bytes.get(RECORD..need)) {
            (None, Some(frame)) => {
                let seconds = self.order.u32(bytes, 0);
                let fraction = i64::from(self.order.u32(bytes, 4)) * i64::from(self.unit);
                self.last = Some(seconds);
                let frame = CapturedFrame {
                    at: time(seconds.into(), fraction),
                    interface: 0,
                    link: self.link,
                    bytes: frame,
                    sent: (self.order.u32(bytes, 12) as usize).max(frame.len()),
                    comments: Comments::default(),
                };
                CaptureStep::Frame(need, frame)
            }
            (Some(CaptureFault::Cut { .. }), _) if !is_last => CaptureStep::Need(need),
            (fault, _) => {
                self.is_lost = true;
                let fault = fault.unwrap_or(CaptureFault::Cut { need, have });
                CaptureStep::Damaged(1.min(have), fault)
            }
        }
    }

    /// Searches for two consecutive records, or one at the end of the file.
    fn search<'a>(&mut self, bytes: &[u8], is_last: bool) -> CaptureStep<'a> {
        for at in 0..bytes.len() {
            let rest = &bytes[at..];
            let Some(first) = self.plausible(rest, self.last) else {
                if rest.len() < RECORD && !is_last {
                    return passed_or_need(at, RECORD);
                }
                continue;
            };
            let is_found = match rest.get(first.length..) {
                Some([]) if is_last => true,
                Some(next) if next.len() >= RECORD => {
                    self.plausible(next, Some(first.seconds)).is_some()
                }
                _ if is_last => false,
                _ => return passed_or_need(at, first.length + RECORD),
            };
            if is_found {
                self.is_lost = false;
                return CaptureStep::Passed(at);
            }
        }
        CaptureStep::Passed(bytes.len())
    }

    /// Parses a possible record header.
    fn plausible(&self, bytes: &[u8], near: Option<u32>) -> Option<Record> {
        let record = bytes.first_chunk::<RECORD>()?;
        let field = |at| self.order.u32(record, at);
        let (seconds, fraction, length, sent) = (field(0), field(4), field(8), field(12));
        let is_plausible = u64::from(fraction) * u64::from(self.unit) < 1_000_000_000
            && (14..=MOST_FRAME).contains(&(length as usize))
            && (length..=MOST_FRAME as u32).contains(&sent)
            && near.is_none_or(|near| near.abs_diff(seconds) <= APART);
        is_plausible.then_some(Record {
            seconds,
            length: RECORD + length as usize,
        })
    }
}

struct Record {
    seconds: u32,
    /// The length of the record with its frame.
    length: usize,
}

fn passed_or_need<'a>(passed: usize, need: usize) -> CaptureStep<'a> {
    if passed > 0 {
        CaptureStep::Passed(passed)
    } else {
        CaptureStep::Need(need)
    }
}

#[cfg(test)]
mod tests;
