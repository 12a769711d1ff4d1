//! Loaders, held against the firmware that is given them.

mod absent;
mod menu;
mod pxelinux;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use absent::{Absent, What, absent};

use super::boot_file::{BootFile, Machine, NotSigned, Subsystem};
use crate::inventory::{
    Diagnostic, FieldSpans, Host, Inventory, Loader, LoaderKind, LoaderSpans, LocalBoot, Menu,
    Severity, Span, list,
};
use crate::machine::{Architecture, Firmware};

/// The authorities that firmware trusts as it comes from the factory.
///
/// Source: Microsoft, "Windows Secure Boot Key Creation and Management Guidance" §1.4 (`db`).
const FACTORY_AUTHORITIES: [&str; 4] = [
    "Microsoft Corporation UEFI CA 2011",
    "Microsoft UEFI CA 2023",
    "Microsoft Windows Production PCA 2011",
    "Windows UEFI CA 2023",
];

/// What lies where the inventory's loaders should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoaderFiles {
    /// Every file that is named, by the name.
    pub files: BTreeMap<String, LoaderFile>,
    /// Which directories of `server.files` are not here, by their place in the list.
    pub absent_roots: Vec<usize>,
}

/// One file that the inventory names as a loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoaderFile {
    /// It is there.
    Read(BootFile),
    /// No directory that is here has it.
    Absent,
    /// It is there and would not be served, or cannot be read; the text says why.
    Refused(String),
}

/// Lists the names of all files that the inventory names as loaders, and of those that loaders ask
/// for beside themselves, each once.
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
        names.extend(pxelinux::modules(loader));
    }
    let of_menu = inventory.site.menu.iter().flat_map(Menu::loaders);
    names.extend(of_menu.map(str::to_owned));
    names
}

/// Checks every loader against the firmware that is given it, and those of hosts with Secure Boot
/// for signatures. `places` says where the inventory names them.
pub fn loaders(inventory: &Inventory, places: &FieldSpans, files: &LoaderFiles) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut absentees = Vec::new();
    for given in all_given(inventory, places) {
        for stage in given.stages() {
            match files.files.get(stage.file) {
                Some(LoaderFile::Read(file)) => check_stage(&given, &stage, file, &mut diagnostics),
                Some(LoaderFile::Refused(reason)) => {
                    diagnostics.push(refused(stage.file, stage.span, reason));
                }
                Some(LoaderFile::Absent) | None => absentees.push(Absent {
                    file: stage.file.to_owned(),
                    span: stage.span,
                    what: What::Loader,
                }),
            }
        }
        absentees.extend(pxelinux::absent(&given, files));
    }
    menu::check(inventory, places, files, &mut diagnostics, &mut absentees);
    let roots = &files.absent_roots;
    diagnostics.extend(absent(inventory, places, roots, &absentees));
    diagnostics
}

fn refused(name: &str, span: Span, reason: &str) -> Diagnostic {
    let message = format!("the loader `{name}` cannot be served: {reason}");
    let help = "keep it in a directory of `server.files` where others may read it; where a link leads elsewhere, list that file too";
    Diagnostic::warning("missing-loader", span, message).help(help)
}

/// A loader as the inventory names it in one place, and who is given it.
struct Given<'a> {
    loader: &'a Loader,
    place: LoaderSpans,
    /// The firmware that is given it, with one of the hosts where it is theirs alone.
    firmware: BTreeMap<Architecture, Option<&'a str>>,
    /// Profiles with Secure Boot whose hosts are given it, with the place that says so.
    secured: BTreeMap<&'a str, Option<Span>>,
    /// Whether one of these hosts boots its local disk by a program that the loader fetches.
    is_sanboot: bool,
}

/// One of the files of a loader.
#[derive(Clone, Copy)]
struct Stage<'a> {
    file: &'a str,
    span: Span,
    is_first: bool,
}

impl<'a> Given<'a> {
    fn new(loader: &'a Loader, place: LoaderSpans) -> Self {
        Self {
            loader,
            place,
            firmware: BTreeMap::new(),
            secured: BTreeMap::new(),
            is_sanboot: false,
        }
    }

