//! Checks loaders against the firmware that boots them.

mod absent;
mod files;
mod findings;
mod menu;
mod modules;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::BTreeSet;

use absent::{FilePurpose, MissingFile, report_missing};
pub use files::{LoaderFile, LoaderFiles};
use findings::{refused, runs};
use usage::{LoaderStage, LoaderUse, loader_uses};

use super::boot_file::{BootFile, NotSigned, Subsystem};
use crate::inventory::{Diagnostic, FieldSpans, Inventory, Menu, Severity, list};
use crate::loader::LoaderKind;
use crate::machine::{Architecture, Firmware};

/// The authorities that firmware trusts by default.
///
/// Source: Microsoft, "Windows Secure Boot Key Creation and Management Guidance" §1.4 (`db`).
const FACTORY_AUTHORITIES: [&str; 4] = [
    "Microsoft Corporation UEFI CA 2011",
    "Microsoft UEFI CA 2023",
    "Microsoft Windows Production PCA 2011",
    "Windows UEFI CA 2023",
];

/// Lists the files that the inventory names as loaders, and the files that loaders request beside
/// themselves.
pub fn loader_names(inventory: &Inventory) -> BTreeSet<String> {
    let profiles = inventory.profiles.values();
    let hosts = inventory.hosts.values();
    let named = inventory.site.loaders.values();
    let loaders = named
        .chain(profiles.filter_map(|profile| profile.loader.as_ref()))
        .chain(hosts.filter_map(|host| host.loader.as_ref()));
    let mut names = BTreeSet::new();
    for loader in loaders {
        names.insert(loader.first.clone());
        names.extend(loader.second.clone());
        names.extend(modules::modules(loader));
    }
    let of_menu = inventory.site.menu.iter().flat_map(Menu::loaders);
    names.extend(of_menu.map(str::to_owned));
    names
}

/// Checks every loader against its firmware, and the loaders of Secure Boot hosts for signatures.
pub fn loaders(inventory: &Inventory, spans: &FieldSpans, files: &LoaderFiles) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut missing_files = Vec::new();
    for usage in loader_uses(inventory, spans) {
        for stage in usage.stages() {
            match files.files.get(stage.file) {
                Some(LoaderFile::Read(file)) => check_stage(&usage, &stage, file, &mut diagnostics),
                Some(LoaderFile::Refused(reason)) => {
                    diagnostics.push(refused(stage.file, stage.span, reason));
                }
                Some(LoaderFile::Absent) | None => missing_files.push(MissingFile {
                    file: stage.file.to_owned(),
                    span: stage.span,
                    purpose: FilePurpose::Loader,
                }),
            }
        }
        missing_files.extend(modules::missing_modules(&usage, files));
    }
    menu::check(
        inventory,
        spans,
        files,
        &mut diagnostics,
        &mut missing_files,
    );
    let roots = &files.absent_roots;
    diagnostics.extend(report_missing(inventory, spans, roots, &missing_files));
    diagnostics
}

fn check_stage(
    usage: &LoaderUse<'_>,
    stage: &LoaderStage<'_>,
    file: &BootFile,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let wrong = usage.firmware.iter().find_map(|(architecture, host)| {
        let unfit = Unfit::find(file, *architecture, usage.loader.kind, stage.is_first)?;
        let who = match host {
            Some(host) => format!("host `{host}` (`{architecture}`)"),
            None => format!("`{architecture}`"),
        };
        let (cpu, name) = (architecture.cpu().name(), stage.file);
        let (message, help) = match (unfit, architecture.firmware()) {
            (Unfit::CutOff(missing), _) => (
                format!("`{name}` is truncated: the last {missing} bytes are missing, so {who} cannot boot it"),
                "copy the complete file again".to_owned(),
            ),
            (Unfit::Other, Firmware::Uefi | Firmware::Uboot | Firmware::RaspberryPi) => (
                format!("`{name}` is {file}, but {who} boots a UEFI program for {cpu}"),
                format!("use a loader that is built for {cpu}"),
            ),
            (Unfit::Other, Firmware::Bios) => (
                format!("`{name}` is {file}, but {who} boots a PXE program for a BIOS"),
                "use a loader such as `undionly.kpxe` or `pxelinux.0`".to_owned(),
            ),
        };
        Some(Diagnostic::error("wrong-loader", stage.span, message).help(help))
    });
    if let Some(wrong) = wrong {
        diagnostics.push(wrong);
        return;
    }
    diagnostics.extend(check_protocol(usage, stage, file));
    for (profile, span) in &usage.secured {
        let found = check_signature(stage, file, usage).map(|diagnostic| match span {
            Some(span) => {
                let text = format!("the hosts of profile `{profile}` boot with Secure Boot on");
                diagnostic.also(*span, text)
            }
            None => diagnostic,
        });
        diagnostics.extend(found);
    }
}

