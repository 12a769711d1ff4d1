use PresetChecks::{BareList, InlineList, List, ListAndSigned, ListInList, Signed};

/// One distribution. Its texts have the placeholders `{release}`, `{detail}`, `{arch}` and `{efi}`, whose
/// values depend on the release and the processor.
pub(super) struct Preset {
    pub family: &'static str,
    /// The publisher's own mirror; empty if only subscribers get the files.
    pub home: &'static str,
    /// Each release, and another word for it in the publisher's paths.
    pub releases: &'static [(&'static str, &'static str)],
    /// The processors, as `uname -m` prints them, and as the publisher spells them.
    pub arches: &'static [(&'static str, &'static str)],
    /// The path of the publisher's keys in Debian's packages or `distribution-gpg-keys`; empty if no package
    /// has them.
    pub keyring: &'static str,
    /// What to download: a name, the path below the mirror, and what verifies it.
    pub sources: &'static [(&'static str, &'static str, PresetChecks)],
    /// The files of the bundle: key, source, and the path inside the source, empty for the whole source.
    pub files: &'static [(&'static str, &'static str, &'static str)],
}

/// What verifies a source. Paths are relative to the mirror; a suffix is appended to the verified file.
#[derive(Clone, Copy)]
pub(super) enum PresetChecks {
    /// A list with a detached signature.
    List(&'static str, &'static str),
    /// A list with an inline signature.
    InlineList(&'static str),
    /// A list whose digest is in another list, which has an inline signature.
    ListInList(&'static str, &'static str),
    /// A list without a signature.
    BareList(&'static str),
    /// A detached signature of the file itself.
    Signed(&'static str),
    /// A list without a signature, and a detached signature of the file itself.
    ListAndSigned(&'static str, &'static str),
}

const DEBIAN: PresetChecks = ListInList(
    "dists/{detail}/main/installer-{arch}/current/images/SHA256SUMS",
    "dists/{detail}/InRelease",
);
const FCOS: PresetChecks = ListAndSigned("streams/{release}.json", ".sig");
const X86_AND_ARM: [(&str, &str); 2] = [("x86_64", "x86_64"), ("aarch64", "aarch64")];
const AMD_AND_ARM: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];
/// The files in the ISO images of Fedora and its descendants.
const ANACONDA: [(&str, &str, &str); 5] = [
    ("kernel", "iso", "images/pxeboot/vmlinuz"),
    ("initrd", "iso", "images/pxeboot/initrd.img"),
    ("stage2", "iso", "images/install.img"),
    ("shim", "iso", "EFI/BOOT/BOOT{EFI}.EFI"),
    ("grub", "iso", "EFI/BOOT/grub{efi}.efi"),
];

pub(super) const PRESETS: [Preset; 12] = [
    Preset {
        family: "ubuntu",
        home: "https://releases.ubuntu.com",
        releases: &[("22.04", ""), ("24.04", ""), ("26.04", "")],
        arches: &[("x86_64", "amd64")],
        keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
        sources: &[
            (
                "iso",
                "{release}/ubuntu-{release}*-live-server-{arch}.iso",
                List("{release}/SHA256SUMS", ".gpg"),
            ),
            (
                "netboot",
                "{release}/ubuntu-{release}*-netboot-{arch}.tar.gz",
                List("{release}/SHA256SUMS", ".gpg"),
            ),
        ],
        files: &[
            ("kernel", "iso", "casper/vmlinuz"),
            ("initrd", "iso", "casper/initrd"),
            ("iso", "iso", ""),
            ("shim", "netboot", "{arch}/boot{efi}.efi"),
            ("grub", "netboot", "{arch}/grub{efi}.efi"),
        ],
    },
    Preset {
        family: "debian",
        home: "https://deb.debian.org/debian",
        releases: &[("12", "bookworm"), ("13", "trixie")],
        arches: &AMD_AND_ARM,
        keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
        sources: &[
            (
                "kernel",
                "dists/{detail}/main/installer-{arch}/current/images/netboot/debian-installer/{arch}/linux",
                DEBIAN,
            ),
            (
                "initrd",
                "dists/{detail}/main/installer-{arch}/current/images/netboot/debian-installer/{arch}/initrd.gz",
                DEBIAN,
            ),
            (
                "shim",
                "dists/{detail}/main/installer-{arch}/current/images/netboot/debian-installer/{arch}/bootnet{efi}.efi",
                DEBIAN,
            ),
            (
                "grub",
                "dists/{detail}/main/installer-{arch}/current/images/netboot/debian-installer/{arch}/grub{efi}.efi",
                DEBIAN,
            ),
        ],
        files: &[
            ("kernel", "kernel", ""),
            ("initrd", "initrd", ""),
            ("shim", "shim", ""),
            ("grub", "grub", ""),
        ],
    },
    Preset {
        family: "fedora",
        home: "https://dl.fedoraproject.org/pub/fedora/linux",
        releases: &[("42", "1.1"), ("43", "1.6"), ("44", "1.7")],
        arches: &X86_AND_ARM,
        keyring: "/usr/share/distribution-gpg-keys/fedora/RPM-GPG-KEY-fedora-{release}-primary",
        sources: &[(
            "iso",
            "releases/{release}/Everything/{arch}/iso/Fedora-Everything-netinst-{arch}-{release}-{detail}.iso",
            InlineList(
                "releases/{release}/Everything/{arch}/iso/Fedora-Everything-{release}-{detail}-{arch}-CHECKSUM",
            ),
        )],
        files: &ANACONDA,
    },
    Preset {
        family: "rhel",
        home: "",
        releases: &[("9", ""), ("10", "")],
        arches: &X86_AND_ARM,
        keyring: "",
        sources: &[(
            "iso",
            "rhel-{release}.*-{arch}-*.iso",
            BareList("SHA256SUMS"),
        )],
        files: &ANACONDA,
    },
    Preset {
        family: "centos-stream",
        home: "https://mirror.stream.centos.org",
        releases: &[("9", ""), ("10", "")],
        arches: &X86_AND_ARM,
        keyring: "",
        // The list may name the newest image by its date; the mirror has it under both names.
        sources: &[(
            "iso",
            "{release}-stream/BaseOS/{arch}/iso/CentOS-Stream-{release}-*-{arch}-boot.iso",
            BareList(
                "{release}-stream/BaseOS/{arch}/iso/CentOS-Stream-{release}-latest-{arch}-boot.iso.SHA256SUM",
            ),
        )],
        files: &ANACONDA,
    },
    Preset {
        family: "almalinux",
        home: "https://repo.almalinux.org/almalinux",
        releases: &[("9", ""), ("10", "")],
        arches: &X86_AND_ARM,
        keyring: "/usr/share/distribution-gpg-keys/alma/RPM-GPG-KEY-AlmaLinux-{release}",
        sources: &[(
            "iso",
            "{release}/isos/{arch}/AlmaLinux-{release}*-{arch}-boot.iso",
            InlineList("{release}/isos/{arch}/CHECKSUM"),
        )],
        files: &ANACONDA,
    },
    Preset {
        family: "rocky",
        home: "https://download.rockylinux.org/pub/rocky",
        releases: &[("9", ""), ("10", "")],
        arches: &X86_AND_ARM,
        keyring: "/usr/share/distribution-gpg-keys/rocky/RPM-GPG-KEY-Rocky-{release}",
        sources: &[(
            "iso",
            "{release}/isos/{arch}/Rocky-{release}*-{arch}-boot.iso",
            List("{release}/isos/{arch}/CHECKSUM", ".sig"),
        )],
        files: &ANACONDA,
    },
    Preset {
        family: "leap-micro",
        home: "https://download.opensuse.org/distribution/leap-micro",
        releases: &[("6.0", ""), ("6.1", ""), ("6.2", "")],
        arches: &X86_AND_ARM,
        keyring: "",
        // What KIWI makes for installs over the network: the initrd of the ISO image knows no network.
        sources: &[(
            "install",
            "{release}/appliances/openSUSE-Leap-Micro.{arch}-Default-SelfInstall.install.tar",
            List(".sha256", ".asc"),
        )],
        files: &[
            (
                "kernel",
                "install",
                "pxeboot.openSUSE-Leap-Micro.{arch}-{release}.kernel",
            ),
            (
                "initrd",
                "install",
                "pxeboot.openSUSE-Leap-Micro.{arch}-{release}.initrd",
            ),
            (
                "image",
                "install",
                "openSUSE-Leap-Micro.{arch}-{release}.xz",
            ),
            (
                "checksum",
                "install",
                "openSUSE-Leap-Micro.{arch}-{release}.sha256",
            ),
        ],
    },
    Preset {
        family: "flatcar",
        home: "https://{release}.release.flatcar-linux.net",
        releases: &[("stable", ""), ("beta", ""), ("alpha", ""), ("lts", "")],
        arches: &AMD_AND_ARM,
        keyring: "",
        sources: &[
            (
                "kernel",
                "{arch}-usr/{version|current}/flatcar_production_pxe.vmlinuz",
                Signed(".sig"),
            ),
            (
                "initrd",
                "{arch}-usr/{version|current}/flatcar_production_pxe_image.cpio.gz",
                Signed(".sig"),
            ),
            (
                "image",
                "{arch}-usr/{version|current}/flatcar_production_image.bin.bz2",
                Signed(".sig"),
            ),
        ],
        files: &[
            ("kernel", "kernel", ""),
            ("initrd", "initrd", ""),
            ("image", "image", ""),
        ],
    },
    Preset {
        family: "fedora-coreos",
        home: "https://builds.coreos.fedoraproject.org",
        releases: &[("stable", ""), ("testing", ""), ("next", "")],
        arches: &X86_AND_ARM,
        keyring: "",
        sources: &[
            (
                "kernel",
                "prod/streams/{release}/builds/*/{arch}/fedora-coreos-*-live-kernel*{arch}",
                FCOS,
            ),
            (
                "initrd",
                "prod/streams/{release}/builds/*/{arch}/fedora-coreos-*-live-initramfs.{arch}.img",
                FCOS,
            ),
            (
                "rootfs",
                "prod/streams/{release}/builds/*/{arch}/fedora-coreos-*-live-rootfs.{arch}.img",
                FCOS,
            ),
        ],
        files: &[
            ("kernel", "kernel", ""),
            ("initrd", "initrd", ""),
            ("rootfs", "rootfs", ""),
        ],
    },
    Preset {
        family: "kairos",
        home: "https://github.com/kairos-io/kairos/releases/download",
        releases: &[
            ("ubuntu-24.04", ""),
            ("fedora-40", ""),
            ("rocky-9.6", ""),
            ("hadron-v0.4.0", ""),
            ("hadron-v0.5.1", ""),
        ],
        arches: &AMD_AND_ARM,
        keyring: "",
        sources: &[(
            "iso",
            "{version}/kairos-{release}-core-{arch}-generic-{version}.iso",
            BareList(".sha256"),
        )],
        files: &[
            ("kernel", "iso", "boot/kernel"),
            ("initrd", "iso", "boot/initrd"),
            ("squashfs", "iso", "rootfs.squashfs"),
            ("iso", "iso", ""),
        ],
    },
    Preset {
        family: "talos",
        home: "https://github.com/siderolabs/talos/releases/download",
        releases: &[("", "")],
        arches: &AMD_AND_ARM,
        keyring: "",
        sources: &[
            (
                "kernel",
                "{version}/vmlinuz-{arch}",
                BareList("{version}/sha256sum.txt"),
            ),
            (
                "initrd",
                "{version}/initramfs-{arch}.xz",
                BareList("{version}/sha256sum.txt"),
            ),
        ],
        files: &[("kernel", "kernel", ""), ("initrd", "initrd", "")],
    },
];
