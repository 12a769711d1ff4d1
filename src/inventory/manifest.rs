//! Bundles in registries: the manifest with additional annotations, and back.
//!
//! Signatures cover [`Bundle::manifest`]. The signatures, the expiry date and the sources of the files
//! are additional annotations. So every copy of the manifest has them, and the digest of the signed
//! content stays the same when they change.

use serde_json::Value;

use super::bundle::{ARTIFACT_TYPE, Bundle, BundleFile, FileSource, is_inside};
use super::reader::is_name;
use super::signature::{KeyId, is_signature};
use crate::machine::{CpuArchitecture, ParseDigestError};

const ARCH: &str = "dev.pxectl.arch";
const EXPIRES: &str = "dev.pxectl.expires";
const FILE: &str = "dev.pxectl.file";
const FROM: &str = "dev.pxectl.source.from";
const MEMBER: &str = "dev.pxectl.source.member";
const SIGNATURE: &str = "dev.pxectl.signature.";
const NAME: &str = "org.opencontainers.image.ref.name";
const TITLE: &str = "org.opencontainers.image.title";

/// Why a manifest is not the manifest of a valid bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not JSON.
    #[error("the manifest is not JSON: {0}")]
    NotJson(String),
    /// It describes another kind of artifact.
    #[error("the manifest describes another kind of artifact: `{0}`")]
    OtherKind(String),
    /// A field is missing.
    #[error("the manifest has no `{0}`")]
    Missing(&'static str),
    /// A field has an invalid value.
    #[error("the manifest has an invalid `{what}`: `{seen}`")]
    Wrong {
        /// The field.
        what: &'static str,
        /// Its value.
        seen: String,
    },
    /// The path of a file leaves the bundle.
    #[error("the path `{0}` in the manifest leaves the bundle")]
    Outside(String),
    /// A digest is invalid.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
}

impl Bundle {
    /// Builds the manifest for registries: [`Bundle::manifest`] with the additional annotations, if any.
    pub fn envelope(&self) -> Vec<u8> {
        let manifest = self.manifest();
        let has_source = self.files.values().any(|file| file.source.is_some());
        if self.signatures.is_empty() && self.expires.is_none() && !has_source {
            return manifest;
        }
        let Ok(mut envelope) = serde_json::from_slice::<Value>(&manifest) else {
            return manifest;
        };
        for text in &self.signatures {
            if let Some(id) = KeyId::of_signature(text) {
                envelope["annotations"][format!("{SIGNATURE}{id}")] = text.as_str().into();
            }
        }
        if let Some(day) = self.expires {
            envelope["annotations"][EXPIRES] = day.to_string().into();
        }
        // The layers are in the order of the files.
        for (index, file) in self.files.values().enumerate() {
            if let Some(source) = &file.source {
                let annotations = &mut envelope["layers"][index]["annotations"];
                annotations[FROM] = source.from.as_str().into();
                if let Some(member) = &source.member {
                    annotations[MEMBER] = member.as_str().into();
                }
            }
        }
        envelope.to_string().into_bytes()
    }

    /// Reads a bundle from a manifest, which is not trusted.
    ///
    /// # Errors
    /// If the manifest is not the manifest of a valid bundle.
    pub fn from_manifest(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Value = serde_json::from_slice(bytes)
            .map_err(|error| ManifestError::NotJson(error.to_string()))?;
        let kind = manifest["artifactType"].as_str().unwrap_or_default();
        if kind != ARTIFACT_TYPE {
            return Err(ManifestError::OtherKind(kind.to_owned()));
        }
        let annotations = &manifest["annotations"];
        let name = text(annotations, NAME)?;
        let wrong = |what, seen: &str| ManifestError::Wrong {
            what,
            seen: seen.chars().take(80).collect(),
        };
        if !is_name(name) {
            return Err(wrong(NAME, name));
        }
        let arch = text(annotations, ARCH)?;
        let arch = CpuArchitecture::from_name(arch).ok_or_else(|| wrong(ARCH, arch))?;
        let day = annotations[EXPIRES].as_str();
        let expires = day.map(|day| day.parse().map_err(|_| wrong(EXPIRES, day)));
        let signed = annotations.as_object().into_iter().flatten();
        let signatures = signed
            .filter(|(key, _)| key.starts_with(SIGNATURE))
            .map(|(key, text)| match text.as_str() {
                Some(text) if is_signature(text) => Ok(text.to_owned()),
                _ => Err(wrong("signature", key)),
            });
        let layers = manifest["layers"].as_array();
        let layers = layers.ok_or(ManifestError::Missing("layers"))?;
        let files = layers.iter().map(|layer| {
            let annotations = &layer["annotations"];
            let (key, path) = (text(annotations, FILE)?, text(annotations, TITLE)?);
            if !is_name(key) {
                return Err(wrong(FILE, key));
            }
            if !is_inside(path) {
                return Err(ManifestError::Outside(path.chars().take(80).collect()));
            }
            let file = BundleFile {
                path: path.to_owned(),
                sha256: text(layer, "digest")?.parse()?,
                size: layer["size"]
                    .as_u64()
                    .ok_or(ManifestError::Missing("size"))?,
                source: source(annotations)?,
            };
            Ok((key.to_owned(), file))
        });
        Ok(Self {
            name: name.to_owned(),
            arch: arch.name().to_owned(),
            expires: expires.transpose()?,
            signatures: signatures.collect::<Result<_, ManifestError>>()?,
            files: files.collect::<Result<_, ManifestError>>()?,
        })
    }
}

