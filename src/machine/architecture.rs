use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::CpuArchitecture;

/// What kind of firmware, on which processor, over which protocol: the client architecture.
///
/// Source: IANA "Processor Architecture Types" (RFC 4578 §2.1, RFC 5970 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Architecture {
    /// PC BIOS.
    Bios,
    /// UEFI on 32-bit x86.
    UefiIa32,
    /// UEFI on x86-64.
    UefiX64,
    /// UEFI on 32-bit ARM.
    UefiArm32,
    /// UEFI on 64-bit ARM.
    UefiArm64,
    /// UEFI on 32-bit RISC-V.
    UefiRiscv32,
    /// UEFI on 64-bit RISC-V.
    UefiRiscv64,
    /// UEFI on 128-bit RISC-V.
    UefiRiscv128,
    /// UEFI on 32-bit LoongArch.
    UefiLoongarch32,
    /// UEFI on 64-bit LoongArch.
    UefiLoongarch64,
    /// U-Boot on 32-bit ARM.
    UbootArm32,
    /// U-Boot on 64-bit ARM.
    UbootArm64,
    /// The boot ROM or EEPROM of a Raspberry Pi.
    RaspberryPi,
    /// HTTP boot of a PC BIOS.
    HttpBios,
    /// UEFI HTTP boot on 32-bit x86.
    HttpIa32,
    /// UEFI HTTP boot on x86-64.
    HttpX64,
    /// UEFI HTTP boot of EFI byte code, which firmware on x86-64 runs.
    HttpEbc,
    /// UEFI HTTP boot on 32-bit ARM.
    HttpArm32,
    /// UEFI HTTP boot on 64-bit ARM.
    HttpArm64,
    /// UEFI HTTP boot on 32-bit RISC-V.
    HttpRiscv32,
    /// UEFI HTTP boot on 64-bit RISC-V.
    HttpRiscv64,
    /// UEFI HTTP boot on 128-bit RISC-V.
    HttpRiscv128,
    /// UEFI HTTP boot on 32-bit LoongArch.
    HttpLoongarch32,
    /// UEFI HTTP boot on 64-bit LoongArch.
    HttpLoongarch64,
    /// HTTP boot of U-Boot on 32-bit ARM.
    HttpUbootArm32,
    /// HTTP boot of U-Boot on 64-bit ARM.
    HttpUbootArm64,
}

/// The kind of firmware that runs before any loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Firmware {
    /// PC BIOS.
    Bios,
    /// UEFI.
    Uefi,
    /// U-Boot.
    Uboot,
    /// A Raspberry Pi's own.
    RaspberryPi,
}

use Architecture::*;
use CpuArchitecture::*;
use Firmware::{Uboot, Uefi};

/// One row of the table.
struct ArchitectureRow {
    architecture: Architecture,
    name: &'static str,
    codes: &'static [u16],
    firmware: Firmware,
    cpu: CpuArchitecture,
    is_http: bool,
}

const fn tftp(
    architecture: Architecture,
    name: &'static str,
    codes: &'static [u16],
    firmware: Firmware,
    cpu: CpuArchitecture,
) -> ArchitectureRow {
    ArchitectureRow {
        architecture,
        name,
        codes,
        firmware,
        cpu,
        is_http: false,
    }
}

const fn http(
    architecture: Architecture,
    name: &'static str,
    codes: &'static [u16],
    firmware: Firmware,
    cpu: CpuArchitecture,
) -> ArchitectureRow {
    let row = tftp(architecture, name, codes, firmware, cpu);
    ArchitectureRow {
        is_http: true,
        ..row
    }
}

