//! A capture file of either format.
//!
//! A file is parsed in steps from the part that is in memory, so that neither its size nor the lengths
//! in it determine the memory use.

pub use super::byte_order::ByteOrder;
pub use super::captured_frame::{CaptureFault, CaptureStep, CapturedFrame, MOST_FRAME};

use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};

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
    pub const HEAD: usize = pcap::HEAD;

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
