use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::bundle::registry::RegistryAddress;

/// Where bundles come from or go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An OCI registry.
    Registry(RegistryAddress),
    /// An OCI image layout in a directory.
    Directory(PathBuf),
    /// An OCI image layout in a tar file.
    Archive(PathBuf),
}

/// The text is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParsePlaceError(String);

impl FromStr for Place {
    type Err = ParsePlaceError;

    /// Reads `docker://HOST/REPOSITORY[:TAG]` (or `oci://…`), `oci:DIR`, `oci-archive:FILE`, as
    /// skopeo writes them, or a path: a tar file where it ends in `.tar` or is a file, else a
    /// directory.
    fn from_str(text: &str) -> Result<Self, ParsePlaceError> {
        for scheme in ["docker://", "oci://"] {
            if let Some(address) = text.strip_prefix(scheme) {
                let address = address.parse::<RegistryAddress>();
                return address
                    .map(Self::Registry)
                    .map_err(|error| ParsePlaceError(error.to_string()));
            }
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ParsePlaceError(format!(
                "`{scheme}://` is no place for bundles: write `docker://HOST/REPOSITORY[:TAG]`, or a path"
            )));
        }
        if let Some(path) = text.strip_prefix("oci-archive:") {
            return Ok(Self::Archive(path.into()));
        }
        if let Some(path) = text.strip_prefix("oci:") {
            return Ok(Self::Directory(path.into()));
        }
        if text.is_empty() {
            return Err(ParsePlaceError("the place is empty".to_owned()));
        }
        let is_archive = text.ends_with(".tar") || Path::new(text).is_file();
        Ok(match is_archive && !Path::new(text).is_dir() {
            true => Self::Archive(text.into()),
            false => Self::Directory(text.into()),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(address) => write!(f, "docker://{address}"),
            Self::Directory(path) | Self::Archive(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_skopeo_writes_them_and_paths_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bundle");
        std::fs::write(&file, "").unwrap();
        let (file, directory) = (
            file.display().to_string(),
            directory.path().display().to_string(),
        );
        let at = |text: &str| text.parse::<Place>().unwrap();
        let registry = Place::Registry("r:5000/a/b:v1".parse().unwrap());
        assert_eq!(at("docker://r:5000/a/b:v1"), registry);
        assert_eq!(at("oci://r:5000/a/b:v1"), registry);
        assert_eq!(registry.to_string(), "docker://r:5000/a/b:v1");
        assert_eq!(at("oci:a:b"), Place::Directory("a:b".into()));
        assert_eq!(at("oci-archive:a"), Place::Archive("a".into()));
        assert_eq!(at("usb/a.tar"), Place::Archive("usb/a.tar".into()));
        assert_eq!(at(&file), Place::Archive(file.clone().into()));
        assert_eq!(at(&directory), Place::Directory(directory.clone().into()));
        assert_eq!(at("not-there"), Place::Directory("not-there".into()));
        for text in ["", "https://r/b", "docker://r", "docker://r/B"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
