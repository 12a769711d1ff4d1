//! The newer capture file format: reading and writing.
//!
//! Source: draft-ietf-opsawg-pcapng.

mod block;
mod options;
mod write;

#[cfg(test)]
mod tests;

pub use block::Pcapng;
pub use options::Comments;
pub use write::{InterfaceDescription, PcapngWriter};

/// The types of blocks.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// The byte order mark of a section.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// The length of a block without its body: its type and two lengths.
const FRAME: usize = 12;

/// The option codes, by the block that contains them.
const END: u16 = 0;
const COMMENT: u16 = 1;
const SECTION_OS: u16 = 3;
const SECTION_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_RESOLUTION: u16 = 9;
const INTERFACE_FILTER: u16 = 11;
const INTERFACE_OS: u16 = 12;
const INTERFACE_OFFSET: u16 = 14;
const STATISTICS_RECEIVED: u16 = 4;
const STATISTICS_DROPPED: u16 = 5;