/// Reads the source of a file.
fn source(annotations: &Value) -> Result<Option<FileSource>, ManifestError> {
    let wrong = |what, seen: &str| ManifestError::Wrong {
        what,
        seen: seen.chars().take(80).collect(),
    };
    let Some(from) = annotations[FROM].as_str() else {
        return Ok(None);
    };
    let is_url = from.starts_with("https://") || from.starts_with("http://");
    if !is_url || from.contains(char::is_control) {
        return Err(wrong(FROM, from));
    }
    let member = match annotations[MEMBER].as_str() {
        Some(member) if !is_inside(member) => return Err(wrong(MEMBER, member)),
        member => member.map(str::to_owned),
    };
    Ok(Some(FileSource {
        from: from.to_owned(),
        member,
    }))
}

fn text<'v>(value: &'v Value, key: &'static str) -> Result<&'v str, ManifestError> {
    value[key].as_str().ok_or(ManifestError::Missing(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &str) -> Bundle {
        let text = format!(
            r#"{{"name": "b", "arch": "x86_64", "expires": "2027-05-01", "files": {{{files}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn file(path: &str, source: &str) -> String {
        let digest = "a".repeat(64);
        format!(r#""kernel": {{"path": "{path}", "sha256": "{digest}", "size": 7{source}}}"#)
    }

    #[test]
    fn additional_annotations_are_read_back_and_are_not_part_of_the_signed_manifest() {
        let source = r#", "source": {"from": "https://a/b.iso", "member": "casper/vmlinuz"}"#;
        let with = bundle(&file("vmlinuz", source));
        let without = bundle(&file("vmlinuz", ""));
        assert_eq!(with.manifest(), without.manifest());
        for bundle in [with, without] {
            assert_eq!(Bundle::from_manifest(&bundle.envelope()), Ok(bundle));
        }
    }

    #[test]
    fn invalid_manifests_are_refused() {
        let good = bundle(&file("vmlinuz", "")).envelope();
        let good = String::from_utf8(good).unwrap();
        assert!(Bundle::from_manifest(good.as_bytes()).is_ok());
        for (from, to) in [
            ("\"vmlinuz\"", "\"../../etc/passwd\""),
            ("\"vmlinuz\"", "\"/etc/passwd\""),
            ("\"vmlinuz\"", "\"a\\u001b[2J\""),
            ("\"kernel\"", "\"../kernel\""),
            ("\"b\"", "\"../b\""),
            ("x86_64", "z80"),
            ("2027-05-01", "soon"),
            ("sha256:aaaa", "sha512:aaaa"),
            ("\"size\":7", "\"size\":-7"),
            ("vnd.pxectl.bundle.v1", "vnd.pxectl.bundle.v2"),
            ("dev.pxectl.expires", "dev.pxectl.signature.0"),
            ("layers", "layer"),
            ("{", "["),
        ] {
            assert!(good.contains(from), "{from}");
            let bad = good.replacen(from, to, 1);
            assert!(Bundle::from_manifest(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Bundle::from_manifest(&bytes);
        }
    }
}
