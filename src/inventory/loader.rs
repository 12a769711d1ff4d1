use serde::{Deserialize, Serialize};

use crate::loader::{Dialect, LoaderKind};
use crate::machine::Architecture;

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

impl Loader {
    /// Makes a loader with one stage, requested by its file name.
    pub fn file(first: impl Into<String>) -> Self {
        let first = first.into();
        Self {
            kind: kind_of_file(&first),
            first,
            second: None,
            names: Vec::new(),
        }
    }

    /// Returns the name that the firmware requests.
    pub fn first_name(&self) -> &str {
        self.names.first().unwrap_or(&self.first)
    }

    /// Returns the name under which the first stage requests the second: by default a file in the
    /// directory of the first stage, whose name depends on the kind of the loader.
    pub fn second_name(&self, architecture: Architecture) -> Option<String> {
        self.second.as_ref()?;
        let own = self.names.get(1).cloned();
        own.or_else(|| {
            let name = self.kind.second_stage_name(architecture.cpu());
            Some(self.beside(&name))
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

    /// Reports whether the loader can be signed for Secure Boot.
    pub fn can_be_signed(&self) -> bool {
        self.kind.dialect().is_none_or(Dialect::can_be_signed)
    }
}

/// Guesses the kind of a loader from the last part of its path.
pub(super) fn kind_of_file(path: &str) -> LoaderKind {
    let name = path.rsplit('/').next().unwrap_or(path);
    LoaderKind::of_file(name)
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
