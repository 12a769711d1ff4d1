use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::claims::{Claims, UniqueValue};
use super::reader::Reader;
use super::signature::is_signature;
use super::tree::{Node, Value};
use crate::machine::{CpuArchitecture, Sha256Digest};

/// The `Bundle` document: a pinned set of files, whose blobs are in the bundle store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The bundle's name. The content of a name never changes.
    pub name: String,
    /// The processor that its kernel is built for, as `uname -m` prints it.
    pub arch: String,
    /// The first day on which it must not be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
    /// Its signatures of [`Bundle::manifest`], each in minisign's format.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
    /// Its files, by the keys that profiles and templates name.
    pub files: BTreeMap<String, BundleFile>,
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleFile {
    /// Its title in the OCI layout.
    pub path: String,
    /// The digest of its content.
    pub sha256: Sha256Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The source that it was built from, if the source is public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<FileSource>,
}

/// A public source of a bundle's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSource {
    /// A URL.
    pub from: String,
    /// The path of the file inside the URL's image or archive, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// The media type of a bundle's artifact.
pub const ARTIFACT_TYPE: &str = "application/vnd.pxectl.bundle.v1";
/// The media type of an OCI image manifest.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The content of an artifact's empty configuration.
pub const EMPTY_CONFIG: &[u8] = b"{}";

impl Bundle {
    /// Builds the OCI manifest of the bundle. The same document gives the same bytes.
    ///
    /// Source: OCI image specification 1.1, "Guidelines for Artifact Usage".
    pub fn manifest(&self) -> Vec<u8> {
        let descriptor = |media_type: &str, digest: &Sha256Digest, size: u64| serde_json::json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size });
        let layers = self.files.iter().map(|(key, file)| {
            let mut layer = descriptor("application/octet-stream", &file.sha256, file.size);
            layer["annotations"] = serde_json::json!({
                "dev.pxectl.file": key,
                "org.opencontainers.image.title": file.path,
            });
            layer
        });
        let config_digest = Sha256Digest::of(EMPTY_CONFIG);
        let config = descriptor(
            "application/vnd.oci.empty.v1+json",
            &config_digest,
            EMPTY_CONFIG.len() as u64,
        );
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_MEDIA_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": config,
            "layers": layers.collect::<Vec<_>>(),
            "annotations": { "dev.pxectl.arch": self.arch, "org.opencontainers.image.ref.name": self.name },
        });
        manifest.to_string().into_bytes()
    }

    /// Reports whether the bundle must not be installed, because its `expires` has begun.
    pub fn is_expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|day| today >= day)
    }

    /// Writes the bundle as an inventory document. The same bundle gives the same bytes.
    pub fn to_yaml(&self) -> String {
        #[derive(Serialize)]
        struct Document<'b> {
            kind: &'static str,
            #[serde(flatten)]
            bundle: &'b Bundle,
        }
        let document = Document {
            kind: "Bundle",
            bundle: self,
        };
        let text = serde_yaml::to_string(&document).unwrap_or_default();
        format!("# Written by `pxectl bundle`: the files are pinned by their digests.\n{text}")
    }

    /// Returns the digest of [`Bundle::manifest`], which names the bundle in URLs.
    pub fn manifest_digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.manifest())
    }
}

pub(super) fn read(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Bundle> {
    let mut fields = reader.fields(node, "this Bundle")?;
    fields.node("kind");
    let name = fields.required(reader, "name", Reader::name);
    if let Some(name) = &name {
        claims.unique(UniqueValue::Bundle, name.value.clone(), name.span, "");
    }
    let arch = fields.required(reader, "arch", read_arch);
    let expires = fields.optional(reader, "expires", |reader, node| {
        if let Some(name) = &name {
            let spans = &mut claims.spans.expires;
            spans.insert(name.value.clone(), node.span);
        }
        reader.parsed::<Date>(node, "a date such as `2027-05-01`")
    });
    let signatures = fields.optional(reader, "signatures", |reader, node| {
        reader.items(node, read_signature)
    });
    let files = fields.required(reader, "files", |reader, node| {
        let files: BTreeMap<_, _> = reader
            .entries(node, |reader, key, value| {
                Some((key.text.clone(), read_file(reader, value)?))
            })?
            .into_iter()
            .collect();
        if let Some(name) = &name {
            claims.bundle_files(name.value.clone(), arch.clone(), node);
        }
        Some(files)
    });
    fields.finish(reader);
    let name = name?;
    claims.bundle_names.insert(name.value.clone(), name.span);
    Some(Bundle {
        name: name.value,
        arch: arch?,
        expires,
        signatures: signatures.unwrap_or_default(),
        files: files?,
    })
}

/// Reads a signature in minisign's format, which has several lines.
fn read_signature(reader: &mut Reader, node: &Node) -> Option<String> {
    match &node.value {
        Value::Scalar { text, .. } if is_signature(text) => Some(text.clone()),
        _ => {
            let help = "copy all four lines of the `.minisig` file, as a block after `|`";
            let message = "not a signature in minisign's format";
            reader.refuse("wrong-value", node.span, message, help)
        }
    }
}

/// Reads the name of a processor in any spelling, and returns it as `uname -m` prints it.
pub(super) fn read_arch(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    match CpuArchitecture::from_name(&text) {
        Some(arch) => Some(arch.name().to_owned()),
        None => reader.refuse(
            "wrong-value",
            node.span,
            format!("unknown processor `{text}`"),
            "write the name that `uname -m` prints, such as `x86_64` or `aarch64`",
        ),
    }
}

fn read_file(reader: &mut Reader, node: &Node) -> Option<BundleFile> {
    let mut fields = reader.fields(node, "this file")?;
    let path = fields.required(reader, "path", read_path);
    let sha256 = fields.required(reader, "sha256", |r, n| {
        r.parsed(n, "the digest as `sha256sum` prints it")
    });
    let size = fields.required(reader, "size", |reader, node| {
        reader.number(node, 0..=u64::MAX >> 1)
    });
    let source = fields.optional(reader, "source", read_source);
    fields.finish(reader);
    Some(BundleFile {
        path: path?,
        sha256: sha256?,
        size: size?,
        source,
    })
}

/// Reads a relative path that never leaves its directory.
pub(super) fn read_path(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    if is_inside(&text) {
        return Some(text);
    }
    let message = format!("`{text}` is not a path inside a bundle");
    reader.refuse(
        "wrong-value",
        node.span,
        message,
        "write a relative path without `.` or `..`",
    )
}

/// Reports whether a path is relative and never leaves its directory.
pub fn is_inside(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(plain) && !path.contains(char::is_control)
}

fn read_source(reader: &mut Reader, node: &Node) -> Option<FileSource> {
    let mut fields = reader.fields(node, "this source")?;
    let from = fields.required(reader, "from", |reader, node| {
        let text = reader.text(node)?;
        if text.starts_with("https://") || text.starts_with("http://") {
            return Some(text);
        }
        let message = format!("`{text}` is not a URL");
        reader.refuse(
            "wrong-value",
            node.span,
            message,
            "start the URL with `https://` or `http://`",
        )
    });
    let member = fields.optional(reader, "member", read_path);
    fields.finish(reader);
    Some(FileSource {
        from: from?,
        member,
    })
}
