//! Installer kinds: what each one needs from its bundle, and how it is started, fed and rehearsed.
//!
//! One file describes one installer kind as an [`InstallerKind`]: the files its bundle must hold,
//! its kernel arguments, its seeds with their built-in templates and their check, the shell commands
//! that find the disk and report progress, and what a rehearsal fetches and expects. To add an
//! installer, write such a file with its templates, and add one line to [`installers!`] below.
//!
//! Everything here is text: an [`Install`] says what is installed, and nothing is read or sent.

mod callback;
mod disk;
mod seed_error;
mod shell;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use disk::DiskSelector;
pub use seed_error::SeedError;
pub use shell::shell_word;

/// Declares each installer: its module, its variant and its row.
macro_rules! installers {
    ($($module:ident => $variant:ident: $text:literal,)+) => {
        $(mod $module;)+

        /// The installers that pxectl can run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Installer {
            $(#[doc = $text] $variant,)+
        }

        impl Installer {
            const ALL: &[Self] = &[$(Self::$variant,)+];

            fn kind(self) -> &'static InstallerKind {
                match self {
                    $(Self::$variant => &$module::KIND,)+
                }
            }
        }
    };
}

installers! {
    autoinstall => Autoinstall: "Ubuntu's autoinstall, fed by cloud-init's NoCloud.",
    preseed => Preseed: "The Debian installer, fed by a preseed file.",
}

/// What one installer needs and does.
struct InstallerKind {
    /// The name that the inventory uses.
    name: &'static str,
    /// The keys of the files that its bundle must hold.
    bundle_files: &'static [&'static str],
    /// The seeds that it requests, by the last part of their URL.
    seeds: &'static [&'static str],
    /// The built-in template of each seed, as [`Installer::seed_template`] names it, with its text.
    templates: &'static [(&'static str, &'static str)],
    /// The seed that partitions the disk: its built-in template needs a [`DiskSelector`].
    disk_seed: &'static str,
    /// Finds errors in the text of a rendered seed, by the name of the seed.
    check_seed: fn(&str, &str) -> Vec<SeedError>,
    /// Returns the default values that its built-in templates add to [`default_vars`].
    vars: fn() -> Vec<(&'static str, Value)>,
    /// Returns the kernel arguments that make it fetch its seeds.
    kernel_arguments: fn(&Install<'_>) -> Vec<String>,
    /// Returns the shell commands that its built-in templates run, as a JSON object.
    commands: fn(&Install<'_>) -> Value,
    /// Finds what it fetches in a kernel command line, for a rehearsal.
    downloads: fn(&str) -> Downloads,
    /// The callbacks that a complete install posts, in order.
    callbacks: &'static [&'static str],
    /// The vendor directory below `/EFI` that the installed system puts its loader into.
    efi_vendor: &'static str,
}

/// One install attempt, as far as an installer needs to know it.
pub struct Install<'a> {
    /// The host's name.
    pub hostname: &'a str,
    /// The disk that may be overwritten.
    pub disk: Option<&'a DiskSelector>,
    /// The DNS domain of the network that the machine installs over.
    pub domain: Option<&'a str>,
    /// Whether DHCP names a default router on that network.
    pub has_router: bool,
    /// Whether DHCP names a DNS server on that network.
    pub has_dns: bool,
    /// The account that the installer creates.
    pub username: &'a str,
    /// Public keys that may log in to that account.
    pub ssh_authorized_keys: &'a [String],
    /// The URL of the seeds, with a slash at its end.
    pub seeds_url: &'a str,
    /// The URL of the callbacks, with a slash at its end.
    pub callbacks_url: &'a str,
}

impl Install<'_> {
    /// Returns the URL of a file of the bundle. It lies below the session, so that a change of the
    /// inventory does not take a file away from a running install.
    pub fn file_url(&self, key: &str) -> String {
        format!("{}files/{key}", self.seeds_url)
    }
}

/// What an installer fetches, according to its kernel command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Downloads {
    /// The URL of its installation image.
    pub image: Option<String>,
    /// The URLs of its seeds.
    pub seeds: Vec<String>,
}

