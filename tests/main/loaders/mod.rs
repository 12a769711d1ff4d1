//! What pxectl reads out of the loaders that Debian ships, with sbsigntool as the judge of their
//! signatures.
//!
//! The loaders and the programs come with Debian's packages, which `tests/run` installs. Where
//! something is missing the tests say so and prove nothing, unless `PXECTL_REQUIRE_FIRMWARE=1` makes the
//! lack a failure.

mod sbsigntool;
mod validate;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use pxectl::lint::boot_file::{BootFile, NotSigned, PeImage, PeMachine};
use pxectl::machine::CpuArchitecture;

use crate::support::requirements::missing;
use sbsigntool::Sbsigntool;

const SHIM: &str = "/usr/lib/shim/shimx64.efi.signed";
const GRUB: &str = "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed";
const ARM_SHIM: &str =
    "/usr/lib/debian-installer/images/12/arm64/text/debian-installer/arm64/bootnetaa64.efi";
const ARM_GRUB: &str =
    "/usr/lib/debian-installer/images/12/arm64/text/debian-installer/arm64/grubaa64.efi";
const IPXE: &str = "/usr/lib/ipxe/ipxe.efi";
const SNPONLY: &str = "/usr/lib/ipxe/snponly.efi";
const KERNEL: &str = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux";

const IMAGES: [(&str, CpuArchitecture); 7] = [
    (SHIM, CpuArchitecture::X86_64),
    (GRUB, CpuArchitecture::X86_64),
    (ARM_SHIM, CpuArchitecture::Arm64),
    (ARM_GRUB, CpuArchitecture::Arm64),
    (IPXE, CpuArchitecture::X86_64),
    (SNPONLY, CpuArchitecture::X86_64),
    (KERNEL, CpuArchitecture::X86_64),
];
const SIGNED: [&str; 5] = [SHIM, GRUB, ARM_SHIM, ARM_GRUB, KERNEL];
const TOOLS: [&str; 4] = [
    "/usr/bin/sbverify",
    "/usr/bin/sbattach",
    "/usr/bin/sbsign",
    "/usr/bin/openssl",
];

fn image(bytes: &[u8]) -> PeImage {
    match BootFile::read(bytes) {
        BootFile::Image(image) => image,
        other => panic!("it is {other}"),
    }
}

fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path).expect("a loader")
}

#[test]
fn real_loaders_are_what_their_packages_say() {
    const OTHERS: [(&str, &str); 7] = [
        ("/usr/lib/ipxe/undionly.kpxe", "a PXE program for a BIOS"),
        ("/usr/lib/ipxe/ipxe.pxe", "a PXE program for a BIOS"),
        ("/usr/lib/PXELINUX/pxelinux.0", "a PXE program for a BIOS"),
        ("/usr/lib/PXELINUX/lpxelinux.0", "a PXE program for a BIOS"),
        (
            "/usr/lib/ipxe/ipxe.lkrn",
            "a Linux kernel that only another loader can start",
        ),
        ("/usr/lib/ipxe/ipxe.iso", "an ISO image"),
        (
            "/usr/lib/ipxe/82540em.rom",
            "an option ROM, which must be flashed",
        ),
    ];
    if missing(&[IMAGES.map(|(path, _)| path), OTHERS.map(|(path, _)| path)].concat()) {
        return;
    }
    for (path, cpu) in IMAGES {
        let image = image(&bytes(path));
        assert_eq!(image.machine, PeMachine::Cpu(cpu), "{path}");
        assert_eq!(image.missing, 0, "{path}");
        assert_eq!(
            image.to_string(),
            format!("a UEFI program for {}", cpu.name()),
            "{path}"
        );
    }
    for (path, shown) in OTHERS {
        assert_eq!(BootFile::read(&bytes(path)).to_string(), shown, "{path}");
    }
}

