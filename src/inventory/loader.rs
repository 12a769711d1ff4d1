use serde::{Deserialize, Serialize};

use crate::machine::{Architecture, Dialect};

/// The loader that firmware requests, and the second stage that it requests in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loader {
    /// The file that the firmware requests.
    pub first: String,
    /// The file that the first one requests: GRUB behind shim.
    pub second: Option<String>,
    /// The names under which the two are requested, if they differ from the file names.
    #[serde(rename = "as")]
    pub names: Vec<String>,
    /// The kind of loader, which decides what it requests next.
    pub kind: LoaderKind,
}

/// The kinds of loaders, by what they request once they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoaderKind {
    /// iPXE: an address by DHCP, then a script.
    Ipxe,
    /// GRUB, alone or behind shim: `grub.cfg`.
    Grub,
    /// PXELINUX: `pxelinux.cfg/…`.
    Pxelinux,
    /// An image that requests nothing, such as an ISO image or a unified kernel image.
    Image,
}

/// The table of kinds, in the order of the enum: the name in the inventory, and words in file names that
/// indicate the kind.
const TABLE: [(LoaderKind, &str, &[&str]); 4] = [
    (LoaderKind::Ipxe, "ipxe", &[]),
    (LoaderKind::Grub, "grub", &["shim", "grub", "bootnet"]),
    (LoaderKind::Pxelinux, "pxelinux", &["pxelinux"]),
    (LoaderKind::Image, "image", &[".iso", ".img"]),
];

impl LoaderKind {
    /// Lists every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// Returns the name that the inventory uses.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Returns the language of its boot scripts, if it requests one.
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Ipxe => Some(Dialect::Ipxe),
            Self::Grub => Some(Dialect::Grub),
            Self::Pxelinux => Some(Dialect::Pxelinux),
            Self::Image => None,
        }
    }

    /// Guesses the kind from a file name. iPXE has no specific name.
    pub(super) fn of_file(name: &str) -> Self {
        let name = base_name(name).to_ascii_lowercase();
        let contains = |words: &[&str]| words.iter().any(|word| name.contains(word));
        TABLE
            .iter()
            .find(|row| contains(row.2))
            .map_or(Self::Ipxe, |row| row.0)
    }
}

impl Loader {
    /// Makes a loader with one stage, requested by its file name.
    pub fn file(first: impl Into<String>) -> Self {
        let first = first.into();
        Self {
            kind: LoaderKind::of_file(&first),
            first,
            second: None,
            names: Vec::new(),
        }
    }

    /// Returns the name that the firmware requests.
    pub fn first_name(&self) -> &str {
        self.names.first().unwrap_or(&self.first)
    }

    /// Returns the name under which the first stage requests the second. By default, that is `grub`
    /// with the processor's letters, in the directory of the first stage.
    ///
    /// Source: shim, `netboot.c` and `include/fallback.h` (`DEFAULT_LOADER`).
    pub fn second_name(&self, architecture: Architecture) -> Option<String> {
        self.second.as_ref()?;
        let own = self.names.get(1).cloned();
        own.or_else(|| {
            let letters = architecture.cpu().efi_letters();
            Some(self.beside(&format!("grub{letters}.efi")))
        })
    }

    /// Lists the names of the stages, each with its file.
    pub fn served(&self, architecture: Architecture) -> impl Iterator<Item = (String, &str)> {
        let second = self.second_name(architecture).zip(self.second.as_deref());
        [(self.first_name().to_owned(), self.first.as_str())]
            .into_iter()
            .chain(second)
    }

    /// Returns the name of a file in the directory of the first stage.
    pub fn beside(&self, name: &str) -> String {
        beside(self.first_name(), name)
    }

    /// Reports whether the loader can be signed for Secure Boot. iPXE and PXELINUX cannot.
    pub fn can_be_signed(&self) -> bool {
        self.kind.dialect().is_none_or(Dialect::can_be_signed)
    }
}

/// Returns the part of a path after its last slash.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the path of `name` in the directory of `path`.
fn beside(path: &str, name: &str) -> String {
    match path.rsplit_once('/') {
        Some((directory, _)) => format!("{directory}/{name}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_kind_in_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
        }
    }

    #[test]
    fn the_kind_is_guessed_from_the_file_name() {
        for (name, kind) in [
            ("snponly.efi", LoaderKind::Ipxe),
            ("undionly.kpxe", LoaderKind::Ipxe),
            ("shimx64.efi.signed", LoaderKind::Grub),
            ("arm64/bootnetaa64.efi", LoaderKind::Grub),
            ("grubnetx64.efi.signed", LoaderKind::Grub),
            ("lpxelinux.0", LoaderKind::Pxelinux),
            ("grub/rescue.iso", LoaderKind::Image),
        ] {
            assert_eq!(Loader::file(name).kind, kind, "{name}");
        }
    }

    #[test]
    fn shim_requests_grub_beside_itself_unless_the_inventory_names_another_file() {
        let mut loader = Loader {
            second: Some("grubnetx64.efi.signed".into()),
            names: vec!["debian/bootx64.efi".into()],
            ..Loader::file("shimx64.efi.signed")
        };
        let served = |loader: &Loader| -> Vec<(String, String)> {
            let served = loader.served(Architecture::UefiX64);
            served.map(|(name, file)| (name, file.to_owned())).collect()
        };
        let expected = [
            ("debian/bootx64.efi", "shimx64.efi.signed"),
            ("debian/grubx64.efi", "grubnetx64.efi.signed"),
        ]
        .map(|(name, file)| (name.to_owned(), file.to_owned()));
        assert_eq!(served(&loader), expected);
        loader.names.push("second.efi".into());
        assert_eq!(served(&loader)[1].0, "second.efi");
        let arm = Loader {
            names: Vec::new(),
            ..loader
        };
        let second = arm.second_name(Architecture::HttpArm64);
        assert_eq!(second.as_deref(), Some("grubaa64.efi"));
    }
}
