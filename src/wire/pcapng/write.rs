use std::ops::Range;

use jiff::Timestamp;

use super::{
    BYTE_ORDER, COMMENT, END, ENHANCED_PACKET, FRAME, INTERFACE, INTERFACE_FILTER, INTERFACE_NAME,
    INTERFACE_OS, INTERFACE_RESOLUTION, SECTION, SECTION_APPLICATION, SECTION_OS, STATISTICS,
    STATISTICS_DROPPED, STATISTICS_RECEIVED,
};
use crate::wire::captured_frame::MOST_FRAME;
use crate::wire::packet::LinkType;

/// The length of the fields before a frame's bytes: block type and length, interface, time and lengths.
const PACKET_HEAD: usize = 28;
/// Times are in nanoseconds; `if_tsresol` of every interface states it.
const NANOSECONDS: u8 = 9;
const VERSION: (u16, u16) = (1, 0);
/// The length of the section is not known while it is written.
const UNKNOWN_LENGTH: u64 = u64::MAX;

/// The description of an interface.
#[derive(Clone, Debug)]
pub struct InterfaceDescription<'a> {
    /// The link-layer header of its frames.
    pub link: LinkType,
    /// Its name.
    pub name: Option<&'a str>,
    /// The filter that selected the frames, in words.
    pub filter: Option<&'a str>,
    /// The operating system that captured them.
    pub system: Option<&'a str>,
}

/// Appends blocks to `bytes`.
#[derive(Debug)]
pub struct PcapngWriter<'a> {
    /// The output.
    pub bytes: &'a mut Vec<u8>,
}

impl PcapngWriter<'_> {
    /// Starts a file, with the names of the program and the operating system.
    pub fn section(&mut self, application: &str, system: Option<&str>) {
        self.block(SECTION, |block| {
            block.extend(BYTE_ORDER.to_le_bytes());
            block.extend(VERSION.0.to_le_bytes());
            block.extend(VERSION.1.to_le_bytes());
            block.extend(UNKNOWN_LENGTH.to_le_bytes());
            if let Some(system) = system {
                option(block, SECTION_OS, system.as_bytes());
            }
            option(block, SECTION_APPLICATION, application.as_bytes());
            end(block);
        });
    }

    /// Describes the next interface; interfaces are numbered from 0.
    pub fn interface(&mut self, interface: &InterfaceDescription<'_>) {
        self.block(INTERFACE, |block| {
            block.extend(interface.link.number().to_le_bytes());
            block.extend([0; 2]);
            block.extend((MOST_FRAME as u32).to_le_bytes());
            if let Some(name) = interface.name {
                option(block, INTERFACE_NAME, name.as_bytes());
            }
            option(block, INTERFACE_RESOLUTION, &[NANOSECONDS]);
            if let Some(filter) = interface.filter {
                // 0: a filter in words, not a BPF program.
                option(block, INTERFACE_FILTER, &[&[0], filter.as_bytes()].concat());
            }
            if let Some(system) = interface.system {
                option(block, INTERFACE_OS, system.as_bytes());
            }
            end(block);
        });
    }

    /// Writes a frame that was `sent` bytes long on the network, with its comments. Returns the range of
    /// its bytes in the output.
    pub fn frame<'c>(
        &mut self,
        interface: u32,
        at: Timestamp,
        bytes: &[u8],
        sent: usize,
        comments: impl Iterator<Item = &'c [u8]>,
    ) -> Range<usize> {
        let bytes = &bytes[..bytes.len().min(MOST_FRAME)];
        let start = self.bytes.len() + PACKET_HEAD;
        self.block(ENHANCED_PACKET, |block| {
            block.extend(interface.to_le_bytes());
            time(block, at);
            block.extend((bytes.len() as u32).to_le_bytes());
            block.extend(u32::try_from(sent).unwrap_or(u32::MAX).to_le_bytes());
            block.extend(bytes);
            pad(block);
            let mut has_options = false;
            for comment in comments {
                has_options = true;
                option(block, COMMENT, comment);
            }
            if has_options {
                end(block);
            }
        });
        start..start + bytes.len()
    }

    /// Writes the statistics of an interface: received frames, and frames that the system dropped.
    pub fn statistics(&mut self, interface: u32, at: Timestamp, received: u64, dropped: u64) {
        self.block(STATISTICS, |block| {
            block.extend(interface.to_le_bytes());
            time(block, at);
            option(block, STATISTICS_RECEIVED, &received.to_le_bytes());
            option(block, STATISTICS_DROPPED, &dropped.to_le_bytes());
            end(block);
        });
    }

    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend([0; 4]);
        body(self.bytes);
        let length = (self.bytes.len() - start + FRAME - 8) as u32;
        self.bytes[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
        self.bytes.extend(length.to_le_bytes());
    }
}

/// Writes a time, the upper half first; a time before 1970 or after 2554 becomes the nearest valid time.
fn time(block: &mut Vec<u8>, at: Timestamp) {
    let units = at.as_nanosecond().clamp(0, u64::MAX.into()) as u64;
    block.extend(((units >> 32) as u32).to_le_bytes());
    block.extend((units as u32).to_le_bytes());
}

/// Writes an option; a value that is too long is cut, between characters if it is text.
fn option(block: &mut Vec<u8>, code: u16, value: &[u8]) {
    let mut length = value.len().min(usize::from(u16::MAX));
    let is_inside = |at: usize| value.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    for _ in 0..3 {
        length -= usize::from(length > 0 && length < value.len() && is_inside(length));
    }
    block.extend(code.to_le_bytes());
    block.extend((length as u16).to_le_bytes());
    block.extend(&value[..length]);
    pad(block);
}

fn end(block: &mut Vec<u8>) {
    block.extend(END.to_le_bytes());
    block.extend([0; 2]);
}

fn pad(block: &mut Vec<u8>) {
    // Everything before this is a multiple of four bytes, too.
    block.resize(block.len().next_multiple_of(4), 0);
}
