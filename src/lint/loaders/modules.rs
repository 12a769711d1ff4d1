//! The modules that loaders request, as PXELINUX does.

use super::absent::{FilePurpose, MissingFile};
use super::{LoaderFile, LoaderFiles, LoaderUse};
use crate::inventory::Loader;
use crate::loader::LocalDiskBoot;
use crate::machine::Firmware;

/// Lists the modules that a loader may request.
pub fn modules(loader: &Loader) -> Vec<String> {
    modules_beside(loader, LocalDiskBoot::ByLoader)
}

/// Lists the missing modules of a loader that BIOS hosts boot.
pub fn missing_modules(usage: &LoaderUse<'_>, files: &LoaderFiles) -> Vec<MissingFile> {
    let exists = matches!(
        files.files.get(&usage.loader.first),
        Some(LoaderFile::Read(_))
    );
    let mut firmware = usage.firmware.keys();
    if !exists || !firmware.any(|it| it.firmware() == Firmware::Bios) {
        return Vec::new();
    }
    let local_disk = if usage.is_sanboot {
        LocalDiskBoot::ByLoader
    } else {
        LocalDiskBoot::ByFirmware
    };
    let names = modules_beside(usage.loader, local_disk).into_iter();
    let missing = names.filter(|name| {
        let file = files.files.get(name);
        file.is_none_or(|file| *file == LoaderFile::Absent)
    });
    let span = usage.span.first;
    missing
        .map(|file| MissingFile {
            file,
            span,
            purpose: FilePurpose::Module(usage.loader.kind),
        })
        .collect()
}

fn modules_beside(loader: &Loader, local_disk: LocalDiskBoot) -> Vec<String> {
    let modules = loader.kind.modules(local_disk).into_iter();
    modules.map(|name| loader.beside(name)).collect()
}
