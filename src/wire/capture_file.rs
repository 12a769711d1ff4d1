//! The common part of the two capture file formats: frames, and errors in a file.
//!
//! A file is parsed in steps from the part that is in memory, so that neither its size nor the lengths
//! in it determine the memory use.

use jiff::Timestamp;

use super::packet::LinkType;
use super::pcap::Pcap;
use super::pcapng::{self, Comments, Pcapng};

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

/// The parser of one capture file.
#[derive(Debug)]
pub enum CaptureFile {
    /// The older format, pcap.
    Pcap(Pcap),
    /// The newer format, pcapng.
    Pcapng(Pcapng),
}

impl CaptureFile {
    /// How many bytes identify the format.
    pub const HEAD: usize = 24;

    /// Starts to parse a file by its first [`CaptureFile::HEAD`] bytes, or by all bytes of a shorter file.
    /// Also returns how many of them were consumed.
    ///
    /// # Errors
    /// When it is not a capture file of a supported format.
    pub fn start(head: &[u8]) -> Result<(Self, usize), CaptureFault> {
        let cut = CaptureFault::Cut {
            need: Self::HEAD,
            have: head.len(),
        };
        let magic = head.first_chunk().map(|it| u32::from_be_bytes(*it));
        match magic.ok_or(cut)? {
            pcapng::SECTION => Ok((Self::Pcapng(Pcapng::default()), 0)),
            _ => Pcap::start(head).map(|pcap| (Self::Pcap(pcap), Self::HEAD)),
        }
    }

    /// Parses the next step from the given part of the file, which is the end of the file if `is_last`.
    /// The part must not be empty.
    pub fn step<'a>(&mut self, bytes: &'a [u8], is_last: bool) -> CaptureStep<'a> {
        match self {
            Self::Pcap(pcap) => pcap.step(bytes, is_last),
            Self::Pcapng(pcapng) => pcapng.step(bytes, is_last),
        }
    }

    /// Returns the name of an interface of the current section, if the file has it.
    pub fn interface_name(&self, number: u32) -> Option<&str> {
        match self {
            Self::Pcap(_) => None,
            Self::Pcapng(pcapng) => pcapng.interface_name(number),
        }
    }
}

/// The byte order of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrder {
    /// The least significant byte first.
    #[default]
    Little,
    /// The most significant byte first.
    Big,
}

impl ByteOrder {
    /// Reads a number at an offset; 0 after the end.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
        let bytes = bytes.copied().unwrap_or_default();
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    /// Reads a number at an offset; 0 after the end.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
        let bytes = bytes.copied().unwrap_or_default();
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
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
