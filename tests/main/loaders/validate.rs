//! `pxectl validate` with the loaders that Debian ships.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::loaders::{ARM_SHIM, GRUB, SHIM, SNPONLY};
use crate::support::requirements::missing;

/// An inventory whose hosts boot with Secure Boot on; its loaders lie in `boot`.
fn inventory(loaders: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let digest = "0".repeat(64);
    let text = format!(
        "kind: Site\nname: rack-a\nserver: {{address: 10.20.0.10, files: [boot]}}\n\
         networks: [{{name: prov0, subnet: 10.20.0.0/24, interface: eth1}}]\nloaders: {loaders}\n\
         ---\nkind: Bundle\nname: debian\narch: x86_64\nexpires: 2030-01-01\nfiles:\n  \
         kernel: {{path: linux, sha256: {digest}, size: 1}}\n  \
         initrd: {{path: initrd.gz, sha256: {digest}, size: 1}}\n\
         ---\nkind: Profile\nname: worker\ninstaller: preseed\nbundle: debian\nsecure_boot: true\n\
         ---\nkind: Host\nname: worker-01\nprofile: worker\narch: uefi-x64\ndisk: {{serial: S1}}\n\
         uuid: 99999999-aaaa-bbbb-cccc-123456789012\n\
         nics: [{{mac: \"52:54:00:00:00:01\", network: prov0, boot: true}}]\n"
    );
    fs::write(directory.path().join("all.yaml"), text).expect("a file");
    let boot = directory.path().join("boot");
    fs::create_dir(&boot).expect("a directory");
    for loader in [SHIM, GRUB, ARM_SHIM, SNPONLY] {
        let name = Path::new(loader).file_name().expect("a name");
        fs::copy(loader, boot.join(name)).expect("a copy");
    }
    directory
}

/// Returns what is printed, and whether it is the exit status of an inventory without errors.
fn validate(directory: &Path) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_pxectl"))
        .args(["validate", "--deny", "warnings", "-i", "."])
        .env_remove("PXECTL_INVENTORY")
        .current_dir(directory)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (text, output.status.success())
}

const CHAIN: &str = "{uefi-x64: {first: shimx64.efi.signed, second: grubnetx64.efi.signed}}";
const CLEAN: &str = "rack-a: 1 host, 1 profile, 1 bundle: 0 errors, 0 warnings\n";

#[test]
fn debians_signed_chain_passes_for_hosts_with_secure_boot() {
    if missing(&[SHIM, GRUB, ARM_SHIM, SNPONLY]) {
        return;
    }
    let rack = inventory(CHAIN);
    assert_eq!(validate(rack.path()), (CLEAN.to_owned(), true));
}

#[test]
fn a_chain_that_firmware_would_refuse_is_refused() {
    if missing(&[SHIM, GRUB, ARM_SHIM, SNPONLY]) {
        return;
    }
    let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
    for (loaders, expected) in [
        (
            "{uefi-x64: {first: shimx64.efi.signed, second: snponly.efi}}",
            "error: Secure Boot rejects `snponly.efi`: it has no signature",
        ),
        (
            "{uefi-x64: {first: bootnetaa64.efi, second: grubnetx64.efi.signed}}",
            "error: `bootnetaa64.efi` is a UEFI program for aarch64, but `uefi-x64` boots a UEFI program for x86_64",
        ),
        (
            // Without shim before it, nothing in the firmware vouches for Debian.
            "{uefi-x64: grubnetx64.efi.signed}",
            "warning: `grubnetx64.efi.signed` is signed under `Debian Secure Boot CA`, which firmware does not trust by default",
        ),
    ] {
        let (text, is_clean) = validate(inventory(loaders).path());
        assert_eq!((first(text), is_clean), (expected.to_owned(), false));
    }
    let rack = inventory(CHAIN);
    let grub = rack.path().join("boot/grubnetx64.efi.signed");
    let mut bytes = fs::read(&grub).expect("GRUB");
    bytes[500_000] ^= 1;
    fs::write(grub, bytes).expect("GRUB");
    let (text, is_clean) = validate(rack.path());
    let expected = "error: Secure Boot rejects `grubnetx64.efi.signed`: it was changed after it was signed under `Debian Secure Boot CA`";
    assert_eq!((first(text), is_clean), (expected.to_owned(), false));
}

#[test]
fn the_example_that_init_writes_names_loaders_that_debian_ships() {
    if missing(&[SNPONLY, "/usr/lib/ipxe/undionly.kpxe"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let written = Command::new(env!("CARGO_BIN_EXE_pxectl"))
        .arg("init")
        .arg(directory.path())
        .output()
        .expect("the binary runs");
    assert!(written.status.success(), "{written:?}");
    let (text, is_clean) = validate(directory.path());
    assert!(is_clean && !text.contains("loader"), "{text}");
}
