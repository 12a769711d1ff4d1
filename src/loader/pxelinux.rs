//! PXELINUX: it requests its modules and `pxelinux.cfg/…` in its own directory.

use super::request::{LoaderReport, RequestMatch};
use super::{FileServer, LoaderFamily, LocalDiskBoot, ScriptFamily, shim};
use crate::machine::{Architecture, MacAddress};

pub(super) const FAMILY: LoaderFamily = LoaderFamily {
    name: "pxelinux",
    label: "PXELINUX",
    file_name_words: &["pxelinux"],
    uses_machine_path: true,
    needs_http_volume: false,
    second_stage_name: shim::second_stage_name,
    modules,
};

pub(super) const SCRIPTS: ScriptFamily = ScriptFamily {
    script_name: DIRECTORY,
    install: (
        "install.pxelinux.hbs",
        include_str!("templates/install.pxelinux.hbs"),
    ),
    local: (
        "local.pxelinux.hbs",
        include_str!("templates/local.pxelinux.hbs"),
    ),
    hold: (
        "hold.pxelinux.hbs",
        include_str!("templates/hold.pxelinux.hbs"),
    ),
    identify: None,
    can_be_signed: false,
    starts_scripts: false,
    requests_again: false,
    recognize,
    request_path,
    architecture: |_| Some(Architecture::Bios),
    file_location,
    bundle_location: file_location,
};

/// The directory of its configuration.
const DIRECTORY: &str = "pxelinux.cfg";

/// The core module, which PXELINUX needs to start.
const CORE: &str = "ldlinux.c32";
/// The module that reboots a machine which is held, or whose installer cannot be loaded.
const REBOOT: &str = "reboot.c32";
/// The module that boots the first disk.
const CHAIN: &str = "chain.c32";

/// Lists the modules that a module needs, in the order in which PXELINUX requests them.
///
/// Source: the dynamic sections of syslinux 6.04's modules.
pub fn module_needs(module: &str) -> &'static [&'static str] {
    match module {
        CHAIN => &["libutil.c32", "libcom32.c32"],
        REBOOT | "poweroff.c32" => &["libcom32.c32"],
        _ => &[],
    }
}

/// Recognizes a configuration. Of all names that PXELINUX tries, only those of this machine are answered.
///
/// Source: syslinux, `core/fs/pxe/pxe.c`, `pxe_load_config`.
fn recognize(mac: MacAddress, parts: &[&str]) -> RequestMatch {
    let [.., DIRECTORY, name] = parts else {
        return RequestMatch::Other;
    };
    if let Ok(uuid) = name.parse() {
        return RequestMatch::Script(Some(LoaderReport {
            uuid: Some(uuid),
            ..LoaderReport::default()
        }));
    }
    if name.eq_ignore_ascii_case(&hardware_name(mac)) {
        RequestMatch::Script(None)
    } else {
        RequestMatch::Foreign
    }
}

fn request_path(mac: MacAddress, report: Option<&LoaderReport>) -> String {
    match report.and_then(|report| report.uuid) {
        Some(uuid) => format!("{DIRECTORY}/{uuid}"),
        None => format!("{DIRECTORY}/{}", hardware_name(mac)),
    }
}

/// Returns the name of the configuration for an Ethernet address.
fn hardware_name(mac: MacAddress) -> String {
    format!("01-{}", mac.hyphenated())
}

fn file_location(_: &FileServer<'_>, name: &str) -> String {
    format!("::{name}")
}

fn modules(local_disk: LocalDiskBoot) -> Vec<&'static str> {
    let chain = (local_disk == LocalDiskBoot::ByLoader).then_some(CHAIN);
    let mut modules = vec![CORE];
    for module in [REBOOT].into_iter().chain(chain) {
        modules.push(module);
        modules.extend(module_needs(module));
    }
    modules.sort_unstable();
    modules.dedup();
    modules
}
