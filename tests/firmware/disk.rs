//! Local disks that say that they were booted.

use std::fs;
use std::path::Path;

use crate::debian::{AMD64, ARM64, Installer};
use crate::firmware::Firmware;

/// What a disk prints once it was booted.
pub const LOCAL_DISK_BOOTED: &str = "the local disk was booted";

/// Makes the disk of a machine and returns it as QEMU's `-drive` takes it.
///
/// UEFI finds the loader that a disk of any system may have, signed by Microsoft, and GRUB behind it; so
/// does our GRUB, where Debian puts them. A BIOS finds a boot sector.
pub fn create(directory: &Path, firmware: Firmware) -> String {
    let file = match firmware {
        Firmware::Bios | Firmware::BiosIpxeRom => {
            let disk = directory.join("disk");
            fs::write(&disk, boot_sector()).unwrap();
            disk.display().to_string()
        }
        Firmware::Arm64 => volume(directory, &ARM64),
        _ => volume(directory, &AMD64),
    };
    format!("file={file},format=raw,if=none,readonly=on,id=disk")
}

fn volume(directory: &Path, installer: &Installer) -> String {
    let root = directory.join("disk");
    let prefix = root.join(installer.grub_prefix);
    fs::create_dir_all(&prefix).unwrap();
    let letters = installer.letters;
    let fallback = format!("BOOT{}.EFI", letters.to_uppercase());
    for (directory, shim) in [
        ("EFI/BOOT", fallback),
        ("EFI/debian", format!("shim{letters}.efi")),
    ] {
        let directory = root.join(directory);
        fs::create_dir_all(&directory).unwrap();
        fs::copy(installer.shim, directory.join(shim)).unwrap();
        fs::copy(installer.grub, directory.join(format!("grub{letters}.efi"))).unwrap();
    }
    let config = format!("echo '{LOCAL_DISK_BOOTED}'\nsleep 600\n");
    fs::write(prefix.join("grub.cfg"), config).unwrap();
    format!("fat:{}", root.display())
}

/// Returns a disk whose first sector prints [`LOCAL_DISK_BOOTED`] and stops.
fn boot_sector() -> Vec<u8> {
    const TEXT_AT: usize = 0x20;
    let code = [
        0xbe, 0x20, 0x7c, // mov si, text
        0xac, // next: lodsb
        0x08, 0xc0, // or al, al
        0x74, 0x09, // jz stop
        0xb4, 0x0e, // mov ah, 0x0e
        0xbb, 0x07, 0x00, // mov bx, 7
        0xcd, 0x10, // int 0x10
        0xeb, 0xf2, // jmp next
        0xfb, // stop: sti, so that SeaBIOS sends the end of the text
        0xf4, // hlt
        0xeb, 0xfc, // jmp stop
    ];
    let mut disk = vec![0; 1 << 20];
    disk[..code.len()].copy_from_slice(&code);
    let text = LOCAL_DISK_BOOTED.as_bytes();
    disk[TEXT_AT..TEXT_AT + text.len()].copy_from_slice(text);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}
