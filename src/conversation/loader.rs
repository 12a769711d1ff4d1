//! The firmware and processor that a boot file is built for, by its name and by its first bytes.

use crate::lint::boot_file::{PeMachine, machine_in_head};
use crate::machine::{Architecture, CpuArchitecture, Firmware};

/// The firmware and processor that a boot file is built for, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LoaderTarget {
    pub firmware: Option<Firmware>,
    pub cpu: Option<CpuArchitecture>,
}

/// The parts of file names that name a processor.
const CPUS: [(&str, CpuArchitecture); 15] = [
    ("x86_64", CpuArchitecture::X86_64),
    ("x86-64", CpuArchitecture::X86_64),
    ("amd64", CpuArchitecture::X86_64),
    ("x64", CpuArchitecture::X86_64),
    ("ia32", CpuArchitecture::I386),
    ("i386", CpuArchitecture::I386),
    ("aarch64", CpuArchitecture::Arm64),
    ("arm64", CpuArchitecture::Arm64),
    ("aa64", CpuArchitecture::Arm64),
    ("arm32", CpuArchitecture::Arm32),
    ("armhf", CpuArchitecture::Arm32),
    ("bootarm", CpuArchitecture::Arm32),
    ("riscv64", CpuArchitecture::Riscv64),
    ("loongarch64", CpuArchitecture::Loongarch64),
    ("loong64", CpuArchitecture::Loongarch64),
];
/// The suffixes of files that a BIOS runs.
const BIOS_ENDS: [&str; 6] = [".0", ".kpxe", ".kkpxe", ".kkkpxe", ".pxe", ".lkrn"];
/// The prefixes of iPXE's file names. Firmware needs iPXE only once.
const IPXE_NAMES: [&str; 3] = ["undionly", "snponly", "ipxe"];

/// Reads the name of a file.
pub(super) fn by_name(path: &str) -> LoaderTarget {
    let path = path.to_ascii_lowercase();
    let name = base_name(&path);
    let is_efi = name.contains(".efi");
    let firmware = if is_efi {
        Some(Firmware::Uefi)
    } else if BIOS_ENDS.iter().any(|end| name.ends_with(end)) {
        Some(Firmware::Bios)
    } else {
        None
    };
    // Our own directories name an Ethernet address and no processor; other servers' directories may.
    let cpu = is_efi.then(|| {
        let in_name = CPUS.iter().find(|(word, _)| name.contains(word));
        let in_path = || CPUS.iter().find(|(word, _)| path.contains(word));
        in_name.or_else(in_path).map(|(_, cpu)| *cpu)
    });
    LoaderTarget {
        firmware,
        cpu: cpu.flatten(),
    }
}

/// Reads the first bytes of a file; `None` for too few bytes.
pub(super) fn by_contents(bytes: &[u8]) -> Option<LoaderTarget> {
    let target = match machine_in_head(bytes)? {
        None => LoaderTarget::default(),
        Some(machine) => LoaderTarget {
            firmware: Some(Firmware::Uefi),
            cpu: match machine {
                PeMachine::Cpu(cpu) => Some(cpu),
                PeMachine::ByteCode | PeMachine::Unknown(_) => None,
            },
        },
    };
    Some(target)
}

impl LoaderTarget {
    /// Returns why a client cannot run the file, if that is certain.
    pub fn mismatch(self, client: Architecture) -> Option<String> {
        let firmware = client.firmware();
        if let Some(required) = self.firmware
            && required != firmware
        {
            return Some(format!("a program for {}", firmware_name(required)));
        }
        match self.cpu {
            Some(cpu) if firmware != Firmware::Bios && cpu != client.cpu() => {
                Some(format!("a program for {}", cpu.name()))
            }
            _ => None,
        }
    }
}

/// Names a kind of firmware.
fn firmware_name(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "a BIOS",
        Firmware::Uefi => "UEFI",
        Firmware::Uboot => "U-Boot",
        Firmware::RaspberryPi => "a Raspberry Pi",
    }
}

/// Reports whether a file is iPXE, by its name.
pub(super) fn is_ipxe(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let name = base_name(&path);
    by_name(name).firmware.is_some() && IPXE_NAMES.iter().any(|start| name.starts_with(start))
}

