use std::path::Path;

use crate::rom;

/// What runs when the power comes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// OVMF, PXE over IPv4.
    UefiX64,
    /// OVMF with Secure Boot and Microsoft's keys, PXE over IPv4.
    SecureX64,
    /// OVMF, HTTP boot over IPv4.
    HttpX64,
    /// OVMF with Secure Boot and Microsoft's keys, HTTP boot over IPv4.
    SecureHttpX64,
    /// AAVMF, OVMF's sister for 64-bit ARM, PXE over IPv4.
    Arm64,
    /// SeaBIOS with a network ROM that is no iPXE: see [`rom`].
    Bios,
    /// SeaBIOS with QEMU's own network ROM, which is iPXE: it wants a script, never a loader.
    BiosIpxeRom,
}

impl Firmware {
    /// Lists every firmware that the tests know.
    pub const ALL: [Self; 7] = [
        Self::UefiX64,
        Self::SecureX64,
        Self::HttpX64,
        Self::SecureHttpX64,
        Self::Arm64,
        Self::Bios,
        Self::BiosIpxeRom,
    ];

    /// Reports whether it starts only what Microsoft, or a shim that Microsoft signed, vouches for.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::SecureX64 | Self::SecureHttpX64)
    }

    /// Returns the QEMU that has such a machine.
    pub fn qemu(self) -> &'static str {
        match self {
            Self::Arm64 => "qemu-system-aarch64",
            _ => "qemu-system-x86_64",
        }
    }

    /// Returns QEMU's arguments up to the network card; `directory` holds the machine's own files.
    pub fn arguments(self, directory: &Path) -> Vec<String> {
        let (machine, cpu) = match self {
            // Without graphics SeaBIOS copies its screen to the serial console.
            Self::Bios | Self::BiosIpxeRom => ("pc,graphics=off", "max"),
            Self::UefiX64 | Self::HttpX64 => ("q35", "max"),
            Self::SecureX64 | Self::SecureHttpX64 => ("q35,smm=on", "max"),
            Self::Arm64 => ("virt", "cortex-a57"),
        };
        let mut arguments = words(&["-machine", machine, "-cpu", cpu]);
        if let Some(Flash { code, .. }) = self.flash() {
            let variables = directory.join(VARIABLES);
            arguments.extend([
                "-drive".to_owned(),
                format!("if=pflash,format=raw,unit=0,readonly=on,file={code}"),
                "-drive".to_owned(),
                format!("if=pflash,format=raw,unit=1,file={}", variables.display()),
            ]);
        }
        if self.is_secure() {
            let only_in_smm = "driver=cfi.pflash01,property=secure,value=on";
            arguments.extend(words(&["-global", only_in_smm]));
        }
        let without: &[&str] = match self {
            Self::UefiX64 | Self::SecureX64 | Self::Arm64 => &["IPv6PXESupport"],
            Self::HttpX64 | Self::SecureHttpX64 => &["IPv4PXESupport", "IPv6PXESupport"],
            Self::Bios | Self::BiosIpxeRom => &[],
        };
        for switch in without {
            arguments.extend([
                "-fw_cfg".to_owned(),
                format!("name=opt/org.tianocore/{switch},string=no"),
            ]);
        }
        if self == Self::Bios {
            arguments.extend(rom::kernel_arguments(directory));
        }
        arguments
    }

    /// Returns the part of the network card's options that decides who boots from it: without an
    /// option ROM the firmware itself does.
    pub fn option_rom(self) -> &'static str {
        match self {
            Self::BiosIpxeRom => "",
            _ => ",romfile=",
        }
    }

    /// Returns the firmware's image and its settings as they leave the factory; a BIOS has neither.
    pub fn flash(self) -> Option<Flash> {
        let (code, variables) = match self {
            Self::UefiX64 | Self::HttpX64 => (
                "/usr/share/OVMF/OVMF_CODE_4M.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.fd",
            ),
            Self::SecureX64 | Self::SecureHttpX64 => (
                "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
            ),
            Self::Arm64 => (
                "/usr/share/AAVMF/AAVMF_CODE.fd",
                "/usr/share/AAVMF/AAVMF_VARS.fd",
            ),
            Self::Bios | Self::BiosIpxeRom => return None,
        };
        Some(Flash { code, variables })
    }
}

/// The name of a machine's own settings.
pub const VARIABLES: &str = "variables";

/// What UEFI firmware lies in.
pub struct Flash {
    /// Its code.
    pub code: &'static str,
    /// Its settings, of which each machine has a copy.
    pub variables: &'static str,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