impl Installer {
    /// Lists every installer.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied()
    }

    /// Returns the name that the inventory uses.
    pub fn name(self) -> &'static str {
        self.kind().name
    }

    /// Lists the keys of the files that its bundle must hold.
    pub fn bundle_files(self) -> &'static [&'static str] {
        self.kind().bundle_files
    }

    /// Lists the seeds that it requests, by the last part of their URL.
    pub fn seeds(self) -> &'static [&'static str] {
        self.kind().seeds
    }

    /// Returns the name of the built-in template of a seed.
    pub fn seed_template(self, seed: &str) -> String {
        format!("{}.{seed}.hbs", self.name())
    }

    /// Lists its built-in templates: name and text.
    pub fn templates(self) -> &'static [(&'static str, &'static str)] {
        self.kind().templates
    }

    /// Returns the seed that partitions the disk.
    pub fn disk_seed(self) -> &'static str {
        self.kind().disk_seed
    }

    /// Finds the errors of a rendered seed that its installer would stop at or misread, as far as its
    /// text shows them.
    pub fn check_seed(self, seed: &str, text: &str) -> Vec<SeedError> {
        (self.kind().check_seed)(seed, text)
    }

    /// Returns the kernel arguments that make it fetch its seeds.
    pub fn kernel_arguments(self, install: &Install<'_>) -> Vec<String> {
        (self.kind().kernel_arguments)(install)
    }

    /// Finds what it fetches in a kernel command line.
    pub fn downloads(self, command_line: &str) -> Downloads {
        (self.kind().downloads)(command_line)
    }

    /// Lists the callbacks that a complete install posts, in order.
    pub fn callbacks(self) -> &'static [&'static str] {
        self.kind().callbacks
    }

    /// Returns the vendor directory below `/EFI` of the installed system.
    pub fn efi_vendor(self) -> &'static str {
        self.kind().efi_vendor
    }
}

impl fmt::Display for Installer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Returns the shell commands of every installer, by its name: a template may use them all.
pub fn commands(install: &Install<'_>) -> Value {
    let by_name: Map<String, Value> = Installer::all()
        .map(|it| (it.name().to_owned(), (it.kind().commands)(install)))
        .collect();
    by_name.into()
}

/// Returns the values that built-in templates use and that `vars` in the inventory override.
pub fn default_vars() -> impl Iterator<Item = (&'static str, Value)> {
    let shared = [
        ("locale", json!("en_US.UTF-8")),
        ("keyboard", json!("us")),
        ("timezone", json!("Etc/UTC")),
        ("username", json!("ops")),
    ];
    let own = Installer::all().flat_map(|it| (it.kind().vars)());
    shared.into_iter().chain(own)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn serde_and_the_inventory_use_the_same_names() {
        for installer in Installer::all() {
            let written = serde_json::to_value(installer).unwrap();
            assert_eq!(written, installer.name());
        }
        let names: BTreeSet<&str> = Installer::all().map(Installer::name).collect();
        assert_eq!(
            names.len(),
            Installer::all().count(),
            "each name is used once"
        );
    }

    #[test]
    fn every_installer_has_requirements_seeds_and_a_template_for_each_seed() {
        for installer in Installer::all() {
            let files = installer.bundle_files();
            assert!(files.contains(&"kernel") && files.contains(&"initrd"));
            assert!(installer.seeds().contains(&installer.disk_seed()));
            let templates = installer.templates().iter().map(|(name, _)| *name);
            let seeds = installer.seeds().iter();
            let expected = seeds.map(|seed| installer.seed_template(seed));
            assert!(expected.eq(templates), "{installer}");
        }
    }

    #[test]
    fn the_kernel_arguments_of_every_installer_lead_a_rehearsal_to_its_seeds() {
        let install = Install {
            hostname: "a",
            disk: None,
            domain: None,
            has_router: true,
            has_dns: true,
            username: "ops",
            ssh_authorized_keys: &[],
            seeds_url: "http://192.0.2.1/s/SEED/",
            callbacks_url: "http://192.0.2.1/s/CALLBACK/",
        };
        for installer in Installer::all() {
            let command_line = installer.kernel_arguments(&install).join(" ");
            let downloads = installer.downloads(&command_line);
            let expected = installer.seeds().iter();
            let expected: Vec<String> = expected
                .map(|seed| format!("{}{seed}", install.seeds_url))
                .collect();
            assert_eq!(downloads.seeds, expected, "{installer}");
            let has_image = installer.bundle_files().contains(&"iso");
            assert_eq!(downloads.image.is_some(), has_image, "{installer}");
            assert!(installer.callbacks().contains(&"installed"), "{installer}");
        }
    }
}