/// Reports whether a file is a program that firmware or a loader starts, by its name.
pub(super) fn is_program(path: &str) -> bool {
    by_name(path).firmware.is_some() && !is_optional(path)
}

/// Reports whether a loader continues if a file is missing: it tries several names, or does not need it.
///
/// Source: shim, `shim.c`, `load_unbundled_trust`; GRUB 2.06, `grub-core/net/net.c`,
/// `grub_net_search_configfile`; syslinux, `core/fs/pxe/pxe.c`, `pxe_load_config`; iPXE,
/// `src/usr/autoboot.c`, `uriboot`.
pub(super) fn is_optional(path: &str) -> bool {
    let path = path
        .split('?')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let name = base_name(&path);
    let starts = ["revocations", "shim_certificate", "mm", "fb", "grub.cfg-"];
    let ends = [
        ".lst",
        ".mod",
        "autoexec.ipxe",
        ".csv",
        "/kernel-refused",
        ".pf2",
        ".mo",
        ".gz.sig",
        ".sig",
    ];
    let search = path.contains("pxelinux.cfg/") && name != "default";
    starts.iter().any(|start| name.starts_with(start))
        || ends.iter().any(|end| path.ends_with(end))
        || search
}

/// Returns a path's last part.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_firmware_and_processor() {
        use CpuArchitecture::{Arm64, I386, X86_64};
        use Firmware::{Bios, Uefi};
        for (path, firmware, cpu) in [
            ("undionly.kpxe", Some(Bios), None),
            ("bios/pxelinux.0", Some(Bios), None),
            (
                "m/52-54-00-85-00-01/TOKEN/bootx64.efi",
                Some(Uefi),
                Some(X86_64),
            ),
            ("shimx64.efi.signed", Some(Uefi), Some(X86_64)),
            ("GRUBAA64.EFI", Some(Uefi), Some(Arm64)),
            ("arm64-efi/snponly.efi", Some(Uefi), Some(Arm64)),
            ("bootia32.efi", Some(Uefi), Some(I386)),
            ("ipxe.efi", Some(Uefi), None),
            ("boot.ipxe", None, None),
            ("http://10.20.0.10/x64/linux", None, None),
        ] {
            let made = by_name(path);
            assert_eq!((made.firmware, made.cpu), (firmware, cpu), "{path}");
        }
    }

    #[test]
    fn contents_tell_firmware_and_processor() {
        let mut program = vec![0; 0x90];
        program[..2].copy_from_slice(b"MZ");
        program[60] = 0x80;
        program[0x80..0x86].copy_from_slice(&[b'P', b'E', 0, 0, 0x64, 0xaa]);
        let made = by_contents(&program).unwrap();
        assert_eq!(made.cpu, Some(CpuArchitecture::Arm64));
        assert!(made.mismatch(Architecture::UefiX64).is_some());
        assert!(made.mismatch(Architecture::Bios).is_some());
        assert_eq!(made.mismatch(Architecture::HttpArm64), None);
        assert_eq!(by_contents(&[0; 64]), Some(LoaderTarget::default()));
        assert_eq!(by_contents(&program[..0x85]), None);
        program[60..64].fill(0xff);
        assert_eq!(by_contents(&program), None);
    }

    #[test]
    fn optional_files_may_be_missing() {
        for path in [
            "m/A/T/revocations.efi",
            "grub/x86_64-efi/command.lst",
            "grub/grub.cfg-01-52-54-00-85-00-01",
            "pxelinux.cfg/0A1400",
            "autoexec.ipxe",
            "/autoexec.ipxe?x",
        ] {
            assert!(is_optional(path), "{path}");
        }
        for path in [
            "grubx64.efi",
            "grub/grub.cfg",
            "pxelinux.cfg/default",
            "ldlinux.c32",
        ] {
            assert!(!is_optional(path), "{path}");
        }
        assert!(is_program("m/A/T/grubx64.efi") && !is_program("grub.cfg"));
        assert!(is_ipxe("x/ipxe-arm64.efi") && is_ipxe("undionly.kpxe") && !is_ipxe("boot.ipxe"));
    }
}
