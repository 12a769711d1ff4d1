//! Debian's installer as its packages hold it.

/// The installer of one architecture.
pub struct Installer {
    /// Its kernel.
    pub kernel: &'static str,
    /// Its initrd.
    pub initrd: &'static str,
    /// Its shim, signed by Microsoft.
    pub shim: &'static str,
    /// Its GRUB, signed by Debian.
    pub grub: &'static str,
    /// Where that GRUB looks for its configuration.
    pub grub_prefix: &'static str,
    /// What a bundle calls the processor.
    pub cpu: &'static str,
    /// What UEFI calls the processor in the names of loaders.
    pub letters: &'static str,
    /// The kernel's name of the serial console of QEMU's machine.
    pub console: &'static str,
}

macro_rules! image {
    ($directory:literal, $name:literal) => {
        concat!(
            "/usr/lib/debian-installer/images/12/",
            $directory,
            "/",
            $name
        )
    };
}

/// The installer for 64-bit x86.
pub const AMD64: Installer = Installer {
    kernel: image!("amd64/text/debian-installer/amd64", "linux"),
    initrd: image!("amd64/text/debian-installer/amd64", "initrd.gz"),
    shim: image!("amd64/text/debian-installer/amd64", "bootnetx64.efi"),
    grub: image!("amd64/text/debian-installer/amd64", "grubx64.efi"),
    grub_prefix: "debian-installer/amd64/grub",
    cpu: "x86_64",
    letters: "x64",
    console: "ttyS0",
};

/// The installer for 64-bit ARM.
pub const ARM64: Installer = Installer {
    kernel: image!("arm64/text/debian-installer/arm64", "linux"),
    initrd: image!("arm64/text/debian-installer/arm64", "initrd.gz"),
    shim: image!("arm64/text/debian-installer/arm64", "bootnetaa64.efi"),
    grub: image!("arm64/text/debian-installer/arm64", "grubaa64.efi"),
    grub_prefix: "debian-installer/arm64/grub",
    cpu: "aarch64",
    letters: "aa64",
    console: "ttyAMA0",
};
