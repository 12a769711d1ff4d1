use std::io::{self, Write};
use std::path::Path;

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
    let root = (!rustix::process::geteuid().is_root())
        .then(|| "root, for network namespaces and taps".to_owned());
    let files = requirements
        .iter()
        .flat_map(|requirement| requirement.files())
        .filter(|file| !Path::new(file).exists())
        .map(|file| format!("`{file}`"));
    let mut lacks: Vec<String> = root.into_iter().chain(files).collect();
    lacks.dedup();
    if lacks.is_empty() {
        return false;
    }
    let message = format!("needs {}; `tests/run` as root has it", lacks.join(", "));
    let required = std::env::var_os("PXECTL_REQUIRE_FIRMWARE").is_some_and(|value| value == "1");
    assert!(!required, "{message}");
    // Straight to stderr: the test runner would keep what `eprintln!` prints to itself.
    let _ = writeln!(io::stderr(), "SKIPPED, nothing is proved: {message}");
    true
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
