//! Loader families: how each one is recognized, started, served its script, and fed with files.
//!
//! One file describes one family as a [`LoaderFamily`]. A family whose loader requests a boot script
//! also has a [`ScriptFamily`]: the language of its scripts, with the built-in templates, and the
//! requests that ask for a script. To add a family, write such a file with its templates, and add one
//! line to [`loader_families!`] below. The models of the loaders themselves are in `crate::clients`.
//!
//! Everything here is data and pure functions: nothing is read or sent.

mod request;
mod shim;

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

pub use grub::STUB_TEMPLATE;
pub use ipxe::IDENTIFY_TEMPLATE;
pub use pxelinux::module_needs;
pub use request::{LoaderReport, RequestMatch};

use crate::machine::{Architecture, CpuArchitecture, MacAddress};

/// Declares each family: its module, its variants and its row. The first list has the families whose
/// loaders request a boot script.
macro_rules! loader_families {
    (
        scripted { $($scripted:ident => $script_kind:ident: $script_text:literal,)+ }
        other { $($other:ident => $other_kind:ident: $other_text:literal,)+ }
    ) => {
        $(mod $scripted;)+
        $(mod $other;)+

        /// The kinds of loaders, by what they request once they run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum LoaderKind {
            $(#[doc = $script_text] $script_kind,)+
            $(#[doc = $other_text] $other_kind,)+
        }

        impl LoaderKind {
            const ALL: &[Self] = &[$(Self::$script_kind,)+ $(Self::$other_kind,)+];

            fn family(self) -> &'static LoaderFamily {
                match self {
                    $(Self::$script_kind => &$scripted::FAMILY,)+
                    $(Self::$other_kind => &$other::FAMILY,)+
                }
            }

            /// Returns the language of its boot scripts, if it requests one.
            pub fn dialect(self) -> Option<Dialect> {
                match self {
                    $(Self::$script_kind => Some(Dialect::$script_kind),)+
                    $(Self::$other_kind => None,)+
                }
            }
        }

        /// The language of a loader's boot script.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Dialect {
            $(#[doc = $script_text] $script_kind,)+
        }

        impl Dialect {
            const ALL: &[Self] = &[$(Self::$script_kind,)+];

            fn family(self) -> &'static ScriptFamily {
                match self {
                    $(Self::$script_kind => &$scripted::SCRIPTS,)+
                }
            }

            /// Returns the kind of loader that reads it.
            pub fn kind(self) -> LoaderKind {
                match self {
                    $(Self::$script_kind => LoaderKind::$script_kind,)+
                }
            }
        }
    };
}

// If words of several families are in a file name, the first family counts.
loader_families! {
    scripted {
        ipxe => Ipxe: "iPXE: an address by DHCP, then a script.",
        grub => Grub: "GRUB, alone or behind shim: `grub.cfg`.",
        pxelinux => Pxelinux: "PXELINUX: `pxelinux.cfg/…`.",
    }
    other {
        image => Image: "An image that requests nothing, such as an ISO image or a unified kernel image.",
    }
}

/// What the server knows about the loaders of one family.
struct LoaderFamily {
    /// The name that the inventory uses.
    name: &'static str,
    /// The name in messages.
    label: &'static str,
    /// The words in file names that indicate the family, in lower case.
    file_name_words: &'static [&'static str],
    /// Whether firmware gets the loader below the path of its machine, so that the loader's own
    /// requests name the machine.
    uses_machine_path: bool,
    /// Whether the loader cannot request its configuration over HTTP: firmware that boots over HTTP
    /// then gets the loader and its configuration in one volume.
    needs_http_volume: bool,
    /// Returns the name under which a first stage requests the loader as its second stage.
    second_stage_name: fn(CpuArchitecture) -> String,
    /// The files that the loader requests from its own directory before it can start or boot.
    modules: fn(LocalDiskBoot) -> Vec<&'static str>,
}

/// The scripts of one family.
struct ScriptFamily {
    /// The usual name of a script.
    script_name: &'static str,
    /// The template that starts an installer.
    install: BuiltinTemplate,
    /// The template that boots the local disk.
    local: BuiltinTemplate,
    /// The template of the quarantine screen.
    hold: BuiltinTemplate,
    /// The template that makes the loader report its machine, if the loader can.
    identify: Option<BuiltinTemplate>,
    /// Whether the loader can be signed for Secure Boot.
    can_be_signed: bool,
    /// Whether a menu entry can be a script of the same language.
    starts_scripts: bool,
    /// Whether the quarantine screen can request a new script by URL. The other loaders restart.
    requests_again: bool,
    /// Recognizes the request for a script in the parts of a path below the machine's own path.
    recognize: fn(MacAddress, &[&str]) -> RequestMatch,
    /// Writes the path that `recognize` reads.
    request_path: fn(MacAddress, Option<&LoaderReport>) -> String,
    /// Finds the firmware and processor in the loader's report.
    architecture: fn(&LoaderReport) -> Option<Architecture>,
    /// Returns the location of a file of `server.files`.
    file_location: fn(&FileServer<'_>, &str) -> String,
    /// Returns the location of a file of a bundle, from its path below the root of the server.
    bundle_location: fn(&FileServer<'_>, &str) -> String,
}

/// The name and the text of a built-in template.
pub type BuiltinTemplate = (&'static str, &'static str);

/// How the script of a loader boots the local disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalDiskBoot {
    /// The loader ends, and the firmware boots the disk.
    ByFirmware,
    /// The loader boots the disk.
    ByLoader,
}

/// The server of the files that scripts name.
#[derive(Clone, Copy, Debug)]
pub struct FileServer<'a> {
    /// The root of its URLs.
    pub base_url: &'a str,
    /// Its address, for TFTP.
    pub address: Ipv4Addr,
}