/// The one table of architectures: name in the inventory, IANA codes (the one that we send first),
/// firmware, processor, and whether the client boots over HTTP.
const TABLE: [ArchitectureRow; 26] = [
    tftp(Bios, "bios", &[0x00], Firmware::Bios, X86_64),
    tftp(UefiIa32, "uefi-ia32", &[0x06], Uefi, I386),
    // 7 is what clients of x64 send; 9 was meant for it and is sent by few.
    tftp(UefiX64, "uefi-x64", &[0x07, 0x09], Uefi, X86_64),
    tftp(UefiArm32, "uefi-arm32", &[0x0a], Uefi, Arm32),
    tftp(UefiArm64, "uefi-arm64", &[0x0b], Uefi, Arm64),
    tftp(UefiRiscv32, "uefi-riscv32", &[0x19], Uefi, Riscv32),
    tftp(UefiRiscv64, "uefi-riscv64", &[0x1b], Uefi, Riscv64),
    tftp(UefiRiscv128, "uefi-riscv128", &[0x1d], Uefi, Riscv128),
    tftp(
        UefiLoongarch32,
        "uefi-loongarch32",
        &[0x25],
        Uefi,
        Loongarch32,
    ),
    tftp(
        UefiLoongarch64,
        "uefi-loongarch64",
        &[0x27],
        Uefi,
        Loongarch64,
    ),
    tftp(UbootArm32, "uboot-arm32", &[0x15], Uboot, Arm32),
    tftp(UbootArm64, "uboot-arm64", &[0x16], Uboot, Arm64),
    // Most send 0, as a BIOS does, and are known by their makers' addresses.
    tftp(
        RaspberryPi,
        "raspberry-pi",
        &[0x29],
        Firmware::RaspberryPi,
        Arm64,
    ),
    http(HttpBios, "http-bios", &[0x14], Firmware::Bios, X86_64),
    http(HttpIa32, "http-ia32", &[0x0f], Uefi, I386),
    http(HttpX64, "http-x64", &[0x10], Uefi, X86_64),
    http(HttpEbc, "http-ebc", &[0x11], Uefi, X86_64),
    http(HttpArm32, "http-arm32", &[0x12], Uefi, Arm32),
    http(HttpArm64, "http-arm64", &[0x13], Uefi, Arm64),
    http(HttpRiscv32, "http-riscv32", &[0x1a], Uefi, Riscv32),
    http(HttpRiscv64, "http-riscv64", &[0x1c], Uefi, Riscv64),
    http(HttpRiscv128, "http-riscv128", &[0x1e], Uefi, Riscv128),
    http(
        HttpLoongarch32,
        "http-loongarch32",
        &[0x26],
        Uefi,
        Loongarch32,
    ),
    http(
        HttpLoongarch64,
        "http-loongarch64",
        &[0x28],
        Uefi,
        Loongarch64,
    ),
    http(HttpUbootArm32, "http-uboot-arm32", &[0x17], Uboot, Arm32),
    http(HttpUbootArm64, "http-uboot-arm64", &[0x18], Uboot, Arm64),
];