    fn stages(&self) -> impl Iterator<Item = Stage<'a>> + use<'a> {
        let first = Stage {
            file: &self.loader.first,
            span: self.place.first,
            is_first: true,
        };
        let second = self.loader.second.as_deref().map(|file| Stage {
            file,
            span: self.place.second.unwrap_or(self.place.first),
            is_first: false,
        });
        [Some(first), second].into_iter().flatten()
    }

    fn note(
        &mut self,
        inventory: &'a Inventory,
        places: &FieldSpans,
        host: &'a Host,
        is_own: bool,
    ) {
        if is_own {
            self.firmware.entry(host.arch).or_insert(Some(&host.name));
        }
        self.is_sanboot |= host.local_boot == LocalBoot::Sanboot;
        if let Some(profile) = inventory.profile_of(host).filter(|it| it.secure_boot) {
            let place = places.secure_boot.get(&profile.name).copied();
            self.secured.insert(&profile.name, place);
        }
    }
}

/// Lists every loader with those who are given it, in the order of the site's, the profiles' and the
/// hosts' own.
fn all_given<'a>(inventory: &'a Inventory, places: &FieldSpans) -> Vec<Given<'a>> {
    let mut site = BTreeMap::new();
    for (architecture, loader) in &inventory.site.loaders {
        if let Some(place) = places.site.get(architecture) {
            let mut given = Given::new(loader, *place);
            given.firmware.insert(*architecture, None);
            site.insert(*architecture, given);
        }
    }
    let mut profiles = BTreeMap::new();
    for profile in inventory.profiles.values() {
        let place = places.profiles.get(&profile.name);
        if let (Some(loader), Some(place)) = (&profile.loader, place) {
            profiles.insert(profile.name.as_str(), Given::new(loader, *place));
        }
    }
    let mut hosts = Vec::new();
    for host in inventory.hosts.values() {
        if let Some(loader) = &host.loader {
            if let Some(place) = places.hosts.get(&host.name) {
                let mut given = Given::new(loader, *place);
                given.note(inventory, places, host, true);
                hosts.push(given);
            }
        } else if let Some(given) = profiles.get_mut(host.profile.as_str()) {
            given.note(inventory, places, host, true);
        } else if let Some(given) = site.get_mut(&host.arch) {
            given.note(inventory, places, host, false);
        }
    }
    site.into_values()
        .chain(profiles.into_values())
        .chain(hosts)
        .collect()
}

fn check_stage(
    given: &Given<'_>,
    stage: &Stage<'_>,
    file: &BootFile,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let wrong = given.firmware.iter().find_map(|(architecture, host)| {
        let unfit = Unfit::find(file, *architecture, given.loader.kind, stage.is_first)?;
        let who = match host {
            Some(host) => format!("host `{host}` (`{architecture}`)"),
            None => format!("`{architecture}`"),
        };
        let (cpu, name) = (architecture.cpu().name(), stage.file);
        let (message, help) = match (unfit, architecture.firmware()) {
            (Unfit::CutOff(missing), _) => (
                format!("`{name}` lacks the last {missing} octets, and {who} cannot boot it"),
                "copy it here again, whole".to_owned(),
            ),
            (Unfit::Other, Firmware::Uefi | Firmware::Uboot | Firmware::RaspberryPi) => (
                format!("`{name}` is {file}, and {who} boots a UEFI program for {cpu}"),
                format!("name one that is built for {cpu}"),
            ),
            (Unfit::Other, Firmware::Bios) => (
                format!("`{name}` is {file}, and {who} boots a program for PXE on a BIOS"),
                "name one such as `undionly.kpxe` or `pxelinux.0`".to_owned(),
            ),
        };
        Some(Diagnostic::error("wrong-loader", stage.span, message).help(help))
    });
    if let Some(wrong) = wrong {
        diagnostics.push(wrong);
        return;
    }
    diagnostics.extend(check_protocol(given, stage, file));
    for (profile, place) in &given.secured {
        let found = check_signature(stage, file, given).map(|diagnostic| match place {
            Some(place) => {
                let text = format!("the hosts of `{profile}` boot with Secure Boot on");
                diagnostic.also(*place, text)
            }
            None => diagnostic,
        });
        diagnostics.extend(found);
    }
}