impl LoaderKind {
    /// Lists every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied()
    }

    /// Returns the name that the inventory uses.
    pub fn name(self) -> &'static str {
        self.family().name
    }

    /// Returns the name in messages.
    pub fn label(self) -> &'static str {
        self.family().label
    }

    /// Guesses the kind from a file name without its directory. iPXE has no specific name.
    pub fn of_file(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let fits = |kind: &Self| {
            let mut words = kind.family().file_name_words.iter();
            words.any(|word| name.contains(word))
        };
        Self::all().find(fits).unwrap_or(Self::Ipxe)
    }

    /// Reports whether firmware gets the loader below the path of its machine.
    pub fn uses_machine_path(self) -> bool {
        self.family().uses_machine_path
    }

    /// Reports whether firmware that boots over HTTP needs the loader in a boot volume.
    pub fn needs_http_volume(self) -> bool {
        self.family().needs_http_volume
    }

    /// Returns the name under which a first stage requests a loader of this kind.
    pub fn second_stage_name(self, cpu: CpuArchitecture) -> String {
        (self.family().second_stage_name)(cpu)
    }

    /// Lists the files that the loader requests from its own directory.
    pub fn modules(self, local_disk: LocalDiskBoot) -> Vec<&'static str> {
        (self.family().modules)(local_disk)
    }
}

impl Dialect {
    /// Lists every dialect.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied()
    }

    /// Returns the name that templates carry.
    pub fn name(self) -> &'static str {
        self.kind().name()
    }

    /// Returns the usual name of a script in it.
    pub fn script_name(self) -> &'static str {
        self.family().script_name
    }

    /// Lists the built-in templates of its scripts.
    pub fn templates(self) -> impl Iterator<Item = BuiltinTemplate> {
        let family = self.family();
        [family.install, family.local, family.hold]
            .into_iter()
            .chain(family.identify)
    }

    /// Returns the name of the template that starts an installer.
    pub fn install_template(self) -> &'static str {
        self.family().install.0
    }

    /// Returns the name of the template that boots the local disk.
    pub fn local_template(self) -> &'static str {
        self.family().local.0
    }

    /// Returns the name of the template of the quarantine screen.
    pub fn hold_template(self) -> &'static str {
        self.family().hold.0
    }

    /// Reports whether a loader of this dialect can be signed for Secure Boot.
    pub fn can_be_signed(self) -> bool {
        self.family().can_be_signed
    }

    /// Reports whether a menu entry can be a script of the same language.
    pub fn starts_scripts(self) -> bool {
        self.family().starts_scripts
    }

    /// Reports whether its quarantine screen can request a new script by URL.
    pub fn requests_again(self) -> bool {
        self.family().requests_again
    }

    /// Recognizes the request for a script in the parts of a path below the machine's own path.
    pub fn recognize(self, mac: MacAddress, parts: &[&str]) -> RequestMatch {
        (self.family().recognize)(mac, parts)
    }

    /// Writes the path that [`Dialect::recognize`] reads.
    pub fn request_path(self, mac: MacAddress, report: Option<&LoaderReport>) -> String {
        (self.family().request_path)(mac, report)
    }

    /// Finds the firmware and processor in a loader's report.
    pub fn architecture(self, report: &LoaderReport) -> Option<Architecture> {
        (self.family().architecture)(report)
    }

    /// Returns the location of a file of `server.files`.
    pub fn file_location(self, server: &FileServer<'_>, name: &str) -> String {
        (self.family().file_location)(server, name)
    }

    /// Returns the location of a file of a bundle, from its path below the root of the server.
    pub fn bundle_location(self, server: &FileServer<'_>, path: &str) -> String {
        (self.family().bundle_location)(server, path)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn serde_and_the_inventory_use_the_same_names() {
        for kind in LoaderKind::all() {
            let written = serde_json::to_value(kind).unwrap();
            assert_eq!(written, kind.name());
        }
        let names: BTreeSet<&str> = LoaderKind::all().map(LoaderKind::name).collect();
        let count = LoaderKind::all().count();
        assert_eq!(names.len(), count, "each name is used once");
    }

    #[test]
    fn templates_carry_the_name_of_their_dialect() {
        for dialect in Dialect::all() {
            assert_eq!(dialect.kind().dialect(), Some(dialect));
            for (name, text) in dialect.templates() {
                assert!(name.ends_with(&format!(".{dialect}.hbs")), "{name}");
                assert!(!text.is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn each_dialect_reads_the_requests_that_it_writes_and_no_others() {
        let mac = MacAddress::new([0x52, 0x54, 0, 0x85, 0, 1]);
        for dialect in Dialect::all() {
            let path = dialect.request_path(mac, None);
            let parts: Vec<&str> = path.split('/').collect();
            for reader in Dialect::all() {
                let is_script = matches!(reader.recognize(mac, &parts), RequestMatch::Script(_));
                assert_eq!(is_script, reader == dialect, "{reader} reads {path}");
            }
        }
    }
}