impl Architecture {
    /// Lists every architecture.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.architecture)
    }

    /// Reads one code of DHCP option 93.
    ///
    /// # Errors
    /// When the table has no such architecture. A client with such a code gets no boot file: there is no
    /// default architecture.
    pub fn from_code(code: u16) -> Result<Self, UnknownArchitecture> {
        TABLE
            .iter()
            .find(|row| row.codes.contains(&code))
            .map(|row| row.architecture)
            .ok_or(UnknownArchitecture { code })
    }

    /// Returns the code that clients of this architecture send in DHCP option 93.
    pub fn code(self) -> u16 {
        self.row().codes[0]
    }

    /// Returns the name that the inventory uses.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the kind of firmware.
    pub fn firmware(self) -> Firmware {
        self.row().firmware
    }

    /// Returns the processor family; a BIOS machine counts as x86-64.
    pub fn cpu(self) -> CpuArchitecture {
        self.row().cpu
    }

    /// Reports whether the firmware fetches its loader over HTTP instead of TFTP.
    pub fn is_http(self) -> bool {
        self.row().is_http
    }

    /// Returns the architecture of the same firmware and processor that boots over TFTP: what a
    /// host's `arch` in the inventory is compared with.
    pub fn without_http(self) -> Self {
        let row = self.row();
        TABLE
            .iter()
            .find(|other| other.firmware == row.firmware && other.cpu == row.cpu && !other.is_http)
            .map_or(self, |other| other.architecture)
    }

    /// Returns what iPXE calls itself there: `${platform}` and `${buildarch}`; `None` where there is no
    /// iPXE.
    pub fn ipxe(self) -> Option<(&'static str, &'static str)> {
        let build = match (self.firmware(), self.cpu()) {
            (Firmware::Bios, _) => return Some(("pcbios", "i386")),
            (Uefi, I386) => "i386",
            (Uefi, X86_64) => "x86_64",
            (Uefi, Arm32) => "arm32",
            (Uefi, Arm64) => "arm64",
            (Uefi, Riscv32) => "riscv32",
            (Uefi, Riscv64) => "riscv64",
            (Uefi, Loongarch64) => "loong64",
            (Uefi, Riscv128 | Loongarch32) => return None,
            (Uboot | Firmware::RaspberryPi, _) => return None,
        };
        Some(("efi", build))
    }

    /// Returns the architecture of the same firmware and processor that boots over HTTP, where there is
    /// one.
    pub fn over_http(self) -> Self {
        let row = self.row();
        TABLE
            .iter()
            .find(|other| other.firmware == row.firmware && other.cpu == row.cpu && other.is_http)
            .map_or(self, |other| other.architecture)
    }

    /// Reads what iPXE calls itself: `${platform}` (`pcbios` or `efi`) and `${buildarch}`.
    pub fn from_ipxe(platform: &str, build_architecture: &str) -> Option<Self> {
        if platform == "pcbios" {
            return Some(Bios);
        }
        let mut all = Self::all().filter(|it| !it.is_http());
        all.find(|it| it.ipxe() == Some((platform, build_architecture)))
    }

    /// Returns what GRUB calls itself there: `$grub_cpu` and `$grub_platform`; `None` where there is no
    /// GRUB.
    pub fn grub(self) -> Option<(&'static str, &'static str)> {
        let cpu = match (self.firmware(), self.cpu()) {
            (Firmware::Bios, _) => return Some(("i386", "pc")),
            (Uefi, I386) => "i386",
            (Uefi, X86_64) => "x86_64",
            (Uefi, Arm32) => "arm",
            (Uefi, Arm64) => "arm64",
            (Uefi, Riscv64) => "riscv64",
            (Uefi, Loongarch64) => "loongarch64",
            (Uefi, Riscv32 | Riscv128 | Loongarch32) => return None,
            (Uboot | Firmware::RaspberryPi, _) => return None,
        };
        Some((cpu, "efi"))
    }

    /// Reads what GRUB calls itself: `$grub_cpu-$grub_platform`.
    pub fn from_grub(platform: &str) -> Option<Self> {
        let (cpu, platform) = platform.split_once('-')?;
        let mut all = Self::all().filter(|it| !it.is_http());
        all.find(|it| it.grub() == Some((cpu, platform)))
    }

    fn row(self) -> &'static ArchitectureRow {
        // The table lists every variant in the order of the enum; a test holds it to that.
        &TABLE[self as usize]
    }
}

/// A client architecture that is not in the table, so no loader exists for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("client architecture {code}{} is not supported", registry_name(*.code))]
pub struct UnknownArchitecture {
    code: u16,
}

impl UnknownArchitecture {
    /// Returns the code that the client sent in DHCP option 93.
    pub fn code(self) -> u16 {
        self.code
    }
}

/// Returns the name of a code without a loader in the registry, in parentheses after a space; nothing for
/// codes without a name.
///
/// Source: IANA, "Processor Architecture Types".
fn registry_name(code: u16) -> &'static str {
    match code {
        0x01 => " (NEC/PC98)",
        0x02 => " (Itanium)",
        0x03 => " (DEC Alpha)",
        0x04 => " (Arc x86)",
        0x05 => " (Intel Lean Client)",
        0x08 => " (EFI Xscale)",
        0x0c => " (PowerPC Open Firmware)",
        0x0d => " (PowerPC ePAPR)",
        0x0e => " (POWER OPAL v3)",
        0x1f => " (s390 Basic)",
        0x20 => " (s390 Extended)",
        0x21 => " (MIPS 32-bit UEFI)",
        0x22 => " (MIPS 64-bit UEFI)",
        0x23 => " (Sunway 32-bit UEFI)",
        0x24 => " (Sunway 64-bit UEFI)",
        _ => "",
    }
}

/// The text is not a client architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a client architecture")]
pub struct ParseArchitectureError {
    seen: String,
}

impl FromStr for Architecture {
    type Err = ParseArchitectureError;

    fn from_str(text: &str) -> Result<Self, ParseArchitectureError> {
        TABLE
            .iter()
            .find(|row| row.name == text)
            .map(|row| row.architecture)
            .ok_or_else(|| ParseArchitectureError {
                seen: text.chars().take(64).collect(),
            })
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Architecture> for String {
    fn from(architecture: Architecture) -> Self {
        architecture.to_string()
    }
}

impl TryFrom<String> for Architecture {
    type Error = ParseArchitectureError;

    fn try_from(text: String) -> Result<Self, ParseArchitectureError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests;
