use std::io::{self, Read};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::tree::{TEXT_LIMIT, Tree};
use crate::bundle::oci::Descriptor;
use crate::bundle::store::BundleStore;
use crate::bundle::transfer::error::TransferError;
use crate::bundle::transfer::layer_reader::decompress_layer;
use crate::bundle::transfer::progress::{ProgressReader, TransferProgress, TransferSummary};
use crate::bundle::transfer::source::PullSource;
use crate::inventory::Bundle;
use crate::machine::{CpuArchitecture, Sha256Digest};
use crate::wire::tar::{Tar, TarError};

/// A bundle made from an image. Its blobs are in the store, its name is not yet.
pub struct UnpackedImage {
    /// The bundle.
    pub bundle: Bundle,
    /// What was copied.
    pub summary: TransferSummary,
}

/// Unpacks an image's layers into the store's blobs.
///
/// # Errors
/// When a layer cannot be read or has another digest, when it names a file outside the image, or when
/// there are no files below `/disk/`.
pub fn unpack(
    store: &BundleStore,
    source: &mut PullSource<'_>,
    location: &str,
    manifest: &[u8],
    name: &str,
    arch: Option<CpuArchitecture>,
    progress: &Arc<dyn TransferProgress>,
) -> Result<UnpackedImage, TransferError> {
    let refused = |reason: String| TransferError::Image {
        location: location.to_owned(),
        reason,
    };
    let manifest: Value =
        serde_json::from_slice(manifest).map_err(|error| refused(error.to_string()))?;
    let described = |value: &Value| serde_json::from_value::<Descriptor>(value.clone());
    let config = described(&manifest["config"])
        .map_err(|error| refused(format!("invalid configuration: {error}")))?;
    let layers = manifest["layers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(described)
        .collect::<Result<Vec<Descriptor>, _>>()
        .map_err(|error| refused(format!("invalid list of layers: {error}")))?;

    let arch = match arch {
        Some(arch) => arch,
        None => {
            let mut text = Vec::new();
            let opened = source.open_blob(&config)?;
            let read = opened.take(TEXT_LIMIT).read_to_end(&mut text);
            read.map_err(|error| refused(format!("invalid configuration: {error}")))?;
            let config: Value = serde_json::from_slice(&text).unwrap_or_default();
            let named = config["architecture"].as_str().unwrap_or_default();
            CpuArchitecture::from_name(named).ok_or_else(|| {
                refused(format!(
                    "unknown processor `{named}`: choose one with `--arch`"
                ))
            })?
        }
    };
    let summary = TransferSummary {
        blobs: layers.len(),
        bytes: layers
            .iter()
            .fold(0, |sum, layer| layer.size.saturating_add(sum)),
    };
    progress.begin(summary.blobs, summary.bytes, layers.len());
    let mut tree = Tree::default();
    for layer in &layers {
        let progress = progress.begin_file(&layer.digest, layer.size);
        let content = ProgressReader::new(source.open_blob(layer)?, progress);
        tree.add_layer(store, content, layer).map_err(&refused)?;
    }
    let files = tree.into_files(store).map_err(refused)?;
    Ok(UnpackedImage {
        bundle: Bundle {
            name: name.to_owned(),
            arch: arch.name().to_owned(),
            expires: None,
            signatures: Vec::new(),
            files,
        },
        summary,
    })
}

impl Tree {
    /// Adds a layer: its files replace those of the layers below.
    ///
    /// Source: OCI image specification 1.1, "Image Layer Filesystem Changeset".
    pub(super) fn add_layer(
        &mut self,
        store: &BundleStore,
        content: impl Read,
        layer: &Descriptor,
    ) -> Result<(), String> {
        let faulty = |reason: String| format!("layer {}: {reason}", layer.digest);
        let broken = |error: io::Error| faulty(error.to_string());
        let mut hashed = HashingReader {
            content,
            hasher: Sha256::new(),
        };
        {
            let plain = decompress_layer(&mut hashed).map_err(broken)?;
            let mut archive = Tar::without_end(plain);
            let wrong = |error: TarError| faulty(error.to_string());
            while let Some(entry) = archive.entry().map_err(wrong)? {
                self.add_entry(store, entry, &mut archive).map_err(faulty)?;
            }
        }
        // The end of the archive is not the end of the layer.
        io::copy(&mut hashed, &mut io::sink()).map_err(broken)?;
        let found = Sha256Digest::new(hashed.hasher.finalize().into());
        if layer.sha256() == Some(found) {
            Ok(())
        } else {
            Err(format!("layer {} hashes to {found}", layer.digest))
        }
    }
}

struct HashingReader<R> {
    content: R,
    hasher: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