/// Warns of an image for UEFI that starts images over HTTP alone. The same firmware may boot over HTTP
/// too, so it is no error.
///
/// Source: edk2, `HttpBootDxe` (`HttpBootRegisterRamDisk`); `UefiPxeBcDxe` has nothing like it.
fn check_protocol(given: &Given<'_>, stage: &Stage<'_>, file: &BootFile) -> Option<Diagnostic> {
    if !stage.is_first || !matches!(file, BootFile::Iso | BootFile::BootSector) {
        return None;
    }
    let mut firmware = given.firmware.iter();
    let (architecture, host) =
        firmware.find(|(it, _)| it.firmware() == Firmware::Uefi && !it.is_http())?;
    let name = stage.file;
    let who = match host {
        Some(host) => format!("host `{host}` (`{architecture}`)"),
        None => format!("`{architecture}`"),
    };
    let message = format!(
        "`{name}` is {file}, which UEFI starts over HTTP alone: by PXE, {who} cannot boot it"
    );
    let help = format!(
        "name it as the site's loader for `{}`, and a UEFI program for `{architecture}`",
        architecture.over_http()
    );
    Some(Diagnostic::warning("image-over-pxe", stage.span, message).help(help))
}

/// Why firmware cannot boot a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    /// It is something else.
    Other,
    /// So many octets are missing at its end.
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
            // They fetch files of many formats, some of which have no mark.
            (Firmware::Uboot | Firmware::RaspberryPi, _) => None,
            // What a program for a BIOS fetches next, and in which format, is its own affair.
            (Firmware::Bios, _) if !is_first => None,
            // The mark of a boot sector can stand in a program too, and not every one is known.
            (
                Firmware::Bios,
                BootFile::NetworkBootProgram | BootFile::BootSector | BootFile::Unknown,
            ) => None,
            // Firmware takes both over HTTP, and then boots what is in them.
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

/// Reports whether UEFI of a kind runs what is built for a machine.
fn runs(architecture: Architecture, machine: Machine) -> bool {
    machine == Machine::Cpu(architecture.cpu())
        || architecture == Architecture::HttpEbc && machine == Machine::ByteCode
}

/// Checks that Secure Boot would take a file.
fn check_signature(stage: &Stage<'_>, file: &BootFile, given: &Given<'_>) -> Option<Diagnostic> {
    let name = stage.file;
    let BootFile::Image(image) = file else {
        let is_bios = given
            .firmware
            .keys()
            .any(|architecture| architecture.firmware() == Firmware::Bios);
        if is_bios {
            let message = format!("`{name}` is for a BIOS, which has no Secure Boot");
            let help = "give the hosts a profile without `secure_boot`, or correct their `arch`";
            return Some(Diagnostic::error("unsigned-loader", stage.span, message).help(help));
        }
        let message = format!("`{name}` is {file}: whether what it boots is signed is not checked");
        let help = "`sbverify --list` shows who signed a file that was taken out of it";
        let note = Diagnostic::new(Severity::Note, "unsigned-loader", Some(stage.span), message);
        return Some(note.help(help));
    };
    match image.signed_under() {
        Err(reason) => {
            let message = format!("Secure Boot would refuse `{name}`: {reason}");
            let help = match reason {
                NotSigned::Unsigned => {
                    "name a signed chain: `{first: shimx64.efi.signed, second: grubnetx64.efi.signed, as: [bootx64.efi, grubx64.efi]}`"
                }
                NotSigned::Altered { .. } | NotSigned::Unreadable(_) => {
                    "copy it out of its package again, or have it signed as it is now"
                }
            };
            Some(Diagnostic::error("unsigned-loader", stage.span, message).help(help))
        }
        Ok(authorities) if stage.is_first => foreign(stage, &authorities),
        // The first stage brings the keys that it trusts.
        Ok(_) => None,
    }
}

/// Warns of a first stage that only firmware with keys of the owner's would take.
fn foreign(stage: &Stage<'_>, authorities: &[&str]) -> Option<Diagnostic> {
    if authorities
        .iter()
        .any(|authority| FACTORY_AUTHORITIES.contains(authority))
    {
        return None;
    }
    let name = stage.file;
    let message = format!(
        "`{name}` is signed under {}, which firmware does not trust as it comes from the factory",
        list(authorities)
    );
    let help = "enrol that certificate in the firmware of these hosts, or name a shim that Microsoft has signed";
    Some(Diagnostic::warning("foreign-signer", stage.span, message).help(help))
}
