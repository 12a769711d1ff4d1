#[path = "../support/requirements.rs"]
mod shared;

use crate::debian::Installer;
use crate::firmware::Firmware;
use crate::rom;

/// Something of this machine that a test cannot do without.
#[derive(Clone, Copy)]
pub enum Requirement {
    /// QEMU with a firmware, and what moves packets.
    Machine(Firmware),
    /// Debian's iPXE.
    Ipxe,
    /// Debian's installer, and the signed loaders that come with it.
    Debian(&'static Installer),
    /// Files of other packages.
    Files(&'static [&'static str]),
    /// The DHCP and TFTP server of the reference test.
    Dnsmasq,
}

/// Reports, loudly, whether something is missing here; the test must then return.
///
/// # Panics
/// When something is missing and `PXECTL_REQUIRE_FIRMWARE=1` forbids that.
pub fn missing(requirements: &[Requirement]) -> bool {
    // Root, for network namespaces and taps.
    let mut needs = vec!["root"];
    needs.extend(requirements.iter().flat_map(|it| it.files()));
    shared::missing(&needs)
}

impl Requirement {
    fn files(self) -> Vec<&'static str> {
        match self {
            Self::Machine(firmware) => {
                let mut files = vec!["/dev/net/tun", "/usr/sbin/ip", "/usr/bin/curl"];
                files.push(match firmware {
                    Firmware::Arm64 => "/usr/bin/qemu-system-aarch64",
                    _ => "/usr/bin/qemu-system-x86_64",
                });
                match firmware {
                    Firmware::Bios => files.push(rom::IPXE),
                    Firmware::BiosIpxeRom => files.push("/usr/lib/ipxe/qemu/pxe-virtio.rom"),
                    _ => files.extend(firmware.flash().map(|flash| flash.code)),
                }
                files
            }
            Self::Ipxe => vec!["/usr/lib/ipxe/snponly.efi", "/usr/lib/ipxe/undionly.kpxe"],
            Self::Debian(installer) => vec![
                installer.kernel,
                installer.initrd,
                installer.shim,
                installer.grub,
            ],
            Self::Files(files) => files.to_vec(),
            Self::Dnsmasq => vec!["/usr/sbin/dnsmasq", "/usr/bin/python3"],
        }
    }
}
