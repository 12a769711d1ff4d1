//! What PXELINUX asks for beside itself.

use super::absent::{Absent, What};
use super::{Given, LoaderFile, LoaderFiles};
use crate::clients::pxelinux::needs;
use crate::inventory::{Loader, LoaderKind};
use crate::machine::Firmware;

/// Without it, PXELINUX does not start.
const CORE: &str = "ldlinux.c32";
/// What restarts a machine that is held, or whose installer is not to be had.
const REBOOT: &str = "reboot.c32";
/// What boots the first disk.
const CHAIN: &str = "chain.c32";

/// Lists the names of all modules that a loader may be asked for; none where it is not PXELINUX.
pub fn modules(loader: &Loader) -> Vec<String> {
    of(loader, true)
}

/// Finds the modules that are not there for the hosts that are given PXELINUX on a BIOS.
pub fn absent(given: &Given<'_>, files: &LoaderFiles) -> Vec<Absent> {
    let is_there = matches!(
        files.files.get(&given.loader.first),
        Some(LoaderFile::Read(_))
    );
    let mut firmware = given.firmware.keys();
    if !is_there || !firmware.any(|it| it.firmware() == Firmware::Bios) {
        return Vec::new();
    }
    let names = of(given.loader, given.is_sanboot).into_iter();
    let absent = names.filter(|name| {
        let file = files.files.get(name);
        file.is_none_or(|file| *file == LoaderFile::Absent)
    });
    let span = given.place.first;
    absent
        .map(|file| Absent {
            file,
            span,
            what: What::Module,
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
