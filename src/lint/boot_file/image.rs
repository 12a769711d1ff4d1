use std::fmt;

use object::LittleEndian;
use object::pe::{
    IMAGE_NT_OPTIONAL_HDR32_MAGIC, IMAGE_NT_OPTIONAL_HDR64_MAGIC, ImageDosHeader, ImageNtHeaders32,
    ImageNtHeaders64,
};
use object::read::pe::{
    ImageNtHeaders, ImageOptionalHeader, PeFile, SectionTable, optional_header_magic,
};

use super::signature::{self, NotSigned, Signature, SignatureError};
use crate::machine::CpuArchitecture;

/// A PE image, as UEFI loads it.
///
/// Source: UEFI 2.10 §2.1.1, Microsoft's "PE Format".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeImage {
    /// The processor that it is built for.
    pub machine: PeMachine,
    /// The environment that it runs in.
    pub subsystem: Subsystem,
    /// The number of bytes that are missing at the end, according to the headers.
    pub missing: u64,
    /// Whether it is also a Linux kernel, which loaders can start on a BIOS.
    pub is_linux: bool,
    /// Its signatures, in the order of the file.
    pub signatures: Vec<Result<Signature, SignatureError>>,
}

/// The processor that a PE image is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeMachine {
    /// A known processor.
    Cpu(CpuArchitecture),
    /// EFI byte code, which the firmware interprets.
    ByteCode,
    /// An unknown processor, by its number in the COFF header.
    Unknown(u16),
}

/// The environment that a PE image runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsystem {
    /// A UEFI application: the only kind that boots.
    Application,
    /// A UEFI driver.
    Driver,
    /// Another environment, usually Windows, by its number in the optional header.
    Other(u16),
}

/// The table of machine numbers.
///
/// Source: UEFI 2.10 §2.1.1 and Microsoft's "PE Format", "PeMachine Types"; ARM images for UEFI are
/// marked as Thumb (0x1c2), ARMNT (0x1c4) is the Windows name of the same processor.
const MACHINES: [(u16, CpuArchitecture); 10] = [
    (0x014c, CpuArchitecture::I386),
    (0x8664, CpuArchitecture::X86_64),
    (0x01c2, CpuArchitecture::Arm32),
    (0x01c4, CpuArchitecture::Arm32),
    (0xaa64, CpuArchitecture::Arm64),
    (0x5032, CpuArchitecture::Riscv32),
    (0x5064, CpuArchitecture::Riscv64),
    (0x5128, CpuArchitecture::Riscv128),
    (0x6232, CpuArchitecture::Loongarch32),
    (0x6264, CpuArchitecture::Loongarch64),
];

/// The offset of the mark of an x86 kernel.
///
/// Source: Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
pub(super) const LINUX_MARK: usize = 0x202;

impl PeImage {
    /// Reads a whole file.
    ///
    /// # Errors
    /// What is invalid in its headers.
    pub fn read(content: &[u8]) -> Result<Self, String> {
        match optional_header_magic(content) {
            Ok(IMAGE_NT_OPTIONAL_HDR32_MAGIC) => read::<ImageNtHeaders32>(content),
            Ok(IMAGE_NT_OPTIONAL_HDR64_MAGIC) => read::<ImageNtHeaders64>(content),
            Ok(other) => Err(format!("unknown optional header {other:#06x}")),
            Err(error) => Err(lowercase(&error)),
        }
    }

    /// Lists the authorities of the valid signatures, as [`Signature::authority`].
    ///
    /// # Errors
    /// If there is no valid signature: see [`NotSigned`].
    pub fn signed_under(&self) -> Result<Vec<&str>, NotSigned> {
        signature::authorities(&self.signatures)
    }
}

fn read<Headers: ImageNtHeaders>(content: &[u8]) -> Result<PeImage, String> {
    let file = PeFile::<Headers>::parse(content).map_err(|error| lowercase(&error))?;
    let headers = file.nt_headers();
    let sections = file.section_table();
    let size = content.len() as u64;
    Ok(PeImage {
        machine: machine(headers.file_header().machine.get(LittleEndian)),
        subsystem: match headers.optional_header().subsystem() {
            10 => Subsystem::Application,
            11 | 12 => Subsystem::Driver,
            other => Subsystem::Other(other),
        },
        is_linux: content
            .get(LINUX_MARK..)
            .is_some_and(|rest| rest.starts_with(b"HdrS")),
        missing: end(&sections).saturating_sub(size),
        signatures: signature::read(&file, sizes(&sections) <= size),
    })
}

/// Reads the processor of an image from the first bytes of its file: `None` for too few bytes, and
/// `Some(None)` for a file that is not a PE image.
pub fn machine_in_head(head: &[u8]) -> Option<Option<PeMachine>> {
    if head.len() < size_of::<ImageDosHeader>() {
        return None;
    }
    let Ok(dos_header) = ImageDosHeader::parse(head) else {
        return Some(None);
    };
    let start = usize::try_from(dos_header.nt_headers_offset()).ok()?;
    match head.get(start..)?.first_chunk()? {
        [b'P', b'E', 0, 0, low, high] => Some(Some(machine(u16::from_le_bytes([*low, *high])))),
        _ => Some(None),
    }
}

fn machine(number: u16) -> PeMachine {
    if number == 0x0ebc {
        return PeMachine::ByteCode;
    }
    MACHINES
        .iter()
        .find(|(code, _)| *code == number)
        .map_or(PeMachine::Unknown(number), |(_, cpu)| PeMachine::Cpu(*cpu))
}

/// Returns the offset where the last section ends.
fn end(sections: &SectionTable<'_>) -> u64 {
    sections
        .iter()
        .map(|section| {
            let size = u64::from(section.size_of_raw_data.get(LittleEndian));
            let start = u64::from(section.pointer_to_raw_data.get(LittleEndian));
            // A section of zeros occupies no bytes.
            if size == 0 { 0 } else { start + size }
        })
        .max()
        .unwrap_or(0)
}

/// Returns the total size of all sections in bytes.
fn sizes(sections: &SectionTable<'_>) -> u64 {
    sections
        .iter()
        .map(|section| u64::from(section.size_of_raw_data.get(LittleEndian)))
        .sum()
}

fn lowercase(error: &object::read::Error) -> String {
    let mut text = error.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

impl fmt::Display for PeImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subsystem {
            Subsystem::Application => f.write_str("a UEFI program for ")?,
            Subsystem::Driver => f.write_str("a UEFI driver for ")?,
            Subsystem::Other(2 | 3) => f.write_str("a Windows program for ")?,
            Subsystem::Other(other) => write!(f, "a program for subsystem {other} on ")?,
        }
        match self.machine {
            PeMachine::Cpu(cpu) => f.write_str(cpu.name()),
            PeMachine::ByteCode => f.write_str("EFI byte code"),
            PeMachine::Unknown(number) => write!(f, "machine {number:#06x}"),
        }
    }
}
