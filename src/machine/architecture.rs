use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
    /// UEFI on 64-bit RISC-V.
    UefiRiscv64,
    /// UEFI on 64-bit LoongArch.
    UefiLoongarch64,
    /// UEFI HTTP boot on 32-bit x86.
    HttpIa32,
    /// UEFI HTTP boot on x86-64.
    HttpX64,
    /// UEFI HTTP boot on 32-bit ARM.
    HttpArm32,
    /// UEFI HTTP boot on 64-bit ARM.
    HttpArm64,
    /// UEFI HTTP boot on 64-bit RISC-V.
    HttpRiscv64,
    /// UEFI HTTP boot on 64-bit LoongArch.
    HttpLoongarch64,
}

/// The processor family that a kernel or a loader is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CpuArchitecture {
    /// 32-bit x86.
    I386,
    /// x86-64.
    X86_64,
    /// 32-bit ARM.
    Arm32,
    /// 64-bit ARM.
    Arm64,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit LoongArch.
    Loongarch64,
}

/// The kind of firmware that runs before any loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Firmware {
    /// PC BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

use Architecture::*;
use CpuArchitecture::*;

type Row = (
    Architecture,
    &'static str,
    &'static [u16],
    Firmware,
    CpuArchitecture,
    bool,
);

/// The one table of architectures: name in the inventory, IANA codes (the one that we send first),
/// firmware, processor, and whether the client boots over HTTP.
const TABLE: [Row; 13] = [
    (Bios, "bios", &[0x00], Firmware::Bios, X86_64, false),
    (UefiIa32, "uefi-ia32", &[0x06], Firmware::Uefi, I386, false),
    // 7 is what clients of x64 send; 9 was meant for it and is sent by few.
    (
        UefiX64,
        "uefi-x64",
        &[0x07, 0x09],
        Firmware::Uefi,
        X86_64,
        false,
    ),
    (
        UefiArm32,
        "uefi-arm32",
        &[0x0a],
        Firmware::Uefi,
        Arm32,
        false,
    ),
    (
        UefiArm64,
        "uefi-arm64",
        &[0x0b],
        Firmware::Uefi,
        Arm64,
        false,
    ),
    (
        UefiRiscv64,
        "uefi-riscv64",
        &[0x1b],
        Firmware::Uefi,
        Riscv64,
        false,
    ),
    (
        UefiLoongarch64,
        "uefi-loongarch64",
        &[0x27],
        Firmware::Uefi,
        Loongarch64,
        false,
    ),
    (HttpIa32, "http-ia32", &[0x0f], Firmware::Uefi, I386, true),
    (HttpX64, "http-x64", &[0x10], Firmware::Uefi, X86_64, true),
    (
        HttpArm32,
        "http-arm32",
        &[0x12],
        Firmware::Uefi,
        Arm32,
        true,
    ),
    (
        HttpArm64,
        "http-arm64",
        &[0x13],
        Firmware::Uefi,
        Arm64,
        true,
    ),
    (
        HttpRiscv64,
        "http-riscv64",
        &[0x1c],
        Firmware::Uefi,
        Riscv64,
        true,
    ),
    (
        HttpLoongarch64,
        "http-loongarch64",
        &[0x28],
        Firmware::Uefi,
        Loongarch64,
        true,
    ),
];

