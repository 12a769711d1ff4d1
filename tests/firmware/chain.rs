//! The boot chains of the matrix: a firmware, and the loaders that the site gives it.

use crate::debian::{AMD64, ARM64, Installer};
use crate::firmware::Firmware;
use crate::requirements::Requirement;

/// A firmware and what the site hands out to it.
#[derive(Clone, Copy)]
pub struct Chain {
    /// What runs when the power comes on.
    pub firmware: Firmware,
    /// The loader as `site.yaml` names it.
    pub loader: &'static str,
    /// The directories in which the loader lies.
    pub files: &'static [&'static str],
    /// What the loader needs of this machine.
    pub needs: Requirement,
}

/// UEFI, iPXE.
pub const UEFI_IPXE: Chain = ipxe(Firmware::UefiX64, "snponly.efi");
/// UEFI HTTP boot, iPXE.
pub const HTTP_IPXE: Chain = ipxe(Firmware::HttpX64, "snponly.efi");
/// A BIOS whose ROM is no iPXE, and iPXE on top of that ROM.
pub const BIOS_IPXE: Chain = ipxe(Firmware::Bios, "undionly.kpxe");
/// A BIOS whose ROM is iPXE already.
pub const IPXE_ROM: Chain = ipxe(Firmware::BiosIpxeRom, "undionly.kpxe");
/// UEFI with Secure Boot, shim and GRUB.
pub const SIGNED: Chain = signed(Firmware::SecureX64);
/// UEFI HTTP boot with Secure Boot, shim and GRUB in an image.
pub const HTTP_SIGNED: Chain = signed(Firmware::SecureHttpX64);
/// UEFI on 64-bit ARM, shim and GRUB.
pub const ARM64_GRUB: Chain = Chain {
    firmware: Firmware::Arm64,
    loader: "{first: bootnetaa64.efi, second: grubaa64.efi}",
    files: &["/usr/lib/debian-installer/images/12/arm64/text/debian-installer/arm64"],
    needs: Requirement::Debian(&ARM64),
};
/// A BIOS whose ROM is no iPXE, and PXELINUX.
pub const BIOS_PXELINUX: Chain = Chain {
    firmware: Firmware::Bios,
    loader: "pxelinux.0",
    files: &["/usr/lib/PXELINUX", "/usr/lib/syslinux/modules/bios"],
    needs: Requirement::Files(&[
        "/usr/lib/PXELINUX/pxelinux.0",
        "/usr/lib/syslinux/modules/bios/ldlinux.c32",
    ]),
};

const fn ipxe(firmware: Firmware, loader: &'static str) -> Chain {
    Chain {
        firmware,
        loader,
        // Debian's `ipxe.efi` is a link to there.
        files: &["/usr/lib/ipxe", "/boot/ipxe.efi"],
        needs: Requirement::Ipxe,
    }
}

const fn signed(firmware: Firmware) -> Chain {
    Chain {
        firmware,
        loader: "{first: shimx64.efi.signed, second: grubnetx64.efi.signed}",
        files: &["/usr/lib/shim", "/usr/lib/grub/x86_64-efi-signed"],
        needs: Requirement::Files(&[
            "/usr/lib/shim/shimx64.efi.signed",
            "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
        ]),
    }
}

impl Chain {
    /// Returns the architecture, as the inventory names it.
    pub fn architecture(self) -> &'static str {
        match self.firmware {
            Firmware::Bios | Firmware::BiosIpxeRom => "bios",
            Firmware::Arm64 => "uefi-arm64",
            _ => "uefi-x64",
        }
    }

    /// Returns the installer for such a machine.
    pub fn installer(self) -> &'static Installer {
        match self.firmware {
            Firmware::Arm64 => &ARM64,
            _ => &AMD64,
        }
    }

    /// Reports whether the loader sends the firmware to its next boot entry, which may be one of the
    /// network again, rather than to a disk.
    pub fn goes_on_with_the_next_entry(self) -> bool {
        matches!(self.firmware, Firmware::UefiX64 | Firmware::HttpX64)
    }

    /// Returns what a test needs of this machine to boot one this way.
    pub fn requirements(self) -> [Requirement; 2] {
        [Requirement::Machine(self.firmware), self.needs]
    }
}
