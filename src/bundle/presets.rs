//! Where distributions publish what a network install needs, and how they sign it: one row each.

use crate::bundle::build::BuildError;
use crate::inventory::{
    BundleSpec, Content, PresetUse, Signature, SignatureKey, SignaturePlace, Source, SpecFile,
};

/// One distribution. In its texts, `{release}`, `{detail}`, `{arch}` and `{efi}` stand for what the
/// release and the processor put there.
struct Preset {
    family: &'static str,
    /// The publisher's own mirror.
    home: &'static str,
    /// Each release, and a word more that the publisher's paths have for it.
    releases: &'static [(&'static str, &'static str)],
    /// The processors, as `uname -m` prints them, and as the publisher spells them.
    arches: &'static [(&'static str, &'static str)],
    /// The publisher's keys where Debian's packages or `distribution-gpg-keys` put them; empty where
    /// no package has them.
    keyring: &'static str,
    /// What is fetched: a name, its path below the mirror, and what verifies it.
    sources: &'static [(&'static str, &'static str, Checks)],
    /// The files of the bundle: key, source, and the path inside it, empty for all of it.
    files: &'static [(&'static str, &'static str, &'static str)],
}

/// What verifies a source. Paths go from the mirror; a suffix from what it verifies.
#[derive(Clone, Copy)]
enum Checks {
    /// A list with a detached signature.
    List(&'static str, &'static str),
    /// A list with its signature round it.
    InlineList(&'static str),
    /// A list in a list with its signature round it.
    ListInList(&'static str, &'static str),
    /// A list that nobody signs.
    BareList(&'static str),
    /// A detached signature of the file itself.
    Signed(&'static str),
    /// A list that nobody signs, and a detached signature of the file itself.
    ListAndSigned(&'static str, &'static str),
}

use Checks::{BareList, InlineList, List, ListAndSigned, ListInList, Signed};

const DEBIAN: Checks = ListInList(
    "dists/{detail}/main/installer-{arch}/current/images/SHA256SUMS",
    "dists/{detail}/InRelease",
);
const FCOS: Checks = ListAndSigned("streams/{release}.json", ".sig");
const X86_AND_ARM: [(&str, &str); 2] = [("x86_64", "x86_64"), ("aarch64", "aarch64")];
const AMD_AND_ARM: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];
/// What the boot ISO of Fedora and its descendants holds.
const ANACONDA: [(&str, &str, &str); 5] = [
    ("kernel", "iso", "images/pxeboot/vmlinuz"),
    ("initrd", "iso", "images/pxeboot/initrd.img"),
    ("stage2", "iso", "images/install.img"),
    ("shim", "iso", "EFI/BOOT/BOOT{EFI}.EFI"),
    ("grub", "iso", "EFI/BOOT/grub{efi}.efi"),
];

const PRESETS: [Preset; 10] = [
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
        releases: &[("41", "1.4"), ("42", "1.1"), ("43", "1.6")],
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
        releases: &[("5.5", ""), ("6.0", ""), ("6.1", "")],
        arches: &X86_AND_ARM,
        keyring: "",
        sources: &[(
            "iso",
            "{release}/appliances/openSUSE-Leap-Micro.{arch}-Default-SelfInstall.iso",
            List(".sha256", ".asc"),
        )],
        files: &[
            ("kernel", "iso", "boot/{arch}/loader/linux"),
            ("initrd", "iso", "boot/{arch}/loader/initrd"),
            ("iso", "iso", ""),
        ],
    },
    Preset {
        family: "flatcar",
        home: "https://{detail}.release.flatcar-linux.net",
        releases: &[
            ("stable", "stable"),
            ("beta", "beta"),
            ("alpha", "alpha"),
            ("lts", "lts"),
        ],
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
            ("opensuse-leap-15.6", ""),
            ("debian-bookworm", ""),
            ("rockylinux-9", ""),
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

/// Lists the names of all presets.
pub fn names() -> impl Iterator<Item = String> {
    let rows = PRESETS.iter();
    rows.flat_map(|preset| {
        preset
            .releases
            .iter()
            .map(|(release, _)| preset.name(release))
    })
}

/// Writes a spec's preset out: what it fetches and which files come of it. A file of the spec itself
/// goes before one of the preset with the same key.
///
/// # Errors
/// When there is no such preset, or it does not know what its paths need.
pub fn expanded(spec: &BundleSpec) -> Result<BundleSpec, BuildError> {
    let Some(used) = &spec.preset else {
        return Ok(spec.clone());
    };
    let unknown = || BuildError::UnknownPreset(used.name.clone());
    let (preset, release) = PRESETS
        .iter()
        .find_map(|preset| {
            let mut releases = preset.releases.iter();
            let release = releases.find(|(release, _)| preset.name(release) == used.name)?;
            Some((preset, release))
        })
        .ok_or_else(unknown)?;
    let words = preset.words(spec, used, release)?;
    let keyring = used
        .keyring
        .clone()
        .unwrap_or_else(|| words.put_into(preset.keyring));
    let signed = preset
        .sources
        .iter()
        .any(|(_, _, checks)| !matches!(checks, BareList(_)));
    if signed && keyring.is_empty() {
        let reason = "is signed by a key that no package has: name its file as `keyring`";
        return Err(refused(used, reason.to_owned()));
    }
    let mirror = used
        .mirror
        .clone()
        .unwrap_or_else(|| words.put_into(preset.home));
    let place = |path: &str| match path {
        path if path.starts_with('.') => path.to_owned(),
        path => format!("{}/{}", mirror.trim_end_matches('/'), words.put_into(path)),
    };
    let mut expanded = spec.clone();
    expanded.preset = None;
    for (name, from, checks) in preset.sources {
        let source = source(place(from), *checks, &place, &keyring);
        expanded
            .images
            .insert(format!("{}/{name}", used.name), source);
    }
    for (key, source, member) in preset.files {
        let image = format!("{}/{source}", used.name);
        let content = match *member {
            "" => Content::Image(image),
            member => Content::Member {
                image,
                member: words.put_into(member),
            },
        };
        let file = SpecFile {
            path: None,
            content,
        };
        expanded.files.entry((*key).to_owned()).or_insert(file);
    }
    Ok(expanded)
}

fn refused(used: &PresetUse, reason: String) -> BuildError {
    BuildError::Preset {
        preset: used.name.clone(),
        reason,
    }
}

fn source(from: String, checks: Checks, place: &dyn Fn(&str) -> String, keyring: &str) -> Source {
    let signed = |place| {
        Some(Signature {
            place,
            key: SignatureKey::OpenPgp(keyring.to_owned()),
        })
    };
    let detached = |path: &str| signed(SignaturePlace::Detached(place(path)));
    let list = |path: &str| Source {
        from: place(path),
        ..Source::default()
    };
    let inline = |path: &str| Source {
        signature: signed(SignaturePlace::Inline),
        ..list(path)
    };
    let (list, signature) = match checks {
        List(path, signature) => {
            let signature = detached(signature);
            (
                Some(Source {
                    signature,
                    ..list(path)
                }),
                None,
            )
        }
        InlineList(path) => (Some(inline(path)), None),
        ListInList(path, outer) => {
            let checksums = Some(Box::new(inline(outer)));
            (
                Some(Source {
                    checksums,
                    ..list(path)
                }),
                None,
            )
        }
        BareList(path) => (Some(list(path)), None),
        Signed(signature) => (None, detached(signature)),
        // The list says which release is the newest; that it is the publisher's, the signature.
        ListAndSigned(path, signature) => {
            let unverified = true;
            (
                Some(Source {
                    unverified,
                    ..list(path)
                }),
                detached(signature),
            )
        }
    };
    Source {
        from,
        checksums: list.map(Box::new),
        signature,
        ..Source::default()
    }
}

/// What stands for what in the texts of a preset.
struct Words(Vec<(&'static str, String)>);

impl Words {
    fn put_into(&self, text: &str) -> String {
        let put = |text: String, (word, value): &(&str, String)| text.replace(word, value);
        self.0.iter().fold(text.to_owned(), put)
    }
}

impl Preset {
    fn name(&self, release: &str) -> String {
        match release {
            "" => self.family.to_owned(),
            release => format!("{}-{release}", self.family),
        }
    }

    fn words(
        &self,
        spec: &BundleSpec,
        used: &PresetUse,
        (release, detail): &(&str, &str),
    ) -> Result<Words, BuildError> {
        let arch = self.arches.iter().find(|(arch, _)| *arch == spec.arch);
        let Some((uname, arch)) = arch else {
            let known: Vec<&str> = self.arches.iter().map(|(arch, _)| *arch).collect();
            let reason = format!("is for {}, not for `{}`", known.join(" and "), spec.arch);
            return Err(refused(used, reason));
        };
        let efi = if *uname == "aarch64" { "aa64" } else { "x64" };
        let needs_version = self
            .sources
            .iter()
            .any(|(_, from, _)| from.contains("{version}"));
        if needs_version && used.release.is_none() {
            let reason = "leaves open which release: name it, as in `release: v1.10.0`";
            return Err(refused(used, reason.to_owned()));
        }
        let version = used.release.clone().unwrap_or_default();
        let current = used.release.clone().unwrap_or_else(|| "current".to_owned());
        let detail = used
            .release
            .clone()
            .filter(|_| !detail.is_empty())
            .unwrap_or_else(|| (*detail).to_owned());
        Ok(Words(vec![
            ("{release}", (*release).to_owned()),
            ("{detail}", detail),
            ("{arch}", (*arch).to_owned()),
            ("{efi}", efi.to_owned()),
            ("{EFI}", efi.to_uppercase()),
            ("{version}", version),
            ("{version|current}", current),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn spec(preset: &str, arch: &str, release: Option<&str>, keyring: Option<&str>) -> BundleSpec {
        BundleSpec {
            name: "b".into(),
            arch: arch.into(),
            expires: None,
            preset: Some(PresetUse {
                name: preset.into(),
                mirror: None,
                keyring: keyring.map(str::to_owned),
                release: release.map(str::to_owned),
            }),
            images: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn every_preset_leaves_nothing_open_and_verifies_everything() {
        let mut seen = 0;
        for preset in &PRESETS {
            for (release, _) in preset.releases {
                for (arch, _) in preset.arches {
                    let spec = spec(&preset.name(release), arch, Some("v1"), Some("keys"));
                    let expanded = expanded(&spec).unwrap();
                    let text = format!("{expanded:?}");
                    let open = ["{release", "{detail", "{arch", "{efi", "{EFI", "{version"];
                    assert!(!open.iter().any(|word| text.contains(word)), "{text}");
                    for source in expanded.images.values() {
                        assert!(source.checksums.is_some() || source.signature.is_some());
                        assert!(source.from.starts_with("https://"), "{}", source.from);
                    }
                    for file in expanded.files.values() {
                        let (Content::Image(image) | Content::Member { image, .. }) = &file.content
                        else {
                            panic!("{file:?}")
                        };
                        assert!(expanded.images.contains_key(image), "{image}");
                    }
                    assert!(
                        ["kernel", "initrd"]
                            .iter()
                            .all(|key| expanded.files.contains_key(*key))
                    );
                    seen += 1;
                }
            }
        }
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn what_a_preset_does_not_know_is_asked_for() {
        for (spec, said) in [
            (
                spec("ubuntu-23.04", "x86_64", None, None),
                "no preset `ubuntu-23.04`",
            ),
            (
                spec("ubuntu-24.04", "aarch64", None, None),
                "is for x86_64, not for `aarch64`",
            ),
            (
                spec("talos", "x86_64", None, None),
                "leaves open which release",
            ),
            (
                spec("flatcar-stable", "x86_64", None, None),
                "no package has",
            ),
        ] {
            let refused = expanded(&spec).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_file_of_the_spec_goes_before_one_of_the_preset() {
        let mut spec = spec("debian-12", "x86_64", None, None);
        let content = Content::Whole(Source {
            from: "linux".into(),
            ..Source::default()
        });
        let own = SpecFile {
            path: None,
            content,
        };
        spec.files.insert("kernel".into(), own.clone());
        let expanded = expanded(&spec).unwrap();
        assert_eq!(expanded.files["kernel"], own);
        assert_eq!(expanded.files.len(), 4);
    }
}
