use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::bundle::registry::RegistryAddress;

/// A source or destination of bundles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleLocation {
    /// An OCI registry.
    Registry(RegistryAddress),
    /// An OCI image layout in a directory.
    Directory(PathBuf),
    /// An OCI image layout in a tar file.
    Archive(PathBuf),
}

/// The text is not a location of bundles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseLocationError(String);

impl FromStr for BundleLocation {
    type Err = ParseLocationError;

    /// Parses `docker://HOST/REPOSITORY[:TAG]` (or `oci://…`), `oci:DIR` or `oci-archive:FILE`, as
    /// skopeo writes them, or a path: a tar file if the path ends in `.tar` or is a file, else a
    /// directory.
    fn from_str(text: &str) -> Result<Self, ParseLocationError> {
        for scheme in ["docker://", "oci://"] {
            if let Some(address) = text.strip_prefix(scheme) {
                let address = address.parse::<RegistryAddress>();
                return address
                    .map(Self::Registry)
                    .map_err(|error| ParseLocationError(error.to_string()));
            }
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ParseLocationError(format!(
                "bundles cannot be at `{scheme}://`: write `docker://HOST/REPOSITORY[:TAG]`, or a path"
            )));
        }
        if let Some(path) = text.strip_prefix("oci-archive:") {
            return Ok(Self::Archive(path.into()));
        }
        if let Some(path) = text.strip_prefix("oci:") {
            return Ok(Self::Directory(path.into()));
        }
        if text.is_empty() {
            return Err(ParseLocationError("the location is empty".to_owned()));
        }
        let is_archive = text.ends_with(".tar") || Path::new(text).is_file();
        Ok(if is_archive && !Path::new(text).is_dir() {
            Self::Archive(text.into())
        } else {
            Self::Directory(text.into())
        })
    }
}

impl fmt::Display for BundleLocation {
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
    fn locations_parse_as_skopeo_writes_them_and_paths_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bundle");
        std::fs::write(&file, "").unwrap();
        let (file, directory) = (
            file.display().to_string(),
            directory.path().display().to_string(),
        );
        let location = |text: &str| text.parse::<BundleLocation>().unwrap();
        let registry = BundleLocation::Registry("r:5000/a/b:v1".parse().unwrap());
        assert_eq!(location("docker://r:5000/a/b:v1"), registry);
        assert_eq!(location("oci://r:5000/a/b:v1"), registry);
        assert_eq!(registry.to_string(), "docker://r:5000/a/b:v1");
        assert_eq!(location("oci:a:b"), BundleLocation::Directory("a:b".into()));
        assert_eq!(
            location("oci-archive:a"),
            BundleLocation::Archive("a".into())
        );
        assert_eq!(
            location("usb/a.tar"),
            BundleLocation::Archive("usb/a.tar".into())
        );
        assert_eq!(
            location(&file),
            BundleLocation::Archive(file.clone().into())
        );
        assert_eq!(
            location(&directory),
            BundleLocation::Directory(directory.clone().into())
        );
        assert_eq!(
            location("not-there"),
            BundleLocation::Directory("not-there".into())
        );
        for text in ["", "https://r/b", "docker://r", "docker://r/B"] {
            assert!(text.parse::<BundleLocation>().is_err(), "{text}");
        }
    }
}
