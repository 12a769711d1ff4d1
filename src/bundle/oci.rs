//! What an OCI layout and a registry share: descriptors and indexes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::machine::Sha256Digest;

/// The annotation with the name of a manifest in an index.
pub const NAME_ANNOTATION: &str = "org.opencontainers.image.ref.name";
/// The largest manifest that is read, in bytes.
///
/// Source: OCI distribution specification 1.1, "Pushing Manifests": registries need not accept larger
/// ones.
pub const MANIFEST_LIMIT: u64 = 4 << 20;

/// What a manifest or an index states about a blob. Unknown fields are kept.
///
/// Source: OCI image specification 1.1, "OCI Content Descriptors".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the content.
    pub media_type: String,
    /// The digest, with its algorithm: `sha256:…`.
    pub digest: String,
    /// The size in bytes.
    pub size: u64,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// All other fields.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The manifests of a layout, or the variants of an image for several platforms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// All other fields.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Descriptor {
    /// Describes content in memory.
    pub fn of(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: format!("sha256:{}", Sha256Digest::of(content)),
            size: content.len() as u64,
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }

    /// Describes the blob of a bundle's file.
    pub fn of_blob(digest: &Sha256Digest, size: u64) -> Self {
        Self {
            media_type: "application/octet-stream".to_owned(),
            digest: format!("sha256:{digest}"),
            size,
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }

    /// Returns the digest if it is a SHA-256 digest, the only kind that pxectl can verify.
    pub fn sha256(&self) -> Option<Sha256Digest> {
        self.digest.strip_prefix("sha256:")?.parse().ok()
    }

    /// Returns the name in the index.
    pub fn name(&self) -> Option<&str> {
        self.annotations.get(NAME_ANNOTATION).map(String::as_str)
    }
}

impl Index {
    /// Finds the manifest with a name.
    pub fn find(&self, name: &str) -> Option<&Descriptor> {
        self.manifests.iter().find(|it| it.name() == Some(name))
    }
}
