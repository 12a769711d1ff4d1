use std::ops::Range;

use jiff::Timestamp;

use super::{
    BYTE_ORDER, COMMENT, END, ENHANCED_PACKET, FRAME, INTERFACE, INTERFACE_FILTER, INTERFACE_NAME,
    INTERFACE_OS, INTERFACE_RESOLUTION, SECTION, SECTION_APPLICATION, SECTION_OS, STATISTICS,
    STATISTICS_DROPPED, STATISTICS_RECEIVED,
};
use crate::wire::capture_file::MOST_FRAME;
use crate::wire::packet::LinkType;

/// What stands before the bytes of a frame: type and length of its block, interface, time and lengths.
const PACKET_HEAD: usize = 28;
/// Times are written in nanoseconds, since the `if_tsresol` of every interface says so.
const NANOSECONDS: u8 = 9;
const VERSION: (u16, u16) = (1, 0);
/// How long the section is, nobody knows while it is written.
const UNKNOWN_LENGTH: u64 = u64::MAX;

/// What is said of an interface.
#[derive(Clone, Debug)]
pub struct InterfaceDescription<'a> {
    /// What its frames begin with.
    pub link: LinkType,
    /// Its name.
    pub name: Option<&'a str>,
    /// Which frames were kept, in words.
    pub filter: Option<&'a str>,
    /// The system that saw them.
    pub system: Option<&'a str>,
}

/// Writes blocks, one after the other, to the end of `bytes`.
#[derive(Debug)]
pub struct PcapngWriter<'a> {
    /// Where they go.
    pub bytes: &'a mut Vec<u8>,
}

impl PcapngWriter<'_> {
    /// Begins a file: which program wrote it, and on which system.
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

    /// Describes the next interface; they are numbered from 0.
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
                // 0: in the words of its author, and no program.
                option(block, INTERFACE_FILTER, &[&[0], filter.as_bytes()].concat());
            }
            if let Some(system) = interface.system {
                option(block, INTERFACE_OS, system.as_bytes());
            }
            end(block);
        });
    }

    /// Writes a frame that was `sent` bytes long, with what is said of it; returns where its bytes
    /// stand.
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

    /// Ends the frames of an interface: how many came in, and how many of them the system dropped.
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

/// Writes a time, its greater half first; what lies before 1970 or after 2554 is written as the
/// nearest time.
fn time(block: &mut Vec<u8>, at: Timestamp) {
    let units = at.as_nanosecond().clamp(0, u64::MAX.into()) as u64;
    block.extend(((units >> 32) as u32).to_le_bytes());
    block.extend((units as u32).to_le_bytes());
}

/// Writes an option, cut to what one can hold, between characters where it is text.
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
    // Whatever was written before the block is whole words, too.
    block.resize(block.len().next_multiple_of(4), 0);
}
