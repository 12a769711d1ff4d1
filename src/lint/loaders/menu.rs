//! Checks the files that the menu starts against the machines that are offered them.
//!
//! No menu entry starts by itself, so every problem is a warning.

use std::collections::BTreeMap;

use super::absent::{FilePurpose, MissingFile};
use super::files::{LoaderFile, LoaderFiles};
use super::findings::{refused, runs};
use crate::inventory::{Diagnostic, FieldSpans, Host, Inventory, MenuEntry, MenuTarget, Span};
use crate::lint::boot_file::{BootFile, Subsystem};
use crate::loader::Dialect;
use crate::machine::{Architecture, Firmware};

/// Checks every file that the menu starts.
pub fn check(
    inventory: &Inventory,
    spans: &FieldSpans,
    files: &LoaderFiles,
    diagnostics: &mut Vec<Diagnostic>,
    missing_files: &mut Vec<MissingFile>,
) {
    let groups = inventory.site.menu.iter().flat_map(|menu| &menu.groups);
    let started = groups.flat_map(|group| &group.entries).filter_map(|entry| {
        let MenuTarget::Loader(name) = &entry.target else {
            return None;
        };
        Some((entry, name.as_str()))
    });
    for ((entry, name), span) in started.zip(spans.menu.iter().copied()) {
        match files.files.get(name) {
            Some(LoaderFile::Read(file)) => {
                diagnostics.extend(check_file(inventory, spans, entry, (name, span), file));
            }
            Some(LoaderFile::Refused(reason)) => diagnostics.push(refused(name, span, reason)),
            Some(LoaderFile::Absent) | None => missing_files.push(MissingFile {
                file: name.to_owned(),
                span,
                purpose: FilePurpose::Loader,
            }),
        }
    }
}

fn check_file(
    inventory: &Inventory,
    spans: &FieldSpans,
    entry: &MenuEntry,
    (name, span): (&str, Span),
    file: &BootFile,
) -> Vec<Diagnostic> {
    let offered: Vec<(&Host, Dialect)> = inventory
        .hosts
        .values()
        .filter(|host| entry.fits(host.arch, None))
        .filter_map(|host| {
            let loader = inventory.loader_of(Some(host), host.arch)?;
            Some((host, loader.kind.dialect()?))
        })
        .collect();
    let unfit = offered
        .iter()
        .find(|(host, dialect)| !starts(host.arch, *dialect, file));
    if let Some((host, _)) = unfit {
        let (arch, owner) = (host.arch, &host.name);
        let expected = match arch.firmware() {
            Firmware::Bios => "a program or a kernel for a BIOS".to_owned(),
            _ => format!("a UEFI program for {}", arch.cpu().name()),
        };
        let message = format!(
            "the menu offers `{name}` to host `{owner}` (`{arch}`), which starts {expected}, but the file is {file}"
        );
        let help =
            "list the architectures that can start it in `arch` of the entry, or use another file";
        return vec![Diagnostic::warning("wrong-loader", span, message).help(help)];
    }
    let BootFile::Image(image) = file else {
        return Vec::new();
    };
    let Err(reason) = image.signed_under() else {
        return Vec::new();
    };
    let secured: BTreeMap<&str, Option<Span>> = offered
        .iter()
        .filter_map(|(host, _)| inventory.profile_of(host))
        .filter(|profile| profile.secure_boot)
        .map(|profile| {
            let secure_boot = spans.secure_boot.get(&profile.name).copied();
            (profile.name.as_str(), secure_boot)
        })
        .collect();
    let warning = |(profile, secure_boot): (&str, Option<Span>)| {
        let message = format!("Secure Boot rejects `{name}` of the menu: {reason}");
        let help = "sign it with a key that these machines trust, or remove it from the menu";
        let warning = Diagnostic::warning("unsigned-loader", span, message).help(help);
        match secure_boot {
            Some(secure_boot) => {
                let text = format!("the hosts of profile `{profile}` boot with Secure Boot on");
                warning.also(secure_boot, text)
            }
            None => warning,
        }
    };
    secured.into_iter().map(warning).collect()
}

/// Reports whether a loader on a machine can start a file.
fn starts(architecture: Architecture, dialect: Dialect, file: &BootFile) -> bool {
    match (architecture.firmware(), file) {
        (Firmware::Uboot | Firmware::RaspberryPi, _) => true,
        (Firmware::Uefi, BootFile::Image(image)) => {
            let is_program = image.subsystem == Subsystem::Application && image.missing == 0;
            is_program && runs(architecture, image.machine)
        }
        (_, BootFile::Script) => dialect.starts_scripts(),
        (Firmware::Uefi, _) => false,
        // A kernel with an EFI stub is also a BIOS kernel.
        (Firmware::Bios, BootFile::Image(image)) => image.is_linux,
        (
            Firmware::Bios,
            BootFile::NetworkBootProgram
            | BootFile::BootSector
            | BootFile::Kernel
            | BootFile::Elf
            | BootFile::Unknown,
        ) => true,
        (Firmware::Bios, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::boot_file::{PeImage, PeMachine};
    use crate::machine::CpuArchitecture;

    #[test]
    fn each_firmware_starts_its_own_programs_and_a_script_is_for_ipxe() {
        use Architecture::*;
        let image = |cpu, is_linux| {
            BootFile::Image(PeImage {
                machine: PeMachine::Cpu(cpu),
                subsystem: Subsystem::Application,
                missing: 0,
                is_linux,
                signatures: Vec::new(),
            })
        };
        let x64 = image(CpuArchitecture::X86_64, false);
        let kernel = image(CpuArchitecture::X86_64, true);
        let arm = image(CpuArchitecture::Arm64, false);
        let cut = BootFile::Image(PeImage {
            machine: PeMachine::Cpu(CpuArchitecture::X86_64),
            subsystem: Subsystem::Application,
            missing: 9,
            is_linux: true,
            signatures: Vec::new(),
        });
        for (architecture, dialect, file, expected) in [
            (UefiX64, Dialect::Ipxe, &x64, true),
            (UefiX64, Dialect::Grub, &kernel, true),
            (UefiX64, Dialect::Ipxe, &arm, false),
            (UefiX64, Dialect::Ipxe, &cut, false),
            (UefiArm64, Dialect::Ipxe, &arm, true),
            (UefiX64, Dialect::Ipxe, &BootFile::Script, true),
            (UefiX64, Dialect::Grub, &BootFile::Script, false),
            (UefiX64, Dialect::Ipxe, &BootFile::Iso, false),
            (UefiX64, Dialect::Ipxe, &BootFile::NetworkBootProgram, false),
            (Bios, Dialect::Ipxe, &BootFile::NetworkBootProgram, true),
            (Bios, Dialect::Ipxe, &BootFile::Script, true),
            (Bios, Dialect::Pxelinux, &BootFile::Script, false),
            (Bios, Dialect::Pxelinux, &BootFile::Elf, true),
            (Bios, Dialect::Pxelinux, &BootFile::Kernel, true),
            (Bios, Dialect::Pxelinux, &kernel, true),
            (Bios, Dialect::Pxelinux, &x64, false),
            (Bios, Dialect::Ipxe, &BootFile::Unknown, true),
            (Bios, Dialect::Ipxe, &BootFile::Text, false),
            (UbootArm64, Dialect::Ipxe, &BootFile::Text, true),
        ] {
            let found = starts(architecture, dialect, file);
            assert_eq!(found, expected, "{architecture} {dialect} {file}");
        }
    }
}
