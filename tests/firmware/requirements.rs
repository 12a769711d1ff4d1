use std::io::{self, Write};
use std::path::Path;

/// Something of this machine that a test cannot do without.
#[derive(Clone, Copy, Debug)]
pub enum Requirement {
    /// QEMU for x86-64 with OVMF, iPXE, and what moves packets.
    X86,
    /// Debian's installer, kernel and initrd.
    DebianInstaller,
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
    let lacks: Vec<String> = root.into_iter().chain(files).collect();
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
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::X86 => &[
                "/dev/net/tun",
                "/usr/sbin/ip",
                "/usr/bin/curl",
                "/usr/bin/qemu-system-x86_64",
                "/usr/share/OVMF/OVMF_CODE_4M.fd",
                "/usr/lib/ipxe/snponly.efi",
                "/usr/lib/ipxe/qemu/pxe-virtio.rom",
            ],
            Self::DebianInstaller => &[
                crate::rack::KERNEL,
                crate::rack::INITRD,
                crate::machine::GRUB,
            ],
            Self::Dnsmasq => &["/usr/sbin/dnsmasq", "/usr/bin/python3"],
        }
    }
}
