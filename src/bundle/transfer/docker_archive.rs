use std::io::{Cursor, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::TransferError;
use super::layer_reader::decompress_layer;
use super::tar_files::TarFiles;
use crate::bundle::oci::Descriptor;

const MANIFEST: &str = "manifest.json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image in a tar file by `docker save`, `podman save` or skopeo.
///
/// Source: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".
#[derive(Debug)]
pub struct DockerArchive {
    files: TarFiles,
    config: Vec<u8>,
    /// The digest of each layer's uncompressed content, and its name in the tar file.
    layers: Vec<(String, String)>,
}

/// An image in `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ArchivedImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl DockerArchive {
    /// Opens the tar file, and chooses the image: by its tag, by `@` and its position, or the only one.
    ///
    /// # Errors
    /// When the file cannot be read, or has no such image.
    pub fn open(path: &Path, image: Option<&str>) -> Result<Self, TransferError> {
        let files = TarFiles::open(path, |_| true)?;
        let text = files
            .small(MANIFEST)?
            .ok_or_else(|| files.refused("no `manifest.json` in the file"))?;
        let images: Vec<ArchivedImage> = serde_json::from_slice(&text)
            .map_err(|error| files.refused(&format!("invalid `manifest.json`: {error}")))?;
        let chosen = choose(&images, image).map_err(|reason| TransferError::Image {
            location: path.display().to_string(),
            reason,
        })?;
        let config = files
            .small(&chosen.config)?
            .ok_or_else(|| files.refused(&format!("no `{}` in the file", chosen.config)))?;
        let digests: Value = serde_json::from_slice(&config)
            .map_err(|error| files.refused(&format!("invalid configuration: {error}")))?;
        let digests = digests["rootfs"]["diff_ids"].as_array();
        let digests = digests.map_or(&[][..], Vec::as_slice);
        if digests.len() != chosen.layers.len() {
            let reason = format!(
                "the configuration lists {} layers, `{MANIFEST}` {}",
                digests.len(),
                chosen.layers.len()
            );
            return Err(files.refused(&reason));
        }
        let digests = digests
            .iter()
            .map(|digest| digest.as_str().unwrap_or_default());
        let layers = digests.map(str::to_owned).zip(chosen.layers.clone());
        let layers = layers.collect();
        Ok(Self {
            files,
            config,
            layers,
        })
    }

    /// Returns a manifest of the image, as a registry would have it with uncompressed layers.
    ///
    /// # Errors
    /// When a layer is missing.
    pub fn manifest(&self) -> Result<Vec<u8>, TransferError> {
        let mut layers = Vec::new();
        for (digest, name) in &self.layers {
            let (_, size) = self.layer(name)?;
            layers.push(json!({"mediaType": LAYER_TYPE, "digest": digest, "size": size}));
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": Descriptor::of(CONFIG_TYPE, &self.config),
            "layers": layers,
        });
        Ok(manifest.to_string().into_bytes())
    }

    /// Opens the configuration, or the uncompressed content of a layer.
    ///
    /// # Errors
    /// When the image has no such blob, or it cannot be read.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + '_>, TransferError> {
        if blob.digest == Descriptor::of(CONFIG_TYPE, &self.config).digest {
            return Ok(Box::new(Cursor::new(&self.config)));
        }
        let mut layers = self.layers.iter();
        let Some((_, name)) = layers.find(|(digest, _)| *digest == blob.digest) else {
            let reason = format!("no blob {} in the file", blob.digest);
            return Err(self.files.refused(&reason));
        };
        let (start, size) = self.layer(name)?;
        let broken = |error| self.files.refused(&format!("`{name}`: {error}"));
        decompress_layer(self.files.at(start, size)?).map_err(broken)
    }

    fn layer(&self, name: &str) -> Result<(u64, u64), TransferError> {
        let missing = || self.files.refused(&format!("no `{name}` in the file"));
        self.files.find(name).ok_or_else(missing)
    }
}

fn choose<'i>(
    images: &'i [ArchivedImage],
    reference: Option<&str>,
) -> Result<&'i ArchivedImage, String> {
    let tags = || {
        let tags = images
            .iter()
            .flat_map(|image| image.repo_tags.iter().flatten());
        tags.map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    match (reference, images) {
        (None, [only]) => Ok(only),
        (None, []) => Err("the file has no image".to_owned()),
        (None, _) => Err(format!(
            "the file has several images: choose one with `docker-archive:FILE:NAME` ({})",
            tags()
        )),
        (Some(reference), _) => {
            let position = reference
                .strip_prefix('@')
                .and_then(|it| it.parse::<usize>().ok());
            let chosen = match position {
                Some(position) => images.get(position),
                None => images.iter().find(|image| {
                    let mut tags = image.repo_tags.iter().flatten();
                    tags.any(|tag| full_name(tag) == full_name(reference))
                }),
            };
            chosen.ok_or_else(|| format!("the file has no `{reference}`, but {}", tags()))
        }
    }
}

