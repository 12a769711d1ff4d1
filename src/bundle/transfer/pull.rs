use std::sync::Arc;

use super::error::TransferError;
use super::image::{UnpackedImage, unpack};
use super::location::BundleLocation;
use super::progress::{ProgressReader, TransferProgress, TransferSummary};
use super::source::{PullOptions, PullSource};
use crate::bundle::oci::Descriptor;
use crate::bundle::parallel::run_parallel;
use crate::bundle::store::BundleStore;
use crate::inventory::{Bundle, BundleFile, ManifestError};

/// A bundle that was pulled.
pub struct PulledBundle {
    /// The bundle, which is in the store now.
    pub bundle: Bundle,
    /// What was copied.
    pub summary: TransferSummary,
    /// Whether the bundle comes from the layers of an image, and so has no signature yet.
    pub is_unpacked: bool,
}

/// Copies a bundle from a source to the store, or makes one from an image with boot files.
///
/// # Errors
/// When the source has no such bundle, has no intact copy of it, or fails; when the store has the name
/// with other content; when the signatures do not satisfy the site's rules. The store has no new name
/// then.
pub fn pull(
    store: &BundleStore,
    location: &BundleLocation,
    options: &PullOptions<'_>,
    progress: &Arc<dyn TransferProgress>,
) -> Result<PulledBundle, TransferError> {
    let on_retry = |text: &str| progress.note(text);
    let mut source = PullSource::open(location, options, &on_retry)?;
    let location_text = location.to_string();
    let manifest = source.manifest(&location_text, options)?;
    // Protects the blobs from garbage collection until they have a name.
    let _lock = store.lock_shared()?;
    match Bundle::from_manifest(&manifest) {
        Ok(bundle) => {
            let import = Import {
                store,
                location: &location_text,
                progress,
            };
            let summary = import.run(&source, &bundle, options)?;
            // The store may have more signatures of the same content.
            let bundle = store.bundle(&bundle.name)?;
            Ok(PulledBundle {
                bundle,
                summary,
                is_unpacked: false,
            })
        }
        Err(ManifestError::OtherKind(kind)) if kind.is_empty() || kind.contains("image") => {
            let Some(name) = options.name else {
                return Err(TransferError::Image {
                    location: location_text,
                    reason: "a bundle made from an image needs a name: add one to the command"
                        .to_owned(),
                });
            };
            let UnpackedImage { bundle, summary } = unpack(
                store,
                &mut source,
                &location_text,
                &manifest,
                name,
                options.arch,
                progress,
            )?;
            store.add_bundle(&bundle)?;
            Ok(PulledBundle {
                bundle,
                summary,
                is_unpacked: true,
            })
        }
        Err(error) => Err(TransferError::NotABundle {
            location: location_text,
            error,
        }),
    }
}

struct Import<'p> {
    store: &'p BundleStore,
    location: &'p str,
    progress: &'p Arc<dyn TransferProgress>,
}

impl Import<'_> {
    fn run(
        &self,
        source: &PullSource<'_>,
        bundle: &Bundle,
        options: &PullOptions<'_>,
    ) -> Result<TransferSummary, TransferError> {
        if let Some(expected) = options.name.filter(|name| *name != bundle.name) {
            return Err(TransferError::OtherName {
                location: self.location.to_owned(),
                found: bundle.name.clone(),
                expected: expected.to_owned(),
            });
        }
        self.store.check_name(bundle)?;
        let checked = options.signatures.check(bundle);
        checked.map_err(|error| TransferError::Signature {
            bundle: bundle.name.clone(),
            error,
        })?;
        let mut missing: Vec<&BundleFile> = Vec::new();
        for file in bundle.files.values() {
            let is_listed = missing.iter().any(|other| other.sha256 == file.sha256);
            if !is_listed && !self.store.has_intact(file) {
                missing.push(file);
            }
        }
        let summary = TransferSummary {
            blobs: missing.len(),
            bytes: missing
                .iter()
                .fold(0, |sum, file| file.size.saturating_add(sum)),
        };
        self.store.reserve(summary.bytes)?;
        let files = bundle.files.len();
        self.progress.begin(summary.blobs, summary.bytes, files);
        let (jobs, stop) = source.parallelism(options);
        run_parallel(jobs, missing, &stop, |file| {
            let progress = self.progress.begin_file(&file.path, file.size);
            let opened = source.open_blob(&Descriptor::of_blob(&file.sha256, file.size))?;
            let mut content = ProgressReader::new(opened, progress);
            let what = format!("`{}` of {}", file.path, self.location);
            let (digest, size) = (&file.sha256, Some(file.size));
            (self.store.add_blob_as(digest, size, &mut content, &what))
                .map_err(TransferError::from_copy)
        })?;
        self.store.add_bundle(bundle)?;
        Ok(summary)
    }
}
