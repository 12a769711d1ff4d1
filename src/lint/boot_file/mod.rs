//! The format of a boot file, detected from its content, because firmware ignores file names.

mod image;
mod signature;

#[cfg(test)]
mod tests;

use std::fmt;

pub use image::{PeImage, PeMachine, Subsystem, machine_in_head};
pub use signature::{NotSigned, Signature, SignatureError};

/// The number of bytes at the start of a file that identify every format except [`BootFile::Image`],
/// which needs the whole file. An ISO 9660 image has its mark after the system area.
///
/// Source: ECMA-119 §7.2.1.
pub const HEAD: usize = 64 << 10;

/// The format of a file that a client boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// A PE image, which UEFI runs. A Linux kernel with an EFI stub is also a PE image.
    Image(PeImage),
    /// A PE image or a DOS program with invalid headers.
    BrokenImage(String),
    /// Real-mode code that a PXE BIOS starts, such as `undionly.kpxe` or `pxelinux.0`.
    NetworkBootProgram,
    /// An iPXE script.
    Script,
    /// A Linux kernel without an EFI stub, such as `ipxe.lkrn`.
    Kernel,
    /// An ISO 9660 image.
    Iso,
    /// A file with the mark of a boot sector: usually a disk image.
    BootSector,
    /// An ELF program.
    Elf,
    /// An option ROM, to be flashed.
    OptionRom,
    /// A file compressed with gzip, xz or zstd.
    Compressed,
    /// Text, such as the error page of a web server.
    Text,
    /// An empty file.
    Empty,
    /// An unknown format.
    Unknown,
}

impl BootFile {
    /// Reports whether [`BootFile::read`] needs the whole file, given its start.
    pub fn is_needed_whole(content: &[u8]) -> bool {
        content.starts_with(b"MZ")
    }

    /// Detects the format of a whole file, or of the first [`HEAD`] bytes if the rest is not needed.
    pub fn read(content: &[u8]) -> Self {
        if Self::is_needed_whole(content) {
            return match PeImage::read(content) {
                Ok(image) => Self::Image(image),
                Err(reason) => Self::BrokenImage(reason),
            };
        }
        let at = |offset: usize, magic: &[u8]| {
            content
                .get(offset..)
                .is_some_and(|rest| rest.starts_with(magic))
        };
        // A BIOS program has no magic number. All known ones start with a far jump; GRUB sets the drive
        // first (`mov $0x7f, %dl`).
        if at(0, b"\xea") || at(0, b"\xb2\x7f\xea") {
            return Self::NetworkBootProgram;
        }
        let table: [(usize, &[u8], Self); 10] = [
            (0, b"#!ipxe", Self::Script),
            (0, b"#!gpxe", Self::Script),
            (0, b"\x7fELF", Self::Elf),
            (0, b"\x1f\x8b", Self::Compressed),
            (0, b"\xfd7zXZ\0", Self::Compressed),
            (0, b"\x28\xb5\x2f\xfd", Self::Compressed),
            (0, b"\x55\xaa", Self::OptionRom),
            (image::LINUX_MARK, b"HdrS", Self::Kernel),
            (0x8001, b"CD001", Self::Iso),
            (0x1fe, b"\x55\xaa", Self::BootSector),
        ];
        let known = table
            .into_iter()
            .find(|(offset, magic, _)| at(*offset, magic));
        match known {
            Some((_, _, format)) => format,
            None if content.is_empty() => Self::Empty,
            None if is_text(content) => Self::Text,
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for BootFile {
    /// Writes the format with its article: `an ISO image`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image(image) => return image.fmt(f),
            Self::BrokenImage(reason) => return write!(f, "a damaged PE image ({reason})"),
            Self::NetworkBootProgram => "a PXE program for a BIOS",
            Self::Script => "an iPXE script",
            Self::Kernel => "a Linux kernel that only another loader can start",
            Self::Iso => "an ISO image",
            Self::BootSector => "a disk image",
            Self::Elf => "an ELF program",
            Self::OptionRom => "an option ROM, which must be flashed",
            Self::Compressed => "a compressed file",
            Self::Text => "a text file",
            Self::Empty => "an empty file",
            Self::Unknown => "a file of unknown format",
        })
    }
}

fn is_text(content: &[u8]) -> bool {
    let text = match std::str::from_utf8(content) {
        Ok(text) => text,
        // The head of a file may end inside a character.
        Err(error) if error.error_len().is_none() => {
            let whole = content.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.contains(|c: char| c.is_control() && !"\t\r\n".contains(c))
}
