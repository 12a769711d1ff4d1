use std::sync::Arc;

use super::error::TransferError;
use super::image::{Unpacked, unpack};
use super::location::Place;
use super::progress::{Travelled, Watch, Watched};
use super::source::{PullOptions, Source};
use crate::bundle::oci::Descriptor;
use crate::bundle::parallel::at_once;
use crate::bundle::store::BundleStore;
use crate::inventory::{Bundle, BundleFile, ManifestError};

/// What has come.
pub struct Pulled {
    /// The bundle, which the store has now.
    pub bundle: Bundle,
    /// What had to travel for it.
    pub travelled: Travelled,
    /// Whether it was made of an image's layers, and so can carry no signature yet.
    pub is_unpacked: bool,
}

/// Copies a bundle from a place to the store, or makes one of an image with boot files.
///
/// # Errors
/// When the place has no such bundle, no good copy of it, or refuses; when the store has the name
/// with other content; when its signatures are not what the site wants. The store has no new name
/// then.
pub fn pull(
    store: &BundleStore,
    place: &Place,
    options: &PullOptions<'_>,
    watch: &Arc<dyn Watch>,
) -> Result<Pulled, TransferError> {
    let waiting = |text: &str| watch.note(text);
    let mut source = Source::open(place, options, &waiting)?;
    let shown = place.to_string();
    let manifest = source.manifest(&shown, options)?;
    // What has arrived is not collected before it has a name.
    let _writing = store.write()?;
    match Bundle::from_manifest(&manifest) {
        Ok(bundle) => {
            let coming = Coming {
                store,
                place: &shown,
                watch,
            };
            let travelled = coming.bundle(&source, &bundle, options)?;
            // The store may know more signatures of the same content.
            let bundle = store.bundle(&bundle.name)?;
            Ok(Pulled {
                bundle,
                travelled,
                is_unpacked: false,
            })
        }
        Err(ManifestError::OtherKind(kind)) if kind.is_empty() || kind.contains("image") => {
            let Some(name) = options.name else {
                return Err(TransferError::Image {
                    place: shown,
                    reason: "it has no name of a bundle: give the bundle one".to_owned(),
                });
            };
            let Unpacked { bundle, travelled } = unpack(
                store,
                &mut source,
                &shown,
                &manifest,
                name,
                options.arch,
                watch,
            )?;
            store.add_bundle(&bundle)?;
            Ok(Pulled {
                bundle,
                travelled,
                is_unpacked: true,
            })
        }
        Err(error) => Err(TransferError::NotABundle {
            place: shown,
            error,
        }),
    }
}

struct Coming<'p> {
    store: &'p BundleStore,
    place: &'p str,
    watch: &'p Arc<dyn Watch>,
}

impl Coming<'_> {
    fn bundle(
        &self,
        source: &Source<'_>,
        bundle: &Bundle,
        options: &PullOptions<'_>,
    ) -> Result<Travelled, TransferError> {
        if let Some(wanted) = options.name.filter(|name| *name != bundle.name) {
            return Err(TransferError::OtherName {
                place: self.place.to_owned(),
                found: bundle.name.clone(),
                wanted: wanted.to_owned(),
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
            let twice = missing.iter().any(|other| other.sha256 == file.sha256);
            if !twice && !self.store.has_good(file) {
                missing.push(file);
            }
        }
        let travelled = Travelled {
            blobs: missing.len(),
            octets: missing
                .iter()
                .fold(0, |sum, file| file.size.saturating_add(sum)),
        };
        self.store.reserve(travelled.octets)?;
        let files = bundle.files.len();
        self.watch.begins(travelled.blobs, travelled.octets, files);
        let (jobs, stop) = source.at_once(options);
        at_once(jobs, missing, &stop, |file| {
            let part = self.watch.file(&file.path, file.size);
            let opened = source.open_blob(&Descriptor::of_blob(&file.sha256, file.size))?;
            let mut content = Watched::new(opened, part);
            let what = format!("`{}` of {}", file.path, self.place);
            let (digest, size) = (&file.sha256, Some(file.size));
            (self.store.add_blob_as(digest, size, &mut content, &what)).map_err(TransferError::from)
        })?;
        self.store.add_bundle(bundle)?;
        Ok(travelled)
    }
}