/// Writes a name as Docker does in full: `docker.io/library/NAME:TAG`.
fn full_name(name: &str) -> String {
    let has_host = name
        .split_once('/')
        .is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost");
    let name = if has_host {
        name.to_owned()
    } else if name.contains('/') {
        format!("docker.io/{name}")
    } else {
        format!("docker.io/library/{name}")
    };
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains(':') {
        name
    } else {
        format!("{name}:latest")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::bundle::oci::Descriptor;
    use crate::machine::Sha256Digest;
    use crate::wire::tar::{END, header, padding};

    /// Writes a tar file with these files.
    fn tar(files: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for (name, content) in files {
            let size = content.len() as u64;
            file.write_all(&header(name, size)).unwrap();
            file.write_all(content).unwrap();
            file.write_all(padding(size)).unwrap();
        }
        file.write_all(&END).unwrap();
        file
    }

    #[test]
    fn layers_have_the_digests_of_the_configuration() {
        let digest = format!("sha256:{}", Sha256Digest::of(b"layer"));
        let config = json!({"rootfs": {"diff_ids": [&digest]}}).to_string();
        let manifest = br#"[{"Config": "c.json", "RepoTags": null, "Layers": ["l.tar"]}]"#;
        let files: [(&str, &[u8]); 3] = [
            ("manifest.json", manifest),
            ("c.json", config.as_bytes()),
            ("l.tar", b"layer"),
        ];
        let file = tar(&files);
        let archive = DockerArchive::open(file.path(), None).unwrap();
        let manifest: Value = serde_json::from_slice(&archive.manifest().unwrap()).unwrap();
        assert_eq!(manifest["layers"][0]["digest"], digest);
        for (blob, expected) in [
            (&manifest["config"], config.as_bytes()),
            (&manifest["layers"][0], b"layer"),
        ] {
            let blob: Descriptor = serde_json::from_value(blob.clone()).unwrap();
            let mut content = Vec::new();
            archive
                .open_blob(&blob)
                .unwrap()
                .read_to_end(&mut content)
                .unwrap();
            assert_eq!(content, expected);
        }
        // The configuration lists another number of layers, or a file is missing.
        for (files, expected) in [
            (
                vec![files[0], ("c.json", &b"{}"[..]), files[2]],
                "lists 0 layers",
            ),
            (vec![files[0], files[2]], "no `c.json`"),
            (vec![files[1], files[2]], "no `manifest.json`"),
        ] {
            let file = tar(&files);
            let error = DockerArchive::open(file.path(), None)
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
        let file = tar(&files[..2]);
        let archive = DockerArchive::open(file.path(), None).unwrap();
        let error = archive.manifest().unwrap_err().to_string();
        assert!(error.contains("no `l.tar`"), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_manifests_never_panic(text in "[\\[\\]{}\":,a-zA-Z0-9]{0,60}", config in any::<Vec<u8>>()) {
            let file = tar(&[("manifest.json", text.as_bytes()), ("a", &config)]);
            let _ = DockerArchive::open(file.path(), Some("@0"));
        }
    }

    fn image(tags: &[&str]) -> ArchivedImage {
        ArchivedImage {
            config: String::new(),
            repo_tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
            layers: Vec::new(),
        }
    }

    #[test]
    fn an_image_is_chosen_by_its_tag_or_position() {
        let images = [
            image(&["metal:a", "quay.io/x/metal:1"]),
            image(&["b/metal:latest"]),
            image(&[]),
        ];
        for (reference, expected) in [
            ("metal:a", Ok(0)),
            ("docker.io/library/metal:a", Ok(0)),
            ("quay.io/x/metal:1", Ok(0)),
            ("b/metal", Ok(1)),
            ("docker.io/b/metal:latest", Ok(1)),
            ("@2", Ok(2)),
            (
                "metal",
                Err("the file has no `metal`, but metal:a, quay.io/x/metal:1, b/metal:latest"),
            ),
            ("@3", Err("the file has no `@3`")),
        ] {
            let chosen = choose(&images, Some(reference));
            match expected {
                Ok(at) => assert!(
                    std::ptr::eq(chosen.unwrap(), &raw const images[at]),
                    "{reference}"
                ),
                Err(reason) => assert!(chosen.unwrap_err().contains(reason), "{reference}"),
            }
        }
        assert!(
            choose(&images, None)
                .unwrap_err()
                .contains("several images")
        );
        assert!(choose(&images[..0], None).unwrap_err().contains("no image"));
        assert!(choose(&images[2..], None).is_ok());
    }
}
