//! What the two formats of capture files have in common: frames, and what is wrong with a file.
//!
//! A file is read in steps from whatever part of it is at hand, so that neither its size nor what it
//! says of itself decides how much memory that takes.

use jiff::Timestamp;

use super::packet::LinkType;
use super::pcap::Pcap;
use super::pcapng::{self, Comments, Pcapng};

/// The most bytes of one frame that are read; libpcap draws the same line.
pub const MOST_FRAME: usize = 262_144;

/// A frame of a capture file.
#[derive(Clone, Copy, Debug)]
pub struct CapturedFrame<'a> {
    /// When it was seen.
    pub at: Timestamp,
    /// Where it was seen: the number of an interface of its section; 0 where there is one only.
    pub interface: u32,
    /// What it begins with.
    pub link: LinkType,
    /// As much of it as the capture holds.
    pub bytes: &'a [u8],
    /// How long it was.
    pub sent: usize,
    /// What others have said of it.
    pub comments: Comments<'a>,
}

/// What comes next in a file.
#[derive(Debug)]
pub enum CaptureStep<'a> {
    /// So many bytes are needed at once, in all.
    Need(usize),
    /// So many bytes are done with.
    Passed(usize),
    /// A frame, and how many bytes are done with.
    Frame(usize, CapturedFrame<'a>),
    /// What a machine said that it had missed, and how many bytes are done with.
    Missed(usize, u64),
    /// Something is wrong here. So many bytes are done with; whatever can be read behind them is.
    Damaged(usize, CaptureFault),
}

/// What is wrong with a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureFault {
    /// The file is no capture.
    #[error("it begins with `{0:#010x}`, as neither pcap nor pcapng does")]
    Magic(u32),
    /// An old variant of pcap, of which there are several that cannot be told apart.
    #[error("it is in a modified pcap format")]
    ModifiedPcap,
    /// The file has a version that came after us.
    #[error("version {0}.{1} of its format is not known")]
    Version(u16, u16),
    /// A frame is longer than any can be.
    #[error("a frame says that it is {0} bytes long")]
    FrameLength(u32),
    /// A block is longer or shorter than any can be.
    #[error("a block says that it is {0} bytes long")]
    BlockLength(u32),
    /// A block ends with another length than it begins with.
    #[error("a block begins with the length {0} and ends with {1}")]
    Trailer(u32, u32),
    /// A section says in no way that we know how its numbers are written.
    #[error("a section has the byte order `{0:#010x}`")]
    ByteOrder(u32),
    /// A block is too short for what it is.
    #[error("{what} has no more than {have} bytes")]
    Short {
        /// What kind of block.
        what: &'static str,
        /// How long it is.
        have: usize,
    },
    /// A frame came in at an interface that nobody described.
    #[error("a frame of interface {0}, which was not described")]
    Interface(u32),
    /// A section describes more interfaces than anyone has.
    #[error("a section describes more than {0} interfaces")]
    Interfaces(usize),
    /// The file ends in the middle of something.
    #[error("the file is cut: {need} bytes are announced and {have} are there")]
    Cut {
        /// How many bytes should be there.
        need: usize,
        /// How many there are.
        have: usize,
    },
}

/// A reader of one capture file.
#[derive(Debug)]
pub enum CaptureFile {
    /// The older format.
    Pcap(Pcap),
    /// The newer one.
    Pcapng(Pcapng),
}

impl CaptureFile {
    /// How many bytes tell the format.
    pub const HEAD: usize = 24;

    /// Begins to read a file by its first [`CaptureFile::HEAD`] bytes, or by all where it is shorter;
    /// also returns how many of them are done with.
    ///
    /// # Errors
    /// When it is no capture file of a kind that we know.
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

    /// Reads what comes next from the part of the file that is at hand, which is its end where
    /// `is_last`. No step is made where nothing is left.
    pub fn step<'a>(&mut self, bytes: &'a [u8], is_last: bool) -> CaptureStep<'a> {
        match self {
            Self::Pcap(pcap) => pcap.step(bytes, is_last),
            Self::Pcapng(pcapng) => pcapng.step(bytes, is_last),
        }
    }

    /// Returns the name of an interface of the section that was read last, where the file has it.
    pub fn interface_name(&self, number: u32) -> Option<&str> {
        match self {
            Self::Pcap(_) => None,
            Self::Pcapng(pcapng) => pcapng.interface_name(number),
        }
    }
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrder {
    /// The least byte first.
    #[default]
    Little,
    /// The greatest byte first.
    Big,
}

impl ByteOrder {
    /// Reads a number at a place; 0 where there is none.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
        let bytes = bytes.copied().unwrap_or_default();
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    /// Reads a number at a place; 0 where there is none.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
        let bytes = bytes.copied().unwrap_or_default();
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// Makes a time of seconds and nanoseconds, the nearest where there is no such time.
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
