//! The modules that PXELINUX requests.

use super::absent::{FilePurpose, MissingFile};
use super::{LoaderFile, LoaderFiles, LoaderUse};
use crate::clients::pxelinux::needs;
use crate::inventory::{Loader, LoaderKind};
use crate::machine::Firmware;

/// The core module, which PXELINUX needs to start.
const CORE: &str = "ldlinux.c32";
/// The module that reboots a machine which is held, or whose installer cannot be loaded.
const REBOOT: &str = "reboot.c32";
/// The module that boots the first disk.
const CHAIN: &str = "chain.c32";

/// Lists the modules that a loader may request. Only PXELINUX requests modules.
pub fn modules(loader: &Loader) -> Vec<String> {
    of(loader, true)
}

/// Lists the missing modules of a PXELINUX that BIOS hosts boot.
pub fn missing_modules(usage: &LoaderUse<'_>, files: &LoaderFiles) -> Vec<MissingFile> {
    let exists = matches!(
        files.files.get(&usage.loader.first),
        Some(LoaderFile::Read(_))
    );
    let mut firmware = usage.firmware.keys();
    if !exists || !firmware.any(|it| it.firmware() == Firmware::Bios) {
        return Vec::new();
    }
    let names = of(usage.loader, usage.is_sanboot).into_iter();
    let missing = names.filter(|name| {
        let file = files.files.get(name);
        file.is_none_or(|file| *file == LoaderFile::Absent)
    });
    let span = usage.span.first;
    missing
        .map(|file| MissingFile {
            file,
            span,
            purpose: FilePurpose::Module,
        })
        .collect()
}

fn of(loader: &Loader, is_sanboot: bool) -> Vec<String> {
    if loader.kind != LoaderKind::Pxelinux {
        return Vec::new();
    }
    let mut modules = vec![CORE];
    for module in [Some(REBOOT), is_sanboot.then_some(CHAIN)]
        .into_iter()
        .flatten()
    {
        modules.push(module);
        modules.extend(needs(module));
    }
    modules.sort_unstable();
    modules.dedup();
    modules.iter().map(|name| loader.beside(name)).collect()
}