impl Architecture {
    /// Lists every architecture.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// Reads one code of DHCP option 93; unknown codes have no architecture here.
    pub fn from_code(code: u16) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.2.contains(&code))
            .map(|row| row.0)
    }

    /// Returns the code that clients of this architecture send in DHCP option 93.
    pub fn code(self) -> u16 {
        self.row().2[0]
    }

    /// Returns the name that the inventory uses.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Returns the kind of firmware.
    pub fn firmware(self) -> Firmware {
        self.row().3
    }

    /// Returns the processor family; a BIOS machine counts as x86-64.
    pub fn cpu(self) -> CpuArchitecture {
        self.row().4
    }

    /// Reports whether the firmware fetches its loader over HTTP instead of TFTP.
    pub fn is_http(self) -> bool {
        self.row().5
    }

    /// Returns the architecture of the same firmware and processor that boots over TFTP: what a
    /// host's `arch` in the inventory is compared with.
    pub fn without_http(self) -> Self {
        let row = self.row();
        TABLE
            .iter()
            .find(|other| other.3 == row.3 && other.4 == row.4 && !other.5)
            .map_or(self, |other| other.0)
    }

    /// Returns the architecture of the same firmware and processor that boots over HTTP, where there is
    /// one.
    pub fn over_http(self) -> Self {
        let row = self.row();
        TABLE
            .iter()
            .find(|other| other.3 == row.3 && other.4 == row.4 && other.5)
            .map_or(self, |other| other.0)
    }

    /// Reads what iPXE calls itself: `${platform}` (`pcbios` or `efi`) and `${buildarch}`.
    pub fn from_ipxe(platform: &str, build_architecture: &str) -> Option<Self> {
        match (platform, build_architecture) {
            ("pcbios", _) => Some(Bios),
            ("efi", "i386") => Some(UefiIa32),
            ("efi", "x86_64") => Some(UefiX64),
            ("efi", "arm32") => Some(UefiArm32),
            ("efi", "arm64") => Some(UefiArm64),
            ("efi", "riscv64") => Some(UefiRiscv64),
            ("efi", "loong64") => Some(UefiLoongarch64),
            _ => None,
        }
    }

    /// Reads what GRUB calls itself: `$grub_cpu-$grub_platform`.
    pub fn from_grub(platform: &str) -> Option<Self> {
        match platform {
            "i386-pc" => Some(Bios),
            "i386-efi" => Some(UefiIa32),
            "x86_64-efi" => Some(UefiX64),
            "arm-efi" => Some(UefiArm32),
            "arm64-efi" => Some(UefiArm64),
            "riscv64-efi" => Some(UefiRiscv64),
            "loongarch64-efi" => Some(UefiLoongarch64),
            _ => None,
        }
    }

    fn row(self) -> &'static Row {
        // The table lists every variant in the order of the enum; a test holds it to that.
        &TABLE[self as usize]
    }
}

impl CpuArchitecture {
    /// Returns the name that bundles use, as `uname -m` prints it.
    pub fn name(self) -> &'static str {
        match self {
            I386 => "i386",
            X86_64 => "x86_64",
            Arm32 => "armv7l",
            Arm64 => "aarch64",
            Riscv64 => "riscv64",
            Loongarch64 => "loongarch64",
        }
    }

    /// Returns the letters that name it in the files of UEFI: `x64` in `grubx64.efi`.
    ///
    /// Source: UEFI 2.10 §3.5.1.1, and shim's names after it.
    pub fn efi_letters(self) -> &'static str {
        match self {
            I386 => "ia32",
            X86_64 => "x64",
            Arm32 => "arm",
            Arm64 => "aa64",
            Riscv64 => "riscv64",
            Loongarch64 => "loongarch64",
        }
    }

    /// Reads a bundle's `arch`, also in Debian's spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "i386" | "i686" => Some(I386),
            "x86_64" | "amd64" => Some(X86_64),
            "armv7l" | "armhf" => Some(Arm32),
            "aarch64" | "arm64" => Some(Arm64),
            "riscv64" => Some(Riscv64),
            "loongarch64" | "loong64" => Some(Loongarch64),
            _ => None,
        }
    }
}

/// The text names no architecture.
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
            .find(|row| row.1 == text)
            .map(|row| row.0)
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
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_architecture_in_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(row.1.parse(), Ok(row.0));
            assert_eq!(Architecture::from_code(row.2[0]), Some(row.0));
        }
    }

    #[test]
    fn both_codes_of_uefi_x64_are_known() {
        assert_eq!(Architecture::from_code(7), Some(UefiX64));
        assert_eq!(Architecture::from_code(9), Some(UefiX64));
        assert_eq!(Architecture::from_code(0xffff), None);
    }

    #[test]
    fn http_boot_belongs_to_the_same_machine() {
        assert_eq!(HttpX64.without_http(), UefiX64);
        assert_eq!(Bios.without_http(), Bios);
    }
}
