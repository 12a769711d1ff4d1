//! The common part of the two capture file formats: frames, and errors in a file.

use jiff::Timestamp;

use super::packet::LinkType;
use super::pcapng::Comments;

/// The most bytes of one frame that are read, the same limit as in libpcap.
pub const MOST_FRAME: usize = 262_144;

/// A frame of a capture file.
#[derive(Clone, Copy, Debug)]
pub struct CapturedFrame<'a> {
    /// The capture time.
    pub at: Timestamp,
    /// The number of the interface in its section; 0 if there is only one.
    pub interface: u32,
    /// The link-layer header.
    pub link: LinkType,
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// The length on the network, in bytes.
    pub sent: usize,
    /// The comments on the frame.
    pub comments: Comments<'a>,
}

/// The result of one parsing step.
#[derive(Debug)]
pub enum CaptureStep<'a> {
    /// The step needs so many bytes in total.
    Need(usize),
    /// So many bytes were consumed.
    Passed(usize),
    /// A frame, after the number of consumed bytes.
    Frame(usize, CapturedFrame<'a>),
    /// The number of frames that the capturing machine missed, after the number of consumed bytes.
    Missed(usize, u64),
    /// The file is damaged here, after the number of consumed bytes. Parsing continues after the damage.
    Damaged(usize, CaptureFault),
}

/// An error in a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureFault {
    /// The file is not a capture.
    #[error("the first bytes are `{0:#010x}`, neither pcap nor pcapng")]
    Magic(u32),
    /// An old variant of pcap; there are several, which cannot be distinguished.
    #[error("the file has a modified pcap format")]
    ModifiedPcap,
    /// The version of the format is not supported.
    #[error("version {0}.{1} of the format is not supported")]
    Version(u16, u16),
    /// The length of a frame is too large.
    #[error("a frame has an invalid length of {0} bytes")]
    FrameLength(u32),
    /// The length of a block is too large or too small.
    #[error("a block has an invalid length of {0} bytes")]
    BlockLength(u32),
    /// The two lengths of a block differ.
    #[error("a block starts with the length {0} and ends with the length {1}")]
    Trailer(u32, u32),
    /// The byte order mark of a section is invalid.
    #[error("a section has the invalid byte order mark `{0:#010x}`")]
    ByteOrder(u32),
    /// A block is too short for its type.
    #[error("{what} has only {have} bytes")]
    Short {
        /// The type of block.
        what: &'static str,
        /// Its length in bytes.
        have: usize,
    },
    /// A frame names an interface that the file does not describe.
    #[error("a frame names interface {0}, which the file does not describe")]
    Interface(u32),
    /// A section describes too many interfaces.
    #[error("a section describes more than {0} interfaces")]
    Interfaces(usize),
    /// The file ends too early.
    #[error("the file is truncated: expected {need} bytes, found {have}")]
    Cut {
        /// The expected number of bytes.
        need: usize,
        /// The number of bytes that are left.
        have: usize,
    },
}

/// Returns a time of seconds and nanoseconds, or the nearest representable time.
pub(super) fn time(seconds: i64, nanoseconds: i64) -> Timestamp {
    let seconds = seconds.saturating_add(nanoseconds.div_euclid(1_000_000_000));
    let nanoseconds = nanoseconds.rem_euclid(1_000_000_000) as i32;
    let nearest = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::new(seconds, nanoseconds).unwrap_or(nearest)
}
