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
    /// 32-bit RISC-V.
    Riscv32,
    /// 64-bit RISC-V.
    Riscv64,
    /// 128-bit RISC-V.
    Riscv128,
    /// 32-bit LoongArch.
    Loongarch32,
    /// 64-bit LoongArch.
    Loongarch64,
}

use CpuArchitecture::*;

impl CpuArchitecture {
    /// Returns the name that bundles use, as `uname -m` prints it.
    pub fn name(self) -> &'static str {
        match self {
            I386 => "i386",
            X86_64 => "x86_64",
            Arm32 => "armv7l",
            Arm64 => "aarch64",
            Riscv32 => "riscv32",
            Riscv64 => "riscv64",
            Riscv128 => "riscv128",
            Loongarch32 => "loongarch32",
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
            other => other.name(),
        }
    }

    /// Reads a bundle's `arch`, also in Debian's spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "i386" | "i686" => Some(I386),
            "x86_64" | "amd64" => Some(X86_64),
            "armv7l" | "armhf" => Some(Arm32),
            "aarch64" | "arm64" => Some(Arm64),
            "riscv32" => Some(Riscv32),
            "riscv64" => Some(Riscv64),
            "riscv128" => Some(Riscv128),
            "loongarch32" | "loong32" => Some(Loongarch32),
            "loongarch64" | "loong64" => Some(Loongarch64),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Architecture;

    #[test]
    fn every_processor_is_read_by_its_own_name_and_by_those_of_debian() {
        for cpu in Architecture::all().map(Architecture::cpu) {
            assert_eq!(CpuArchitecture::from_name(cpu.name()), Some(cpu));
        }
        for (name, expected) in [
            ("i686", Some(I386)),
            ("amd64", Some(X86_64)),
            ("armhf", Some(Arm32)),
            ("arm64", Some(Arm64)),
            ("loong64", Some(Loongarch64)),
            ("AMD64", None),
            ("sparc", None),
        ] {
            assert_eq!(CpuArchitecture::from_name(name), expected, "{name}");
        }
    }
}