#[test]
fn who_signed_a_loader_is_who_sbverify_lists() {
    if missing(&[&IMAGES.map(|(path, _)| path)[..], &TOOLS].concat()) {
        return;
    }
    for (path, _) in IMAGES {
        let listed = Sbsigntool::issuers(Path::new(path));
        let image = image(&bytes(path));
        match image.signed_under() {
            Ok(authorities) => assert_eq!(authorities, listed, "{path}"),
            Err(NotSigned::Unsigned) => assert_eq!(listed, [""; 0], "{path}"),
            Err(refused) => panic!("{path}: {refused}"),
        }
        assert_eq!(
            image.signed_under().is_ok(),
            SIGNED.contains(&path),
            "{path}"
        );
    }
}

#[test]
fn microsoft_signed_debians_shim_and_debian_its_grub() {
    if missing(&[SHIM, GRUB, SNPONLY]) {
        return;
    }
    let shim = image(&bytes(SHIM));
    let authorities = shim.signed_under().expect("a signature");
    assert!(
        authorities.contains(&"Microsoft Corporation UEFI CA 2011"),
        "{authorities:?}"
    );
    assert_eq!(
        image(&bytes(GRUB)).signed_under(),
        Ok(vec!["Debian Secure Boot CA"])
    );
    assert_eq!(
        image(&bytes(SNPONLY)).signed_under(),
        Err(NotSigned::Unsigned)
    );
}

#[test]
fn a_loader_is_refused_once_it_is_altered_as_sbverify_refuses_it() {
    if missing(&[&SIGNED[..], &TOOLS].concat()) {
        return;
    }
    let judge = Sbsigntool::new();
    for path in SIGNED {
        let certificates = judge.certificates(Path::new(path));
        judge.verify(Path::new(path), &certificates).expect(path);
        let original = bytes(path);
        let middle = original.len() / 2;
        // A string of the DOS stub or the header, the code, and the last byte that is signed.
        for at in [0x20, 0x1000, middle] {
            let mut altered = original.clone();
            altered[at] ^= 1;
            let file = judge.file("altered.efi", &altered);
            let refused = judge.verify(&file, &certificates);
            assert!(
                refused.is_err_and(|said| said.contains("Hash doesn't match image")),
                "{path}, byte {at:#x}: the judge takes it"
            );
            assert!(
                matches!(
                    image(&altered).signed_under(),
                    Err(NotSigned::Altered { .. })
                ),
                "{path}, byte {at:#x}"
            );
        }
    }
}

#[test]
fn a_loader_that_somebody_signs_with_a_key_of_their_own_says_so() {
    if missing(&[&[SNPONLY, GRUB][..], &TOOLS].concat()) {
        return;
    }
    let judge = Sbsigntool::new();
    let key = judge.key("Rack A");
    let signed = judge.sign(Path::new(SNPONLY), &key);
    judge.verify(&signed, &key.certificate).expect("good");
    assert_eq!(image(&bytes(&signed)).signed_under(), Ok(vec!["Rack A"]));
    let twice = judge.sign(Path::new(GRUB), &key);
    let image = image(&bytes(&twice));
    assert_eq!(
        image.signed_under(),
        Ok(vec!["Debian Secure Boot CA", "Rack A"])
    );
    assert_eq!(
        Sbsigntool::issuers(&twice),
        ["Debian Secure Boot CA", "Rack A"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn real_loaders_with_other_bytes_in_their_headers_and_signatures_never_panic(
        header in vec((0..0x400usize, any::<u8>()), 0..8),
        // Counted from the end of the file, where the signatures are.
        table in vec((1..0x2000usize, any::<u8>()), 0..8),
    ) {
        for path in [SHIM, GRUB, ARM_SHIM] {
            if missing(&[path]) {
                return Ok(());
            }
            let mut bytes = bytes(path);
            for (at, new) in &header {
                bytes[*at] = *new;
            }
            let size = bytes.len();
            for (at, new) in &table {
                bytes[size - at] = *new;
            }
            let file = BootFile::read(&bytes);
            let _ = file.to_string();
            if let BootFile::Image(image) = file {
                let _ = image.signed_under();
            }
        }
    }
}
