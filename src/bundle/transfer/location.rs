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
    Directory(LayoutLocation),
    /// An OCI image layout in a tar file.
    Archive(LayoutLocation),
    /// A container image in a tar file, as `docker save` writes it; only a source.
    DockerArchive(LayoutLocation),
}

/// A directory or file, and perhaps which of its manifests or images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutLocation {
    /// The directory or file.
    pub path: PathBuf,
    /// The name of the manifest or image; `None` for the only one, or for the one with the bundle's name.
    pub reference: Option<String>,
}

/// The text is not a location of bundles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseLocationError(String);

impl FromStr for BundleLocation {
    type Err = ParseLocationError;

    /// Parses `docker://HOST/REPOSITORY[:TAG]` (or `oci://…`), `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or
    /// `docker-archive:FILE[:IMAGE]`, as skopeo writes them, or a path: a tar file if the path ends in `.tar`
    /// or is a file, else a directory.
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
        if let Some(layout) = text.strip_prefix("oci-archive:") {
            return LayoutLocation::parse(layout).map(Self::Archive);
        }
        if let Some(layout) = text.strip_prefix("oci:") {
            return LayoutLocation::parse(layout).map(Self::Directory);
        }
        if let Some(layout) = text.strip_prefix("docker-archive:") {
            return LayoutLocation::parse(layout).map(Self::DockerArchive);
        }
        if text.is_empty() {
            return Err(ParseLocationError("the location is empty".to_owned()));
        }
        let is_archive = text.ends_with(".tar") || Path::new(text).is_file();
        Ok(if is_archive && !Path::new(text).is_dir() {
            Self::Archive(LayoutLocation::whole(text))
        } else {
            Self::Directory(LayoutLocation::whole(text))
        })
    }
}

impl LayoutLocation {
    /// Parses `PATH[:REFERENCE]`; as in skopeo, the first colon ends the path.
    fn parse(text: &str) -> Result<Self, ParseLocationError> {
        let (path, reference) = match text.split_once(':') {
            Some((path, reference)) => (path, Some(reference)),
            None => (text, None),
        };
        if path.is_empty() || reference.is_some_and(str::is_empty) {
            return Err(ParseLocationError(
                "write a path, and after `:` the name of an image or bundle".to_owned(),
            ));
        }
        Ok(Self {
            path: path.into(),
            reference: reference.map(str::to_owned),
        })
    }

    fn whole(path: &str) -> Self {
        Self {
            path: path.into(),
            reference: None,
        }
    }
}

impl fmt::Display for LayoutLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match &self.reference {
            Some(reference) => write!(f, ":{reference}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for BundleLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(address) => write!(f, "docker://{address}"),
            Self::Directory(layout) | Self::Archive(layout) | Self::DockerArchive(layout) => {
                write!(f, "{layout}")
            }
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
        let layout = |path: &str, reference: Option<&str>| LayoutLocation {
            path: path.into(),
            reference: reference.map(str::to_owned),
        };
        for (text, expected) in [
            ("oci:a", BundleLocation::Directory(layout("a", None))),
            ("oci:a:b", BundleLocation::Directory(layout("a", Some("b")))),
            ("oci-archive:a", BundleLocation::Archive(layout("a", None))),
            (
                "oci-archive:a:b",
                BundleLocation::Archive(layout("a", Some("b"))),
            ),
            (
                "docker-archive:a.tar",
                BundleLocation::DockerArchive(layout("a.tar", None)),
            ),
            (
                "docker-archive:a.tar:h:5/x/b:1",
                BundleLocation::DockerArchive(layout("a.tar", Some("h:5/x/b:1"))),
            ),
            (
                "usb/a.tar",
                BundleLocation::Archive(layout("usb/a.tar", None)),
            ),
            (file.as_str(), BundleLocation::Archive(layout(&file, None))),
            (
                directory.as_str(),
                BundleLocation::Directory(layout(&directory, None)),
            ),
            (
                "not:there",
                BundleLocation::Directory(layout("not:there", None)),
            ),
        ] {
            assert_eq!(location(text), expected, "{text}");
        }
        assert_eq!(location("oci:a:b").to_string(), "a:b");
        for text in [
            "",
            "https://r/b",
            "docker://r",
            "docker://r/B",
            "oci:",
            "oci::b",
            "oci:a:",
        ] {
            assert!(text.parse::<BundleLocation>().is_err(), "{text}");
        }
    }
}