/// Warns about an image for UEFI firmware that boots by PXE. UEFI starts images only over HTTP. The
/// firmware may also boot over HTTP, so this is not an error.
///
/// Source: edk2, `HttpBootDxe` (`HttpBootRegisterRamDisk`); `UefiPxeBcDxe` has nothing like it.
fn check_protocol(
    usage: &LoaderUse<'_>,
    stage: &LoaderStage<'_>,
    file: &BootFile,
) -> Option<Diagnostic> {
    if !stage.is_first || !matches!(file, BootFile::Iso | BootFile::BootSector) {
        return None;
    }
    let mut firmware = usage.firmware.iter();
    let (architecture, host) =
        firmware.find(|(it, _)| it.firmware() == Firmware::Uefi && !it.is_http())?;
    let name = stage.file;
    let who = match host {
        Some(host) => format!("host `{host}` (`{architecture}`)"),
        None => format!("`{architecture}`"),
    };
    let message =
        format!("`{name}` is {file}, which UEFI boots only over HTTP: {who} cannot boot it by PXE");
    let help = format!(
        "use it as the site's loader for `{}`, and use a UEFI program for `{architecture}`",
        architecture.over_http()
    );
    Some(Diagnostic::warning("image-over-pxe", stage.span, message).help(help))
}

/// Why firmware cannot boot a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    /// It has the wrong format.
    Other,
    /// This many bytes are missing at the end.
    CutOff(u64),
}

impl Unfit {
    fn find(
        file: &BootFile,
        architecture: Architecture,
        kind: LoaderKind,
        is_first: bool,
    ) -> Option<Self> {
        match (architecture.firmware(), file) {
            // They boot files of many formats, some without a mark.
            (Firmware::Uboot | Firmware::RaspberryPi, _) => None,
            // The format of a second stage depends on the first one.
            (Firmware::Bios, _) if !is_first => None,
            // A program may contain the mark of a boot sector, and not every format is known.
            (
                Firmware::Bios,
                BootFile::NetworkBootProgram | BootFile::BootSector | BootFile::Unknown,
            ) => None,
            // Over HTTP, firmware accepts both and boots their content.
            (Firmware::Bios, BootFile::Iso) if architecture.is_http() => None,
            (Firmware::Uefi, BootFile::Iso | BootFile::BootSector)
                if is_first && (architecture.is_http() || kind == LoaderKind::Image) =>
            {
                None
            }
            (Firmware::Uefi, BootFile::Image(image))
                if runs(architecture, image.machine)
                    && image.subsystem == Subsystem::Application =>
            {
                (image.missing > 0).then_some(Self::CutOff(image.missing))
            }
            _ => Some(Self::Other),
        }
    }
}

/// Checks whether Secure Boot accepts a file.
fn check_signature(
    stage: &LoaderStage<'_>,
    file: &BootFile,
    usage: &LoaderUse<'_>,
) -> Option<Diagnostic> {
    let name = stage.file;
    let BootFile::Image(image) = file else {
        let is_bios = usage
            .firmware
            .keys()
            .any(|architecture| architecture.firmware() == Firmware::Bios);
        if is_bios {
            let message = format!("`{name}` is for a BIOS, which has no Secure Boot");
            let help = "use a profile without `secure_boot`, or change the `arch` of the hosts";
            return Some(Diagnostic::error("unsigned-loader", stage.span, message).help(help));
        }
        let message = format!("`{name}` is {file}, whose signatures are not checked");
        let help = "extract its loader, and run `sbverify --list` to see the signatures";
        let note = Diagnostic::new(Severity::Note, "unsigned-loader", Some(stage.span), message);
        return Some(note.help(help));
    };
    match image.signed_under() {
        Err(reason) => {
            let message = format!("Secure Boot rejects `{name}`: {reason}");
            let help = match reason {
                NotSigned::Unsigned => {
                    "use a signed chain: `{first: shimx64.efi.signed, second: grubnetx64.efi.signed, as: [bootx64.efi, grubx64.efi]}`"
                }
                NotSigned::Altered { .. } | NotSigned::Unreadable(_) => {
                    "copy the file from its package again, or sign it again"
                }
            };
            Some(Diagnostic::error("unsigned-loader", stage.span, message).help(help))
        }
        Ok(authorities) if stage.is_first => foreign(stage, &authorities),
        // The first stage contains the keys that it trusts.
        Ok(_) => None,
    }
}

/// Warns about a first stage that firmware accepts only with additional keys.
fn foreign(stage: &LoaderStage<'_>, authorities: &[&str]) -> Option<Diagnostic> {
    if authorities
        .iter()
        .any(|authority| FACTORY_AUTHORITIES.contains(authority))
    {
        return None;
    }
    let name = stage.file;
    let message = format!(
        "`{name}` is signed under {}, which firmware does not trust by default",
        list(authorities)
    );
    let help =
        "enroll that certificate in the firmware of these hosts, or use a shim signed by Microsoft";
    Some(Diagnostic::warning("foreign-signer", stage.span, message).help(help))
}
