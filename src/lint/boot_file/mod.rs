//! What a boot file really is, read from its octets: firmware never looks at a name's ending.

mod image;
mod signature;

#[cfg(test)]
mod tests;

use std::fmt;

pub use image::{Machine, PeImage, Subsystem, machine_in_head};
pub use signature::{NotSigned, Signature, SignatureError};

/// How many octets from the beginning of a file tell every format but [`BootFile::Image`], for which
/// all of them are needed: an ISO 9660 image shows itself behind its system area.
///
/// Source: ECMA-119 §7.2.1.
pub const HEAD: usize = 64 << 10;

/// A file that a client is told to boot, by what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// A PE image, which UEFI runs. A Linux kernel with an EFI stub is one too.
    Image(PeImage),
    /// The beginning of a PE image, or of a DOS program, whose headers make no sense.
    BrokenImage(String),
    /// Real-mode code that a PXE BIOS jumps into, such as `undionly.kpxe` or `pxelinux.0`.
    NetworkBootProgram,
    /// A script for iPXE.
    Script,
    /// A Linux kernel without an EFI stub, `ipxe.lkrn` among them.
    Kernel,
    /// An ISO 9660 image.
    Iso,
    /// Something with the mark of a boot sector: the image of a disk as a rule.
    BootSector,
    /// An ELF program.
    Elf,
    /// An option ROM, to be flashed.
    OptionRom,
    /// Something packed with gzip, xz or zstd.
    Compressed,
    /// Text, such as the page of a web server that did not have the file.
    Text,
    /// No octets at all.
    Empty,
    /// Nothing that is known here.
    Unknown,
}

impl BootFile {
    /// Reports whether a file that begins with `octets` must be given to [`BootFile::read`] whole.
    pub fn is_needed_whole(octets: &[u8]) -> bool {
        octets.starts_with(b"MZ")
    }

    /// Reads a boot file, or the first [`HEAD`] octets of one that is not needed whole.
    pub fn read(octets: &[u8]) -> Self {
        if Self::is_needed_whole(octets) {
            return match PeImage::read(octets) {
                Ok(image) => Self::Image(image),
                Err(reason) => Self::BrokenImage(reason),
            };
        }
        let at = |offset: usize, magic: &[u8]| {
            octets
                .get(offset..)
                .is_some_and(|rest| rest.starts_with(magic))
        };
        // A program for the BIOS has no magic number; all that are known start with a far jump, GRUB's
        // after it has set the drive (`mov $0x7f, %dl`).
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
            None if octets.is_empty() => Self::Empty,
            None if is_text(octets) => Self::Text,
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for BootFile {
    /// Writes what it is as the end of a sentence: `it is …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image(image) => return image.fmt(f),
            Self::BrokenImage(reason) => return write!(f, "a damaged PE image ({reason})"),
            Self::NetworkBootProgram => "a program for PXE on a BIOS",
            Self::Script => "a script for iPXE",
            Self::Kernel => "a Linux kernel that only another loader can start",
            Self::Iso => "an ISO image",
            Self::BootSector => "the image of a disk",
            Self::Elf => "an ELF program",
            Self::OptionRom => "an option ROM, to be flashed",
            Self::Compressed => "compressed",
            Self::Text => "text",
            Self::Empty => "empty",
            Self::Unknown => "of a format that is not known",
        })
    }
}

fn is_text(octets: &[u8]) -> bool {
    let text = match std::str::from_utf8(octets) {
        Ok(text) => text,
        // The head of a file may end inside a character.
        Err(error) if error.error_len().is_none() => {
            let whole = octets.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.contains(|c: char| c.is_control() && !"\t\r\n".contains(c))
}
