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
    pub machine: Machine,
    /// What it runs under.
    pub subsystem: Subsystem,
    /// How many octets its headers speak of and the file has not: it was cut off.
    pub missing: u64,
    /// Whether it is a Linux kernel as well, which loaders start on a BIOS too.
    pub is_linux: bool,
    /// Its signatures, in their order in the file.
    pub signatures: Vec<Result<Signature, SignatureError>>,
}

/// The processor that a PE image is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// One that pxectl knows.
    Cpu(CpuArchitecture),
    /// EFI byte code, which firmware interprets.
    ByteCode,
    /// Another one, by its number in the COFF header.
    Unknown(u16),
}

/// What a PE image runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsystem {
    /// UEFI, as an application: the only kind that boots.
    Application,
    /// UEFI, as a driver.
    Driver,
    /// Something else, Windows as a rule, by its number in the optional header.
    Other(u16),
}

/// The one table of machine numbers.
///
/// Source: UEFI 2.10 §2.1.1 and Microsoft's "PE Format", "Machine Types"; ARM images for UEFI are
/// marked as Thumb (0x1c2), ARMNT (0x1c4) is what Windows calls the same.
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

/// Where a kernel for x86 has its mark.
///
/// Source: Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
pub(super) const LINUX_MARK: usize = 0x202;

impl PeImage {
    /// Reads a whole file.
    ///
    /// # Errors
    /// What makes no sense in its headers.
    pub fn read(octets: &[u8]) -> Result<Self, String> {
        match optional_header_magic(octets) {
            Ok(IMAGE_NT_OPTIONAL_HDR32_MAGIC) => read::<ImageNtHeaders32>(octets),
            Ok(IMAGE_NT_OPTIONAL_HDR64_MAGIC) => read::<ImageNtHeaders64>(octets),
            Ok(other) => Err(format!("its optional header is of kind {other:#06x}")),
            Err(error) => Err(said(&error)),
        }
    }

    /// Lists the authorities whose signature on the image holds, as [`Signature::authority`].
    ///
    /// # Errors
    /// When it has none: see [`NotSigned`].
    pub fn signed_under(&self) -> Result<Vec<&str>, NotSigned> {
        signature::authorities(&self.signatures)
    }
}

fn read<Headers: ImageNtHeaders>(octets: &[u8]) -> Result<PeImage, String> {
    let file = PeFile::<Headers>::parse(octets).map_err(|error| said(&error))?;
    let headers = file.nt_headers();
    let sections = file.section_table();
    let size = octets.len() as u64;
    Ok(PeImage {
        machine: machine(headers.file_header().machine.get(LittleEndian)),
        subsystem: match headers.optional_header().subsystem() {
            10 => Subsystem::Application,
            11 | 12 => Subsystem::Driver,
            other => Subsystem::Other(other),
        },
        is_linux: octets
            .get(LINUX_MARK..)
            .is_some_and(|rest| rest.starts_with(b"HdrS")),
        missing: end(&sections).saturating_sub(size),
        signatures: signature::read(&file, sizes(&sections) <= size),
    })
}

/// Reads the processor of an image from the first bytes of its file: `None` for too few bytes, and
/// `Some(None)` for a file that is not a PE image.
pub fn machine_in_head(head: &[u8]) -> Option<Option<Machine>> {
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

fn machine(number: u16) -> Machine {
    if number == 0x0ebc {
        return Machine::ByteCode;
    }
    MACHINES
        .iter()
        .find(|(code, _)| *code == number)
        .map_or(Machine::Unknown(number), |(_, cpu)| Machine::Cpu(*cpu))
}

/// Where the last section ends in the file.
fn end(sections: &SectionTable<'_>) -> u64 {
    sections
        .iter()
        .map(|section| {
            let size = u64::from(section.size_of_raw_data.get(LittleEndian));
            let start = u64::from(section.pointer_to_raw_data.get(LittleEndian));
            // A section of zeros takes no place.
            if size == 0 { 0 } else { start + size }
        })
        .max()
        .unwrap_or(0)
}

/// How many octets all sections have together.
fn sizes(sections: &SectionTable<'_>) -> u64 {
    sections
        .iter()
        .map(|section| u64::from(section.size_of_raw_data.get(LittleEndian)))
        .sum()
}

fn said(error: &object::read::Error) -> String {
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
            Machine::Cpu(cpu) => f.write_str(cpu.name()),
            Machine::ByteCode => f.write_str("EFI byte code"),
            Machine::Unknown(number) => write!(f, "machine {number:#06x}"),
        }
    }
}
